# SPDX-License-Identifier: GPL-3.0-or-later
"""Names of folders, files, collections and .blend files, made of a task by a template such as "{name} {task_id}".

What a template may name: {name}, {date} (YYYY-MM-DD, when the task was begun), {tier} ("" for a task that was begun
elsewhere), {task_id}, {user} (as the environment has it), and for files {file}, the service's own name. Too long a name
is cut at its {name}. What is unsafe is made safe, see `service.files.safe_name`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from string import Formatter

from ..service.errors import BadInput
from ..service.files import LONGEST_FOLDER, LONGEST_PATH, kind_of, safe_name, units
from ..texts.text import Text
from .task import Task

FOLDER, FILE, COLLECTION, BLEND = "{name} {task_id}", "{file}", "{name}", "{name}"
"""What holds where nothing is set."""
RENAMED_KINDS = (".glb", ".gltf", ".fbx", ".obj", ".stl", ".usdz")
"""Models that no other file refers to. All others keep the names by which the models find them."""
_KNOWN = ("name", "date", "tier", "task_id", "user")
_USER_VARIABLES = ("LOGNAME", "USER", "LNAME", "USERNAME")
_LONGEST_FREE = 60
_SHORTEST_NAME = 18


@dataclass(frozen=True)
class Names:
    """The templates by which a download is laid down."""

    folder: str = FOLDER
    file: str = FILE

    def folder_name(self, task: Task) -> str:
        longest = LONGEST_FOLDER + 1 + len(task.task_id)
        return safe_name(_filled(self.folder, task, longest), longest=longest)

    def renaming(self, task: Task) -> Callable[[str], str]:
        """What makes a file's name of the service's, with its folders."""
        return partial(_renamed, self.file, task)


def check_folder(template: str) -> None:
    """Raises BadInput for no template, or one by which two tasks would share a folder."""
    if "task_id" not in _check(template, _KNOWN):
        raise BadInput("it needs {task_id}, so that no two tasks share a folder.")


def check_file(template: str) -> None:
    """Raises BadInput."""
    _check(template, (*_KNOWN, "file"))
    if not template.strip().endswith("{file}"):
        raise BadInput("it must end with {file}, by whose end the best of several models is known.")


def check_free(template: str) -> None:
    """Raises BadInput."""
    _check(template, _KNOWN)


def collection_name(template: str, task: Task) -> str:
    """As Blender shows it: its own names may hold anything."""
    return _filled(template, task, _LONGEST_FREE) or task.name


def blend_name(template: str, task: Task) -> str:
    return f"{safe_name(_filled(template, task, _LONGEST_FREE), longest=_LONGEST_FREE)}.blend"


def _check(template: str, known: tuple[str, ...]) -> set[str]:
    """The placeholders of a template. Raises BadInput, with what is wrong as a clause."""
    found = set()
    try:
        parts = [*Formatter().parse(template)]
    except ValueError:
        raise BadInput("a brace in it stands alone: write {{ or }} for one.") from None
    for text, name, form, conversion in parts:
        if "/" in text or "\\" in text:
            raise BadInput("it is a single name, without slashes: the folder above is another setting.")
        if name is None:
            continue
        if name not in known or form or conversion:
            fields = ", ".join(f"{{{one}}}" for one in known)
            raise BadInput(Text("it may have {fields}, and nothing else in braces.", fields=fields))
        found.add(name)
    return found


def _filled(template: str, task: Task, longest: int, *, file: str = "") -> str:
    """The name; where it would be longer than `longest` UTF-16 units, that of the task in it is cut."""
    # The start of a task that was made from a bare file is not known.
    begun = datetime.fromtimestamp(task.tracked_at or time.time()).date().isoformat()
    user = next((os.environ[name] for name in _USER_VARIABLES if os.environ.get(name)), "unknown")
    values = {"date": begun, "tier": str(task.options.get("tier", "")), "task_id": task.task_id, "user": user}
    rest = units(template.replace("{name}", "").format(**values, name="", file=file))
    room = max((longest - rest) // max(template.count("{name}"), 1), _SHORTEST_NAME)
    name = task.name if units(task.name) <= room else safe_name(task.name, longest=room)
    return " ".join(template.format(**values, name=name, file=file).split())


def _renamed(template: str, task: Task, name: str) -> str:
    if template == FILE or kind_of(name) not in RENAMED_KINDS:
        return name
    folder, slash, last = name.rpartition("/")
    stem, dot, ending = last.rpartition(".")
    longest = LONGEST_PATH - units(folder + slash + dot + ending)
    # The task's name may hold slashes, which are no folders here.
    made = _filled(template, task, longest, file=stem)
    return folder + slash + made.replace("/", "_").replace("\\", "_") + dot + ending
