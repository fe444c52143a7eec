"""Starting a node: what is missing or wrong is told in the words of the flags."""

import socket

import pytest
from click.testing import CliRunner

from tallystick.cli.main import tally
from tests.nodes import run_tally, start_node


def problem_of(*flags: str, env: dict[str, str | None] | None = None) -> str:
    """What a start that can't be is told; nothing is started."""
    result = CliRunner().invoke(tally, ["node", "start", *flags], env=env or {})
    assert result.exit_code == 2, result.output
    return " ".join(result.stderr.split())


def test_a_node_needs_a_directory():
    told = problem_of(env={"TALLY_DATA": None})
    assert "--data is missing" in told
    assert "TALLY_DATA" in told


def test_each_wrong_setting_is_named(tmp_path):
    told = problem_of("--data", str(tmp_path), "--listen", "nowhere", "--map-size", "much")
    assert "--listen: must be host:port" in told
    assert "--map-size: " in told


def test_plaintext_beyond_loopback_must_be_wanted(tmp_path):
    assert "--insecure" in problem_of("--data", str(tmp_path), "--listen", "0.0.0.0:0")


def test_a_directory_without_a_node_is_not_made_one_by_accident(tmp_path):
    told = problem_of("--data", str(tmp_path / "new"), "--listen", "127.0.0.1:0")
    assert "--new-cluster" in told
    assert not (tmp_path / "new").exists()


def test_a_file_of_settings_may_be_wrong_too(tmp_path):
    config = tmp_path / "node.toml"
    config.write_text('data = "x"\nregoin = "eu"\n')
    assert "regoin is no setting" in problem_of("--config", str(config))
    config.write_text("data = \n")
    assert "is no TOML" in problem_of("--config", str(config))
    assert "does not exist" in problem_of("--config", str(tmp_path / "none.toml"))


@pytest.mark.process
def test_flags_win_over_environment_over_file(tmp_path):
    config = tmp_path / "node.toml"
    config.write_text('region = "file"\nlog_level = "debug"\n')
    flags = ("--config", str(config))
    with start_node(tmp_path / "a", *flags, region="flag", env={"TALLY_REGION": "env"}) as node:
        assert node.region == "flag"


@pytest.mark.process
def test_an_address_that_is_taken(tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        flags = ("--data", str(tmp_path / "a"), "--new-cluster", "--listen", f"127.0.0.1:{port}")
        done = run_tally("node", "start", *flags)
    assert done.returncode == 6
    assert done.stdout == ""
    assert f"tally: the node could not start: cannot listen on 127.0.0.1:{port}" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.process
def test_a_directory_has_one_node(tmp_path):
    with start_node(tmp_path / "a") as node:
        done = run_tally("node", "start", "--data", str(node.data), "--listen", "127.0.0.1:0")
    assert done.returncode == 6
    assert "tally: the node could not start: " in done.stderr
    assert "Traceback" not in done.stderr
