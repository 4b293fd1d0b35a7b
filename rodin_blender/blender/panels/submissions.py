# SPDX-License-Identifier: GPL-3.0-or-later
"""What is shown of a task that was begun here: how its submission stands, and what it is made from."""

from __future__ import annotations

import bpy

from ...tasks.option_words import price_text, words
from ...tasks.options import OPTIONS, TIERS, Option
from ...tasks.task import Status, Task
from ...texts.actions import Action
from ...texts.text import Text, Trouble
from ..app import app
from ..layouts import paragraph
from ..properties import form
from ..scene import variations
from ..voice import say

MAX_LINES = 6
"""Of a prompt."""
SMALL = 20_000
"""Bytes."""
_ALL_HAS_LEFT = Text("All of it has left. The service's answer is awaited.")
_ON_ITS_WAY = Text("It is on its way, so it can no longer be cancelled.")


def draw(layout: bpy.types.UILayout, task: Task, width: float) -> None:
    """How the submission stands, and what can be done: for one that the service has not accepted."""
    match task.status:
        case Status.SENDING:
            _draw_sending(layout, task, width)
        case Status.UNSENT:
            paragraph(layout, _waits_for(task), width, icon="TIME")
            row = layout.row(align=True)
            row.operator("rodin.send_again", text="Send Now", icon="EXPORT")
            row.operator("rodin.discard", text="Discard", icon="TRASH")
        case Status.UNCERTAIN:
            paragraph(layout, task.trouble or "", width, icon="ERROR")
            column = layout.column(align=True)
            column.scale_y = 1.2
            text = Text("Send Again · about {price}", price=price_text(task.price))
            column.operator("rodin.send_again", text=say(text), icon="EXPORT", translate=False)
            column.operator("rodin.discard", text="Discard", icon="TRASH")
            # Few users have the answer: it stands in the log of a proxy or of a tool in between.
            layout.operator("rodin.paste_answer", text="I Have the Service's Answer", icon="PASTEDOWN")
        case Status.REJECTED:
            paragraph(layout, task.trouble or "", width, icon="CANCEL")
            row = layout.row(align=True)
            row.operator("rodin.again", text="Change and Try Again", icon="FILE_REFRESH")
            row.operator("rodin.discard", text="", icon="TRASH")


def _waits_for(task: Task) -> Text | Trouble:
    """What keeps a task from being sent, with when that is tried again, where it is by time alone."""
    if task.trouble and task.next_check_at and Action.WAIT in task.trouble.actions:
        return Text("{why} Next try at {at:clock}.", why=task.trouble, at=task.next_check_at)
    return task.trouble or Text("It is being prepared.")


def _draw_sending(layout: bpy.types.UILayout, task: Task, width: float) -> None:
    sent, total = app().session.account.uploads.get(task.task_id, (0, 0))
    row = layout.row(align=True)
    if sent:
        # The size of a request without pictures is not worth showing.
        text = Text("{part:size} of {whole:size}", part=sent, whole=total) if total > SMALL else Text("Sending")
        row.progress(text=say(text), factor=sent / max(total, sent), translate=False)
        paragraph(layout, _ALL_HAS_LEFT if sent >= total else _ON_ITS_WAY, width)
    else:
        row.progress(text="Connecting", factor=0.0)
        row.operator("rodin.cancel_submission", text="", icon="X")


def draw_request(layout: bpy.types.UILayout, task: Task, width: float) -> None:
    """What a task is made from, with a button that has it in the form again."""
    header, body = layout.panel("rodin_wish")
    header.label(text="Made From")
    if not body:
        return
    column = body.column()
    if task.prompt:
        paragraph(column, task.prompt, width, max_lines=MAX_LINES)
    icons = app().previews.icons_made_from(task.task_id)
    if icons:
        row = column.row(align=True)
        row.alignment = "LEFT"
        for icon in icons:
            row.template_icon(icon_value=icon, scale=2.5)
    paragraph(column, _options_text(task), width)
    if task.status is not Status.REJECTED and form.allowed():
        row = column.row(align=True)
        row.operator("rodin.again", text="Retry" if task.status is Status.FAILED else "Again", icon="FILE_REFRESH")
        row.operator("rodin.variations", text="Variations", icon="DUPLICATE")
    if variations.others_in(bpy.context.scene, task):
        column.operator("rodin.keep_this_one", text="Keep This One", icon="CHECKMARK")


def _options_text(task: Task) -> Text:
    """What was chosen, and what it cost: "Gen-2.5 Medium, Material Shaded, Seed 7. Cost 0.5 credits"."""
    tier = str(task.options.get("tier", ""))
    chosen = [TIERS[tier].label if tier in TIERS else tier]
    for name, value in task.options.items():
        option = OPTIONS.get(name)
        if option and name != "tier" and value != option.default:
            chosen.append(_chosen_text(option, value))
    if task.credits is not None:
        cost = Text("Cost {price}.", price=price_text(task.credits))
    elif task.status is Status.REJECTED:
        cost = Text("Nothing was charged.")
    else:
        cost = Text("About {price}.", price=price_text(task.price))
    return Text("{options}. {cost}", options=", ".join(filter(None, chosen)), cost=cost)


def _chosen_text(option: Option, value: object) -> str:
    label = say(Text(option.label))
    if value is True:
        return label
    return f"{label} {say(Text(words(option, str(value))[0])) if value in option.choices else value}"
