"""An empty grpc.aio call, the yardstick of unary calls: nothing in, nothing out, nothing done.

`python -m benchmarks.empty` serves it on a free port of the loopback and prints the address.
"""

from __future__ import annotations

import gc

import grpc
import uvloop

SERVICE = "benchmarks.Empty"
METHOD = f"/{SERVICE}/Call"


async def _answer(request: bytes, context: grpc.aio.ServicerContext[bytes, bytes]) -> bytes:
    return b""


async def serve() -> None:
    """Serve until the process is ended."""
    server = grpc.aio.server()
    handlers: dict[str, grpc.RpcMethodHandler[bytes, bytes]] = {
        "Call": grpc.unary_unary_rpc_method_handler(_answer)
    }
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    # As the node does, so that the comparison is of calls, not of the collector's settings.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)
    print(f"serving on 127.0.0.1:{port}", flush=True)
    await server.wait_for_termination()


if __name__ == "__main__":
    uvloop.run(serve())
