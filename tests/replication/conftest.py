"""What a node logs as an error fails a test that did not expect it."""

import logging

import pytest

from tests.node.logs import captured
from tests.replication.cluster import Cluster


@pytest.fixture
async def cluster(tmp_path):
    """An empty cluster; its nodes are stopped after the test, and none may have broken."""
    made = Cluster(tmp_path)
    yield made
    await made.stop()


@pytest.fixture(autouse=True)
def logs():
    with captured() as entries:
        yield entries


@pytest.fixture(autouse=True)
def _no_error_is_logged(caplog):
    """asyncio and gRPC log what they cannot raise: a task's exception that nobody took, a handler's bug."""
    yield
    assert [record.getMessage() for record in caplog.records if record.levelno >= logging.ERROR] == []
