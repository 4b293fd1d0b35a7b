# SPDX-License-Identifier: GPL-3.0-or-later
"""Which models are to come into the scene, and what each waits for. scene/model_imports.py imports them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from ...tasks.task import Task
from ...texts.text import Text, Trouble
from ...tracking.messages import DownloadEnded, FilesDeleted, Message, ModelChecked, TaskRemoved
from .task_files import TaskFiles

LARGEST_AUTO_IMPORT = 200_000_000
"""Bytes of a model up to which an import may follow a download automatically: Blender stands still meanwhile."""


@dataclass
class ImportRequest:
    """A model of a task that is to come into the scene as soon as its file is known to be there."""

    options: dict[str, object] = field(default_factory=dict)
    """Arguments for `rodin.import_model`; without `model`, the best one."""
    window: int = 0
    """The address of the window whose scene it is for, the first one's when 0."""
    scene: str = ""
    """The scene that the window showed at the press; "" for the one that it shows."""
    after_download: bool = False
    """Whether it follows from a download, and not from a press of Import."""
    automatic: bool = False
    """Whether nobody pressed a button for it: then it leaves the selection alone."""
    ready: bool = False
    """Whether the file is known to be there and whole."""
    triangles: int | None = None
    """About how many it has, None where its file does not tell."""
    waits_for: Text | None = None
    """What has to happen first, see `importing.blocked_by`."""


class ImportQueue:
    def __init__(self, files: TaskFiles, check_model: Callable[[str, str], None]) -> None:
        """`check_model` has the tracker look at the model of a task id and a name, see `Tracker.check_model`."""
        self.requests: dict[str, ImportRequest] = {}
        """By task id."""
        self.unconfirmed: dict[str, ImportRequest] = {}
        """Those that wait for a press since the model has more triangles than the settings let pass, by task id."""
        self._files = files
        self._check_model = check_model

    def __bool__(self) -> bool:
        """Whether something is still to be imported without another press."""
        return bool(self.requests)

    def add(self, task_id: str, request: ImportRequest) -> None:
        self.unconfirmed.pop(task_id, None)
        self.requests[task_id] = request

    def ask(self, task_id: str) -> None:
        """Have a request wait for the user's confirmation."""
        self.unconfirmed[task_id] = self.requests.pop(task_id)

    def cancel(self, task_id: str) -> bool:
        """Drop the request for a task. Returns whether there was one."""
        found = self.requests.pop(task_id, None), self.unconfirmed.pop(task_id, None)
        return found != (None, None)

    def clear(self) -> list[str]:
        """Drop all requests. Returns the ids of their tasks."""
        task_ids = [*self.requests, *self.unconfirmed]
        self.requests.clear()
        self.unconfirmed.clear()
        return task_ids

    def handle(self, message: Message, _before: Task | None) -> None:
        match message:
            case TaskRemoved(task_id):
                self.cancel(task_id)
            case FilesDeleted(task_id):
                self.unconfirmed.pop(task_id, None)
            case DownloadEnded(task_id, folder) if task_id in self.requests:
                if folder:
                    self._check_model(task_id, str(self.requests[task_id].options.get("model", "")))
                else:
                    del self.requests[task_id]
            case ModelChecked(task_id) if task_id in self.requests:
                self._model_checked(message, self.requests[task_id])

    def _model_checked(self, checked: ModelChecked, request: ImportRequest) -> None:
        trouble: Text | Trouble | None = checked.trouble
        if not trouble and request.after_download and checked.size > LARGEST_AUTO_IMPORT:
            trouble = Text(
                "The model has {size:size}: Blender stands still while it imports that. "
                "Press Import when you can wait.",
                size=checked.size,
            )
        if trouble:
            del self.requests[checked.task_id]
            self._files.tell(checked.task_id, trouble, trouble=True)
        else:
            request.ready, request.triangles = True, checked.triangles
