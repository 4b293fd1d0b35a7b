# SPDX-License-Identifier: GPL-3.0-or-later
"""What happens when another .blend file is opened, when one was saved, and when what is in it may have changed."""

from __future__ import annotations

import bpy
from bpy.app.handlers import persistent

from . import importing
from .app import app
from .properties import form
from .scene import catalogs, in_scene


@persistent
def _loading(_path: str) -> None:
    # Blender closes the dialog without calling `cancel`.
    app().dialog = None
    # Blender empties the properties; what is in the form stays there.
    app().session.form.saved_paths = form.pictures()


@persistent
def _loaded(_path: str) -> None:
    app().session.file_loaded()
    app().positions.clear()
    app().task_list.file_loaded()
    form.refill()
    app().wake()


@persistent
def _saved(_path: str) -> None:
    """The catalog of the assets in the file stands in a list beside it, which there could be none of before."""
    if importing.has_assets():
        catalogs.add_catalog()


_HANDLERS = (
    (bpy.app.handlers.load_pre, _loading),
    (bpy.app.handlers.load_post, _loaded),
    (bpy.app.handlers.save_post, _saved),
    *in_scene.HANDLERS,
)


def register() -> None:
    for handlers, handler in _HANDLERS:
        handlers.append(handler)


def unregister() -> None:
    for handlers, handler in _HANDLERS:
        handlers.remove(handler)
