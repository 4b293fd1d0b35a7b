# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar, and Rodin in Blender's own menus. `draw` reads, and nothing else."""

import bpy

from . import menus
from .details import RODIN_MT_models
from .form import RODIN_MT_open_images
from .sidebar import RODIN_PT_tasks
from .status import RODIN_PT_notice, RODIN_PT_obstacle
from .task_list import RODIN_MT_tasks, RODIN_PT_filter, RODIN_UL_tasks

_register_classes, _unregister_classes = bpy.utils.register_classes_factory((
    RODIN_UL_tasks,
    RODIN_MT_tasks,
    RODIN_MT_models,
    RODIN_MT_open_images,
    RODIN_PT_filter,
    RODIN_PT_obstacle,
    RODIN_PT_notice,
    RODIN_PT_tasks,
    *menus.CLASSES,
))


def register() -> None:
    _register_classes()
    menus.register()


def unregister() -> None:
    menus.unregister()
    _unregister_classes()
