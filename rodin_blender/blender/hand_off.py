# SPDX-License-Identifier: GPL-3.0-or-later
"""Handing a finished task to the download step: the operator that the preferences name."""

from __future__ import annotations

from typing import Any

import bpy

from ..service.errors import BadInput
from ..texts.text import Text
from .app import app
from .importing import reason_of


def call(task_id: str, **more: object) -> None:
    """Call the download operator with the task's id, and of `more` what it takes. Raises BadInput when it cannot be."""
    operator = operator_named(str(app().settings.value("hand_off_operator")))
    known = operator.get_rna_type().properties.keys()
    try:
        operator("INVOKE_DEFAULT", task_id=task_id, **{name: value for name, value in more.items() if name in known})
    except (RuntimeError, TypeError) as error:
        raise BadInput(reason_of(error)) from None


def operator_named(name: str) -> Any:
    """The download operator of this name, of `bpy.ops`. Raises BadInput for one that cannot be."""
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
            text = "The download operator '{operator}' takes no task_id; set another one in the preferences."
            raise BadInput(Text(text, operator=name))
    text = "There is no operator '{operator}' to hand the task to; set the download operator in the preferences."
    raise BadInput(Text(text, operator=name))
