"""ClusterService: who answers here, how it is, and who else there is."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import grpc

from tallystick.core.clock import EMPTY_HEAD
from tallystick.core.errors import InvalidField, WrongState
from tallystick.core.invitations import invite
from tallystick.core.members import Member, node_name
from tallystick.node.identity import Identity
from tallystick.node.inputs import VerifyAsked
from tallystick.node.jobs import Installing
from tallystick.node.surveying import Verdict
from tallystick.rpc.links import Links
from tallystick.rpc.messages import timestamp
from tallystick.rpc.services import Shell
from tallystick.v1 import cluster_service_pb2 as pb

VALID_S = 86_400
VALID_S_MIN, VALID_S_MAX = 60, 30 * 86_400


def cluster_handlers(
    shell: Shell, links: Links, identity: Identity
) -> Mapping[str, grpc.RpcMethodHandler[Any, Any]]:
    """The service's methods. All but Verify are answered at once, by what is in memory, however many calls
    are in flight."""
    desk = _Desk(shell, links, identity)
    return {
        "GetStatus": shell.unary_status(pb.GetStatusRequest, desk.get_status),
        "ListMembers": shell.unary_status(pb.ListMembersRequest, desk.list_members),
        "CreateInvitation": shell.unary_status(pb.CreateInvitationRequest, desk.create_invitation),
        "Verify": shell.unary_task(pb.VerifyRequest, desk.verify),
    }


class _Desk:
    def __init__(self, shell: Shell, links: Links, identity: Identity) -> None:
        self._shell = shell
        self._driver = shell.engine.driver
        self._peering = shell.engine.driver.peering
        self._links = links
        self._identity = identity
        self._started_ms = time.time_ns() // 1_000_000

    def get_status(self, _: pb.GetStatusRequest) -> pb.GetStatusResponse:
        """This node, its disk, its peers."""
        driver, identity = self._driver, self._identity
        members = dict(self._peering.members)
        own = members.get(identity.replica)
        return pb.GetStatusResponse(
            cluster=identity.cluster,
            node=node_name(identity.replica),
            region=identity.region,
            version=version("tallystick"),
            start_time=timestamp(self._started_ms),
            storage=self._storage(),
            sequence=driver.head.seq,
            peers=[
                self._peer(replica, member)
                for replica, member in sorted(members.items())
                if replica != identity.replica
            ],
            vector={node_name(replica): head.seq for replica, head in driver.vector.items()},
            unreplicated_orders=self._unreplicated(),
            state=own.state if own else pb.MEMBER_STATE_JOINING,  # type: ignore[arg-type]
            installing=self._shell.closed is Installing,
            digest=self._digest(),
            divergences=len(self._peering.proof.findings),
        )

    def list_members(self, _: pb.ListMembersRequest) -> pb.ListMembersResponse:
        """Everybody, by id."""
        members = sorted(dict(self._peering.members).items())
        return pb.ListMembersResponse(
            members=[
                pb.Member(
                    node=node_name(replica),
                    region=member.region,
                    address=member.address,
                    state=member.state,  # type: ignore[arg-type]
                    join_time=timestamp(member.founded_ms),
                )
                for replica, member in members
            ]
        )

    def create_invitation(self, request: pb.CreateInvitationRequest) -> pb.CreateInvitationResponse:
        """A code that lets one new node in. Raises Refused."""
        valid_s = request.valid_for.seconds if request.HasField("valid_for") else VALID_S
        if not VALID_S_MIN <= valid_s <= VALID_S_MAX:
            raise InvalidField("valid_for", f"must be {VALID_S_MIN} s to {VALID_S_MAX // 86_400} days")
        known = [member.secret for member in dict(self._peering.members).values() if member.secret]
        if not known:
            raise WrongState("NOT_A_MEMBER", "this node does not know the cluster's secret yet")
        expires_s = time.time_ns() // 1_000_000_000 + valid_s
        invitation = invite(known[0], self._identity.cluster, secrets.token_hex(8), expires_s)
        return pb.CreateInvitationResponse(
            invitation=str(invitation), expire_time=timestamp(expires_s * 1000)
        )

    def _unreplicated(self) -> int:
        """Events written here (orders, most of them) that are on no other disk yet, as far as known."""
        acked = max(self._peering.replicator.acked.values(), default=0)
        return max(0, self._driver.head.seq - acked)

    async def verify(self, _: pb.VerifyRequest) -> pb.VerifyResponse:
        """Everything read, and compared with the peers that can be reached."""
        loop = asyncio.get_running_loop()
        found: asyncio.Future[Verdict] = loop.create_future()

        def settle(verdict: Verdict) -> None:
            if not found.done():  # the caller may be gone
                found.set_result(verdict)

        def done(verdict: Verdict) -> None:
            loop.call_soon_threadsafe(settle, verdict)

        self._shell.engine.tell(VerifyAsked(done))
        verdict = await found
        return pb.VerifyResponse(
            records=verdict.records,
            differences=[
                pb.Difference(
                    node=node_name(each.peer) if each.peer else "",
                    table=each.table,
                    record=each.record,
                    problem=each.problem,
                )
                for each in verdict.differences
            ],
            compared=map(node_name, verdict.compared),
            unreachable=map(node_name, verdict.unreachable),
            in_motion=verdict.in_motion,
        )

    def _digest(self) -> bytes:
        """The name of the whole state, if it is that of now."""
        root, vector = self._peering.gossip.root
        return root if vector == self._driver.vector else b""

    def _storage(self) -> pb.StorageStatus:
        store = self._shell.engine.store
        capacity, refused = store.capacity(), store.writable() or ""
        return pb.StorageStatus(
            write_state=pb.WRITE_STATE_REFUSED if refused else pb.WRITE_STATE_OPEN,
            reason=refused,
            used_bytes=capacity.used_bytes,
            map_bytes=capacity.map_bytes,
            disk_free_bytes=capacity.disk_free_bytes,
            reserve_bytes=capacity.reserve_bytes,
            checkpoint_backlog=store.backlog,
        )

    def _peer(self, replica: int, member: Member) -> pb.PeerStatus:
        replicator = self._peering.replicator
        link = next((each for each in [*replicator.links.values()] if each.peer == replica), None)
        here = self._driver.vector.get(replica, EMPTY_HEAD).seq
        state = pb.LINK_STATE_UP if link else pb.LINK_STATE_DOWN
        stopped = replicator.stopped.get(replica, "")
        if stopped or replica in self._links.stopped:
            state = pb.LINK_STATE_STOPPED
        told = "" if state == pb.LINK_STATE_UP else self._links.problems.get(replica, "")
        status = pb.PeerStatus(
            node=node_name(replica),
            region=member.region,
            address=member.address,
            link=state,
            lag_events=max(0, replicator.known(replica) - here),
            unacked_events=max(0, self._driver.head.seq - replicator.acked.get(replica, 0)),
            problem=stopped or told,
        )
        agreed = self._peering.proof.agreed_ms.get(replica)
        if agreed:
            status.agreed_time.CopyFrom(timestamp(agreed))
        heard = self._peering.heard.get(replica)
        if heard:
            status.heard_time.CopyFrom(timestamp(heard))
        return status
