"""Golden transcripts: each file in `transcripts` is a story of commands and what one node answered.

A line is a command in plain words (`tests/kit/transcript.py` has the language), the indented lines below it
are what came back, `#` begins a comment. After a change that is meant, write the answers anew and read the
difference:

    TRANSCRIPTS=update pytest tests/core/test_transcripts.py
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.kit.transcript import Transcript

FILES = sorted(Path(__file__).with_name("transcripts").glob("*.txt"))
UPDATE = os.environ.get("TRANSCRIPTS") == "update"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_the_node_answers_as_written(path):
    written = path.read_text(encoding="utf-8")
    answered = Transcript().run(written)
    if UPDATE:
        path.write_text(answered, encoding="utf-8")
    assert answered == written or UPDATE


def test_there_are_transcripts():
    assert len(FILES) >= 12


def test_a_wrong_answer_is_told():
    story = "receive b1: 5 x\n  done\n  stock x: 6 on hand, 6 available\n"
    assert Transcript().run(story) == (
        "receive b1: 5 x\n  done\n  booking b1: receive +5 x\n  stock x: 5 on hand, 5 available\n"
    )


def test_what_is_no_command_is_told():
    with pytest.raises(AssertionError, match="not in the language"):
        Transcript().run("confirm o1 please\n")
