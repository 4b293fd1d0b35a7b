# SPDX-License-Identifier: GPL-3.0-or-later
"""What Blender and its preferences say of the network."""

import bpy

from ..service.proxies import masked, unmasked


def shown_proxy(preferences: bpy.types.AddonPreferences) -> str:
    return masked(given_proxy(preferences))


def give_proxy(preferences: bpy.types.AddonPreferences, text: str) -> None:
    preferences.proxy_as_given = unmasked(text.strip(), given_proxy(preferences))


def given_proxy(preferences: object) -> str:
    """The proxy with its password; "" for preferences that are not Blender's."""
    return getattr(preferences, "proxy_as_given", "")


def program() -> str:
    """This Blender, as it is told to the service."""
    return f"Blender/{bpy.app.version_string.partition(' ')[0]}"


def timeout() -> float:
    return float(bpy.context.preferences.system.network_timeout) or 20.0


def offline() -> str:
    """Why the internet may not be used; "" where it may."""
    if bpy.app.online_access:
        return ""
    way = (
        "Blender was started in offline mode: start it without --offline-mode."
        if bpy.app.online_access_override
        else "Allow it in Preferences > System > Network."
    )
    return f"Blender is not allowed to go online. {way} Tasks go on by themselves then."
