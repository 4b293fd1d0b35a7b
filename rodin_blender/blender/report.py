# SPDX-License-Identifier: GPL-3.0-or-later
"""What helps to find a fault, as text that a user can give away: no key, no prompt."""

from __future__ import annotations

import platform
import sys
from collections import Counter

import bpy

from ..texts.wording import clock_text
from . import links
from .app import app
from .settings.folders import PACKAGE


def text() -> str:
    session = app().session
    counts = Counter(task.status for task in session.tasks.values())
    blocker = app().blocker()
    return "\n".join(
        [
            f"Rodin for Blender {links.version()} ({PACKAGE})",
            f"Blender {bpy.app.version_string}, {sys.platform} {platform.machine()}, Python {sys.version.split()[0]}",
            f"Tasks: {', '.join(f'{count} {status}' for status, count in counts.items()) or 'none'}",
            f"Nothing can be asked: {blocker}" if blocker else "The service can be asked.",
            "Messages:",
            *(f"{clock_text(told.at)} {told.said}" for told in session.news.entries),
        ]
    )
