"""Every test that asks for a `world` runs on LMDB and in memory."""

import pytest

from tests.store.worlds import LmdbWorld, MemoryWorld


@pytest.fixture(params=["lmdb", "memory"])
def world(request, tmp_path):
    made = LmdbWorld(tmp_path / "node") if request.param == "lmdb" else MemoryWorld()
    yield made
    made.close()


@pytest.fixture
def backend(world):
    return world.open()
