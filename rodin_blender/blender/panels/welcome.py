# SPDX-License-Identifier: GPL-3.0-or-later
"""What an empty list shows: the steps to the first model and what following is."""

from __future__ import annotations

import bpy

from ...texts.text import Text
from ...tracking.messages import Blocker
from .. import links
from ..layouts import paragraph
from ..voice import say

_STEPS = (
    ("offline", Text("Go online"), Text("Blender asks you before an extension may use the internet.")),
    ("no_key", Text("Enter your API key"), Text("It is on the page API Dashboard of Hyper3D's website.")),
    ("", Text("Say what you want to make"), Text("")),
)
"""The code of the blocker that each step removes, what it is, and why."""
_KINDS = [kind for kind, _title, _why in _STEPS]


def guides_to(blocker: Blocker | None) -> bool:
    """Whether the steps tell what is missing."""
    return blocker is not None and blocker.code in _KINDS


def draw_steps(layout: bpy.types.UILayout, blocker: Blocker, width: float) -> None:
    """The steps with the one that is next, and its button."""
    next_step = _KINDS.index(blocker.code)
    box = layout.box()
    box.label(text="Three steps to your first model")
    for number, (_kind, title, why) in enumerate(_STEPS):
        row = box.row()
        row.active = number == next_step
        icon = "CHECKMARK" if number < next_step else "RIGHTARROW" if number == next_step else "BLANK1"
        row.label(text=f"{number + 1}.  {say(title)}", icon=icon, translate=False)
        if number == next_step:
            paragraph(box, blocker if _is_final(blocker) else why, width)
            draw_fixes(box, blocker)


def _is_final(blocker: Blocker) -> bool:
    """Whether the user cannot take it away here: Blender was started in offline mode."""
    return blocker.code == "offline" and bpy.app.online_access_override


def draw_fixes(layout: bpy.types.UILayout, blocker: Blocker) -> None:
    """The buttons that remove a blocker: no leave to go online, or no key that is accepted."""
    column = layout.column(align=True)
    column.scale_y = 1.3
    if blocker.code == "offline":
        column.operator("rodin.allow_online", text="Allow Online Access", icon="INTERNET")
        return
    text = "Enter API Key" if blocker.code == "no_key" else "Enter Another Key"
    column.operator("rodin.enter_api_key", text=text, icon="KEY_HLT")
    column.operator("rodin.open", text="Get a Key", icon="URL").target = links.KEY_PAGE


def draw_follow(layout: bpy.types.UILayout, width: float) -> None:
    """What following is, and where what it needs comes from."""
    paragraph(
        layout,
        Text(
            "Did a script, your studio's tool or another Blender start it? Copy the answer that Rodin gave there, and "
            "paste it here: its subscription key says which task it is. (Your account's API key is another one.)"
        ),
        width,
    )
    layout.operator("rodin.open", text="About Subscription Keys", icon="URL").target = links.SERVICE_HELP
