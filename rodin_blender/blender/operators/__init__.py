# SPDX-License-Identifier: GPL-3.0-or-later
"""What the user can do. Each operator checks its input, tells the tracker what is wanted, and returns at once."""

import bpy

from . import account, files, following, notices

register, unregister = bpy.utils.register_classes_factory(
    (*following.CLASSES, *files.CLASSES, *account.CLASSES, *notices.CLASSES)
)
