"""The block in which a dispatcher decides, with other processes or alone: `with together as now`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

from bulkops.pace.members import BEAT, GRACE, QUIET, lead
from bulkops.pace.sharing import LOOK, Sharing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import TracebackType

    from bulkops.pace.governor import Governor
    from bulkops.pace.members import Member
    from bulkops.pace.sharing import Place
    from bulkops.pace.state import State


NOTICED = 0.01
"""Seconds. By less a pause of others does not lengthen ours: moments are written down rounded."""


class Together:
    """Entering takes up what others have done; leaving lets them have or at least find what was decided.

    `describe` brings `mine` up to date, `changed` hears that the limit did, `rests` that another one pauses everybody
    (seconds from now; whether everybody was resting already), `failed` that the file cannot be used: then the pace
    goes on by itself.
    """

    def __init__(
        self,
        governor: Governor,
        mine: Member,
        describe: Callable[[], None],
        *,
        changed: Callable[[], None],
        rests: Callable[[float, bool], None],
        failed: Callable[[OSError], None],
    ) -> None:
        self._governor = governor
        self._mine = mine
        self._describe = describe
        self._changed = changed
        self._rests = rests
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._time = self._loop.time
        self._sharing: Sharing | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.others: Mapping[str, Member] = {}
        """The other processes of ours that take part,"""
        self.left = 0
        """and how many requests they still have to send."""
        self.now = 0.0
        self.urgent = False
        """Whether something was learnt that has to be saved now: a pause, a limit."""

    def join(self, kept: Place) -> None:
        """Take part in the pace that is kept there."""
        try:
            self._sharing = Sharing(kept, self._mine)
        except OSError as error:
            self._failed(error)
        else:
            self._beat()

    def leave(self) -> None:
        """Take part no more."""
        sharing = self._alone()
        if sharing is not None:
            try:
                sharing.leave(self._governor.state, self._time())
            except OSError as error:
                self._failed(error)

    def kill(self) -> None:
        """Take part no more, like a process that was killed."""
        sharing = self._alone()
        if sharing is not None:
            sharing.drop()

    def __enter__(self) -> float:
        """Take up what others have done; return the time."""
        self.now = now = self._time()
        sharing = self._sharing
        if sharing is not None and now >= sharing.looks:
            try:
                if not sharing.undisturbed(now):
                    self._take(sharing.begin(self._governor.state, now), sharing)
            except OSError as error:
                self._break(error)
        return now

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> Literal[False]:
        """Let the others have what was decided, or note what they must not miss."""
        sharing = self._sharing
        if sharing is None:
            return False
        try:
            if sharing.locked or self.urgent:
                self._publish(sharing, self.now)
            else:
                sharing.late = True
                if self._mine.granted > sharing.noted:
                    sharing.note(self._governor.state, self._governor.rate)
        except OSError as refused:
            self._break(refused)
            return False
        if self._timer is None and (sharing.late or self._mine.flying):
            self._timer = self._loop.call_at(self.now + (BEAT if self.others else QUIET), self._beat)
        return False

    def polite(self, at: float) -> float:
        """Return when one of ours may go that could since `at`: a little later where it is somebody else's turn."""
        return self.now + GRACE / 3 if lead(self._mine, self.others.values(), self.now) else at

    def next_look(self, at: float) -> float:
        """Return until when one who may go at that time may sleep: others may do what no timer of ours tells."""
        return min(at, self.now + LOOK) if self.others else at

    def _publish(self, sharing: Sharing, now: float) -> None:
        self._mine.limit = self._governor.own
        self._describe()
        self._take(sharing.end(self._governor.state, now, self._governor.rate), sharing)
        self.urgent = self.urgent and sharing.late

    def _take(self, state: State, sharing: Sharing) -> None:
        """Go on from what others made of the state."""
        self.others, cap = sharing.others, sharing.cap()
        self.left = sum(member.left for member in self.others.values())
        before = self._governor.state.pauses.until
        changed = state is not self._governor.state or cap != self._governor.cap
        if changed and self._governor.adopt(state, cap):
            self._changed()
        if state.pauses.until > max(before, self.now) + NOTICED:
            self._rests(state.pauses.until - self.now, before > self.now)

    def _beat(self) -> None:
        """Let the file catch up."""
        self._timer = None
        with self:
            self.urgent = True

    def stop(self) -> None:
        """Do nothing by itself any more, like a process that was stopped."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _alone(self) -> Sharing | None:
        """Go on by itself; return what was taken part in."""
        self.stop()
        sharing, self._sharing, self.others, self.left = self._sharing, None, {}, 0
        return sharing

    def _break(self, error: OSError) -> None:
        self.kill()
        self._failed(error)
