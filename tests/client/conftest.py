"""A node in the test's own process, and a client of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack

import pytest

from tallystick import Client
from tests.client.house import House
from tests.rpc.serving import Served, serving


@pytest.fixture
async def served(tmp_path) -> AsyncIterator[Served]:
    async with serving(tmp_path / "node") as running:
        yield running


@pytest.fixture
async def client(served) -> AsyncIterator[Client]:
    async with Client(served.address, actor="shop") as opened:
        yield opened


@pytest.fixture
def house(tmp_path) -> Iterator[House]:
    with ExitStack() as stack:
        yield House(tmp_path, stack)
