"""A node of its own for each test: starting one takes milliseconds."""

import pytest

from tests.rpc.serving import serving


@pytest.fixture
async def served(tmp_path):
    async with serving(tmp_path / "node") as running:
        yield running
