"""`tally demo` and its two plays: an option that would do nothing is refused, not ignored."""

from __future__ import annotations

import re
import shlex

import click
import pytest
from click.testing import CliRunner

from tallystick.cli.demo.command import demo
from tallystick.cli.exit_codes import ExitCode


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--orders", "500"), "--orders does nothing without --crash"),
        (("--crash", "--keep"), "--keep does nothing with --crash"),
        (("--crash", "--regions", "3"), "--regions does nothing with --crash"),
        (("--crash", "--seconds", "9"), "--seconds does nothing with --crash"),
        (("--regions", "1"), "'--regions': 1 is not in the range"),
        (("--seconds", "1"), "'--seconds': 1.0 is not in the range"),
    ],
)
def test_what_makes_no_sense_is_refused(words, told):
    done = CliRunner().invoke(demo, words)
    assert done.exit_code == ExitCode.USAGE
    assert told in done.output


def test_the_examples_parse():
    examples = re.findall(r"^  tally demo(.*)$", demo.epilog or "", re.MULTILINE)
    assert len(examples) >= 4
    for example in examples:
        demo.make_context("demo", shlex.split(example), parent=click.Context(demo)).close()
