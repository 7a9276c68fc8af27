"""CPU per operation, against the vendor's SDK doing the same creates.

Ours is `bulkops run` on agents with bodies of 400 bytes: 64 in flight, no limit, every intent and outcome durable
on a real disk. Theirs is `AsyncElevenLabs` with `gather` and a semaphore of 64, the usual script: no checkpoint, no
pace. Both are slopes between two sizes, so start-up (the SDK's import takes a second) does not count.

The SDK gets a stand-in for the package sniffio, which a fresh installation lacks and its HTTP library then looks
for at every lock: with it the SDK is about a fourth faster, and the ratio does not rest on that accident.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from harness import Figure, in_turn, main, serving, slope, spend
from inputs import agent_lines, run_job

if TYPE_CHECKING:
    from harness import Options, Used

IN_FLIGHT = 64


def measure(options: Options) -> list[Figure]:
    """Measure both in turn."""
    ours_sizes = (500, 2_500) if options.quick else (2_000, 10_000)
    sdk_sizes = (100, 500) if options.quick else (500, 2_500)

    with serving() as url:

        def ours(number: int) -> Used:
            return run_job(agent_lines(options.scratch, number), url, in_flight=IN_FLIGHT)

        def sdk(number: int) -> Used:
            return spend([sys.executable, __file__, "sdk", agent_lines(options.scratch, number), url])

        rounds = in_turn(
            options.repeats,
            {"ours": lambda: slope(ours, ours_sizes) * 1e6, "sdk": lambda: slope(sdk, sdk_sizes) * 1e6},
        )
    return [
        Figure("operation: CPU / the SDK's", rounds.ratio("ours", "sdk"), most=1 / 5),
        Figure("operation: CPU", rounds["ours"], " µs"),
        Figure("operation: the SDK's CPU", rounds["sdk"], " µs"),
    ]


async def create_with_sdk(job: Path, url: str) -> None:
    """Create the agents of a job as the SDK's users do."""
    from elevenlabs.client import AsyncElevenLabs

    client = AsyncElevenLabs(base_url=url, api_key="key-of-a-benchmark")
    gate = asyncio.Semaphore(IN_FLIGHT)

    async def create(line: str) -> str:
        async with gate:
            created = await client.conversational_ai.agents.create(**json.loads(line)["body"])
            return str(created.agent_id)

    with job.open(encoding="utf-8") as lines:
        ids = await asyncio.gather(*map(create, lines))
    assert len(set(ids)) == len(ids), "the server gave an id twice"


def give_sniffio() -> None:
    """Let httpx's `import sniffio` find something."""
    stand_in = ModuleType("sniffio")
    vars(stand_in)["current_async_library"] = lambda: "asyncio"
    sys.modules.setdefault("sniffio", stand_in)


if __name__ == "__main__":
    if sys.argv[1:2] == ["sdk"]:
        give_sniffio()
        asyncio.run(create_with_sdk(Path(sys.argv[2]), sys.argv[3]))
    else:
        main(measure)
