"""ClusterService: who answers here, and how it is."""

from __future__ import annotations

import time
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

import grpc

from tallystick.core.members import node_name
from tallystick.node.identity import Identity
from tallystick.rpc.messages import timestamp
from tallystick.rpc.services import Shell
from tallystick.v1 import cluster_service_pb2


def cluster_handlers(shell: Shell, identity: Identity) -> Mapping[str, grpc.RpcMethodHandler[Any, Any]]:
    """The service's methods."""
    started_ms = time.time_ns() // 1_000_000

    def get_status() -> cluster_service_pb2.GetStatusResponse:
        store = shell.engine.store
        capacity, refused = store.capacity(), store.writable() or ""
        storage = cluster_service_pb2.StorageStatus(
            write_state=cluster_service_pb2.WRITE_STATE_REFUSED
            if refused
            else cluster_service_pb2.WRITE_STATE_OPEN,
            reason=refused,
            used_bytes=capacity.used_bytes,
            map_bytes=capacity.map_bytes,
            disk_free_bytes=capacity.disk_free_bytes,
            reserve_bytes=capacity.reserve_bytes,
            checkpoint_backlog=store.backlog,
        )
        return cluster_service_pb2.GetStatusResponse(
            cluster=identity.cluster,
            node=node_name(identity.replica),
            region=identity.region,
            version=version("tallystick"),
            start_time=timestamp(started_ms),
            storage=storage,
            sequence=shell.engine.head.seq,
        )

    return {"GetStatus": shell.unary_status(get_status)}
