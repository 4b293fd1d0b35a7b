# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do. Each operator checks its input, tells the tracker what is wanted, and returns at once."""

import bpy

from . import (
    account,
    files,
    finding,
    following,
    from_scene,
    generating,
    in_scene,
    library,
    many,
    notices,
    pictures,
    submissions,
)

_PARTS = (
    generating, from_scene, pictures, submissions, following, files, in_scene, many, library, account, finding, notices
)  # fmt: skip

register, unregister = bpy.utils.register_classes_factory(tuple(cls for part in _PARTS for cls in part.CLASSES))
