"""What `bulkops listen` takes, declared as data; `listen.py` makes settings of it."""

from __future__ import annotations

from bulkops.cli.parsing import Option, duration, size

SPOOL = (
    Option(
        "--spool",
        takes=str,
        metavar="DIR",
        required=True,
        about="the folder of what was delivered; made where it is not there",
    ),
    Option(
        "--rotate",
        takes=size,
        metavar="SIZE",
        default=64 * 2**20,
        about="begin a new file when one has this size (64MiB); each day has its own anyway",
    ),
    Option(
        "--replay",
        takes=str,
        metavar="FILE",
        about="take recorded events from a file (- is stdin) and end: one on each line, or lines of another spool; "
        "nobody checks who they are from",
    ),
)
LISTENING = (
    Option("--host", takes=str, metavar="HOST", default="127.0.0.1", about="the address (127.0.0.1)"),
    Option("--port", takes=int, metavar="N", default=8787, about="the port (8787); 0 is a free one"),
    Option("--path", takes=str, metavar="PATH", default="/webhook", about="the path (/webhook)"),
    Option(
        "--tls-cert", takes=str, metavar="FILE", about="speak TLS with this certificate (PEM, with its chain)"
    ),
    Option("--tls-key", takes=str, metavar="FILE", about="its key, where that is in a file of its own"),
    Option(
        "--max-body", takes=size, metavar="SIZE", default=25 * 2**20, about="refuse larger deliveries (25MiB)"
    ),
    Option(
        "--deadline",
        takes=duration,
        metavar="TIME",
        default=30.0,
        about="end connections whose request is not whole after so long (30s)",
    ),
)
BELIEVING = (
    Option(
        "--secret-file",
        takes=str,
        metavar="FILE",
        several=True,
        about="a file (mode 0600) with the webhook's secret; several lines or files while one replaces another. "
        "Without: ELEVENLABS_WEBHOOK_SECRET",
    ),
    Option(
        "--signature",
        takes=str,
        metavar="FORM",
        choices=("bare", "timestamped", "any"),
        about="which forms of signatures to accept: bare, timestamped, any; default: those of the API (any)",
    ),
    Option(
        "--tolerance",
        takes=duration,
        metavar="TIME",
        default=1800.0,
        about="how old, or how far ahead, a timestamped signature may be (30m)",
    ),
)
LISTEN = {"spool": SPOOL, "listening": LISTENING, "believing": BELIEVING}
