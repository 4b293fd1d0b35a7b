# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of the selected task, below the list."""

from __future__ import annotations

import time

import bpy

from ...service.files import Progress, models
from ...tasks.task import Download, Status, Task, Watch, is_done, is_failed
from ...texts import phrases
from ...texts.text import Text
from ...texts.wording import size_text
from .. import task_states
from ..app import app
from ..layouts import paragraph
from ..properties import preferences_page, task_properties
from ..scene import model_imports
from ..settings import in_use
from ..voice import say
from . import submissions

RESULTS_KEPT = 7 * 86400.0
"""Seconds for which the service keeps what it has made, by its documentation."""


def draw(layout: bpy.types.UILayout, context: bpy.types.Context, task: Task) -> None:
    width = context.region.width
    column = layout.column()
    paragraph(column, task.name, width, icon=task_states.icon(task))
    if not task.status.submitted:
        submissions.draw(column, task, width)
        submissions.draw_request(layout, task, width)
        return
    _draw_state(column, task, width)
    _draw_clock(column, task, width)
    _draw_files(column, task, width)
    _draw_buttons(column, task)
    # The news are below the buttons, so that these stay under the mouse when a trouble comes or goes.
    _draw_news(column, task, width)

    if task.kind:
        submissions.draw_request(layout, task, width)
    preferences = in_use.own()
    if task.status is not Status.FAILED and isinstance(preferences, bpy.types.AddonPreferences):
        header, body = layout.panel("rodin_import", default_closed=True)
        header.label(text="Import Settings for All Tasks")
        if body:
            preferences_page.draw_import_settings(body, preferences)
    if task.jobs:
        # Blender keeps by its name whether a panel is closed.
        failed = any(map(is_failed, task.jobs))
        header, body = layout.panel("rodin_failed_jobs" if failed else "rodin_jobs", default_closed=not failed)
        text = Text("Jobs ({done} of {total} done)", done=task.jobs_done, total=len(task.jobs))
        header.label(text=say(text), translate=False)
        if body:
            _draw_jobs(body, task)


def draw_hidden(layout: bpy.types.UILayout, context: bpy.types.Context, task: Task) -> None:
    """In the place of the details of a task that is not to be seen in the list: nothing that acts on it."""
    text = "'{name}' is chosen, but the filter hides it. Choose a task in the list to see more of it."
    column = layout.column()
    paragraph(column, Text(text, name=task.name), context.region.width, icon="FILTER")
    column.operator("rodin.show_all_tasks", text="Show All Tasks", icon="X")


def draw_selection(layout: bpy.types.UILayout) -> None:
    """In the place of one task's details while several are selected."""
    tasks = app().task_list.selection()
    column = layout.column()
    text = Text("{count} selected", count=len(tasks)) if tasks else Text("Check tasks in the list")
    column.label(text=say(text), icon="CHECKBOX_HLT", translate=False)
    row = column.row(align=True)
    row.operator("rodin.select_tasks", text="All").action = "ALL"
    row.operator("rodin.select_tasks", text="None").action = "NONE"
    row.operator("rodin.select_tasks", text="Invert").action = "INVERT"
    buttons = column.column(align=True)
    buttons.operator("rodin.download_selected", text="Download", icon="IMPORT")
    row = buttons.row(align=True)
    row.operator("rodin.import_selected", text="Add to Scene", icon="OUTLINER_OB_MESH")
    row.operator("rodin.send_selected_to_library", text="To Library", icon="ASSET_MANAGER")
    row = buttons.row(align=True)
    row.operator("rodin.pause_selected", text="Pause", icon="PAUSE")
    row.operator("rodin.resume_selected", text="Resume", icon="PLAY")
    buttons.operator("rodin.forget_selected", text="Forget", icon="TRASH")


def _draw_state(layout: bpy.types.UILayout, task: Task, width: float) -> None:
    if task.jobs and not task.status.final:
        text = say(task_states.progress(task))
        layout.progress(text=text, factor=task.jobs_done / len(task.jobs), translate=False)
        return
    sentence = task_states.sentence(task)
    if len(task.files) == 1:
        sentence = Text("{how}: 1 file, {size:size}", how=sentence, size=task.size)
    elif task.files:
        sentence = Text("{how}: {count} files, {size:size}", how=sentence, count=len(task.files), size=task.size)
    paragraph(layout, sentence, width)


def _draw_clock(layout: bpy.types.UILayout, task: Task, width: float) -> None:
    """Always two lines while it is followed."""
    now = time.time()
    column = layout.column(align=True)
    begun = Text("Begun {at:clock}" if task.kind else "Followed since {at:clock}", at=task.tracked_at)
    if task.status.final:
        took = task.finished_at - task.tracked_at
        if task.kind or took >= 1.0:
            paragraph(column, Text("{begun}, took {time:duration}", begun=begun, time=took), width)
            paragraph(column, _expiry_text(task, now), width)
        else:
            text = Text("It was finished before it came into the list ({at:clock})", at=task.tracked_at)
            paragraph(column, text, width)
        return
    column.scale_y = 0.8
    queues = [job.queue_length for job in task.jobs if job.queue_length is not None]
    if not queues:
        text = Text("{begun}, {time:duration}", begun=begun, time=now - task.tracked_at)
    elif max(queues):
        text = Text("{begun}, {count} jobs ahead", begun=begun, count=max(queues))
    else:
        text = Text("{begun}, next in the queue", begun=begun)
    column.label(text=say(text), translate=False)
    column.label(text=say(checked_text(task, now)), translate=False)


def checked_text(task: Task, now: float) -> Text:
    """When the service was last asked about a task, and how long it is until it is asked again."""
    checked = Text("Not checked yet")
    if task.checked_at:
        checked = Text("Checked {time:duration} ago", time=now - task.checked_at)
    session = app().session
    if task.followed and not session.blocker:
        wait = max(task.next_check_at, session.throttled_until) - now
        if wait < 1.0:
            return Text("{checked}, checking", checked=checked)
        return Text("{checked}, next in {time:duration}", checked=checked, time=wait)
    return checked


def _expiry_text(task: Task, now: float) -> Text:
    left = task.finished_at + RESULTS_KEPT - now
    if left < 0.0:
        return Text("No longer kept by the service")
    days = int(left // 86400)
    if days > 1:
        return Text("Kept by the service for {days} more days", days=days)
    return Text("Kept by the service for a day or less")


def _draw_buttons(layout: bpy.types.UILayout, task: Task) -> None:
    row = layout.row(align=True)
    if not task.status.final:
        if task.followed:
            row.operator("rodin.check_now", text="Check Now", icon="FILE_REFRESH")
            row.operator("rodin.pause", text="Pause", icon="PAUSE")
        elif task.watch is Watch.REFUSED:
            row.operator("rodin.check_now", text="Check Now", icon="FILE_REFRESH")
        else:
            row.operator("rodin.resume", text="Resume", icon="PLAY")
    row = layout.row(align=True)
    row.operator("rodin.copy_key", text="Copy Task", icon="COPYDOWN")
    row.operator("rodin.forget", text="Forget", icon="TRASH")


def _draw_news(layout: bpy.types.UILayout, task: Task, width: float) -> None:
    """The trouble in asking, with the download or the import, and what to do."""
    session = app().session
    if task.trouble and not (session.blocker and task.followed):
        harmless = task.watch is Watch.PAUSED or (task.followed and not task.failures)
        paragraph(layout, task.trouble, width, icon="INFO" if harmless else "ERROR")
    elif task.status is Status.PARTLY_FAILED:
        text, failed = "{failed} of {total} jobs failed. The download can be tried.", len(task.jobs) - task.jobs_done
        paragraph(layout, Text(text, failed=failed, total=len(task.jobs)), width, icon="ERROR")
    elif task.status is Status.FAILED:
        again = Text("The service could not make it. Retry puts it back into the form.")
        anew = Text("The service could not make it. Start it again at Hyper3D, or ask their support.")
        paragraph(layout, again if task.kind else anew, width, icon="ERROR")
    progress = session.files.downloads.get(task.task_id)
    if progress and progress.waiting:
        paragraph(layout, progress.waiting, width, icon="TIME")
    elif task.download is Download.WANTED and not progress:
        text = "Another Blender is downloading it, or was stopped in it. Press Download to have it here."
        paragraph(layout, Text(text), width, icon="INFO")
    if task.task_id in app().library.pending:
        row = layout.row(align=True)
        row.label(text="Writing to the library…", icon="TIME")
        row.operator("rodin.cancel_library", text="", icon="X")
    request = session.imports.requests.get(task.task_id)
    if request and request.waits_for and not progress:
        paragraph(layout, Text("It is imported when {what}.", what=request.waits_for), width, icon="TIME")
    unconfirmed = session.imports.unconfirmed.get(task.task_id)
    if unconfirmed:
        paragraph(layout, model_imports.too_large(unconfirmed), width, icon="QUESTION")
    trouble = session.files.troubles.get(task.task_id)
    if trouble:
        paragraph(layout, trouble, width, icon="ERROR")
    if is_over_size_warning():
        taken = "Downloaded files take {size:size}. Delete those of tasks you no longer need."
        paragraph(layout, Text(taken, size=session.files.bytes_saved), width, icon="INFO")


def _draw_files(layout: bpy.types.UILayout, task: Task, width: float) -> None:
    """The download, and what can be done with what it brought."""
    session = app().session
    if task.task_id in session.files.downloads:
        _draw_progress(layout, session.files.downloads[task.task_id])
    elif task.task_id in session.imports.requests:
        row = layout.row(align=True)
        row.scale_y = 1.5
        row.label(text="Importing", icon="TIME")
        row.operator("rodin.cancel_download", text="Cancel", icon="X")
    elif task.task_id in session.imports.unconfirmed:
        row = layout.row(align=True)
        row.scale_y = 1.5
        row.operator("rodin.import_model", text="Import Anyway", icon="IMPORT").any_size = True
        row.operator("rodin.cancel_download", text="Cancel", icon="X")
    else:
        if task.status.has_files and task.download is not Download.SAVED:
            row = layout.row()
            row.scale_y = 1.5
            row.operator("rodin.hand_off", text=say(_download_text(task)), icon="IMPORT", translate=False)
        elif not task.status.final and task.task_uuid:
            layout.operator("rodin.hand_off", text="Download Available", icon="IMPORT")
        if task.folder:
            _draw_saved(layout, task)


def _download_text(task: Task) -> Text:
    """What the button does, as the settings have it."""
    if task.files:
        return Text("Download Missing Files")
    return Text("Download and Import" if app().settings.value("import_after_download") else "Download")


def is_over_size_warning() -> bool:
    """Whether downloaded files take more than the size from which on the user wants a warning."""
    return 0.0 < float(app().settings.value("storage_hint")) * 1e9 < app().session.files.bytes_saved


def _draw_progress(layout: bpy.types.UILayout, progress: Progress) -> None:
    """As high as the button that it takes the place of."""
    column = layout.column(align=True)
    row = column.row(align=True)
    if progress.waiting:
        row.label(text="Downloading" if progress.count else "Download", icon="IMPORT")
    else:
        text = say(phrases.progress(progress.received, progress.size, progress.speed))
        row.progress(text=text, factor=progress.share, translate=False)
    row.operator("rodin.cancel_download", text="Cancel" if progress.waiting else "", icon="X")
    row = column.row()
    row.scale_y = 0.5
    file = Text("File {number} of {count}: {name}", number=progress.number, count=progress.count, name=progress.name)
    row.label(text=say(file) if progress.count else "", translate=False)


def _draw_saved(layout: bpy.types.UILayout, task: Task) -> None:
    picture = app().previews.icon(task.task_id)
    if picture:
        layout.template_icon(icon_value=picture, scale=6.0)
    found = models(task.files)
    if found:
        row = layout.row(align=True)
        row.scale_y = 1.5
        again = app().task_list.is_in_scene(task)
        row.operator("rodin.import_model", text="Import Again" if again else "Import", icon="OUTLINER_OB_MESH")
        row.menu("RODIN_MT_models", text="", icon="DOWNARROW_HLT")
        if again:
            row = layout.row(align=True)
            # As a text of ours, since Blender's own catalog has longer words for it.
            text = say(Text("Select Objects"))
            row.operator("rodin.select_objects", text=text, icon="RESTRICT_SELECT_OFF", translate=False)
            row.operator("rodin.frame", text="Frame", icon="VIEWZOOM")
    row = layout.row(align=True)
    row.operator("rodin.open", text="Open Folder", icon="FILE_FOLDER").target = task.folder
    row.operator("rodin.delete_files", text="Delete Files", icon="TRASH")


class RODIN_MT_models(bpy.types.Menu):
    """Import another of the task's models, or send the model to the library"""

    bl_idname = "RODIN_MT_models"
    bl_label = "Import Another Model"

    def draw(self, context: bpy.types.Context) -> None:
        task = task_properties.active_task()
        if task:
            for file in models(task.files):
                text = f"{file.name}  ({size_text(file.size)})"
                self.layout.operator("rodin.import_model", text=text, translate=False).model = file.name
            self.layout.separator()
            copied = self.layout.operator("rodin.import_model", text="Import a Copy", icon="DUPLICATE")
            copied.linked = False
            self.layout.operator("rodin.hand_off", text="Download Missing Files", icon="IMPORT")
            self.layout.separator()
            self.layout.operator("rodin.send_to_library", text="Send to Library", icon="ASSET_MANAGER")
            self.layout.operator("rodin.register_library", text="Register Library")


def _draw_jobs(layout: bpy.types.UILayout, task: Task) -> None:
    column = layout.column(align=True)
    column.scale_y = 0.9
    for number, job in enumerate(task.jobs, 1):
        row = column.row()
        icon = "CHECKMARK" if is_done(job) else "CANCEL" if is_failed(job) else "TIME"
        row.label(text=say(Text("Job {number}", number=number)), icon=icon, translate=False)
        ahead = Text("{status} ({count} ahead)", status=job.status, count=job.queue_length or 0)
        # The status is the service's own word.
        row.label(text=say(ahead) if job.queue_length else job.status, translate=False)
