# SPDX-License-Identifier: GPL-3.0-or-later
"""Hands the languages of `texts/languages` to Blender, which translates all it shows by them, and so does `voice`."""

from importlib import import_module
from importlib.util import find_spec

import bpy

from ..texts import languages
from .settings.folders import PACKAGE

_CONTEXTS = (bpy.app.translations.contexts.default, bpy.app.translations.contexts.operator_default)
"""Where Blender looks a text up: the latter for what stands on an operator's button."""


def register() -> None:
    # By Blender's names and not by a look into the folder; a Blender that was built without languages has none.
    found = {name: f"{languages.__name__}.{name}" for name in bpy.app.translations.locales}
    bpy.app.translations.register(
        PACKAGE, {name: _as_blender_has_it(module) for name, module in found.items() if find_spec(module)}
    )


def unregister() -> None:
    bpy.app.translations.unregister(PACKAGE)


def _as_blender_has_it(module: str) -> dict[tuple[str, str], str]:
    texts = import_module(module).TEXTS
    return {(context, english): said for context in _CONTEXTS for english, said in texts.items()}
