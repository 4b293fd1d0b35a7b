# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of the selected task, below the list."""

from __future__ import annotations

import time

import bpy

from ...service.files import Progress, models
from ...tasks.task import Download, Status, Task, Watch, is_done, is_failed
from ...texts.wording import duration_text, progress_text, size_text
from .. import preferences_page, properties, settings
from ..app import app
from ..layouts import paragraph
from . import submissions
from .words import LONG_WORDS


def draw(layout: bpy.types.UILayout, context: bpy.types.Context, task: Task) -> None:
    now = time.time()
    width = context.region.width
    if not task.status.submitted:
        submissions.draw(layout, task, width)
        submissions.draw_wish(layout, task, width)
        return
    column = layout.column()
    if task.jobs:
        done = f"{task.jobs_done} of {len(task.jobs)} jobs"
        column.progress(text=f"{LONG_WORDS[task.status]}, {done}", factor=task.jobs_done / len(task.jobs))
    if task.message and not (app().session.obstacle and task.followed):
        harmless = task.watch is Watch.PAUSED or (task.followed and not task.failures)
        paragraph(column, task.message, width, icon="INFO" if harmless else "ERROR")
    elif task.status is Status.PARTLY_FAILED:
        failed = len(task.jobs) - task.jobs_done
        paragraph(column, f"{failed} of {len(task.jobs)} jobs failed. The download can be tried.", width, icon="ERROR")
    elif task.status is Status.FAILED:
        paragraph(
            column,
            "The service could not make it. Start it again at Hyper3D, or ask their support.",
            width,
            icon="ERROR",
        )

    _draw_clock(column, task, now)
    _draw_files(column, task, width)

    row = column.row(align=True)
    if not task.status.final:
        if task.followed:
            row.operator("rodin.check_now", text="Check Now", icon="FILE_REFRESH")
            row.operator("rodin.pause", text="Pause", icon="PAUSE")
        elif task.watch is Watch.REFUSED:
            row.operator("rodin.check_now", text="Check Now", icon="FILE_REFRESH")
        else:
            row.operator("rodin.resume", text="Resume", icon="PLAY")
    row = column.row(align=True)
    row.operator("rodin.copy_key", text="Copy Task", icon="COPYDOWN")
    row.operator("rodin.forget", text="Forget", icon="TRASH")

    if task.kind:
        submissions.draw_wish(layout, task, width)
    wishes = settings.own()
    if task.status is not Status.FAILED and isinstance(wishes, bpy.types.AddonPreferences):
        header, body = layout.panel("rodin_import", default_closed=True)
        header.label(text="Import Settings for All Tasks")
        if body:
            preferences_page.draw_import_settings(body, wishes)

    if task.jobs:
        header, body = layout.panel("rodin_jobs", default_closed=len(task.jobs) > 5)
        header.label(text="Jobs")
        if body:
            _draw_jobs(body, task)


def _draw_clock(layout: bpy.types.UILayout, task: Task, now: float) -> None:
    session = app().session
    column = layout.column(align=True)
    column.scale_y = 0.8
    if task.status.final:
        took = task.finished_at - task.tracked_at
        column.label(text=f"Finished after {duration_text(took)}" if took >= 1.0 else "Already finished when tracked")
        return
    queues = [job.queue_length for job in task.jobs if job.queue_length is not None]
    if queues:
        column.label(text=f"{max(queues)} jobs ahead in the queue" if max(queues) else "Next in the queue")
    column.label(text=f"Tracked for {duration_text(now - task.tracked_at)}")
    checked = f"Checked {duration_text(now - task.checked_at)} ago" if task.checked_at else "Not checked yet"
    if task.followed and not session.obstacle:
        wait = max(task.next_check_at, session.held_until) - now
        checked += f", next in {duration_text(wait)}" if wait >= 1.0 else ", checking"
    column.label(text=checked)


def _draw_files(layout: bpy.types.UILayout, task: Task, width: float) -> None:
    """The download, and what can be done with what it brought."""
    session = app().session
    if task.task_id in session.downloads:
        _draw_progress(layout, session.downloads[task.task_id], width)
    elif task.task_id in session.imports:
        waits_for = session.imports[task.task_id].waits_for
        paragraph(layout, f"It is imported when {waits_for}." if waits_for else "Importing", width, icon="TIME")
        layout.operator("rodin.cancel_download", text="Cancel", icon="X")
    else:
        if task.status.has_files and task.download is not Download.SAVED:
            row = layout.row()
            row.scale_y = 1.5
            row.operator("rodin.hand_off", text="Download Missing Files" if task.files else "Download", icon="IMPORT")
        elif not task.status.final and task.task_uuid:
            layout.operator("rodin.hand_off", text="Download Available", icon="IMPORT")
        if task.download is Download.WANTED:
            text = "Another Blender is downloading it, or was stopped in it. Press Download to have it here."
            paragraph(layout, text, width, icon="INFO")
        if task.folder:
            _draw_saved(layout, task)
    trouble = session.file_troubles.get(task.task_id)
    if trouble:
        paragraph(layout, trouble, width, icon="ERROR")
    if over_the_hint():
        taken = f"Downloaded files take {size_text(session.bytes_saved)}. Delete those of tasks you no longer need."
        paragraph(layout, taken, width, icon="INFO")


def over_the_hint() -> bool:
    """Whether downloaded files take more than the user wished to be told of."""
    return 0.0 < float(app().settings.value("storage_hint")) * 1e9 < app().session.bytes_saved


def _draw_progress(layout: bpy.types.UILayout, progress: Progress, width: float) -> None:
    row = layout.row(align=True)
    if progress.waiting:
        row.label(text="Downloading" if progress.count else "Download", icon="IMPORT")
    else:
        text = progress_text(progress.received, progress.size, progress.speed)
        row.progress(text=text, factor=progress.share)
    row.operator("rodin.cancel_download", text="Cancel" if progress.waiting else "", icon="X")
    if progress.count:
        paragraph(layout, f"File {progress.number} of {progress.count}: {progress.name}", width)
    if progress.waiting:
        paragraph(layout, progress.waiting, width, icon="TIME")


def _draw_saved(layout: bpy.types.UILayout, task: Task) -> None:
    picture = app().previews.icon(task.task_id)
    if picture:
        layout.template_icon(icon_value=picture, scale=6.0)
    found = models(task.files)
    if found:
        row = layout.row(align=True)
        row.scale_y = 1.5
        row.operator("rodin.import_model", text="Import", icon="OUTLINER_OB_MESH")
        if len(found) > 1:
            row.menu("RODIN_MT_models", text="", icon="DOWNARROW_HLT")
    if task.files:
        files = "1 file" if len(task.files) == 1 else f"{len(task.files)} files"
        layout.label(text=f"{files}, {size_text(task.size)}")
    else:
        layout.label(text="No file is whole yet")
    row = layout.row(align=True)
    row.operator("rodin.open", text="Open Folder", icon="FILE_FOLDER").target = task.folder
    row.operator("rodin.delete_files", text="Delete Files", icon="TRASH")


class RODIN_MT_models(bpy.types.Menu):
    """Import another of the task's models"""

    bl_idname = "RODIN_MT_models"
    bl_label = "Import Another Model"

    def draw(self, context: bpy.types.Context) -> None:
        task = properties.active_task()
        if task:
            for file in models(task.files):
                text = f"{file.name}  ({size_text(file.size)})"
                self.layout.operator("rodin.import_model", text=text).model = file.name
            self.layout.separator()
            self.layout.operator("rodin.hand_off", text="Download Missing Files", icon="IMPORT")


def _draw_jobs(layout: bpy.types.UILayout, task: Task) -> None:
    column = layout.column(align=True)
    column.scale_y = 0.9
    for number, job in enumerate(task.jobs, 1):
        row = column.row()
        icon = "CHECKMARK" if is_done(job) else "CANCEL" if is_failed(job) else "TIME"
        row.label(text=f"Job {number}", icon=icon)
        queue = f" ({job.queue_length} ahead)" if job.queue_length else ""
        row.label(text=job.status + queue)
