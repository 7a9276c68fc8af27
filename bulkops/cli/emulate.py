"""`bulkops emulate`: the local server that speaks the API."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.cli.parsing import say
from bulkops.errors import UsageError

if TYPE_CHECKING:
    import argparse

    from bulkops.emulator import Emulator, EmulatorSettings

CONVERSATIONS = 200
INSTALL = "the local server needs more packages; install them with: python -m pip install 'bulkops[emulator]'"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Declare the options."""
    parser.add_argument(
        "--port",
        type=int,
        default=8765,
        metavar="N",
        help="the port on 127.0.0.1 (default 8765); 0 is a free one",
    )
    parser.add_argument("--tier", help="standard (default, 100 requests a minute) or pro (500)")
    parser.add_argument("--rate", metavar="N/PERIOD", help="the limit itself, such as 2000/min")
    parser.add_argument(
        "--time-scale", type=float, default=1.0, metavar="X", help="let its clock run X times as fast"
    )
    parser.add_argument(
        "--conversations",
        type=int,
        default=CONVERSATIONS,
        metavar="N",
        help="conversations each key starts with, conv_seed_0001 and on (default 200)",
    )
    parser.add_argument(
        "--index-time", type=float, metavar="S", help="seconds an index takes; default: differs, median 20"
    )
    parser.add_argument(
        "--latency", type=float, default=0.05, metavar="S", help="seconds until an answer (default 0.05)"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="the seed of all chance")
    parser.add_argument(
        "--faults", metavar="FILE", help="what goes wrong when, a JSON list; see docs/emulator.md"
    )


def run(options: argparse.Namespace) -> int:
    """Serve until interrupted."""
    import anyio

    with serving_for(options, port=options.port) as server:
        print(server.base_url, flush=True)
        say(
            "This server takes any key that is not empty and forgets everything when it ends (Ctrl-C). To use it:\n"
            f"  ELEVENLABS_API_KEY=any bulkops run JOB --base-url {server.base_url}"
        )
        try:
            anyio.run(anyio.sleep_forever)
        except KeyboardInterrupt:
            say("ended")
    return 0


def serving_for(options: argparse.Namespace, port: int = 0) -> AbstractContextManager[Emulator]:
    """Return the server that the options ask for, to be entered; UsageError when it cannot be had."""
    try:
        from bulkops.emulator import serving_in_thread
    except ImportError as missing:
        raise UsageError(f"{INSTALL} ({missing})") from None
    return _Serving(serving_in_thread(_settings(options, port)))


def _settings(options: argparse.Namespace, port: int) -> EmulatorSettings:
    from bulkops.accounts import parse_rate
    from bulkops.emulator import EmulatorSettings, Schedule

    rate = parse_rate(options.rate) if options.rate else None
    faults = getattr(options, "faults", None)
    try:
        return EmulatorSettings(
            port=port,
            tier=options.tier or "standard",
            limit=rate.limit if rate is not None else None,
            period=rate.period if rate is not None else 60.0,
            time_scale=options.time_scale,
            conversations=getattr(options, "conversations", CONVERSATIONS),
            index_time=getattr(options, "index_time", None),
            latency=getattr(options, "latency", 0.05),
            seed=getattr(options, "seed", 0),
            faults=Schedule.parse(Path(faults).read_text("utf-8")) if faults else Schedule(),
        )
    except (ValueError, OSError) as error:
        raise UsageError(str(error)) from None


class _Serving(AbstractContextManager["Emulator"]):
    """A server whose trouble at the start is told as a usage error."""

    def __init__(self, inner: AbstractContextManager[Emulator]) -> None:
        self._inner = inner

    def __enter__(self) -> Emulator:
        try:
            return self._inner.__enter__()
        except OSError as error:
            raise UsageError(error.strerror or str(error)) from None

    def __exit__(self, *raised: object) -> None:
        self._inner.__exit__(*raised)  # type: ignore[arg-type] # passed on as they came
