# SPDX-License-Identifier: GPL-3.0-or-later
"""What the interface knows of the account, and of the submissions that are being charged to it."""

from __future__ import annotations

from ...tasks.task import Status, Task
from ...texts.text import Text
from ...tracking.messages import BalanceReceived, Message, SubmissionProgress, TaskChanged, TaskRemoved
from .news import News


class Account:
    def __init__(self, news: News) -> None:
        self.balance: float | None = None
        """The credits as last heard, None while nothing was."""
        self.asked = False
        """Whether the tracker was told to ask for the balance since it may have changed."""
        self.uploads: dict[str, tuple[int, int]] = {}
        """How many of how many bytes of a submission have left us, by task id."""
        self._news = news

    def reset(self) -> None:
        """Another API key is in use: nothing is known of its account."""
        self.balance, self.asked = None, False

    def handle(self, message: Message, before: Task | None) -> None:
        match message:
            case BalanceReceived(credits):
                self.balance = credits
            case SubmissionProgress(task_id, sent, total):
                self.uploads[task_id] = sent, total
            case TaskChanged(task):
                self._task_changed(before, task)
            case TaskRemoved(task_id):
                self.uploads.pop(task_id, None)

    def _task_changed(self, before: Task | None, task: Task) -> None:
        if task.status is not Status.SENDING:
            self.uploads.pop(task.task_id, None)
        if task.kind and task.status.submitted and not (before and before.status.submitted):
            # A generation was accepted, sent from here or from a shell: it has cost something.
            self.asked = False
        if before is None or before.status.submitted or task.status is before.status:
            return
        if task.status is Status.REJECTED:
            self._news.tell(Text("'{name}' was rejected. {why}", name=task.name, why=task.trouble or ""))
        elif task.status is Status.UNCERTAIN:
            self._news.tell(Text("Nobody knows whether '{name}' was accepted; see the sidebar", name=task.name))
