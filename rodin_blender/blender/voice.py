# SPDX-License-Identifier: GPL-3.0-or-later
"""How the window says what happened: in Blender's language, and with the names that its buttons have."""

import bpy

from ..texts.actions import Action
from ..texts.text import Text, Trouble, Voice

PRESSES = {
    Action.CHECK_NOW: "Press Check Now to ask once more.",
    Action.RESUME: "Press Resume to go on.",
    Action.DOWNLOAD: "Press Download to try again.",
    Action.DOWNLOAD_LATER: "Press Download again when it is finished.",
    Action.ENTER_UUID: "Press Download and enter the right one.",
    Action.OPEN_FOLDER: "Open Folder shows what there is.",
    Action.SEND_NOW: "Press Send Now, or discard it.",
    Action.SEND_AGAIN: "Then press Change and Try Again.",
    Action.ALLOW_ONLINE: "Allow it in Preferences > System > Network. Tasks go on automatically then.",
    Action.TRY_AGAIN: "Press it again.",
    Action.RESTART: "Restart Blender.",
    Action.SET_ADDRESS: "Set it in the preferences.",
    Action.SET_FOLDER: "Or set another folder in the preferences.",
    Action.SET_DEADLINE: "The longest time is set in the preferences.",
}

_VOICE = Voice(bpy.app.translations.pgettext_iface, PRESSES)


def say(said: Text | Trouble | str | None) -> str:
    """In words, for the window; "" for None. What is drawn of it needs no translation by Blender any more."""
    return _VOICE.say(said)
