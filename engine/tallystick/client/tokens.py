"""What a client has written, and what of it each node is known to have seen. Pure.

A consistency token stands for one node's writes up to then. A client that failed over has written at several,
so its reads have to see several tokens, and a request carries one. But what a node has seen it has seen for
good: a read is asked once for each token that is news to the node, and after a moment none is.
"""

from __future__ import annotations


class Tokens:
    """Tokens by the node that gave them; a node is one incarnation."""

    __slots__ = ("_seen", "_wrote", "last")

    def __init__(self) -> None:
        self._wrote: dict[str, bytes] = {}
        self._seen: dict[tuple[str, str], bytes] = {}  # (by whom, whose) → the last known
        self.last = b""
        """Of the last write that was answered."""

    def wrote(self, node: str, token: bytes) -> None:
        """`node` answered a write with `token`."""
        self._wrote[node] = self.last = token

    def to_show(self, node: str) -> tuple[bytes, ...]:
        """The tokens that a read at `node` has to see, one request each: one or more, perhaps empty.

        A node's own is among them only if no other is: it could fail to see that only by having lost it.
        """
        news = tuple(
            token
            for writer, token in self._wrote.items()
            if writer != node and self._seen.get((node, writer)) != token
        )
        return news or (self._wrote.get(node, b""),)

    def showed(self, node: str, token: bytes) -> None:
        """`node` answered a read that had to see `token`."""
        for writer, wrote in self._wrote.items():
            if writer != node and wrote == token:
                self._seen[node, writer] = token
