# SPDX-License-Identifier: GPL-3.0-or-later
"""The sidebar. `draw` reads, and nothing else."""

import bpy

from .details import RODIN_MT_models
from .form import RODIN_MT_open_images
from .sidebar import RODIN_PT_tasks, RODIN_UL_tasks

register, unregister = bpy.utils.register_classes_factory(
    (RODIN_UL_tasks, RODIN_MT_models, RODIN_MT_open_images, RODIN_PT_tasks)
)
