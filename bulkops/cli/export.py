"""`bulkops export`: conversations into a data set, a little more each time, and whether it is whole."""

from __future__ import annotations

import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson

from bulkops.cli import orders
from bulkops.cli.parsing import Options, say
from bulkops.reporting.text import safe_text
from bulkops.reporting.words import number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from bulkops.exporting.catalogue import Day
    from bulkops.exporting.export import Ended, Ran
    from bulkops.exporting.listing import Listed
    from bulkops.model import Json
    from bulkops.settings import RunFolder

_DAYS_SHOWN = 14
_DAMAGED = 3
_INTERRUPTED = 130
_SHOWN = 100


def run(options: Options) -> int:
    """Export or verify, and return the exit code."""
    return {"conversations": _conversations, "verify": _verify, "report": _report}[options.verb](options)


def _conversations(options: Options) -> int:
    from bulkops.errors import UsageError
    from bulkops.exporting.allocating import give_memory_back
    from bulkops.operation import seconds
    from bulkops.outputs.dataset import check_format

    check_format(options.format)
    try:
        seconds(options.wait)
    except ValueError:
        raise UsageError(f"--wait: {options.wait!r} is no duration such as 30s, 5m or 2h") from None
    for path in options.redact or ():
        if not all(path.split(".")):
            raise UsageError(f"--redact: {path!r} is no dotted path such as analysis.extracted_data")
    give_memory_back()
    try:
        ended = _export(options)
    except KeyboardInterrupt:
        say("interrupted; what is in the data set stands, and the same command goes on")
        return _INTERRUPTED
    if options.json:
        sys.stdout.write((Path(options.out) / "summary.json").read_text())
    if not options.quiet or ended.code:
        for line in _told(options, ended):
            say(line)
    return ended.code


def _export(options: Options) -> Ended:
    from bulkops.cli.running import lock_wish
    from bulkops.exporting.export import Order, export
    from bulkops.exporting.partitions import Keeping

    return export(
        Order(
            out=Path(options.out),
            keeping=Keeping(
                orders.profile(options),
                options.format,
                text=options.text,
                redact=tuple(options.redact or ()),
                drop_text=options.drop_text,
            ),
            sources=tuple(map(Path, options.ids_from or ())),
            since=options.since,
            until=options.until,
            lookback=options.lookback,
            wait=options.wait,
            give_up=options.accept_missing,
        ),
        _Asking(options),
        note=lambda text: None if options.quiet else say(safe_text(text, 2000)),
        lock=replace(lock_wish(options), remedy="Wait for it to end, or let this one wait: --lock-wait 10m."),
    )


class _Asking:
    """Runs the jobs of an export: limits of requests and of time are for all of them together."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._requests = 0
        self._begun = time.monotonic()

    def listed(
        self, since: float, until: float, take: Callable[[Sequence[Json]], None], whose: Json
    ) -> Listed:
        """Read the API's listing of conversations: see `Asker.listed`."""
        from bulkops.accounts import find_account
        from bulkops.bounding import places
        from bulkops.checkpoint.belonging import check_owned
        from bulkops.exporting.listing import read_listing
        from bulkops.pace.places import state_folder
        from bulkops.settings import Settings
        from bulkops.told import silent

        asked, api, environ = self._options, orders.profile(self._options), orders.environment()
        account = find_account(api, orders.wanted(asked), environ, time_scale=asked.time_scale)
        settings = Settings(
            api=api,
            account=account,
            max_requests=asked.max_requests,
            max_duration=asked.max_duration,
            attempt_deadline=asked.timeout,
            give_up_after=asked.give_up_after,
            time_scale=asked.time_scale,
        )
        check_owned(whose, settings, Path(asked.out), another_key=asked.another_key)
        kept = places(state_folder(environ), [account], silent)
        listed = read_listing(settings, kept, since, until, take)
        self._requests += listed.requests
        return listed

    def __call__(self, job: Path, folder: RunFolder, whose: Json) -> Ran:
        from bulkops.checkpoint.belonging import check_owned
        from bulkops.cli.options import VERBS
        from bulkops.cli.running import do_job
        from bulkops.exporting.export import Ran
        from bulkops.planning import Selection

        asked = self._options
        values = {option.name: option.default for option in VERBS["run"].options}
        values |= {name: getattr(asked, name) for name in values if hasattr(asked, name)}
        values |= {"job": str(job), "run_dir": str(folder.path), "lock_wait": 0.0}
        if asked.max_requests is not None:
            values["max_requests"] = max(1, asked.max_requests - self._requests)
        if asked.max_duration is not None:
            values["max_duration"] = max(1.0, asked.max_duration - (time.monotonic() - self._begun))
        place = orders.JobPlace(job, folder, None)
        ending = do_job(
            Options(**values),
            Selection(),
            place,
            orders.environment(),
            lambda ours: check_owned(whose, ours, Path(asked.out), another_key=asked.another_key),
        )
        self._requests += ending.report.requests
        if ending.stop is not None:
            say(f"stopped: {safe_text(str(ending.stop)).rstrip('.')}")
        return Ran(ending.code, ending.report.requests)


def _told(options: Options, ended: Ended) -> Iterator[str]:
    from bulkops.exporting.catalogue import NO_DAY
    from bulkops.outputs.dataset import rfc3339

    if ended.days:
        yield from _table(ended.days, "no date", NO_DAY)
    written = ended.written
    versions = f" and {number(written.versions, 'new version')}" if written.versions else ""
    yield (
        f"exported {number(written.conversations, 'conversation')}{versions} ({number(ended.requests, 'request')}); "
        f"pending {ended.total('pending'):,}, missing {ended.total('missing'):,}"
    )
    if ended.lost:
        yield f"damaged: {number(ended.lost, 'line')} of the sources cannot be read; see above"
    if ended.given_up:
        yield f"given up: {ended.given_up:,}"
    if ended.watermark is not None:
        name, stands = ended.watermark
        yield f"watermark {name}: {'not set yet' if stands is None else rfc3339(stands)}"
    if ended.stopped:
        yield "stopped before the end: the same command goes on"
    if ended.total("missing"):
        yield f"missing: see {Path(options.out) / 'missing.jsonl'}"


def _table(days: Sequence[Day], no_date: str, unknown: str) -> Iterator[str]:
    """Yield the lines of the table, of the last days; those before are one line."""
    heads = ("seen", "webhook", "listing", "named", "exported", "pending", "missing", "given_up")
    dated = [day for day in days if day.day != unknown]
    earlier = dated[:-_DAYS_SHOWN]
    lines = [(day.day, [getattr(day, head) for head in heads]) for day in dated[-_DAYS_SHOWN:]]
    if earlier:
        lines.insert(0, (f"until {earlier[-1].day}", _sums(earlier, heads)))
    lines += [(no_date, [getattr(day, head) for head in heads]) for day in days if day.day == unknown]
    if len(lines) > 1:
        lines.append(("all", _sums(days, heads)))
    shown = [
        head
        for at, head in enumerate(heads)
        if head in ("seen", "exported", "missing") or any(c[at] for _, c in lines)
    ]
    yield f"{'day':<16}" + "".join(f"{head.replace('_', ' '):>10}" for head in shown)
    for name, counts in lines:
        cells = dict(zip(heads, counts, strict=True))
        yield f"{name:<16}" + "".join(f"{cells[head]:>10,}" for head in shown)


def _sums(days: Sequence[Day], heads: Sequence[str]) -> list[int]:
    return [sum(getattr(day, head) for day in days) for head in heads]


def _verify(options: Options) -> int:
    from bulkops.checkpoint.locking import under_way
    from bulkops.exporting.catalogue import STATE
    from bulkops.exporting.verifying import verify

    if under_way(Path(options.dir) / STATE):
        say("an export is at work there: what it is writing just now may be told as unknown")
    found = verify(Path(options.dir))
    if options.json:
        print(orjson.dumps(found.told()).decode())
    for problem in found.problems[:_SHOWN]:
        say(safe_text(problem, 2000))
    if len(found.problems) > _SHOWN:
        say(f"and {len(found.problems) - _SHOWN:,} more")
    say(
        f"{options.dir}: {number(found.days, 'day')}, {number(found.parts, 'part')}, {number(found.rows, 'row')}, "
        f"{number(found.conversations, 'conversation')}: " + ("DAMAGED" if found.problems else "whole")
    )
    return _DAMAGED if found.problems else 0


def _report(options: Options) -> int:
    from bulkops.cli.report import INSTALL
    from bulkops.errors import UsageError
    from bulkops.exporting.export import LISTS, SUMMARY
    from bulkops.outputs.atomic import atomic_write
    from bulkops.version import VERSION

    out = Path(options.dir)
    if not (out / SUMMARY).is_file():
        raise UsageError(f"{out} holds no exports: there is no {SUMMARY} in it")
    try:
        from bulkops.reporting.html.exports import page
    except ImportError as missing:
        raise UsageError(f"{INSTALL} ({missing})") from None
    left = {
        name: [orjson.loads(line) for line in (out / f"{name}.jsonl").read_bytes().splitlines()]
        for name in LISTS
    }
    summary = orjson.loads((out / SUMMARY).read_bytes())
    text = page(str(out), summary, left, version=VERSION)
    with atomic_write(out / "report.html") as file:
        file.write(text.encode())
    print(out / "report.html")
    return 0
