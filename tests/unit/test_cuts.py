# SPDX-License-Identifier: GPL-3.0-or-later
"""A connection that ends or falls silent at each moment of a call, as the whole campaign of faults has it."""

from __future__ import annotations

import pytest

from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.errors import BadAnswer, Unreachable
from rodin_blender.service.keys import Secret
from tools.faults.connections import CUTS
from tools.testing.sockets import serving

ENDING = [row for row in CUTS if not row[0].startswith("a drip")]
"""A drip meets no timeout of the client's: the tracker ends it, see test_tracker.py."""


@pytest.mark.parametrize(("handle", "says"), [row[2:] for row in ENDING], ids=[row[0] for row in ENDING])
def test_each_is_told_in_words(handle, says: str) -> None:
    with serving(handle) as root, pytest.raises((Unreachable, BadAnswer), match=says):
        Client(Connection(f"{root}/api/v2", Secret("an-api-key"), 5.0, 0.5)).status(Secret("a-subscription-key"))
