# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interface knows of tasks' files: downloads under way, what went wrong, and what is to be fetched next."""

from __future__ import annotations

from collections.abc import Mapping

from ...service.files import Progress
from ...tasks.task import Task
from ...texts.text import Text, Trouble
from ...tracking.messages import DownloadEnded, DownloadProgress, FilesDeleted, Message, TaskChanged, TaskRemoved
from .news import News


class TaskFiles:
    def __init__(self, tasks: Mapping[str, Task], news: News) -> None:
        self.downloads: dict[str, Progress] = {}
        """How far running downloads are, by task id."""
        self.troubles: dict[str, Text | Trouble] = {}
        """What kept the last download or import of a task from its end, by task id."""
        self.ended: list[str] = []
        """The ids of tasks that have become final, and whose files may be wanted."""
        self.hand_offs: dict[str, str] = {}
        """The tasks to hand off once their task uuid is stored: the uuid by task id."""
        self.bytes_saved = 0
        """The size of all tasks' files."""
        self._tasks = tasks
        self._news = news

    def tell(self, task_id: str, said: Text | Trouble | None, *, trouble: bool) -> None:
        """News of a task's files or its import; a trouble stays in the panel until the next attempt."""
        if task_id in self._tasks and said:
            self.troubles.pop(task_id, None)
            if trouble:
                self.troubles[task_id] = said
            self._news.tell(Text("'{name}': {said}", name=self._tasks[task_id].name, said=said))

    def handle(self, message: Message, before: Task | None) -> None:
        match message:
            case TaskChanged(task):
                self.bytes_saved += task.size - (before.size if before else 0)
                if before and task.status.has_files and not before.status.final:
                    self.ended.append(task.task_id)
            case TaskRemoved(task_id):
                self.bytes_saved -= before.size if before else 0
                for by_id in (self.downloads, self.troubles, self.hand_offs):
                    by_id.pop(task_id, None)
            case DownloadProgress(task_id, progress):
                self.downloads[task_id] = progress
                self.troubles.pop(task_id, None)
            case DownloadEnded(task_id, folder, said, cancelled, missing):
                self.downloads.pop(task_id, None)
                self.tell(task_id, said, trouble=bool(missing) or not (folder or cancelled))
            case FilesDeleted(task_id, said, failed):
                self.tell(task_id, said, trouble=failed)
