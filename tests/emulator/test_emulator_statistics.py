"""What the emulator sums up, for programs and for people."""

from __future__ import annotations

from dataclasses import replace

from bulkops.emulator import EmulatorSettings, Statistics
from bulkops.emulator.service import Service

SEEN = Statistics(
    requests=412,
    seconds=251.3,
    busiest_second=11,
    limit=(100, 60.0),
    window=60.0,
    most_in_a_window=100,
    refused={"limit": 2, "system_busy": 1},
    others_admitted=75,
    others_refused=2,
    most_at_once=0,
    deliveries={"delivered": 40, "dropped": 2},
)


def test_it_tells_how_many_came_in_a_second() -> None:
    """The average is over the gaps between requests, the busiest second the fullest since the first request."""
    service = Service(EmulatorSettings(limit=7, period=30.0))
    for now in (100.5, 101.0, 101.4, 101.6, 104.5):
        service.tally.arrived(now)
    told = service.statistics()
    assert (told.requests, told.seconds, told.per_second, told.busiest_second) == (5, 4.0, 1.0, 3)
    assert (told.limit, told.window) == ((7, 30.0), 30.0)


def test_without_requests_there_is_nothing_to_tell() -> None:
    """A server that nobody asked has seen nothing, and one that was asked once divides by nothing."""
    service = Service(EmulatorSettings())
    assert (service.statistics().requests, service.statistics().per_second) == (0, 0.0)
    service.tally.arrived(5.0)
    assert service.statistics().per_second == 1.0


def test_people_read_what_programs_read() -> None:
    """The lines have every number, and leave out what there is nothing to say about."""
    assert list(SEEN.lines()) == [
        "412 requests in 251.3 s: 1.64 a second, 11 in the busiest one",
        "at most 100 admitted of a key in any 60 s; the limit is 100",
        "429: limit 2, system_busy 1",
        "others on the key: 75 admitted, 2 refused",
        "webhook: delivered 40, dropped 2",
    ]
    bare = replace(
        SEEN, limit=None, refused={}, others_admitted=0, others_refused=0, most_at_once=3, deliveries={}
    )
    assert list(bare.lines())[1:] == [
        "at most 100 admitted of a key in any 60 s; without a limit",
        "at most 3 in service at once",
        "429: none",
    ]
