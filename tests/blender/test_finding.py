"""All that can be done is found by searching for Rodin, from Blender's menus, and in its Online Manual."""

from __future__ import annotations

import bpy
from conftest import Rodin


def operators() -> list[type]:
    return [cls for cls in bpy.types.Operator.__subclasses__() if cls.__name__.startswith("RODIN_OT_")]


def test_a_search_for_rodin_finds_all_operators_by_names_that_tell(rodin: Rodin) -> None:
    found = {cls.bl_label for cls in operators() if "INTERNAL" not in cls.bl_options}
    assert len(found) > 20
    assert [label for label in found if "Rodin" not in label] == []
    # Blender's own flag, which keeps the others out of the search.
    assert {cls.__name__ for cls in operators() if "INTERNAL" in cls.bl_options} == {
        "RODIN_OT_add_open_image",
        "RODIN_OT_announce",
        "RODIN_OT_dismiss",
        "RODIN_OT_move_picture",
        "RODIN_OT_remove_picture",
    }
