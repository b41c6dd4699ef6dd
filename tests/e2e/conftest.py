"""Fixtures of several files."""

import pytest
from stub_upstream import Stub


@pytest.fixture
def stub():
    server = Stub()
    yield server
    server.stop()
