# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that ends or falls silent at each moment of a call. A drip meets no timeout of the client's, see
test_tracker.py."""

from __future__ import annotations

import pytest

from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.errors import BadAnswer, Unreachable
from rodin_blender.service.keys import Secret
from tools.testing.cuts import CUTS
from tools.testing.sockets import serving


@pytest.mark.parametrize("name", CUTS)
def test_each_is_told_in_words(name: str) -> None:
    handle, says = CUTS[name]
    with serving(handle) as root, pytest.raises((Unreachable, BadAnswer), match=says):
        Client(Connection(f"{root}/api/v2", Secret("an-api-key"), 5.0, 0.5)).status(Secret("a-subscription-key"))
