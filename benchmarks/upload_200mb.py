"""Memory and CPU of uploading 200 MB, against curl doing the same.

`bulkops run -j 1` on a job that uploads one file five times, and `curl -F` of the same file, five times, to the same
server. Memory over base is the peak less the peak of uploading 1 KB; CPU is what the large file takes less what
the small one takes, so start-up does not count.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

from harness import MEGABYTE, Figure, in_turn, main, serving, spend
from inputs import run_job, upload_lines

if TYPE_CHECKING:
    from pathlib import Path

    from harness import Options

TIMES = 5


def measure(options: Options) -> list[Figure]:
    """Measure both in turn."""
    (small, small_file), (large, large_file) = (
        upload_lines(options.scratch, size, TIMES)
        for size in (1_000, 20_000_000 if options.quick else 200_000_000)
    )
    over_base: list[float] = []

    with serving() as url:

        def ours() -> float:
            base, used = run_job(small, url, in_flight=1), run_job(large, url, in_flight=1)
            over_base.append((used.peak - base.peak) / MEGABYTE)
            return (used.cpu - base.cpu) / TIMES

        def with_curl(file: Path) -> float:
            to = [f"{url}/v1/convai/knowledge-base/upload"] * TIMES
            # Without `Expect`, which curl would wait a second for.
            return spend(["curl", "-sSf", "-H", "Expect:", "-F", f"file=@{file}", *to]).cpu

        def curl() -> float:
            return (with_curl(large_file) - with_curl(small_file)) / TIMES

        acts = {"ours": ours, "curl": curl}
        if shutil.which("curl") is None:
            del acts["curl"]
        rounds = in_turn(options.repeats, acts)
    ratios = (
        [Figure("upload of 200 MB: CPU / curl's", rounds.ratio("ours", "curl"), most=3)]
        if "curl" in acts
        else []
    )
    return [
        Figure("upload of 200 MB: memory over base", over_base, " MB", 20),
        *ratios,
        Figure("upload of 200 MB: CPU", rounds["ours"], " s"),
    ]


if __name__ == "__main__":
    main(measure)
