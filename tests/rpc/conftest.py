"""A node of its own for each test: starting one takes milliseconds."""

import logging

import pytest

from tests.node.logs import captured
from tests.rpc.serving import serving


@pytest.fixture
async def served(tmp_path):
    async with serving(tmp_path / "node") as running:
        yield running


@pytest.fixture(autouse=True)
def logs():
    """An error in the node's log fails a test that did not expect it."""
    with captured() as entries:
        yield entries


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog):
    """asyncio and gRPC log what they cannot raise: a task's exception that nobody took, a handler's bug."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
