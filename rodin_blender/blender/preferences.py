# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sets, and what of it and of the environment the tracker is told."""

import os
from functools import partial
from types import SimpleNamespace

import bpy

from ..service import keys
from ..service.errors import BadInput
from ..tracking.schedule import Pace
from ..tracking.tracker import Obstacle, Settings
from .layouts import paragraph
from .session import session

PACKAGE = __package__.rpartition(".")[0]
"""The extension's own name: bl_ext.user_default.rodin_blender, or another repository's."""

SERVICE_ADDRESS = "https://api.hyper3d.com/api/v2"
KEY_PAGE = "https://hyper3d.ai/api-dashboard"
KEY_VARIABLES = ("RODIN_API_KEY", "HYPER3D_API_KEY")
ADDRESS_VARIABLE = "RODIN_API_URL"


class RODIN_Preferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    api_key: bpy.props.StringProperty(
        name="API Key",
        description="The key of your Hyper3D account, from the API page of the Hyper3D website",
        subtype="PASSWORD",
    )
    service_address: bpy.props.StringProperty(
        name="Service Address",
        description="Where the Rodin service is. It must begin with https://, since the API key is sent to it",
        default=SERVICE_ADDRESS,
    )
    shortest_interval: bpy.props.FloatProperty(
        name="Shortest Interval",
        description="Time between two checks of a task that has just changed. The service asks to be asked seldom",
        default=5.0,
        min=1.0,
        soft_min=5.0,
        max=300.0,
        subtype="TIME_ABSOLUTE",
    )
    longest_interval: bpy.props.FloatProperty(
        name="Longest Interval",
        description="Time between two checks of a task that has not changed for a while",
        default=30.0,
        min=1.0,
        soft_min=5.0,
        max=3600.0,
        subtype="TIME_ABSOLUTE",
    )
    deadline: bpy.props.FloatProperty(
        name="Stop Asking After",
        description="A task not finished after this many minutes is no longer asked about until you press Resume",
        default=20.0,
        min=0.1,
        soft_min=1.0,
        max=7 * 24 * 60.0,
        precision=1,
    )
    hand_off_operator: bpy.props.StringProperty(
        name="Download Operator",
        description="The operator that the Download button calls with task_id=, such as your studio's own",
        default="rodin.download",
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        width = context.region.width

        source = key_source()
        column = layout.column()
        row = column.row()
        row.enabled = not source.startswith("$")
        row.prop(self, "api_key")
        if source.startswith("$"):
            paragraph(column, f"In use: the key of the environment variable {source[1:]}.", width, icon="INFO")
        else:
            paragraph(
                column,
                f"{'In use: the key above.' if source else 'No API key yet.'} Blender keeps preferences in clear text; "
                "on a shared computer, set the environment variable RODIN_API_KEY instead.",
                width,
                icon="INFO",
            )
        row = column.row(align=True)
        row.operator("rodin.test_key")
        row.operator("wm.url_open", text="Get a Key", icon="URL").url = KEY_PAGE
        if session.key_test:
            paragraph(column, session.key_test.text, width, icon="CHECKMARK" if session.key_test.accepted else "ERROR")

        column = layout.column()
        column.prop(self, "service_address")
        if os.environ.get(ADDRESS_VARIABLE):
            paragraph(
                column, f"In use: the address of the environment variable {ADDRESS_VARIABLE}.", width, icon="INFO"
            )
        column = layout.column(align=True)
        column.prop(self, "shortest_interval")
        column.prop(self, "longest_interval")
        column.prop(self, "deadline", text="Stop Asking After (min)")
        layout.prop(self, "hand_off_operator")


def get() -> RODIN_Preferences | SimpleNamespace:
    """The preferences; their defaults where a script enabled the extension without an entry in Blender's."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    if addon:
        return addon.preferences
    properties = RODIN_Preferences.bl_rna.properties
    return SimpleNamespace(**{name: properties[name].default for name in RODIN_Preferences.__annotations__})


def key_source() -> str:
    """Where the API key in use comes from: "$NAME" of an environment variable, "preferences", or "" for none."""
    for name in KEY_VARIABLES:
        if os.environ.get(name, "").strip():
            return f"${name}"
    return "preferences" if get().api_key.strip() else ""


def settings() -> Settings:
    """What the tracker is to know now, with what keeps it from asking, if anything does."""
    preferences = get()
    source = key_source()
    shortest = preferences.shortest_interval
    known = partial(
        Settings,
        timeout=float(bpy.context.preferences.system.network_timeout) or 20.0,
        pace=Pace(shortest, max(preferences.longest_interval, shortest), preferences.deadline * 60.0),
    )
    try:
        address = keys.service_address(os.environ.get(ADDRESS_VARIABLE, "").strip() or preferences.service_address)
    except BadInput as error:
        return known(obstacle=Obstacle("address", str(error)))
    if not bpy.app.online_access and not keys.is_loopback(address):
        way = (
            "Blender was started in offline mode: start it without --offline-mode."
            if bpy.app.online_access_override
            else "Allow it in Preferences > System > Network."
        )
        text = f"Blender is not allowed to go online. {way} Tasks go on by themselves then."
        return known(obstacle=Obstacle("offline", text))
    if not source:
        return known(obstacle=Obstacle("no_key", "An API key of your Hyper3D account is needed to ask for status."))
    try:
        api_key = keys.api_key(os.environ[source[1:]] if source.startswith("$") else preferences.api_key)
    except BadInput as error:
        return known(obstacle=Obstacle("bad_key", str(error)))
    return known(address, api_key)


def register() -> None:
    bpy.utils.register_class(RODIN_Preferences)


def unregister() -> None:
    bpy.utils.unregister_class(RODIN_Preferences)
