"""`bulkops emulate`: the local server that speaks the API."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.cli.parsing import say
from bulkops.errors import UsageError

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options
    from bulkops.emulator import Emulator, EmulatorSettings, Schedule

CONVERSATIONS = 200
INSTALL = "the local server needs more packages; install them with: python -m pip install 'bulkops[emulator]'"


def run(options: Options) -> int:
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


def serving_for(options: Options, port: int = 0) -> AbstractContextManager[Emulator]:
    """Return the server that the options ask for, to be entered; UsageError when it cannot be had."""
    try:
        from bulkops.emulator import serving_in_thread
    except ImportError as missing:
        raise UsageError(f"{INSTALL} ({missing})") from None
    return _Serving(serving_in_thread(_settings(options, port)))


def _settings(options: Options, port: int) -> EmulatorSettings:
    from bulkops.accounts import parse_rate
    from bulkops.emulator import EmulatorSettings

    rate = parse_rate(options.rate) if options.rate else None
    if rate is None and options.tier not in (None, "standard", "pro"):
        raise UsageError(
            f"the local server knows the tiers standard and pro, not {options.tier!r}; "
            "give another limit with --rate, such as --rate 2000/min"
        )
    try:
        return EmulatorSettings(
            port=port,
            tier=None if rate is not None else options.tier or "standard",
            limit=rate.limit if rate is not None else None,
            period=rate.period if rate is not None else 60.0,
            time_scale=options.time_scale,
            conversations=getattr(options, "conversations", CONVERSATIONS),
            index_time=getattr(options, "index_time", None),
            latency=getattr(options, "latency", 0.05),
            seed=getattr(options, "seed", 0),
            faults=_schedule(getattr(options, "faults", None)),
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _schedule(path: str | None) -> Schedule:
    from bulkops.emulator import Schedule

    if path is None:
        return Schedule()
    try:
        return Schedule.parse(Path(path).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"the faults in {path} cannot be read: {error.strerror}") from None


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
