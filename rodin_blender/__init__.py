# SPDX-License-Identifier: GPL-3.0-or-later
"""Generate 3D models with Rodin (Hyper3D), and follow its tasks, from Blender's 3D viewport.

`service` and `tracking` are a library for plain Python 3.11 and newer; `blender` is all that knows Blender.
Nothing is imported here, so that the library half can be used where there is no `bpy`.
"""


def register() -> None:
    from . import blender

    blender.register()


def unregister() -> None:
    from . import blender

    blender.unregister()
