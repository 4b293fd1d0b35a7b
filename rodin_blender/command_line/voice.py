# SPDX-License-Identifier: GPL-3.0-or-later
"""How a shell says what the panel says with buttons: by commands and settings. In English only: logs are searched."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ..texts.actions import Action
from ..texts.text import Voice

SHELL = Voice(
    words={
        Action.CHECK_NOW: "Run `resume {task}` to ask once more.",
        Action.RESUME: "Run `resume {task}` to go on.",
        Action.DOWNLOAD: "Run `download {task}` to go on.",
        Action.DOWNLOAD_LATER: "Run `download {task}` when it is finished.",
        Action.ENTER_UUID: "Give the right one by `track KEY --task-uuid UUID`.",
        Action.SEND_NOW: "Run `settle {task}` with --again or --discard.",
        Action.SEND_AGAIN: "Then `generate` it once more.",
        Action.SETTLE: "Run `settle {task}` with --answer FILE, --again or --discard.",
        Action.DISCARD: "Run `settle {task} --discard`, and `generate` it anew.",
        Action.TRY_AGAIN: "Run the command again.",
        Action.RESTART: "Run the command again.",
        Action.GIVE_KEY: "Set RODIN_API_KEY.",
        Action.ENTER_KEY: "Set another.",
        Action.SET_ADDRESS: "Set it by RODIN_API_URL.",
        Action.SET_FOLDER: "Choose another folder.",
        Action.SET_DEADLINE: "RODIN_DEADLINE sets the longest time.",
        Action.ALLOW_ONLINE: "Allow it in Preferences > System > Network, or start Blender with --online-mode.",
    }
)


def of_batch(folder: Path) -> Voice:
    """A batch has a list of its own in its folder, and goes on when it is run again."""
    again = "Run it again to go on."
    words = {
        Action.CHECK_NOW: again,
        Action.RESUME: again,
        Action.DOWNLOAD: again,
        Action.SEND_NOW: "Run it again to send it.",
        Action.SEND_AGAIN: "It is sent once more with --retry-failed.",
        Action.SETTLE: f"Run `settle {{task}} --batch {folder}`, see its --help.",
    }
    return replace(SHELL, words={**SHELL.words, **words})
