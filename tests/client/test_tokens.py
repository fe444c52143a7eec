"""Which tokens a read shows: by example, and against nodes that know what they have seen."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tallystick.client.tokens import Tokens

NODES = st.sampled_from("abc")


def test_a_client_of_one_node_shows_its_last_token():
    tokens = Tokens()
    assert (tokens.last, tokens.to_show("a")) == (b"", (b"",))
    tokens.wrote("a", b"a1")
    tokens.wrote("a", b"a2")
    assert (tokens.last, tokens.to_show("a")) == (b"a2", (b"a2",))


def test_what_was_written_at_two_nodes_is_shown_to_a_third_once_each():
    """The last token alone would hide what was written before failing over."""
    tokens = Tokens()
    tokens.wrote("a", b"a1")
    tokens.wrote("b", b"b1")
    assert tokens.to_show("c") == (b"a1", b"b1")
    tokens.showed("c", b"a1")
    assert tokens.to_show("c") == (b"b1",)
    tokens.showed("c", b"b1")
    assert tokens.to_show("c") == (b"",)
    tokens.wrote("a", b"a2")
    assert tokens.to_show("c") == (b"a2",)
    assert tokens.to_show("b") == (b"a2",)


class Reads(RuleBasedStateMachine):
    """Three nodes that replicate when they like. A read that is answered has seen every write."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens = Tokens()
        self.wrote = dict.fromkeys("abc", 0)
        self.has = {node: dict.fromkeys("abc", 0) for node in "abc"}

    @rule(node=NODES)
    def write(self, node: str) -> None:
        self.wrote[node] += 1
        self.has[node][node] = self.wrote[node]
        self.tokens.wrote(node, f"{node}{self.wrote[node]}".encode())

    @rule(source=NODES, receiver=NODES)
    def replicate(self, source: str, receiver: str) -> None:
        for writer, count in self.has[source].items():
            self.has[receiver][writer] = max(self.has[receiver][writer], count)

    @rule(node=NODES)
    def read(self, node: str) -> None:
        for token in self.tokens.to_show(node):
            text = token.decode()
            if text and self.has[node][text[0]] < int(text[1:]):
                return  # behind: refused
            self.tokens.showed(node, token)
        assert all(self.has[node][writer] == count for writer, count in self.wrote.items())

    @invariant()
    def nothing_is_asked_twice_of_who_has_seen_it(self) -> None:
        assert all(len(self.tokens.to_show(node)) <= 2 for node in "abc")


TestReads = Reads.TestCase
