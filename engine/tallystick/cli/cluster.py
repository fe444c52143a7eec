"""`tally cluster`: how the nodes are connected, who belongs, who may join, and whether all agree."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import click

from tallystick.cli.exit_codes import ExitCode
from tallystick.cli.options import DURATION, Call, calls_node, examples
from tallystick.cli.output import (
    Format,
    column,
    echo_fields,
    echo_json,
    echo_table,
    local_time,
    note,
    number,
    plain,
    rough_length,
)
from tallystick.cli.session import converse
from tallystick.client import Member, NodeStatus, PeerStatus, Verification


@click.group()
def cluster() -> None:
    """See how the nodes are connected, who belongs, and let new ones in.

    Any member answers; how peers are is always told as the target sees it.
    """


@cluster.command(
    epilog=examples(
        "tally cluster status",
        "tally cluster status --target 10.0.0.7:7411 -o json | jq '.status.peers[] | {node, link}'",
        json='{"status": {"cluster", "node", "region", "state", "peers": [Peer, …], "digest", …}};\n'
        "  Peer has node, region, address, link, heard_time, lag_events, unacked_events, agreed_time, …",
    )
)
@calls_node
def status(call: Call) -> None:
    """Show a node and its peers.

    LAG counts a peer's events that are not here, UNACKED those of this node that the peer has not on disk.
    AGREED is when both were last found to hold the same.
    """
    answer = converse(call, lambda client: client.status())
    if call.is_table:
        _echo_status(answer)
    else:
        echo_json({"status": plain(answer)}, call.output)


@cluster.command(
    epilog=examples(
        "tally cluster members",
        "tally cluster members -o json | jq -r '.members[] | select(.state == \"active\") | .address'",
        json='{"members": [{"node", "region", "address", "state", "join_time"}, …]}; jsonl: one a line',
    )
)
@calls_node
def members(call: Call) -> None:
    """List everybody who belongs to the cluster, or did."""
    answer = converse(call, lambda client: client.members())
    if call.is_table:
        _echo_members(answer)
    elif call.output is Format.JSONL:
        for each in answer:
            echo_json(plain(each), call.output)
    else:
        echo_json({"members": [plain(each) for each in answer]}, call.output)


@cluster.command(
    epilog=examples(
        "tally cluster invite",
        "tally cluster invite --valid-for 1h",
        "tally node start --data ./us --region us --listen 127.0.0.1:7412 \\",
        '    --join 127.0.0.1:7411 --invitation "$(tally cluster invite)"',
        json='{"invitation": {"code", "expire_time"}}',
    )
)
@click.option("--valid-for", type=DURATION, metavar="DURATION", help="1m to 30d, from now.  [1d]")
@calls_node
def invite(call: Call, valid_for: timedelta | None) -> None:
    """Let one new node join: print a code for `tally node start --join … --invitation CODE`.

    The code is good once, at any member. Whoever has it can join, so hand it on like a password.
    """
    invitation = converse(call, lambda client: client.invite(valid_for))
    if not call.is_table:
        echo_json({"invitation": plain(invitation)}, call.output)
        return
    click.echo(invitation.code)
    note(f"good for one node, until {local_time(invitation.expire_time)}; there, start it with:")
    note(f"  tally node start --data DIR --region NAME --join {call.target} --invitation CODE")


@cluster.command(
    epilog=examples(
        "tally cluster verify --timeout 10m",
        json='{"verification": {"records", "differences": [{"node", "table", "record", "problem"}, …],\n'
        '  "compared", "unreachable", "in_motion"}}',
    )
)
@calls_node
def verify(call: Call) -> None:
    """Have a node read all it has, and compare it with its digests and its peers.

    It takes as long as there is data: give it a --timeout. Ends with code 7 if anything differs.
    """
    found = converse(call, lambda client: client.verify())
    if call.is_table:
        _echo_verification(found)
    else:
        echo_json({"verification": plain(found)}, call.output)
    if found.differences:
        raise click.exceptions.Exit(ExitCode.AUDIT_FAILED)


def _echo_status(answer: NodeStatus) -> None:
    storage = answer.storage
    state = answer.state.value + (", reading in a snapshot" if answer.installing else "")
    echo_fields(
        [
            ("node", answer.node),
            ("region", answer.region),
            ("cluster", answer.cluster),
            ("state", state),
            ("writes", storage.write_state.value + (f": {storage.reason}" if storage.reason else "")),
            ("events written", answer.sequence),
            ("orders on no other disk", answer.unreplicated_orders),
            ("digest", answer.digest),
            ("divergences", answer.divergences or ""),
        ]
    )
    if not answer.peers:
        note("it has no peers: let one in with tally cluster invite")
        return
    click.echo()
    _echo_peers(answer.peers, datetime.now(UTC))


def _echo_peers(peers: Iterable[PeerStatus], now: datetime) -> None:
    echo_table(
        [
            *(column("peer"), column("region"), column("address"), column("link"), column("heard")),
            *(number("lag"), number("unacked"), column("agreed", optional=True)),
            column("problem", optional=True),
        ],
        [
            (
                *(peer.node, peer.region, peer.address, peer.link.value, _ago(peer.heard_time, now)),
                *(peer.lag_events, peer.unacked_events, _ago(peer.agreed_time, now)),
                peer.problem,
            )
            for peer in peers
        ],
    )


def _echo_members(members: Iterable[Member]) -> None:
    echo_table(
        [column("node"), column("region"), column("state"), column("address"), column("joined")],
        [(each.node, each.region, each.state.value, each.address, each.join_time) for each in members],
    )


def _echo_verification(found: Verification) -> None:
    echo_fields(
        [
            ("records read", found.records),
            ("compared with", ", ".join(found.compared) or "nobody"),
            ("unreachable", ", ".join(found.unreachable)),
            ("buckets in motion", found.in_motion or ""),
            ("differences", len(found.differences)),
        ]
    )
    if found.differences:
        click.echo()
        echo_table(
            [column("at", optional=True), column("table"), column("record"), column("problem")],
            [(each.node, each.table, each.record, each.problem) for each in found.differences],
        )


def _ago(moment: datetime | None, now: datetime) -> str:
    """How long ago, roughly; a peer's clock, or ours, may be ahead."""
    return f"{rough_length(max(0.0, (now - moment).total_seconds()))} ago" if moment else ""
