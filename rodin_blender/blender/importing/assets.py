# SPDX-License-Identifier: GPL-3.0-or-later
"""Imported models as assets."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import bpy

from ...storage.asset_catalog import CATALOG_ID


def mark(collection: bpy.types.Collection, preview: str, description: str) -> None:
    """Mark a collection as an asset whose picture is the image file `preview`, "" for none."""
    collection.asset_mark()
    about = collection.asset_data
    about.catalog_id = CATALOG_ID
    about.description = description or "Made with Rodin"
    about.tags.new("Rodin", skip_if_exists=True)
    if preview:
        # A collection without a picture is an asset all the same.
        with bpy.context.temp_override(id=collection), suppress(RuntimeError):
            bpy.ops.ed.lib_id_load_custom_preview(filepath=preview)


def has_assets() -> bool:
    """Whether the open file itself has models that were marked as assets here."""
    own = (item.asset_data for item in bpy.data.collections if item.asset_data and not item.library)
    return any(about.catalog_id == CATALOG_ID for about in own)


def asset_library() -> Path | None:
    """The folder whose list of catalogs holds for the open file: its asset library, or its own; None if not saved."""
    if not bpy.data.filepath:
        return None
    file = Path(bpy.data.filepath)
    libraries = [Path(bpy.path.abspath(library.path)) for library in bpy.context.preferences.filepaths.asset_libraries]
    return next((library for library in libraries if library in file.parents), file.parent)
