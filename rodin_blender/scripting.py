# SPDX-License-Identifier: GPL-3.0-or-later
"""For people's own scripts in Blender: these functions keep their names and meaning.

Installed from disk, this module is called `bl_ext.user_default.rodin_blender.scripting`. Call it on Blender's main
thread. All return at once, but for `import_model`; what becomes of a task is told by `handlers` and by
`bpy.context.window_manager.rodin.tasks`. Without a window Blender calls no timers, which take in what happens: call
`blender.timer.run` in a loop of your own, or use the command line.

What cannot be raises `BadInput` with what to change, and leaves everything as it was.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike, fspath
from typing import TYPE_CHECKING, Any

from .service import keys
from .service.errors import BadInput

if TYPE_CHECKING:
    import bpy

__all__ = ["BadInput", "generate", "import_model", "track"]


def generate(prompt: str = "", images: Iterable[str | PathLike[str]] = (), **options: Any) -> str:
    """Have a model generated, which costs credits. Returns the new task's id.

    `images` are paths of up to five pictures, of which the first decides the material. `options` are those of the
    panel, such as `tier="Gen-2"` or `seed=7`, see `tasks.options.OPTIONS`; what is left out is as the settings have it.
    The model is wanted where the 3D cursor is now. What is still being looked up just after the extension was enabled,
    such as the API key, is waited for, and what is wrong then is told in the sidebar.
    """
    import bpy

    from .blender import generating
    from .blender.properties import form
    from .blender.scene import placement

    pictures = [form.file_of(fspath(image)) for image in images]
    draft = generating.Draft(prompt.strip(), pictures, placement.current(bpy.context), options)
    generating.begin([draft])
    return draft.task_id


def track(subscription_key: str, *, task_uuid: str = "", name: str = "") -> str:
    """Follow a task that was begun elsewhere, by its subscription key. Returns its id in the list.

    Without `task_uuid` it can be followed but not downloaded. Where the key is in the list already, that task's id is
    returned, and it gets the uuid.
    """
    from .blender.app import app
    from .tasks.task import new_task_id

    generation = keys.Generation(
        keys.subscription_key(subscription_key), keys.task_uuid(task_uuid), keys.redacted(name.strip(), 100)
    )
    known = (task for task in app().session.tasks.values() if task.subscription_key == generation.subscription_key)
    task_id = next((task.task_id for task in known), "") or new_task_id()
    app().session.follow_requests.follow(app().tracker(), [generation], task_id=task_id)
    return task_id


def import_model(
    path: str | PathLike[str],
    *,
    name: str = "",
    at: Sequence[float] | None = None,
    height: float = 0.0,
    as_asset: bool = False,
    preview: str | PathLike[str] = "",
    join: bool = False,
    merge_distance: float = 0.0,
) -> bpy.types.Collection:
    """Import a model file into a new collection, and return that. Blender stands still meanwhile.

    `at` is a place in the scene's units, the origin where it is None; `height` scales the model to so many of them.
    `join` makes one mesh of its parts; vertices no farther apart than `merge_distance` are merged. With `as_asset` it
    is marked as an asset whose picture is the file `preview`.
    """
    from pathlib import PurePath

    from .blender import importing

    return importing.import_file(
        fspath(path),
        name=name or PurePath(path).stem,
        at=at,
        height=height,
        as_asset=as_asset,
        preview=fspath(preview),
        join=join,
        merge_distance=merge_distance,
    ).collection
