# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sets, as Blender keeps and shows it. What is in use then, settings.py tells."""

import bpy

from ..configuration import FIELDS, GENERATE, Value
from ..service import keys
from ..service.errors import BadInput
from ..service.proxies import masked
from ..tasks.options import OPTIONS
from ..texts.wording import size_text
from . import field_properties, network, option_properties
from .app import app
from .folders import PACKAGE, user_folder
from .layouts import paragraph

LOCATIONS = (
    ("CURSOR", "3D Cursor", "At the 3D cursor"),
    ("ORIGIN", "World Origin", "At the origin of the world"),
)
PIPELINE = [field for field in FIELDS.values() if field.label]
"""Settings that are made for whoever looks after many artists."""
KEY_PAGE = "https://hyper3d.ai/api-dashboard"


def _limits(name: str) -> dict[str, Value]:
    field = FIELDS[name]
    return {"default": field.default, "min": field.low, "max": field.high}


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

    api_key: bpy.props.StringProperty(
        name="API Key",
        description="The key of your Hyper3D account, from the API page of the Hyper3D website",
        subtype="PASSWORD",
        get=lambda _self: app().api_key.dots(),
        set=_enter_key,
    )
    api_key_command: bpy.props.StringProperty(
        name="API Key Command",
        description="A command of yours whose output's first line is the API key, such as a password manager's. "
        "It is asked when there is no key above; what it prints is never stored",
    )
    service_address: bpy.props.StringProperty(
        name="Service Address",
        description="Where the Rodin service is. It must begin with https://, since the API key is sent to it",
        default=FIELDS["service_address"].default,
    )
    proxy: bpy.props.StringProperty(
        name="Proxy",
        description="The studio's proxy, http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT. The system's when empty. "
        "Blender keeps preferences in clear text",
        get=network.shown_proxy,
        set=network.give_proxy,
    )
    # With the password, which `proxy` reads without: Blender logs the fields that are edited as they read.
    proxy_as_given: bpy.props.StringProperty(options={"HIDDEN"})
    ca_file: bpy.props.StringProperty(
        name="CA File",
        description="A file (PEM) with the studio's own certificate authority, trusted besides the system's",
        subtype="FILE_PATH",
        options=field_properties.RELATIVE,
    )
    shortest_interval: bpy.props.FloatProperty(
        name="Shortest Interval",
        description="Time between two checks of a task that has just changed. The service asks to be asked seldom",
        **_limits("shortest_interval"),
        soft_min=5.0,
        subtype="TIME_ABSOLUTE",
    )
    longest_interval: bpy.props.FloatProperty(
        name="Longest Interval",
        description="Time between two checks of a task that has not changed for a while",
        **_limits("longest_interval"),
        soft_min=5.0,
        subtype="TIME_ABSOLUTE",
    )
    deadline: bpy.props.FloatProperty(
        name="Stop Checking After",
        description="A task not finished after this many minutes is no longer asked about until you press Resume",
        **_limits("deadline"),
        soft_min=1.0,
        precision=1,
    )
    hand_off_operator: bpy.props.StringProperty(
        name="Download Operator",
        description="The operator that the Download button calls with task_id=, such as your studio's own",
        default=FIELDS["hand_off_operator"].default,
    )
    download_folder: bpy.props.StringProperty(
        name="Download Folder",
        description="Each task gets a folder of its own in it. // is the folder of the .blend file. "
        "Beside the list of tasks when empty",
        subtype="DIR_PATH",
        options=field_properties.RELATIVE,
    )
    download_when_done: bpy.props.BoolProperty(
        name="Download When Done",
        description="Download a task's files automatically as soon as it is done",
    )
    import_when_done: bpy.props.BoolProperty(
        name="Import When Done",
        description="Download and import a task's model automatically as soon as it is done, in Object Mode, "
        "if it was tracked since the file was opened",
    )
    import_after_download: bpy.props.BoolProperty(
        name="Import After Download",
        description="The Download button also imports the model into the scene",
        default=FIELDS["import_after_download"].default,
    )
    import_location: bpy.props.EnumProperty(
        name="Location",
        description="Where an imported model stands",
        items=LOCATIONS,
        default=FIELDS["import_location"].default,
    )
    import_height: bpy.props.FloatProperty(
        name="Height",
        description="Scale an imported model to this height in meters; the service's models are about 1.9 m, whatever "
        "they show. 0 leaves it as it is",
        **_limits("import_height"),
        soft_max=100.0,
    )
    import_as_asset: bpy.props.BoolProperty(
        name="Mark as Asset",
        description="Mark the imported model as an asset, with the service's preview as its picture",
    )
    import_companions: bpy.props.BoolProperty(
        name="Cameras and Lights",
        description="Also bring the cameras and lights that a model's file has",
    )
    storage_hint: bpy.props.FloatProperty(
        name="Warn Above",
        description="Gigabytes of downloaded files from which the sidebar warns. Nothing is deleted automatically. "
        "0 for no warning",
        **_limits("storage_hint"),
        soft_max=100.0,
        precision=1,
    )
    allow_generation: bpy.props.BoolProperty(
        name="Generate",
        description="Tasks can be begun from the sidebar, which costs credits, and not only followed",
        default=FIELDS["allow_generation"].default,
    )
    max_credits_per_task: bpy.props.FloatProperty(
        name="Most Credits",
        description="What is expected to cost more is not sent. 0 for no limit",
        **_limits("max_credits_per_task"),
        soft_max=100.0,
        precision=1,
    )
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
        for field in PIPELINE:
            draw_field(column, self, field.name)


# With `update`, since Python 3.14 has no annotations in the body of a class.
RODIN_Preferences.__annotations__.update(
    (f"{GENERATE}{option.name}", option_properties.made(option)) for option in OPTIONS.values()
)
RODIN_Preferences.__annotations__.update((field.name, field_properties.made(field)) for field in PIPELINE)


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
