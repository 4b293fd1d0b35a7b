# SPDX-License-Identifier: GPL-3.0-or-later
"""The two ways to begin: the form of a generation, and the field for a subscription key."""

from __future__ import annotations

from pathlib import PurePath

import bpy

from ...configuration import GENERATE
from ...tasks import options
from ...tasks.option_words import price_text
from ...tasks.options import OPTIONS
from ...texts.text import Text
from ...tracking.messages import Blocker
from ..app import app
from ..layouts import fits, font_size, paragraph, text_width, ui_scale
from ..pictures import open_images
from ..properties import form
from ..scene import blockouts
from ..voice import say
from . import welcome

MAX_LINES = 5
"""Of a prompt that is longer than its field."""


def draw(layout: bpy.types.UILayout, context: bpy.types.Context, blocker: Blocker | None) -> None:
    shown = context.window_manager.rodin
    header, body = layout.panel("rodin_begin")
    generating = form.is_shown()
    if form.allowed():
        header.row(align=True).prop(shown, "begin_by", expand=True)
    else:
        header.label(text="Follow")
    if body and generating:
        _draw_generate(body, context, blocker)
    elif body:
        _draw_follow(body, context)
    for prompt, pictures in app().session.form.sent.values():
        name = prompt or PurePath(pictures[0]).name
        layout.label(text=say(Text("Preparing '{name}'", name=name)), icon="SORTTIME", translate=False)


def _draw_follow(layout: bpy.types.UILayout, context: bpy.types.Context) -> None:
    column = layout.column(align=True)
    split = column.split(factor=0.7, align=True)
    split.prop(context.window_manager.rodin, "typed_key", text="", icon="LINKED", placeholder="Answer or key")
    split.operator("rodin.track", text="Follow")
    column.operator("rodin.paste", text="Paste from Clipboard", icon="PASTEDOWN")
    if not context.window_manager.rodin.tasks:
        welcome.draw_follow(layout, context.region.width)


def _draw_generate(layout: bpy.types.UILayout, context: bpy.types.Context, blocker: Blocker | None) -> None:
    width = context.region.width
    shown = context.window_manager.rodin.form
    prompt, pictures = app().session.form.prompt, form.pictures()
    layout.prop(shown, "prompt", text="", placeholder="What do you want to make?")
    if not fits(prompt, width):
        paragraph(layout, prompt, width, max_lines=MAX_LINES)

    column = layout.column(align=True)
    if pictures:
        box = column.box()
        for index, path in enumerate(pictures):
            _draw_picture(box, path, index, len(pictures))
    row = column.row(align=True)
    row.operator("rodin.add_pictures", text="Add Pictures", icon="ADD")
    row.operator("rodin.paste_pictures", text="", icon="PASTEDOWN")
    row.menu("RODIN_MT_open_images", text="", icon="IMAGE_DATA")
    if prompt or pictures:
        row.operator("rodin.clear_form", text="", icon="X")
    _draw_place(layout)

    row = layout.row()
    row.enabled = not app().settings.resolve(f"{GENERATE}tier").fixed
    row.prop(shown, "tier", text="")
    header, body = layout.panel("rodin_options", default_closed=True)
    header.label(text="Options")
    if body:
        _draw_options(body, shown)
    _draw_button(layout, context, blocker)
    _draw_set_aside(layout)


def _draw_place(layout: bpy.types.UILayout) -> None:
    """For a request that is made again: the object whose place and proportions its model is to have."""
    task = app().session.tasks.get(app().session.form.in_place_of)
    if task:
        row = layout.row(align=True)
        text = Text("In the place of '{name}'", name=task.name)
        row.label(text=say(text), icon="MESH_CUBE", translate=False)
        row.operator("rodin.leave_place", text="", icon="X", emboss=False)


def _draw_set_aside(layout: bpy.types.UILayout) -> None:
    """What the form had no room for, since something else was in it."""
    column = layout.column(align=True)
    for index, (prompt, pictures) in reversed([*enumerate(app().session.form.set_aside)]):
        row = column.row(align=True)
        row.operator("rodin.take_back", text="", icon="LOOP_BACK").index = index
        row.label(text=prompt or PurePath(pictures[0]).name, translate=False)
        operator = row.operator("rodin.take_back", text="", icon="X", emboss=False)
        operator.index, operator.drop = index, True


def _draw_picture(layout: bpy.types.UILayout, path: str, index: int, count: int) -> None:
    row = layout.row()
    icon = app().previews.icon_in_form(path)
    if icon:
        row.template_icon(icon_value=icon, scale=2.2)
    column = row.column(align=True)
    fault = form.fault_of(path)
    column.label(text=PurePath(path).name, translate=False, icon="ERROR" if fault else "NONE")
    buttons = column.row(align=True)
    buttons.alignment = "LEFT"
    up, down = buttons.row(align=True), buttons.row(align=True)
    up.enabled, down.enabled = index > 0, index < count - 1
    up.operator("rodin.move_picture", text="", icon="TRIA_UP").index = index
    operator = down.operator("rodin.move_picture", text="", icon="TRIA_DOWN")
    operator.index, operator.down = index, True
    buttons.operator("rodin.remove_picture", text="", icon="X").index = index


def _draw_options(layout: bpy.types.UILayout, shown: form.RODIN_Form) -> None:
    """What the tier takes. What a studio has fixed is greyed and says so."""
    column = layout.column()
    column.use_property_split = True
    column.use_property_decorate = False
    for option in OPTIONS.values():
        if option.name == "tier" or not form.offered(option):
            continue
        found = app().settings.resolve(f"{GENERATE}{option.name}")
        automatic = form.leaves_to_service(option)
        row = column.row(heading=option.label if automatic else "", align=True)
        row.enabled = not found.fixed
        icon = "LOCKED" if found.fixed else "NONE"
        if not automatic:
            row.prop(shown, option.name, icon=icon)
        elif getattr(shown, f"{option.name}_automatic"):
            row.prop(shown, f"{option.name}_automatic", icon=icon)
        else:
            row.prop(shown, f"{option.name}_automatic", text="")
            row.prop(shown, option.name, text="", icon=icon)
    column.operator("rodin.reset_options", text="Reset to Defaults", icon="LOOP_BACK")


def _draw_button(layout: bpy.types.UILayout, context: bpy.types.Context, blocker: Blocker | None) -> None:
    width = context.region.width
    session = app().session
    price = options.price(form.all_chosen())
    trouble = form.trouble()
    both = layout.row(align=True)
    both.scale_y = 1.6
    row = both.row(align=True)
    row.enabled = not trouble
    # The button is beside the other one and not below it, so that selecting an object moves nothing in the panel.
    of_selected = blockouts.is_selected(context)
    text = _button_text(price, width - 20.0 * ui_scale() * of_selected)
    row.operator("rodin.generate", text=text, translate=False)
    if of_selected:
        both.operator("rodin.generate_from_selected", text="", icon="MESH_CUBE")
    if trouble and not blocker:
        paragraph(layout, trouble, width, icon="INFO" if form.is_empty() else "ERROR")
    elif session.account.balance is not None and session.account.balance < price:
        only = Text("The account has only {price}.", price=price_text(session.account.balance))
        paragraph(layout, only, width, icon="ERROR")


def _button_text(price: float, width: float) -> str:
    """What it costs and what is left, as far as there is room for it."""
    balance = app().session.account.balance
    texts = [
        Text("Generate · about {price}", price=price_text(price)),
        Text("Generate · about {price}", price=price),
    ]
    if balance is not None:
        whole = "Generate · about {price} ({balance} left)"
        texts.insert(0, Text(whole, price=price_text(price), balance=f"{balance:,.10g}"))
    room, size = width - 45 * ui_scale(), font_size()
    *longer, shortest = map(say, texts)
    return next((text for text in longer if text_width(text, size) < room), shortest)


_VIEWS = (
    (Text("Viewport"), "VIEW", False, "VIEW3D"),
    (Text("Viewport, Selected Only"), "VIEW", True, "RESTRICT_SELECT_OFF"),
    (Text("Camera View"), "CAMERA", False, "VIEW_CAMERA"),
    (Text("Four Views of Selected"), "FOUR", True, "AXIS_FRONT"),
)


class RODIN_MT_open_images(bpy.types.Menu):
    """Add what the viewport shows, or an image that is open in Blender"""

    bl_idname = "RODIN_MT_open_images"
    bl_label = "From Blender"

    def draw(self, context: bpy.types.Context) -> None:
        for text, source, selected_only, icon in _VIEWS:
            operator = self.layout.operator("rodin.add_viewport", text=say(text), icon=icon, translate=False)
            operator.source, operator.selected_only = source, selected_only
        self.layout.separator()
        names = open_images.names()
        for name in names:
            icon = "RENDER_STILL" if bpy.data.images[name].type == "RENDER_RESULT" else "IMAGE_DATA"
            self.layout.operator("rodin.add_open_image", text=name, icon=icon, translate=False).image = name
        if not names:
            self.layout.label(text="No image is open in Blender")
