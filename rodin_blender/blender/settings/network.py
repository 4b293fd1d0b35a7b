# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender and its preferences say of the network."""

import bpy

from ...service.proxies import masked, unmasked
from ...texts.actions import Action
from ...texts.text import Trouble


def displayed_proxy(preferences: bpy.types.AddonPreferences) -> str:
    return masked(stored_proxy(preferences))


def set_proxy(preferences: bpy.types.AddonPreferences, text: str) -> None:
    preferences.proxy_as_given = unmasked(text.strip(), stored_proxy(preferences))


def stored_proxy(preferences: object) -> str:
    """The proxy with its password; "" for preferences that are not Blender's."""
    return getattr(preferences, "proxy_as_given", "")


def program() -> str:
    """This Blender, as it is told to the service."""
    return f"Blender/{bpy.app.version_string.partition(' ')[0]}"


def timeout() -> float:
    return float(bpy.context.preferences.system.network_timeout) or 20.0


def connection_limit() -> int:
    """How many connections may be open at a time; 0 for no limit."""
    return int(bpy.context.preferences.system.network_connection_limit)


def offline() -> Trouble | None:
    """Why the internet may not be used; None where it may."""
    if bpy.app.online_access:
        return None
    if bpy.app.online_access_override:
        return Trouble("offline", "Blender was started in offline mode: start it without --offline-mode.")
    return Trouble("offline", "Blender is not allowed to go online.", Action.ALLOW_ONLINE)
