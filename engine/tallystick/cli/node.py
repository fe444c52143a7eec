"""`tally node`: run a node, ask one how it is."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from pydantic import ValidationError

from tallystick.cli.errors import NodeNotStarted
from tallystick.cli.options import Call, calls_node, examples
from tallystick.cli.output import echo_fields, echo_json, plain, short_duration, size
from tallystick.cli.session import converse
from tallystick.node.settings import DEFAULT_LISTEN, Settings

if TYPE_CHECKING:
    from tallystick.client.values.node import NodeStatus


@click.group()
def node() -> None:
    """Start a node, or ask how one is."""


@node.command(
    epilog="""\b
Examples:
  tally node start --data ./eu --region eu --new-cluster
  tally node start --data ./eu
  tally node start --data ./us --region us --listen 127.0.0.1:7412 --join 127.0.0.1:7411 --invitation CODE
  tally node start --config /etc/tally/eu.toml --log-level debug

\b
Every setting may also stand in the environment, as TALLY_DATA or TALLY_MAP_SIZE, or in the file of
--config, as data = "./eu" or map_size = "64GiB". Flags win over the environment, that over the file.

A node that joins dials the one that it was given until that answers, and says so in its log; Ctrl-C ends it.
With DIR as it is then, it may be started again, with another --join or --invitation too.

\b
SIGTERM and Ctrl-C stop the node when the calls under way are answered. Killing it loses nothing that it
acknowledged. One line on stdout says when it serves; logs go to stderr.
"""
)
@click.option("--data", type=click.Path(path_type=Path), metavar="DIR", help="The data directory: one node.")
@click.option(
    "--listen", metavar="HOST:PORT", help=f"Where to serve; port 0 takes a free one.  [{DEFAULT_LISTEN}]"
)
@click.option(
    "--region", metavar="NAME", help="A label; several nodes may share it. Fixed at the first start."
)
@click.option(
    "--new-cluster",
    is_flag=True,
    default=None,
    help="Found a cluster if DIR is empty; the first start needs it, later it does no harm.",
)
@click.option(
    "--join",
    metavar="HOST:PORT",
    help="Join the cluster of the node there if DIR is empty; with --invitation.",
)
@click.option("--invitation", metavar="CODE", help="What a member gave: tally cluster invite.")
@click.option(
    "--advertise", metavar="HOST:PORT", help="Where other nodes reach this one.  [where it listens]"
)
@click.option(
    "--route",
    "routes",
    metavar="REGION=HOST:PORT",
    multiple=True,
    callback=lambda _, __, given: dict(each.partition("=")[::2] for each in given) or None,
    help="Reach nodes of that region there instead, through a relay or a tunnel; may be given again.",
)
@click.option(
    "--rebalance",
    metavar="POLICY",
    help="Where free tokens go by themselves: off, even, weighted or demand.  [demand]",
)
@click.option("--insecure", is_flag=True, default=None, help="Serve plaintext beyond loopback.")
@click.option(
    "--map-size", metavar="SIZE", help="How far the database may grow; takes no room by itself.  [64GiB]"
)
@click.option(
    "--reserve", metavar="SIZE", help="Refuse writes below so much room.  [256MiB, or 5% of a small disk]"
)
@click.option("--grace-ms", metavar="MS", help="How long stopping waits for calls under way.  [10000]")
@click.option("--log-level", metavar="LEVEL", help="debug, info, warning or error.  [info]")
@click.option(
    "--config",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Settings in TOML.",
)
def start(config: Path | None, **flags: Any) -> None:
    """Run a node on a data directory until it is told to stop."""
    run_node(load_settings(config, flags))


def load_settings(config: Path | None, flags: Mapping[str, Any]) -> Settings:
    """Flags over environment over file. Raises a usage error that names each setting in question."""
    try:
        return Settings.load(config, **flags)
    except ValidationError as error:
        raise click.UsageError("; ".join(_problem(each) for each in error.errors())) from error
    except tomllib.TOMLDecodeError as error:
        raise click.UsageError(f"{config} is no TOML: {error}") from error


def _problem(error: Any) -> str:
    name = ".".join(str(part) for part in error["loc"])
    if error["type"] == "missing":
        return f"--{name} is missing: give it, or set TALLY_{name.upper()}, or {name} in the file of --config"
    if error["type"] == "extra_forbidden":
        return f"{name} is no setting"
    message = error["msg"].removeprefix("Value error, ")
    return f"--{name.replace('_', '-')}: {message}" if name else message


def run_node(settings: Settings) -> None:
    """Serve until told to stop; say on stdout when calls are answered."""
    from tallystick.core.members import node_name
    from tallystick.node.opening import NoCluster, OtherCluster
    from tallystick.rpc.server import JoinRefused, RunningNode, run
    from tallystick.store.port import StoreError

    def announce(running: RunningNode) -> None:
        identity = running.identity
        name = node_name(identity.replica)
        click.echo(f"tally node {name} (region {identity.region}) serving on {running.address}")

    try:
        run(settings, announce)
    except (NoCluster, OtherCluster) as error:
        raise click.UsageError(str(error)) from error
    except (StoreError, OSError, JoinRefused) as error:
        raise NodeNotStarted(f"the node could not start: {error}") from error


@node.command(
    epilog=examples(
        "tally node status",
        "tally node status --target 10.0.0.7:7411 -o json | jq -r .status.node",
        json='{"status": {"cluster", "node", "region", "version", "start_time", "storage", "sequence"}}',
    )
)
@calls_node
def status(call: Call) -> None:
    """Ask a node who it is and how its disk is."""
    answer = converse(call, lambda client: client.status())
    if call.is_table:
        echo_status(answer)
    else:
        echo_json({"status": plain(answer)}, call.output)


def echo_status(answer: NodeStatus) -> None:
    """A node's answer, for people."""
    storage = answer.storage
    up = short_duration(datetime.now(UTC) - answer.start_time) if answer.start_time else ""
    echo_fields(
        [
            ("node", answer.node),
            ("region", answer.region),
            ("cluster", answer.cluster),
            ("version", answer.version),
            ("started", answer.start_time),
            ("up", up),
            ("writes", storage.write_state.value + (f": {storage.reason}" if storage.reason else "")),
            ("database", f"{size(storage.used_bytes)} of at most {size(storage.map_bytes)}"),
            (
                "disk free",
                f"{size(storage.disk_free_bytes)}, of which {size(storage.reserve_bytes)} are reserved",
            ),
            ("events written", answer.sequence),
            ("waiting for a checkpoint", storage.checkpoint_backlog),
        ]
    )
