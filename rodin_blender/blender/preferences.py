# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sets, and what of it and of the environment the tracker is told."""

import os
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import bpy

from ..service import keys
from ..service.errors import BadInput
from ..tracking.messages import Obstacle, Settings
from ..tracking.schedule import Pace
from ..tracking.wording import size_text
from .layouts import paragraph
from .session import session

PACKAGE = __package__.rpartition(".")[0]
"""The extension's own name: bl_ext.user_default.rodin_blender, or another repository's."""

SERVICE_ADDRESS = "https://api.hyper3d.com/api/v2"
LOCATIONS = (
    ("CURSOR", "3D Cursor", "At the 3D cursor"),
    ("ORIGIN", "World Origin", "At the origin of the world"),
)
KEY_PAGE = "https://hyper3d.ai/api-dashboard"
KEY_VARIABLES = ("RODIN_API_KEY", "HYPER3D_API_KEY")
ADDRESS_VARIABLE = "RODIN_API_URL"


# Blender 4.5 and newer show a relative path in red unless it is said to be one.
_RELATIVE = {"PATH_SUPPORTS_BLEND_RELATIVE"} if bpy.app.version >= (4, 5, 0) else set()


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
    download_folder: bpy.props.StringProperty(
        name="Download Folder",
        description="Each task gets a folder of its own in it. // is the folder of the .blend file. "
        "The extension's own folder when empty",
        subtype="DIR_PATH",
        options=_RELATIVE,
    )
    download_when_done: bpy.props.BoolProperty(
        name="Download When Done",
        description="Download a task's files by itself as soon as it is done",
    )
    import_when_done: bpy.props.BoolProperty(
        name="Import When Done",
        description="Download and import a task's model by itself as soon as it is done, in Object Mode, "
        "if it was tracked since the file was opened",
    )
    import_after_download: bpy.props.BoolProperty(
        name="Import After Download",
        description="The Download button also imports the model into the scene",
        default=True,
    )
    import_location: bpy.props.EnumProperty(
        name="Location", description="Where an imported model stands", items=LOCATIONS, default="CURSOR"
    )
    import_height: bpy.props.FloatProperty(
        name="Height",
        description="Scale an imported model to this height; the service's models are about 1.9 units, whatever they "
        "show. 0 leaves it as it is",
        default=0.0,
        min=0.0,
        soft_max=100.0,
        subtype="DISTANCE",
    )
    import_as_asset: bpy.props.BoolProperty(
        name="Mark as Asset",
        description="Mark the imported model as an asset, with the service's preview as its picture",
    )
    storage_hint: bpy.props.FloatProperty(
        name="Hint Above",
        description="Gigabytes of downloaded files from which the sidebar gives a hint. Nothing is deleted by itself. "
        "0 for no hint",
        default=5.0,
        min=0.0,
        soft_max=100.0,
        precision=1,
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

        column = layout.column()
        column.prop(self, "download_folder")
        column.prop(self, "storage_hint", text="Hint Above (GB)")
        paragraph(column, f"Downloaded files take {size_text(session.bytes_saved)} now.", width, icon="INFO")
        column = layout.column(heading="By Itself")
        column.prop(self, "download_when_done")
        column.prop(self, "import_when_done")
        draw_import_settings(layout, self)


def draw_import_settings(layout: bpy.types.UILayout, preferences: "RODIN_Preferences") -> None:
    """What becomes of a downloaded model; here and in the sidebar."""
    column = layout.column()
    column.prop(preferences, "import_after_download")
    column.prop(preferences, "import_location")
    column.prop(preferences, "import_height", text="Height (0: as it is)")
    column.prop(preferences, "import_as_asset")


def get() -> RODIN_Preferences | SimpleNamespace:
    """The preferences; their defaults where a script enabled the extension without an entry in Blender's."""
    addon = bpy.context.preferences.addons.get(PACKAGE)
    if addon:
        return addon.preferences
    properties = RODIN_Preferences.bl_rna.properties
    return SimpleNamespace(**{name: properties[name].default for name in RODIN_Preferences.__annotations__})


def download_folder(default: Path) -> Path:
    """The folder for all tasks' folders; `default` where none is set. Raises BadInput where it cannot be told."""
    wish = get().download_folder.strip()
    return absolute(wish) if wish else default


def absolute(wish: str) -> Path:
    """A folder as the user gives it, // for the one of the .blend file. Raises BadInput where it cannot be told."""
    if wish.startswith("//") and not bpy.data.filepath:
        raise BadInput(
            f"The download folder {wish} lies beside the .blend file, which is not saved yet. Save it, "
            "or set another folder in the preferences."
        )
    folder = Path(bpy.path.abspath(wish)).expanduser()
    if not folder.is_absolute():
        raise BadInput(f"The download folder {wish} is no whole path; set another one in the preferences.")
    return folder


def over_the_hint() -> bool:
    """Whether downloaded files take more than the user wished to be told of."""
    return 0.0 < get().storage_hint * 1e9 < session.bytes_saved


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
