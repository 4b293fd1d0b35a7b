# SPDX-License-Identifier: GPL-3.0-or-later
"""Folders and pages opened by what the system has for that; where it has nothing, their address is copied."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import partial

import bpy

from ..texts.text import Text
from .app import app

OPEN_TIMEOUT = 3.0
"""Seconds for an opener to fail. Some run for as long as what they have opened."""


def start(target: str) -> None:
    """Open a folder's path or a page's address, and tell the user where that cannot be done. Returns at once."""
    app().wake()
    app().threads.run(partial(_opened, target), partial(_tell, target))


def _opened(target: str) -> bool:
    """Whether something on this computer opens it. For a thread."""
    try:
        if sys.platform == "win32":
            os.startfile(target)
            return True
        opener = "open" if sys.platform == "darwin" else "xdg-open"
        process = subprocess.Popen(
            [opener, target],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True,
        )  # fmt: skip
        return process.wait(OPEN_TIMEOUT) == 0
    except subprocess.TimeoutExpired:
        return True
    except OSError:
        return False


def _tell(target: str, opened: bool) -> None:
    if not opened:
        bpy.context.window_manager.clipboard = target
        text = "The folder could not be opened, so its address is in the clipboard now: {target}"
        if target.startswith("https://"):
            text = "The page could not be opened, so its address is in the clipboard now: {target}"
        app().session.tell(Text(text, target=target))
