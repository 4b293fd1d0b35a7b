# SPDX-License-Identifier: GPL-3.0-or-later
"""The user's folder as this Blender sees it, and where earlier versions kept things, which are brought there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import bpy

from ...storage import folders, migration
from ...texts.text import Text

PACKAGE = __package__.rsplit(".", 2)[0]
"""The extension's own name: bl_ext.user_default.rodin_blender, or another repository's."""


def addon_preferences() -> bpy.types.AddonPreferences | None:
    """None where a script enabled the extension without an entry in Blender's preferences."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    return addon.preferences if addon else None


def stored_preferences() -> Any:
    """What holds the values of the preferences' properties as they were stored, past their getters; None for none."""
    own = addon_preferences()
    # From Blender 5.0 on they stand apart from a script's own custom properties.
    apart = getattr(own, "bl_system_properties_get", None)
    return apart() if apart else own


def user_folder() -> Path:
    """Where all that is the user's is kept. It may not exist yet: making it is for a worker."""
    return folders.user_folder(_resources())


def blend_folder() -> Path | None:
    """The folder of the .blend file, None where it was never saved."""
    return Path(bpy.data.filepath).parent if bpy.data.filepath else None


def outbox() -> Path:
    """Where the folders of submissions are, with copies of their pictures."""
    return folders.outbox(user_folder())


def own_folder() -> Path:
    """The same, whatever RODIN_FOLDER says."""
    return folders.own_folder(_resources())


def _resources() -> Path | None:
    """Blender's own resources where it is a portable one, which has them in a folder of that name beside it."""
    resources = Path(bpy.utils.resource_path("USER"))
    return resources if resources.name == "portable" else None


def migration_work() -> Callable[[], list[Text]]:
    """What a worker does to bring what earlier versions kept elsewhere, see `migration`; returns news for the user.

    That was the extension's own folder, one for each repository that it came from.
    """
    try:
        own = Path(bpy.utils.extension_path_user(PACKAGE))
    except ValueError:
        return list  # Not installed as an extension: run from a checkout, say.
    folder = own_folder()
    return lambda: migration.migrate(own.parents[1].glob(f"*/{own.name}"), folder)
