# SPDX-License-Identifier: GPL-3.0-or-later
"""What the plain-Python tests share: a simulated service on a real socket, and a client of it."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
from hypothesis import settings

from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.keys import Secret
from tools.simulator import API_KEY, Simulator

LONGEST_TEST = 120.0
"""Against a hang: on a busy machine a test of two seconds can take thirty."""

settings.register_profile("fuzz", max_examples=600)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(LONGEST_TEST))
    # The long ones begin first, so that none of them runs on when all others are done.
    items.sort(key=lambda item: -item.get_closest_marker("timeout").args[0])


@pytest.fixture(autouse=True)
def _plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No proxy, CA bundle or .netrc of the machine the tests run on; a test sets the ones it is about."""
    for name in [*os.environ]:
        if name.lower().endswith("_proxy") or name in {"REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NETRC"}:
            monkeypatch.delenv(name)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(speed=10, begins_when_asked=True) as running:
        yield running


@pytest.fixture
def client(simulator: Simulator) -> Client:
    return Client(Connection(simulator.url, Secret(API_KEY), 2.0, 1.0))
