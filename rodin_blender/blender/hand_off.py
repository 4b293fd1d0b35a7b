# SPDX-License-Identifier: GPL-3.0-or-later
"""Handing a finished task to the download step: the operator that the preferences name."""

from __future__ import annotations

import bpy

from ..service.errors import BadInput
from . import preferences
from .session import session


def call(task_id: str) -> None:
    """Call the download operator with the task's id; what is wrong with it is told in the panel."""
    try:
        operator = _operator(preferences.get().hand_off_operator)
        operator("INVOKE_DEFAULT", task_id=task_id)
    except BadInput as error:
        session.notice = str(error)
    except RuntimeError as error:
        # The operator reported an error of its own, or its poll said no.
        session.notice = f"The download operator: {str(error).strip()}"


def _operator(name: str) -> object:
    module, dot, function = name.strip().partition(".")
    if dot and module.isidentifier() and function.isidentifier():
        operator = getattr(getattr(bpy.ops, module), function)
        try:
            known = operator.get_rna_type().properties.keys()
        except KeyError:
            known = None
        if known is not None and "task_id" in known:
            return operator
        if known is not None:
            raise BadInput(f"The download operator '{name}' takes no task_id; set another one in the preferences.")
    raise BadInput(f"There is no operator '{name}' to hand the task to; set the download operator in the preferences.")
