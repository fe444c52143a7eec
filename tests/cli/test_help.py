"""`tally --help` teaches, and every command's help can be copied from."""

import re
import shlex
import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from tallystick.cli.cluster import cluster
from tallystick.cli.exit_codes import MEANINGS
from tallystick.cli.main import main, tally
from tallystick.cli.node import node
from tallystick.cli.order.group import order
from tallystick.cli.stock import stock

GROUPS = {"node": node, "cluster": cluster, "order": order, "stock": stock}
LEAVES = [(name, leaf) for name, group in GROUPS.items() for leaf in group.commands]


def help_of(*words: str) -> str:
    result = CliRunner().invoke(tally, [*words, "--help"])
    assert result.exit_code == 0
    return result.output


def test_the_first_help_has_commands_codes_and_a_session():
    told = help_of()
    for name in ("node", "cluster", "order", "stock", "import-orders", "demo"):
        assert f"\n  {name} " in told
    for code in MEANINGS:
        assert re.search(rf"^ +{code:d}  ", told, re.MULTILINE)
    assert "tally node start" in told
    assert "_TALLY_COMPLETE" in told


def test_listing_and_helping_load_neither_grpc_nor_lmdb():
    """Completion runs `tally` at every press of the key."""
    code = "import sys\nfrom tallystick.cli.main import tally\ntally(['--help'], standalone_mode=False)\n"
    code += "sys.exit(bool({'grpc', 'lmdb', 'pydantic'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True).returncode == 0


@pytest.mark.parametrize(("group", "leaf"), LEAVES)
def test_every_command_has_examples_that_parse(group, leaf, tmp_path):
    told = help_of(group, leaf)
    epilog = GROUPS[group].commands[leaf].epilog or ""
    examples = re.findall(r"^  tally (.+?)$", epilog.replace("\\\n", ""), re.MULTILINE)
    assert examples, told
    there = tmp_path / "there"
    there.touch()
    for example in examples:
        words = shlex.split(re.split(r" [|>] ?", example)[0])
        words = [str(there) if word.endswith((".jsonl", ".toml")) else word for word in words]
        parent = click.Context(tally, info_name="tally")
        assert words[0] in GROUPS
        GROUPS[words[0]].commands[words[1]].make_context(words[1], words[2:], parent=parent).close()


@pytest.mark.parametrize(("group", "leaf"), [pair for pair in LEAVES if pair != ("node", "start")])
def test_every_command_that_talks_has_the_shared_options_and_shows_its_json(group, leaf):
    told = help_of(group, leaf)
    for option in ("--target", "--timeout", "--actor", "--output"):
        assert option in told
    assert "JSON (-o json)" in told


def test_a_bug_does_not_look_like_a_refusal(monkeypatch, capsys):
    def broken(**_given):
        raise RuntimeError("a bug")

    monkeypatch.setattr("tallystick.cli.main.tally", broken)
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 70
    assert "RuntimeError: a bug" in capsys.readouterr().err
