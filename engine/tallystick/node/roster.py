"""The members, as this node knows them: a copy of the table that is small and asked for all the time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tallystick.core.codec import decode
from tallystick.core.members import Member, MemberState
from tallystick.core.replica.view import View
from tallystick.core.replication.effects import Roster


class Members:
    """Everybody's record by replica id. `me` is ours."""

    def __init__(self, me: int, records: Mapping[int, Member]) -> None:
        self._me = me
        self.records = dict(records)
        self._peers = self._find_peers()

    def note(self, view: View) -> None:
        """A commit wrote some."""
        for key, data in view.members.items():
            self.records[int.from_bytes(key)] = decode(data, Member)
        self._peers = self._find_peers()

    def peers(self) -> Mapping[int, Member]:
        """The other members, those that have ended left out."""
        return self._peers

    def _find_peers(self) -> dict[int, Member]:
        return {
            replica: member
            for replica, member in sorted(self.records.items())
            if replica != self._me and member.state != MemberState.ENDED
        }

    def roster(self) -> Roster:
        """Whom there should be links with."""
        return Roster(tuple((r, member.region, member.address) for r, member in self.peers().items()))

    def region_of(self, replica: int) -> str:
        """A member's region; "" if it is not known."""
        member = self.records.get(replica)
        return member.region if member else ""

    def regions_beside(self, replicas: Iterable[int]) -> tuple[str, ...]:
        """The regions of peers that are not among these."""
        met = set(replicas)
        return tuple(sorted({member.region for r, member in self.peers().items() if r not in met}))
