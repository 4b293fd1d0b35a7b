# SPDX-License-Identifier: GPL-3.0-or-later
"""`window_manager.rodin`: the tasks as the panel draws them and as other people's scripts read them.

A view of `Session.tasks`: what it holds is the ids, newest first, kept up to date by `show`. Blender empties it when it
loads a file.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

import bpy

from ...service.answers import Job
from ...service.keys import Secret
from ...tasks.listing import Group, Sort
from ...tasks.task import Download, Status, Task
from ...texts.text import Trouble
from .. import redraw
from ..app import app
from ..settings import in_use
from ..voice import say
from . import form

_STATUSES = (
    (Status.UNSENT, "Not sent", "It was not sent to the service yet"),
    (Status.SENDING, "Sending", "It is on its way to the service"),
    (Status.UNCERTAIN, "Uncertain", "It was sent and no usable answer came: it may have been charged"),
    (Status.REJECTED, "Rejected", "The service said no, and charged nothing"),
    (Status.UNKNOWN, "Not known yet", "The service has not told its status yet"),
    (Status.WAITING, "Waiting", "In the service's queue"),
    (Status.GENERATING, "Generating", "The service is at work on it"),
    (Status.DONE, "Done", "Finished, ready to download"),
    (Status.PARTLY_FAILED, "Partly failed", "Some of its jobs failed; the download can be tried"),
    (Status.FAILED, "Failed", "The service could not make it"),
)


_STATUS_NUMBERS = {status: number for number, (status, _name, _description) in enumerate(_STATUSES)}

T = TypeVar("T")


def _of_job(read: Callable[[Job], str]) -> Callable[["RODIN_Job"], str]:
    """A property's `get`."""

    def get(self: "RODIN_Job") -> str:
        task = app().session.tasks.get(self.task_id)
        return read(task.jobs[self.number]) if task and self.number < len(task.jobs) else ""

    return get


class RODIN_Job(bpy.types.PropertyGroup):
    task_id: bpy.props.StringProperty(options={"HIDDEN"})
    number: bpy.props.IntProperty(options={"HIDDEN"})
    uuid: bpy.props.StringProperty(name="UUID", get=_of_job(lambda job: job.uuid))
    status: bpy.props.StringProperty(
        name="Status", description="The service's word, as it came", get=_of_job(lambda job: job.status)
    )


def _task_id(self: "RODIN_Task | RODIN_Row") -> str:
    if isinstance(self, RODIN_Task):
        return self.task_id
    listing = app().task_list.listing
    return listing[self.number] if self.number < len(listing) else ""


def _of_task(read: Callable[[Task], T], gone: T) -> Callable[["RODIN_Task | RODIN_Row"], T]:
    """A property's `get`; it gives `gone` for a task that has just left the list."""

    def get(self: "RODIN_Task | RODIN_Row") -> T:
        task = app().session.tasks.get(_task_id(self))
        return gone if task is None else read(task)

    return get


_name = _of_task(lambda task: task.name, "")


def _rename(self: "RODIN_Task | RODIN_Row", text: str) -> None:
    name = text.strip()
    if name and name != _name(self):
        app().tracker().change(_task_id(self), lambda task: replace(task, name=name))


def _is_selected(self: "RODIN_Task | RODIN_Row") -> bool:
    return _task_id(self) in app().task_list.selected


def _select(self: "RODIN_Task | RODIN_Row", value: bool) -> None:
    selected = app().task_list.selected
    (selected.add if value else selected.discard)(_task_id(self))
    redraw.sidebars()


def _blocker_or_trouble(task: Task) -> Trouble | None:
    """What keeps all tasks from being asked, else what is the matter with this one."""
    blocker = app().session.blocker
    return blocker if blocker and task.followed else task.trouble


class RODIN_Task(bpy.types.PropertyGroup):
    """A view of a task: but for its id, all is read from the session, so that nothing of it gets into a .blend file."""

    task_id: bpy.props.StringProperty(name="Task ID")
    # The property has no `update=`: each assignment would make Blender redraw all its windows, the viewport too.
    name: bpy.props.StringProperty(name="Name", description="Double-click to rename", get=_name, set=_rename)
    task_uuid: bpy.props.StringProperty(name="Task UUID", get=_of_task(lambda task: task.task_uuid, ""))
    status: bpy.props.EnumProperty(
        name="Status",
        items=_STATUSES,
        get=_of_task(lambda task: _STATUS_NUMBERS[task.status], _STATUS_NUMBERS[Status.UNKNOWN]),
    )
    message: bpy.props.StringProperty(
        name="Message",
        description="Trouble in asking, and what to do about it",
        get=_of_task(lambda task: say(_blocker_or_trouble(task)), ""),
    )
    code: bpy.props.StringProperty(
        name="Code",
        description="What the message is about, in a word for scripts that is the same in each language",
        get=_of_task(lambda task: getattr(_blocker_or_trouble(task), "code", ""), ""),
    )
    # A collection cannot have a getter, but its items can.
    jobs: bpy.props.CollectionProperty(type=RODIN_Job)
    jobs_done: bpy.props.IntProperty(name="Jobs Done", get=_of_task(lambda task: task.jobs_done, 0))
    jobs_total: bpy.props.IntProperty(name="Jobs", get=_of_task(lambda task: len(task.jobs), 0))
    folder: bpy.props.StringProperty(
        name="Folder", description="Where its files are saved", get=_of_task(lambda task: task.folder, "")
    )
    downloaded: bpy.props.BoolProperty(
        name="Downloaded",
        description="Whether all files are saved",
        get=_of_task(lambda task: task.download is Download.SAVED, False),
    )
    prompt: bpy.props.StringProperty(
        name="Prompt", description="What it was made from", get=_of_task(lambda task: task.prompt, "")
    )
    selected: bpy.props.BoolProperty(name="Select", get=_is_selected, set=_select)


class RODIN_Row(bpy.types.PropertyGroup):
    """A row of the panel's list. It is but a number: which task it shows, `Listing` says."""

    number: bpy.props.IntProperty(name="Number")
    name: bpy.props.StringProperty(name="Name", description="Double-click to rename", get=_name, set=_rename)
    selected: bpy.props.BoolProperty(
        name="Select",
        description="Select this task, together with others. Drag over the boxes to select many",
        get=_is_selected,
        set=_select,
    )


def _typed_key(_self: "RODIN_View") -> str:
    # Blender writes what a user types into a field to the Info log, as the field then reads: so it reads as dots.
    return "•" * min(len(app().session.follow_requests.typed_key.reveal()), 24)


def _set_typed_key(self: "RODIN_View", text: str) -> None:
    if text != _typed_key(self):
        app().session.follow_requests.typed_key = Secret(text.strip())


def _active_index(self: "RODIN_View") -> int:
    # The index is only how Blender asks for it: what is kept is the id.
    return app().positions.get(app().task_list.active, 0)


def _set_active_index(self: "RODIN_View", index: int) -> None:
    if 0 <= index < len(self.tasks):
        app().task_list.activate(self.tasks[index].task_id)


def _active_row(_self: "RODIN_View") -> int:
    row = app().task_list.listing.row(app().task_list.active)
    return -1 if row is None else row


def _set_active_row(_self: "RODIN_View", row: int) -> None:
    listing = app().task_list.listing
    if 0 <= row < len(listing):
        app().task_list.activate(listing[row])


_GROUPS = (
    (Group.ATTENTION, "Needs Attention", "Uncertain, refused, or no longer asked about", "ERROR", 1),
    (Group.DONE, "Done", "Ready to download", "CHECKMARK", 2),
    (Group.RUNNING, "In Progress", "Not finished yet", "SORTTIME", 4),
    (Group.DOWNLOADED, "Downloaded", "The files are on the disk", "FILE_TICK", 8),
    (Group.FAILED, "Failed", "Failed, or rejected by the service", "CANCEL", 16),
)
_SORTS = (
    (Sort.NEWEST, "Newest First", "The task that was begun last stands on top"),
    (Sort.NAME, "Name", "By name"),
    (Sort.STATE, "State", "What waits for you stands on top: uncertain, done, in progress, downloaded, failed"),
)


def _show_groups(_self: "RODIN_View") -> int:
    shown = app().task_list.listing.arrangement.groups
    return sum(number for group, _name, _text, _icon, number in _GROUPS if group in shown)


def _set_show_groups(_self: "RODIN_View", numbers: int) -> None:
    _arrange(groups=frozenset(group for group, _name, _text, _icon, number in _GROUPS if numbers & number))


def _arrange(**changes: Any) -> None:
    """Filter or sort the list in another way."""
    task_list = app().task_list
    arrangement = replace(task_list.listing.arrangement, **changes)
    if arrangement != task_list.listing.arrangement:
        task_list.arrange(arrangement)
        _count_rows(view())
        redraw.sidebars()


def _set_selecting(_self: "RODIN_View", value: bool) -> None:
    app().task_list.selecting = value
    if not value:
        app().task_list.selected.clear()
    redraw.sidebars()


BEGIN_BY = ("GENERATE", "FOLLOW")


def _begin_by(_self: "RODIN_View") -> int:
    return BEGIN_BY.index(getattr(in_use.own(), "begin_by", BEGIN_BY[0]))


def _set_begin_by(_self: "RODIN_View", index: int) -> None:
    app().settings.set_value("begin_by", BEGIN_BY[index])
    if BEGIN_BY[index] == "GENERATE":
        form.show()


class RODIN_View(bpy.types.PropertyGroup):
    form: bpy.props.PointerProperty(type=form.RODIN_Form)
    begin_by: bpy.props.EnumProperty(
        name="Begin By",
        items=(
            (BEGIN_BY[0], "Generate", "Have a model made from words and pictures"),
            (BEGIN_BY[1], "Follow", "Follow a task that was begun elsewhere, by its subscription key"),
        ),
        get=_begin_by,
        set=_set_begin_by,
    )
    tasks: bpy.props.CollectionProperty(type=RODIN_Task)
    active_index: bpy.props.IntProperty(name="Active Task", get=_active_index, set=_set_active_index)
    rows: bpy.props.CollectionProperty(type=RODIN_Row)
    active_row: bpy.props.IntProperty(name="Active Task", get=_active_row, set=_set_active_row)
    search: bpy.props.StringProperty(
        name="Search",
        description="Show only tasks that have these words in their name or prompt",
        options={"TEXTEDIT_UPDATE"},
        get=lambda _self: app().task_list.listing.arrangement.search,
        set=lambda _self, text: _arrange(search=text),
    )
    show_groups: bpy.props.EnumProperty(
        name="Show",
        description="Show only tasks that stand like this; all when none is chosen. Shift-click for several",
        items=_GROUPS,
        options={"ENUM_FLAG"},
        get=_show_groups,
        set=_set_show_groups,
    )
    sort_by: bpy.props.EnumProperty(
        name="Sort",
        items=_SORTS,
        get=lambda _self: [*Sort].index(app().task_list.listing.arrangement.sort),
        set=lambda _self, index: _arrange(sort=[*Sort][index]),
    )
    selecting: bpy.props.BoolProperty(
        name="Select Several",
        description="Check several tasks, to download them, bring them into the scene, pause or forget them together",
        get=lambda _self: app().task_list.selecting,
        set=_set_selecting,
    )
    # Kept in Python: Blender's own storage for a property could end up in a .blend file. Not masked: a field of
    # subtype PASSWORD cuts off what is longer than 127 characters (seen in 4.3), and these keys have 300 or more.
    typed_key: bpy.props.StringProperty(
        name="Subscription Key",
        description="A subscription key, or the whole answer that came back when a task was started",
        get=_typed_key,
        set=_set_typed_key,
    )


def view() -> RODIN_View:
    return bpy.context.window_manager.rodin


def active_task() -> Task | None:
    return app().session.tasks.get(app().task_list.active)


def show(task_id: str) -> None:
    """Have one task in the collection, with its jobs, or no longer."""
    shown = view()
    index = _index(shown, task_id)
    task = app().session.tasks.get(task_id)
    if task is None:
        if index is not None:
            shown.tasks.remove(index)
            _count_again(shown)
    elif index is None:
        item = shown.tasks.add()
        item.task_id = task_id
        _show_jobs(task, item)
        _place_last(shown, task)
    else:
        _show_jobs(task, shown.tasks[index])
    app().task_list.update(task_id)
    _count_rows(shown)


def show_all() -> None:
    """Have the list show all tasks."""
    _arrange(search="", groups=frozenset())


def _count_rows(shown: RODIN_View) -> None:
    """Have as many rows as the list shows tasks."""
    wanted = len(app().task_list.listing)
    if wanted < len(shown.rows) // 2:
        shown.rows.clear()
    while len(shown.rows) > wanted:
        shown.rows.remove(wanted)
    for number in range(len(shown.rows), wanted):
        shown.rows.add().number = number


def _show_jobs(task: Task, item: RODIN_Task) -> None:
    """Have as many jobs in the item as the task has."""
    while len(item.jobs) > len(task.jobs):
        item.jobs.remove(len(item.jobs) - 1)
    for number in range(len(item.jobs), len(task.jobs)):
        job = item.jobs.add()
        job.task_id, job.number = task.task_id, number


def _index(shown: RODIN_View, task_id: str) -> int | None:
    # Blender searches a collection from its beginning at each access.
    positions = app().positions
    index = positions.get(task_id)
    if index is None and len(positions) == len(shown.tasks):
        return None
    if index is None or index >= len(shown.tasks) or shown.tasks[index].task_id != task_id:
        _count_again(shown)
    return positions.get(task_id)


def _count_again(shown: RODIN_View) -> None:
    positions = app().positions
    positions.clear()
    positions.update((item.task_id, index) for index, item in enumerate(shown.tasks))


def _place_last(shown: RODIN_View, task: Task) -> None:
    """Move the item just added to its place among the others, newest first."""
    last = len(shown.tasks) - 1
    app().positions[task.task_id] = last
    if last == 0 or _newer(shown.tasks[last - 1], task):
        return
    place = next(index for index, item in enumerate(shown.tasks) if not _newer(item, task))
    shown.tasks.move(last, place)
    _count_again(shown)


def _newer(item: RODIN_Task, task: Task) -> bool:
    other = app().session.tasks.get(item.task_id)
    return other is not None and other.tracked_at >= task.tracked_at


_CLASSES = (*form.CLASSES, RODIN_Job, RODIN_Task, RODIN_Row, RODIN_View)


def register() -> None:
    for cls in _CLASSES:
        bpy.utils.register_class(cls)
    bpy.types.WindowManager.rodin = bpy.props.PointerProperty(type=RODIN_View)


def unregister() -> None:
    # The values outlive the property: registered again, it would show them again.
    for window_manager in bpy.data.window_managers:
        window_manager.rodin.tasks.clear()
        window_manager.rodin.form.images.clear()
        window_manager.rodin.rows.clear()
    del bpy.types.WindowManager.rodin
    for cls in reversed(_CLASSES):
        bpy.utils.unregister_class(cls)
