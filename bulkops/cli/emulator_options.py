"""What `bulkops emulate` takes, declared as data; `emulate.py` makes settings of it.

`bulkops run --emulate` takes the same from the environment variables.
"""

from __future__ import annotations

from bulkops.cli.parsing import Option, not_negative, positive

ALGORITHMS = ("fixed", "fixed-from-first", "sliding-log", "sliding-counter", "token-bucket", "gcra")

SERVER = (
    Option(
        "--api",
        takes=str,
        metavar="API",
        default="reference",
        choices=("reference", "live"),
        about="what it speaks: the reference (default) or the live API",
    ),
    Option(
        "--port", takes=int, metavar="N", default=8765, about="the port on 127.0.0.1 (8765); 0 is a free one"
    ),
    Option(
        "--time-scale", takes=positive, metavar="X", default=1.0, about="let its clock run X times as fast"
    ),
    Option(
        "--conversations",
        takes=int,
        metavar="N",
        default=200,
        about="conversations each key starts with, conv_seed_0001 and on (200)",
    ),
    Option(
        "--transcripts",
        takes=str,
        metavar="SHAPE",
        default="text",
        choices=("text", "turns"),
        about="transcripts as a text (default) or as a list of turns",
    ),
    Option(
        "--index-time",
        takes=not_negative,
        metavar="S",
        about="seconds an index takes; default: differs, median 20",
    ),
    Option(
        "--latency", takes=not_negative, metavar="S", default=0.05, about="seconds until an answer (0.05)"
    ),
    Option("--seed", takes=int, metavar="N", default=0, about="the seed of all chance"),
    Option(
        "--faults",
        takes=str,
        metavar="FILE",
        about="what goes wrong when, a JSON list: docs/emulator.md",
    ),
    Option(
        "--effects",
        takes=str,
        metavar="FILE",
        about="note each request and each effect there, a JSON line as it happens",
    ),
)
LIMIT = (
    Option(
        "--tier",
        takes=str,
        metavar="TIER",
        offers=("standard", "pro"),
        about="standard (default, 100 requests a minute) or pro (500)",
    ),
    Option("--rate", takes=str, metavar="N/PERIOD", about="the limit itself, such as 2000/min"),
    Option(
        "--limit-algorithm",
        takes=str,
        metavar="NAME",
        default="fixed-from-first",
        choices=ALGORITHMS,
        about=f"how it is kept: {', '.join(ALGORITHMS)} (fixed-from-first)",
    ),
    Option(
        "--limit-burst",
        takes=int,
        metavar="N",
        about="requests at once: of a token-bucket (the limit), of gcra (5)",
    ),
    Option("--rejects-count", about="count refused requests too, where there are windows"),
    Option("--no-rate-headers", about="answer without the headers of the limit"),
    Option("--no-retry-after", about="refuse for the limit without Retry-After"),
)
CONCURRENCY = (
    Option("--concurrency", takes=int, metavar="N", about="serve so many requests of a key at once"),
    Option(
        "--concurrency-queue",
        takes=not_negative,
        metavar="S",
        default=0.0,
        about="seconds one too many waits before it is refused (0)",
    ),
    Option("--no-concurrency-headers", about="answer without the headers of these"),
)
OTHERS = (
    Option(
        "--foreign",
        takes=str,
        metavar="N%|N/PERIOD",
        about="somebody else uses so much of each key's limit, such as 30% or 30/min",
    ),
    Option(
        "--foreign-burst", takes=int, metavar="N", default=1, about="requests of theirs that come at once (1)"
    ),
)
WEBHOOK = (
    Option(
        "--webhook",
        takes=str,
        metavar="URL",
        about="deliver the calls that end there, on this machine: http://127.0.0.1:8787/webhook",
    ),
    Option(
        "--webhook-secret-file", takes=str, metavar="FILE", about="what they are signed with: its first line"
    ),
    Option(
        "--webhook-signature",
        takes=str,
        metavar="FORM",
        choices=("bare", "timestamped"),
        about="bare (the reference's) or timestamped (t=…,v0=…, the live API's); default: as the API",
    ),
    Option("--webhook-retries", about="try a delivery that fails again, as the service does: up to 5 times"),
    Option("--webhook-seeded", about="deliver the conversations too that each key starts with"),
)
EMULATOR = {
    "options": SERVER,
    "limit": LIMIT,
    "concurrency": CONCURRENCY,
    "others_on_the_key": OTHERS,
    "webhook": WEBHOOK,
}
