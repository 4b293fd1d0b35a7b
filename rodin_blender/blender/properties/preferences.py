# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user sets, as Blender keeps it; preferences_page.py shows it. What is in use then, in_use.py tells."""

import bpy

from ...configuration import FIELDS
from ...service import keys
from ...service.errors import BadInput
from ...tasks.listing import Sort
from ..app import app
from ..settings import field_properties, network
from ..settings.folders import PACKAGE
from . import preferences_page


def _enter_key(_self: "RODIN_Preferences", text: str) -> None:
    if text != app().api_key.dots():
        try:
            # The user typed the whole key after the dots.
            app().api_key.enter(keys.api_key(text.strip().strip("•")))
        except BadInput as error:
            app().session.tell(error.trouble)
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
    sort_by: bpy.props.EnumProperty(
        name="Sort By",
        description="The order of the sidebar's list",
        items=[(sort.value, sort.value.title(), "") for sort in Sort],
        options={"HIDDEN"},
    )
    active_task: bpy.props.StringProperty(
        name="Active Task", description="The id of the task that was chosen last", options={"HIDDEN"}
    )

    def draw(self, context: bpy.types.Context) -> None:
        preferences_page.draw(self.layout, self, context.region.width)


_ACCESS = {
    "api_key": {"get": lambda _self: app().api_key.dots(), "set": _enter_key},
    "proxy": {"get": network.displayed_proxy, "set": network.set_proxy},
}
# The annotations are set by `update`, since Python 3.14 has none in the body of a class.
RODIN_Preferences.__annotations__.update(
    (name, field_properties.made(field, **_ACCESS.get(name, {}))) for name, field in FIELDS.items()
)

register, unregister = bpy.utils.register_classes_factory((RODIN_Preferences,))
