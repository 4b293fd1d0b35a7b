# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be set before anything can be asked: the API key, and Blender's leave to go online."""

from contextlib import suppress

import bpy

from ...service import keys
from ...service.errors import BadInput
from ...texts.text import Text, Trouble
from .. import links
from ..app import app
from ..layouts import paragraph
from ..voice import say
from .base import OPTIONS, WIDTH, refuse, text_property


class RODIN_OT_test_key(bpy.types.Operator):
    """Ask the service for the account's balance, which costs nothing, to see whether the API key is accepted"""

    bl_idname = "rodin.test_key"
    bl_label = "Test Rodin API Key"
    bl_options = OPTIONS

    def execute(self, context: bpy.types.Context) -> set[str]:
        session = app().session
        session.key_test.request()
        app().api_key.renew()
        app().tracker()
        return {"FINISHED"}


def _try(self: "RODIN_OT_enter_api_key", _context: bpy.types.Context) -> None:
    """Have the service asked about the key that was just typed, before it is used."""
    with suppress(BadInput):
        key = keys.api_key(self.api_key)
        if key:
            app().session.key_test.result = None
            app().tracker().test_key(app().settings.for_tracker(key))


class RODIN_OT_enter_api_key(bpy.types.Operator):
    """Enter the API key of your Hyper3D account. The service is asked at once whether it accepts it"""

    bl_idname = "rodin.enter_api_key"
    bl_label = "Enter Rodin API Key"
    bl_options = OPTIONS

    api_key: text_property(
        "API Key", "From the page API Dashboard of the Hyper3D website", subtype="PASSWORD", update=_try
    )

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=WIDTH, confirm_text="Use This Key")

    def draw(self, context: bpy.types.Context) -> None:
        app().dialog = context.window, context.region_popup or context.region
        layout = self.layout
        layout.activate_init = True
        layout.prop(self, "api_key", icon="KEY_HLT", placeholder="Paste it here, then press Enter")
        said, icon = self._said()
        paragraph(layout, said, WIDTH * context.preferences.system.ui_scale, icon=icon)
        layout.operator("rodin.open", text="Get a Key", icon="URL").target = links.KEY_PAGE

    def _said(self) -> tuple[Text | Trouble, str]:
        """What is known of the key so far, with an icon."""
        try:
            key = keys.api_key(self.api_key)
        except BadInput as error:
            return error.trouble, "ERROR"
        if not key:
            where = "It is on the page API Dashboard of Hyper3D's website, and comes with the Business plan."
            return Text(where), "INFO"
        tested = app().session.key_test.result_for(key)
        if tested is None:
            return Text("Hyper3D is being asked about it."), "SORTTIME"
        return tested.said, "CHECKMARK" if tested.accepted else "ERROR"

    def cancel(self, context: bpy.types.Context) -> None:
        app().dialog = None

    def execute(self, context: bpy.types.Context) -> set[str]:
        session = app().session
        app().dialog = None
        try:
            key = keys.api_key(self.api_key)
        except BadInput as error:
            return refuse(self, error.trouble)
        if not key:
            return refuse(self, Text("No API key was entered; nothing has changed."))
        if app().api_key.source.fixed:
            text = "The API key comes from {origin}, and is changed there."
            return refuse(self, Text(text, origin=app().api_key.source.origin))
        tested = session.key_test.result_for(key)
        if tested and tested.refused:
            # The dialog has shown the reason already: an error report would open another popup on top of it.
            self.report({"WARNING"}, say(Text("{why} Nothing has changed.", why=tested.said)))
            return {"CANCELLED"}
        app().api_key.enter(key)
        if not (tested and tested.accepted):
            # The key is tested at once, so that a mistyped one is reported here and not by the first task.
            session.key_test.request()
        app().tracker()
        return {"FINISHED"}


class RODIN_OT_allow_online(bpy.types.Operator):
    """Allow Blender and its extensions to go online (Preferences > System > Network)"""

    bl_idname = "rodin.allow_online"
    bl_label = "Allow Rodin Online Access"
    bl_options = OPTIONS

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not bpy.app.online_access_override:
            return True
        cls.poll_message_set(say(Text("Blender was started with --offline-mode: start it without")))
        return False

    def execute(self, context: bpy.types.Context) -> set[str]:
        context.preferences.system.use_online_access = True
        app().tracker()
        return {"FINISHED"}


CLASSES = (
    RODIN_OT_test_key,
    RODIN_OT_enter_api_key,
    RODIN_OT_allow_online,
)
