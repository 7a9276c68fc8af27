"""`bulkops emulate`: the local server that speaks the API."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from bulkops.cli.emulator_options import EMULATOR
from bulkops.cli.parsing import Verb, positive, read, say
from bulkops.errors import UsageError

if TYPE_CHECKING:
    from bulkops.cli.parsing import Options
    from bulkops.emulator import Emulator, EmulatorSettings, Schedule, Webhook

INSTALL = "the local server needs more packages; install them with: python -m pip install 'bulkops[emulator]'"


def run(options: Options) -> int:
    """Serve until interrupted."""
    import anyio

    with serving_for(options) as server:
        print(server.base_url, flush=True)
        say(
            "This server takes any key that is not empty and forgets everything when it ends (Ctrl-C). To use it:\n"
            f"  ELEVENLABS_API_KEY=any bulkops run JOB --base-url {server.base_url}"
        )
        anyio.run(_until_told)
        say("\n".join(["ended", *server.statistics.lines()]))
    return 0


async def _until_told() -> None:
    """Wait for Ctrl-C, or for the signal by which scripts end what they started."""
    import signal

    import anyio

    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        async for _ in signals:
            return


def of_rehearsal(options: Options) -> Options:
    """Return what a run's own server takes: limit and clock of the run, the rest from the environment, any port."""
    from bulkops.cli.orders import profile

    found = read("emulate", Verb("", (), **EMULATOR), [])
    found.api = profile(options).name
    found.tier, found.rate, found.time_scale = options.tier, options.rate, options.time_scale
    found.port = 0
    return found


def serving_for(options: Options) -> AbstractContextManager[Emulator]:
    """Return the server that the options ask for, to be entered; UsageError when it cannot be had."""
    try:
        from bulkops.emulator import serving_in_thread
    except ImportError as missing:
        raise UsageError(f"{INSTALL} ({missing})") from None
    return _Serving(serving_in_thread(_settings(options)))


def _settings(options: Options) -> EmulatorSettings:
    from bulkops.emulator import Algorithm, EmulatorSettings

    limit, period = _limit(options)
    try:
        return EmulatorSettings(
            api=options.api,
            port=options.port,
            limit=limit,
            period=period,
            limit_algorithm=Algorithm(options.limit_algorithm),
            limit_burst=options.limit_burst,
            rejects_count=options.rejects_count,
            rate_headers=not options.no_rate_headers,
            retry_after=not options.no_retry_after,
            concurrency=options.concurrency,
            concurrency_queue=options.concurrency_queue,
            concurrency_headers=not options.no_concurrency_headers,
            foreign=_share(options.foreign, (limit or 0) / period),
            foreign_burst=options.foreign_burst,
            time_scale=options.time_scale,
            conversations=options.conversations,
            transcripts=options.transcripts,
            webhook=_webhook(options),
            index_time=options.index_time,
            latency=options.latency,
            seed=options.seed,
            faults=_schedule(options.faults),
            effects_file=Path(options.effects) if options.effects else None,
        )
    except ValueError as error:
        raise UsageError(str(error)) from None


def _limit(options: Options) -> tuple[int | None, float]:
    """Return requests and the seconds they are for; the live API has no such limit unless one is asked for."""
    from bulkops.accounts import parse_rate
    from bulkops.emulator import TIERS

    if options.rate:
        rate = parse_rate(options.rate)
        assert rate.limit is not None
        return rate.limit, rate.period
    if options.tier is None and options.api == "live":
        return None, 60.0
    tier = options.tier or "standard"
    if tier not in TIERS:
        raise UsageError(
            f"the local server knows the tiers standard and pro, not {tier!r}; "
            "give another limit with --rate, such as --rate 2000/min"
        )
    return TIERS[tier]


def _share(text: str | None, rate: float) -> float:
    """Return what share of a rate (requests a second) `30%` or `30/min` is."""
    from bulkops.accounts import parse_rate

    if text is None:
        return 0.0
    if not rate:
        raise UsageError("--foreign is a share of a limit, and the live API has none; give one with --rate")
    if not text.endswith("%"):
        theirs = parse_rate(text)
        assert theirs.limit is not None
        return theirs.limit / theirs.period / rate
    try:
        return positive(text.removesuffix("%")) / 100
    except ValueError:
        raise UsageError(
            f"--foreign {text!r} is neither a share such as 30% nor a rate such as 30/min"
        ) from None


def _schedule(path: str | None) -> Schedule:
    from bulkops.emulator import Schedule

    if path is None:
        return Schedule()
    try:
        return Schedule.parse(Path(path).read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"the faults in {path} cannot be read: {error.strerror}") from None


def _webhook(options: Options) -> Webhook | None:
    """Return where events go; None for nowhere. Raises ValueError for what it cannot be."""
    from bulkops.emulator import Webhook

    if options.webhook is None:
        return None
    if options.webhook_secret_file is None:
        raise UsageError("--webhook needs --webhook-secret-file: the events are signed with its first line")
    return Webhook(
        url=options.webhook,
        secret=_first_line(Path(options.webhook_secret_file)),
        signature=options.webhook_signature or ("timestamped" if options.api == "live" else "bare"),
        retries=options.webhook_retries,
        seeded=options.webhook_seeded,
    )


def _first_line(path: Path) -> bytes:
    try:
        return path.read_bytes().partition(b"\n")[0].strip()
    except OSError as error:
        raise UsageError(f"the secret in {path} cannot be read: {error.strerror}") from None


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
