"""What is being made at this moment, and when all of that has been heard of."""

from __future__ import annotations

from typing import TYPE_CHECKING

import anyio

if TYPE_CHECKING:
    from collections.abc import Callable

    from bulkops.model import Request


class Making:
    """The creates under way, each from before it is sent until its end is known, all its attempts included."""

    def __init__(self) -> None:
        self._requests: dict[int, Request] = {}
        self._ended: anyio.Event | None = None
        """There while somebody waits."""

    def begin(self, place: int, request: Request) -> None:
        """Note that a request is about to be sent for the operation at a place."""
        self._requests[place] = request

    def end(self, place: int) -> None:
        """Note that nothing more is heard of it."""
        self._requests.pop(place, None)
        if self._ended is not None:
            self._ended.set()
            self._ended = None

    def requests(self) -> list[Request]:
        """Return what is under way now."""
        return list(self._requests.values())

    async def heard(self, makes: str, wanted: Callable[[Request], bool] = lambda _: True) -> None:
        """Wait until all that makes one kind of thing now has ended; what begins meanwhile is not waited for.

        Of such requests only those count that are `wanted`.
        """
        for place, request in list(self._requests.items()):
            while request.makes == makes and wanted(request) and self._requests.get(place) is request:
                self._ended = self._ended or anyio.Event()
                await self._ended.wait()
