"""An error in the log fails a test that did not expect it."""

import pytest

from tests.node.logs import captured


@pytest.fixture(autouse=True)
def logs():
    with captured() as entries:
        yield entries
