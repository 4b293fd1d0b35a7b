# SPDX-License-Identifier: GPL-3.0-or-later
"""How the preferences are shown: in sections, what an artist wants first, the studio's last."""

from __future__ import annotations

from typing import NamedTuple

import bpy

from ...configuration import FIELDS, GENERATE
from ...service.proxies import masked
from ...tasks.options import OPTIONS
from ...texts.text import Text
from .. import links
from ..app import app
from ..layouts import paragraph
from ..settings.folders import user_folder
from ..voice import say

_LABELS = {
    "deadline": Text("Stop Checking After (min)"),
    "storage_hint": Text("Warn Above (GB)"),
    "import_height": Text("Height in m (0: as it is)"),
    "import_merge_distance": Text("Merge by Distance in m (0: off)"),
    "import_max_triangles": Text("Ask Above (triangles)"),
    "max_credits_per_task": Text("Most Credits (0: no limit)"),
    **{
        f"{GENERATE}{it.name}": Text("{option} ({value}: automatic)", option=Text(it.label), value=it.default)
        for it in OPTIONS.values()
        if type(it.default) is int
    },
}
"""Words for a field where its name alone does not say enough."""
IMPORT_SETTINGS = tuple(name for name in FIELDS if name.startswith("import_") and name != "import_when_done")


class Section(NamedTuple):
    title: str
    fields: tuple[str, ...]
    closed: bool = True


ACCOUNT = Section("Account", ("api_key",), closed=False)
MODELS = Section(
    "Download and Import",
    ("download_when_done", "import_when_done", *IMPORT_SETTINGS, "download_folder", "library_folder", "storage_hint"),
    closed=False,
)
NEW = Section("New Models", ("max_credits_per_task", *(name for name in FIELDS if name.startswith(GENERATE))))
NETWORK = Section(
    "Network", ("service_address", "proxy", "ca_file", "shortest_interval", "longest_interval", "deadline")
)
_NAMED = {name for section in (ACCOUNT, MODELS, NEW, NETWORK) for name in section.fields}
STUDIO = Section("Studio", tuple(name for name in FIELDS if name not in _NAMED))
SECTIONS = (ACCOUNT, MODELS, NEW, NETWORK, STUDIO)


def draw(layout: bpy.types.UILayout, preferences: bpy.types.AddonPreferences, width: float) -> None:
    layout.use_property_split = True
    trouble = app().studio_files.trouble
    if trouble:
        paragraph(layout, trouble, width, icon="ERROR")
    for section in SECTIONS:
        header, body = layout.panel(f"rodin_{section.title}", default_closed=section.closed)
        header.label(text=section.title)
        if not body:
            continue
        for name in section.fields:
            draw_field(body, preferences, name)
        if section is ACCOUNT:
            _draw_account(body, width)
        elif section is MODELS:
            _draw_places(body, width)
    links.draw(layout)


def _draw_account(layout: bpy.types.UILayout, width: float) -> None:
    paragraph(layout, _key_text(), width, icon="INFO")
    row = layout.row(align=True)
    row.operator("rodin.test_key", text="Test Key")
    row.operator("rodin.open", text="Get a Key", icon="URL").target = links.KEY_PAGE
    session = app().session
    tested = session.key_test.result_for(session.settings.api_key)
    if tested:
        paragraph(layout, tested.said, width, icon="CHECKMARK" if tested.accepted else "ERROR")


def _draw_places(layout: bpy.types.UILayout, width: float) -> None:
    taken = Text("Downloaded files take {size:size} now.", size=app().session.files.bytes_saved)
    paragraph(layout, taken, width, icon="INFO")
    kept = "Your list, downloads and API key are kept in {folder}, which outlives the extension."
    paragraph(layout, Text(kept, folder=str(user_folder())), width, icon="HOME")
    layout.operator("rodin.open", text="Open Folder", icon="FILE_FOLDER").target = str(user_folder())


def _key_text() -> Text:
    """Which API key is in use."""
    is_command, source = app().api_key.find()
    if source.fixed and is_command:
        return Text("In use: what the command prints of {origin}.", origin=source.origin)
    if source.fixed:
        return Text("In use: the key of {origin}.", origin=source.origin)
    if is_command:
        return Text("In use: what the command prints. It is never stored.")
    if source.value:
        return Text("In use: the key above. It is kept in {file}, which only you can read.", file=source.source)
    return Text("No API key yet.")


def draw_import_settings(layout: bpy.types.UILayout, preferences: bpy.types.AddonPreferences) -> None:
    """What becomes of a downloaded model; here and in the sidebar."""
    column = layout.column()
    for name in IMPORT_SETTINGS:
        draw_field(column, preferences, name)


def draw_field(layout: bpy.types.UILayout, preferences: bpy.types.AddonPreferences, name: str) -> None:
    """A field; greyed, with its value and where that comes from, where the environment or a studio's file fixes it."""
    found = app().api_key.source if name == "api_key" else app().settings.resolve(name)
    row = layout.row()
    row.enabled = not found.fixed
    if name in _LABELS:
        row.prop(preferences, name, text=say(_LABELS[name]), translate=False)
    else:
        row.prop(preferences, name)
    if found.fixed:
        shown = masked(str(found.value)) if name == "proxy" else found.value
        text = Text("Fixed by {origin}: {value}", origin=found.origin, value=str(shown))
        if name.startswith("api_key"):
            text = Text("Fixed by {origin}", origin=found.origin)
        layout.label(text=say(text), icon="LOCKED", translate=False)
