# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sets, as Blender keeps and shows it. What is in use then, settings.py tells."""

import bpy

from ..configuration import FIELDS, GENERATE
from ..service import keys
from ..service.errors import BadInput
from ..service.proxies import masked
from ..tasks.options import OPTIONS
from ..texts.wording import size_text
from . import field_properties, network
from .app import app
from .folders import PACKAGE, user_folder
from .layouts import paragraph

KEY_PAGE = "https://hyper3d.ai/api-dashboard"


def _enter_key(_self: "RODIN_Preferences", text: str) -> None:
    if text != app().api_key.dots():
        try:
            # What was typed behind the dots is the whole key.
            app().api_key.enter(keys.api_key(text.strip().strip("•")))
        except BadInput as error:
            app().session.tell(str(error))
        app().tracker()


class RODIN_Preferences(bpy.types.AddonPreferences):
    bl_idname = PACKAGE

    # The proxy with its password, which `proxy` reads without: Blender logs the fields that are edited as they read.
    proxy_as_given: bpy.props.StringProperty(options={"HIDDEN"})
    begin_by: bpy.props.EnumProperty(
        name="Begin By",
        description="The way to begin that the sidebar showed last",
        items=(("GENERATE", "Generate", ""), ("FOLLOW", "Follow", "")),
        options={"HIDDEN"},
    )

    def draw(self, context: bpy.types.Context) -> None:
        layout = self.layout
        layout.use_property_split = True
        width = context.region.width
        session = app().session
        if app().studio_files.trouble:
            paragraph(layout, app().studio_files.trouble, width, icon="ERROR")

        column = layout.column()
        draw_field(column, self, "api_key")
        draw_field(column, self, "api_key_command")
        paragraph(column, _key_text(), width, icon="INFO")
        row = column.row(align=True)
        row.operator("rodin.test_key", text="Test Key")
        row.operator("wm.url_open", text="Get a Key", icon="URL").url = KEY_PAGE
        if session.key_test:
            paragraph(column, session.key_test.text, width, icon="CHECKMARK" if session.key_test.accepted else "ERROR")

        column = layout.column()
        draw_field(column, self, "service_address")
        draw_field(column, self, "proxy")
        draw_field(column, self, "ca_file")
        draw_field(column, self, "shortest_interval")
        draw_field(column, self, "longest_interval")
        draw_field(column, self, "deadline", text="Stop Checking After (min)")
        draw_field(column, self, "hand_off_operator")

        column = layout.column()
        draw_field(column, self, "download_folder")
        draw_field(column, self, "storage_hint", text="Warn Above (GB)")
        paragraph(column, f"Downloaded files take {size_text(session.bytes_saved)} now.", width, icon="INFO")
        kept = f"Your list, downloads and API key are kept in {user_folder()}, which outlives the extension."
        paragraph(column, kept, width, icon="HOME")
        column.operator("wm.path_open", text="Open Folder", icon="FILE_FOLDER").filepath = str(user_folder())
        column = layout.column(heading="Automatically")
        draw_field(column, self, "download_when_done")
        draw_field(column, self, "import_when_done")
        draw_import_settings(layout, self)
        column = layout.column()
        draw_field(column, self, "allow_generation")
        draw_field(column, self, "max_credits_per_task", text="Most Credits (0: no limit)")
        for option in OPTIONS:
            draw_field(column, self, f"{GENERATE}{option}")
        column = layout.column()
        for field in FIELDS.values():
            if field.for_pipeline:
                draw_field(column, self, field.name)


_ACCESS = {
    "api_key": {"get": lambda _self: app().api_key.dots(), "set": _enter_key},
    "proxy": {"get": network.shown_proxy, "set": network.give_proxy},
}
# With `update`, since Python 3.14 has no annotations in the body of a class.
RODIN_Preferences.__annotations__.update(
    (name, field_properties.made(field, **_ACCESS.get(name, {}))) for name, field in FIELDS.items()
)


def _key_text() -> str:
    """Which API key is in use."""
    is_command, source = app().api_key.find()
    if source.fixed:
        return f"In use: {'what the command prints' if is_command else 'the key'} of {source.origin}."
    if is_command:
        return "In use: what the command prints. It is never stored."
    if source.value:
        return f"In use: the key above. It is kept in {source.source}, which only you can read."
    return "No API key yet."


def draw_import_settings(layout: bpy.types.UILayout, preferences: RODIN_Preferences) -> None:
    """What becomes of a downloaded model; here and in the sidebar."""
    column = layout.column()
    draw_field(column, preferences, "import_after_download")
    draw_field(column, preferences, "import_location")
    draw_field(column, preferences, "import_height", text="Height in m (0: as it is)")
    draw_field(column, preferences, "import_as_asset")
    draw_field(column, preferences, "import_companions")


def draw_field(layout: bpy.types.UILayout, preferences: RODIN_Preferences, name: str, *, text: str = "") -> None:
    """A field; greyed, with its value and where that comes from, where the environment or a studio's file fixes it."""
    found = app().api_key.source if name == "api_key" else app().settings.resolve(name)
    row = layout.row()
    row.enabled = not found.fixed
    if text:
        row.prop(preferences, name, text=text)
    else:
        row.prop(preferences, name)
    if found.fixed:
        shown = masked(str(found.value)) if name == "proxy" else found.value
        value_in_use = "" if name.startswith("api_key") else f": {shown}"
        layout.label(text=f"Fixed by {found.origin}{value_in_use}", icon="LOCKED")


register, unregister = bpy.utils.register_classes_factory((RODIN_Preferences,))
