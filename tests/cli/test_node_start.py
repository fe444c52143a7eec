"""Starting a node: what is missing or wrong is told in the words of the flags."""

import signal
import socket
import subprocess
import sys

import pytest
from click.testing import CliRunner

from tallystick.cli.main import tally
from tests.nodes import clean_env, run_tally, start_node


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


CODE = "00000000000000000000000000000001.ffffffff.nonce.signature"


def test_an_invitation_and_a_seed_go_together(tmp_path):
    where = ("--data", str(tmp_path / "new"), "--listen", "127.0.0.1:0")
    assert "go together" in problem_of(*where, "--invitation", CODE)
    assert "go together" in problem_of(*where, "--join", "127.0.0.1:1")
    told = problem_of(*where, "--join", "127.0.0.1:1", "--invitation", CODE, "--new-cluster")
    assert "two ways to begin" in told


@pytest.mark.parametrize("code", ["word", "a.b.c", "a.soon.c.d", "a..c.d"])
def test_what_is_no_invitation_is_named(tmp_path, code):
    where = ("--data", str(tmp_path / "new"), "--listen", "127.0.0.1:0", "--join", "127.0.0.1:1")
    assert "--invitation: is no invitation" in problem_of(*where, "--invitation", code)
    assert not (tmp_path / "new").exists()


@pytest.mark.process
def test_a_code_is_good_once_and_another_mends_it(tmp_path):
    with start_node(tmp_path / "eu") as eu:

        def invite() -> str:
            return run_tally("cluster", "invite", node=eu).stdout.strip()

        used = invite()
        flags = ("--join", eu.address, "--invitation", used)
        with start_node(tmp_path / "us", *flags, region="us", new_cluster=False):
            pass
        where = ("--data", str(tmp_path / "ap"), "--region", "ap", "--listen", "127.0.0.1:0")
        refused = run_tally("node", "start", *where, *flags)
        assert refused.returncode == 6
        assert "INVITATION_USED" in refused.stderr
        assert "ask for another" in refused.stderr
        assert "Traceback" not in refused.stderr
        flags = ("--join", eu.address, "--invitation", invite())
        with start_node(tmp_path / "ap", *flags, region="ap", new_cluster=False) as late:
            assert late.region == "ap"
        # A node that has joined is started again by the same command, whatever became of the code.
        with start_node(tmp_path / "ap", *flags, region="elsewhere", new_cluster=False) as again:
            assert (again.name, again.region) == (late.name, "ap")
            assert "the region is fixed since the first start" in again.logged()


@pytest.mark.process
def test_a_seed_that_is_not_there_is_dialled_until_the_node_is_told_to_stop(tmp_path):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, and deaf
        seed = f"127.0.0.1:{nobody.getsockname()[1]}"
        command = [sys.executable, "-m", "tallystick", "node", "start", "--data", str(tmp_path / "us")]
        command += ["--listen", "127.0.0.1:0", "--join", seed, "--invitation", CODE]
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=clean_env()
        )
        assert process.stderr is not None
        for line in process.stderr:
            if "nobody answers there; dialling on" in line:
                assert seed in line
                break
        process.send_signal(signal.SIGINT)
        out, rest = process.communicate(timeout=30)
    assert (process.returncode, out) == (0, "")
    assert "Traceback" not in rest


@pytest.mark.process
def test_a_directory_of_another_cluster_is_left_alone(tmp_path):
    with start_node(tmp_path / "a") as node:
        name = node.name
    flags = ("--join", "127.0.0.1:1", "--invitation", CODE)
    told = problem_of("--data", str(tmp_path / "a"), "--listen", "127.0.0.1:0", *flags)
    assert "name an empty directory" in told
    with start_node(tmp_path / "a", new_cluster=False) as again:
        assert again.name == name
