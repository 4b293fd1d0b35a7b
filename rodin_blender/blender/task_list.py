# SPDX-License-Identifier: GPL-3.0-or-later
"""How the panel's list stands: what it shows, which task is active, which are selected.

Tasks are known by their ids here, so that it all stays when the order changes or another file is opened, and nothing of
it reaches a .blend file.
"""

from __future__ import annotations

from collections.abc import Iterable

from ..tasks.listing import Arrangement, Group, Listing, Sort, group_of
from ..tasks.task import Task
from .settings.in_use import SettingsInUse, own
from .state.session import Session


class TaskList:
    def __init__(self, session: Session, settings: SettingsInUse) -> None:
        self._session = session
        self._settings = settings
        self.listing = Listing()
        self.members: dict[Group, dict[str, None]] = {group: {} for group in Group}
        """The ids of all tasks, whether the list shows them or not."""
        self._groups: dict[str, Group] = {}
        self.selecting = False
        """Whether several tasks are being selected: then the rows have boxes to check."""
        self.selected: set[str] = set()
        self.in_scene: dict[str, str] | None = None
        """An object of each task whose model is in the open file, by task uuid; None before that was looked for."""
        self._active = ""
        """The id that was chosen last, here or before Blender was started; it may be still to come."""
        self._stand_in = ""
        """The id of the one that is active as long as that one is not there."""

    def remember(self) -> None:
        """Take up what the preferences keep."""
        preferences = own()
        self.listing.arrangement = Arrangement(sort=Sort(getattr(preferences, "sort_by", Sort.NEWEST)))
        self._active = str(getattr(preferences, "active_task", ""))

    @property
    def active(self) -> str:
        """The id of the active task: the one that was chosen last if it is there; "" without tasks."""
        tasks = self._session.tasks
        if self._active in tasks:
            return self._active
        if self._stand_in in tasks:
            return self._stand_in
        return self.listing[0] if len(self.listing) else next(iter(tasks), "")

    def settle(self) -> None:
        """Have the active task stay the active one when others come."""
        self._stand_in = self.active

    def activate(self, task_id: str) -> None:
        if task_id != self._active:
            self._active = task_id
            self._settings.set_value("active_task", task_id)

    def update(self, task_id: str) -> None:
        """Take in what a task is now."""
        task = self._session.tasks.get(task_id)
        group = self._groups.pop(task_id, None)
        if group is not None:
            del self.members[group][task_id]
        if task is not None:
            self._groups[task_id] = group = group_of(task)
            self.members[group][task_id] = None
        row = self.listing.row(task_id)
        self.listing.update(task_id, task)
        if task is None:
            self.selected.discard(task_id)
            was_active = self._active not in self._session.tasks and task_id in (self._active, self._stand_in)
            if was_active and row is not None and len(self.listing):
                # The active task becomes the one that moves up to its row.
                self.activate(self.listing[min(row, len(self.listing) - 1)])

    def arrange(self, arrangement: Arrangement) -> None:
        """Filter or sort the list in another way."""
        if arrangement.sort is not self.listing.arrangement.sort:
            self._settings.set_value("sort_by", arrangement.sort.value)
        tasks = self._session.tasks
        self.listing.arrange(arrangement, (tasks[task_id] for task_id in self._groups if task_id in tasks))

    def visible(self, group: Group) -> list[Task]:
        """The tasks of a group that the list shows: what a filter hides, no button is to act on."""
        return self._visible(self.members[group])

    def is_in_scene(self, task: Task) -> bool:
        return bool(task.task_uuid and self.in_scene and task.task_uuid in self.in_scene)

    def selection(self) -> list[Task]:
        """The selected tasks that the list shows, in its order."""
        return self._visible(sorted(self.selected, key=lambda task_id: self.listing.row(task_id) or 0))

    def _visible(self, task_ids: Iterable[str]) -> list[Task]:
        # The listing is updated a moment after a task was removed.
        tasks = self._session.tasks
        return [tasks[task_id] for task_id in task_ids if task_id in self.listing and task_id in tasks]

    def file_loaded(self) -> None:
        """Blender has emptied the properties: they are filled anew, task by task."""
        self.listing.arrange(self.listing.arrangement, ())
        self._groups.clear()
        for members in self.members.values():
            members.clear()
