"""`python -m benchmarks.load SPEC`: run one load as the JSON says, and print its report as JSON."""

from __future__ import annotations

import asyncio
import gc
import sys

import msgspec
import uvloop

from benchmarks.load import batch, paced, sdk, unary
from benchmarks.load.spec import BATCH, EMPTY, PACED, SDK, UNARY, Report, Spec

_RUNNERS = {EMPTY: unary.run, UNARY: unary.run, BATCH: batch.run, SDK: sdk.run, PACED: paced.run}


async def _run(spec: Spec) -> Report:
    if not spec.bounded():
        raise ValueError("a load needs a bound on its warm-up and on its windows")
    gc.set_threshold(50_000, 20, 50)  # requests hold no cycles
    seconds = spec.warm_s + spec.windows * spec.window_s
    # Loads that are bounded by their orders get an hour; those bounded by time a minute beyond it.
    limit_s = seconds + 60 if spec.warm_s and spec.window_s else 3_600
    async with asyncio.timeout(limit_s):
        return await _RUNNERS[spec.mode](spec)


if __name__ == "__main__":
    print(msgspec.json.encode(uvloop.run(_run(msgspec.json.decode(sys.argv[1], type=Spec)))).decode())
