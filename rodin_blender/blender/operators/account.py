# SPDX-License-Identifier: GPL-3.0-or-later
"""What has to be set before anything can be asked: the API key, and Blender's leave to go online."""

import bpy

from ...service import keys
from ...service.errors import BadInput
from .. import preferences
from ..app import app
from .base import OPTIONS, refuse, text_property


class RODIN_OT_test_key(bpy.types.Operator):
    """Ask the service for the account's balance, which costs nothing, to see whether the API key is accepted"""

    bl_idname = "rodin.test_key"
    bl_label = "Test Rodin API Key"
    bl_options = OPTIONS

    def execute(self, context: bpy.types.Context) -> set[str]:
        session = app().session
        session.key_test, session.key_test_wanted = None, True
        app().api_key.renew()
        app().tracker()
        return {"FINISHED"}


class RODIN_OT_enter_api_key(bpy.types.Operator):
    """Enter the API key of your Hyper3D account"""

    bl_idname = "rodin.enter_api_key"
    bl_label = "Enter Rodin API Key"
    bl_options = OPTIONS

    api_key: text_property("API Key", "From the API page of the Hyper3D website", subtype="PASSWORD")

    def invoke(self, context: bpy.types.Context, event: bpy.types.Event) -> set[str]:
        return context.window_manager.invoke_props_dialog(self, width=420, confirm_text="Use This Key")

    def draw(self, context: bpy.types.Context) -> None:
        self.layout.activate_init = True
        self.layout.prop(self, "api_key")
        self.layout.operator("wm.url_open", text="Get a Key", icon="URL").url = preferences.KEY_PAGE

    def execute(self, context: bpy.types.Context) -> set[str]:
        session = app().session
        try:
            key = keys.api_key(self.api_key)
        except BadInput as error:
            return refuse(self, str(error))
        if not key:
            return refuse(self, "No API key was entered; nothing has changed.")
        if app().api_key.source.fixed:
            return refuse(self, f"The API key comes from {app().api_key.source.origin}, and is changed there.")
        app().api_key.enter(key)
        # At once, so that a mistyped key is told here and not by the first task.
        session.key_test, session.key_test_wanted = None, True
        app().tracker()
        return {"FINISHED"}


class RODIN_OT_allow_online(bpy.types.Operator):
    """Allow Blender and its extensions to go online (Preferences > System > Network)"""

    bl_idname = "rodin.allow_online"
    bl_label = "Allow Online Access (Rodin)"
    bl_options = OPTIONS

    @classmethod
    def poll(cls, context: bpy.types.Context) -> bool:
        if not bpy.app.online_access_override:
            return True
        cls.poll_message_set("Blender was started with --offline-mode: start it without")
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
