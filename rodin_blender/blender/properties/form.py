# SPDX-License-Identifier: GPL-3.0-or-later
"""`window_manager.rodin.form`: what is to be made. The panel draws it, and other people's scripts fill it.

Prompt and pictures are held in Python (`Session.form`), so that nothing of them gets into a .blend file: a picture's
properties hold a number instead of its path. The options are settings, see `configuration`; here they are as the
chosen tier takes them.
"""

import os
import sys
import time
from collections.abc import Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import cast
from urllib.parse import unquote, urlsplit

import bpy

from ...configuration import GENERATE
from ...service.errors import BadInput, os_reason
from ...service.keys import printable
from ...service.pictures import check_picture
from ...tasks import options
from ...tasks.option_words import price_text
from ...tasks.options import OPTIONS, Option, Value
from ...tasks.submission import MAX_PICTURES, submission
from ...tasks.task import Task
from ...texts.text import Text, Trouble
from ...tracking.messages import Blocker
from ..app import app
from ..scene import placement
from ..settings import folders, option_properties

BALANCE_HOLDS = 600.0
"""Seconds after which the balance that is shown is asked for again: other programs spend, too."""
PICTURE_ENDINGS = (".png", ".jpg", ".jpeg", ".webp")
MAX_SET_ASIDE = 10


def show() -> None:
    """Have the timer show what is in the form now, which a user or a script has changed."""
    touch()
    app().session.needs_redraw = True
    app().wake()


def _path(self: "RODIN_Picture") -> str:
    return app().session.form.paths.get(self.number, "")


def _set_path(self: "RODIN_Picture", path: str) -> None:
    paths = app().session.form.paths
    if not self.number:
        self.number = max(paths, default=0) + 1
    paths[self.number] = path
    # The picture is checked at once, so that one that is too small is reported before the press of Generate.
    app().threads.run(partial(_fault_of, path), partial(_set_fault, path), only_reads=True)
    show()


def _fault_of(path: str) -> Text | Trouble | None:
    """Why the service would not take a picture, None where it would. Reads its file, so it is for a thread."""
    try:
        with Path(path).open("rb") as file:
            check_picture(Path(path).name, file, os.fstat(file.fileno()).st_size)
    except BadInput as error:
        return error.trouble
    except OSError as error:
        text = "The picture {path} cannot be read: {reason}. Choose it again."
        return Text(text, path=path, reason=os_reason(error))
    return None


def _set_fault(path: str, fault: Text | Trouble | None) -> None:
    session = app().session
    session.form.faults[path] = fault
    if fault and path in pictures():
        session.news.tell(fault)
        session.needs_redraw = True


class RODIN_Picture(bpy.types.PropertyGroup):
    number: bpy.props.IntProperty(name="Number", options={"HIDDEN"})
    path: bpy.props.StringProperty(name="Path", description="The picture's file", get=_path, set=_set_path)


def _prompt(_self: "RODIN_Form") -> str:
    # Blender writes what a user types into a field to the Info log, as the field reads just after that: so it reads as
    # dots until then. A script is the one that has a Python frame of its own.
    form = app().session.form
    return "•" * min(len(form.prompt), 24) if form.typed and not _called_by_script() else form.prompt


def _set_prompt(self: "RODIN_Form", text: str) -> None:
    form = app().session.form
    form.prompt, form.typed = text, not _called_by_script()
    show()


def _prompt_logged(_self: "RODIN_Form", _context: bpy.types.Context) -> None:
    app().session.form.typed = False


def _called_by_script() -> bool:
    """Whether the caller, a property's function, was itself called from Python, and not by Blender's interface."""
    return sys._getframe(1).f_back is not None


class RODIN_Form(bpy.types.PropertyGroup):
    # Blender calls `update` after it has logged an edit, and before it draws.
    prompt: bpy.props.StringProperty(
        name="Prompt",
        description="What you want to make, in your own words",
        get=_prompt,
        set=_set_prompt,
        update=_prompt_logged,
    )
    images: bpy.props.CollectionProperty(type=RODIN_Picture)


def chosen(option: Option) -> Value:
    """What is chosen for an option, as far as the tier takes it: a hidden option must not make the request fail."""
    names = {"tier", "mesh_mode", option.name}
    return options.fitted_one(option, {name: _of_settings(name) for name in names})


def _of_settings(name: str) -> Value:
    return cast(Value, app().settings.value(f"{GENERATE}{name}"))


def all_chosen() -> dict[str, Value]:
    """All options, as `chosen`."""
    return options.fitted({name: _of_settings(name) for name in OPTIONS})


def offered(option: Option) -> bool:
    """Whether there is something to choose, with the tier and the mesh mode that are chosen."""
    tier, mesh_mode = str(chosen(OPTIONS["tier"])), str(chosen(OPTIONS["mesh_mode"]))
    return option.takes(tier, mesh_mode) and (not option.choices or len(option.choices_for(tier)) > 1)


def _items(option: Option) -> tuple[option_properties.Item, ...]:
    """One tuple for each tier and no more: Blender does not keep the texts of what a function returns."""
    return _KNOWN_ITEMS[option.name, str(app().settings.value(f"{GENERATE}tier"))]


_KNOWN_ITEMS = {
    (option.name, tier): option_properties.items(option, option.choices_for(tier))
    for option in OPTIONS.values()
    for tier in options.TIERS
}


def _read_option(_self: RODIN_Form, option: Option) -> Value:
    value = chosen(option)
    return option.choices.index(str(value)) if option.choices else value


def _write_option(_self: RODIN_Form, value: Value, option: Option) -> None:
    app().settings.set_value(f"{GENERATE}{option.name}", option.choices[int(value)] if option.choices else value)
    show()


def _property(option: Option) -> object:
    access = {
        "get": lambda self: _read_option(self, option),
        "set": lambda self, value: _write_option(self, value, option),
    }
    if option.choices:
        access["items"] = lambda _self, _context: _items(option)
    return option_properties.made(option, **access)


def leaves_to_service(option: Option) -> bool:
    """Whether an option is a number and what it begins with is none, but means that the service chooses."""
    return type(option.default) is int and not option.low <= option.default <= option.high


def _automatic(option: Option) -> object:
    """Whether a number is left to the service: a field could only show the 0 or -1 that means it."""

    def switch(self: RODIN_Form, automatic: bool) -> None:
        _write_option(self, option.default if automatic else max(option.low, _FIRST_NUMBER.get(option.name, 0)), option)

    return bpy.props.BoolProperty(
        name="Automatic",
        description="The service chooses the number",
        get=lambda _self: chosen(option) == option.default,
        set=switch,
    )


_FIRST_NUMBER = {"faces": 20_000}
"""What a number begins with when it is no longer left to the service; its lowest otherwise. Each tier takes it."""

# The annotations are set by `update`, since Python 3.14 has none in the body of a class.
RODIN_Form.__annotations__.update((option.name, _property(option)) for option in OPTIONS.values())
RODIN_Form.__annotations__.update(
    (f"{option.name}_automatic", _automatic(option)) for option in OPTIONS.values() if leaves_to_service(option)
)


def view() -> RODIN_Form:
    return bpy.context.window_manager.rodin.form


def pictures() -> list[str]:
    """The pictures' files, in their order."""
    return [item.path for item in view().images if item.path]


def add(paths: Iterable[str]) -> int:
    """Put pictures into the form that are not there yet, as far as there is room. Returns how many there was none for.

    Raises BadInput for what is no picture's file.
    """
    given = [file_of(path) for path in paths]
    new = [path for path in dict.fromkeys(given) if path not in pictures()]
    room = max(MAX_PICTURES - len(pictures()), 0)
    for path in new[:room]:
        view().images.add().path = path
    return len(new[room:])


def file_of(text: str) -> str:
    """A picture's whole path, from one as a user or a file manager gives it. Raises BadInput. Does not look for it."""
    text = text.strip().strip("\"'")
    if text.startswith("file://"):
        text = unquote(urlsplit(text).path)
        if sys.platform == "win32":
            text = text.lstrip("/")
    path = Path(bpy.path.abspath(text)) if text else Path()
    if not path.is_absolute():
        wrong = "'{path}' is no whole path of a picture. Give one such as /home/me/vase.png."
        raise BadInput(Text(wrong, path=printable(text, 60)))
    if path.suffix.lower() not in PICTURE_ENDINGS:
        wrong = "'{file}' is none of the pictures that the service takes: PNG, JPEG, WebP."
        raise BadInput(Text(wrong, file=printable(path.name, 60)))
    return str(path)


def pictures_of(task_id: str) -> list[str]:
    """The files of the pictures that a task is made from: as they were in the form, where they are shown already."""
    session = app().session
    task = session.tasks.get(task_id)
    if not task or not task.pictures:
        return []
    return session.form.originals.get(task_id) or [str(folders.outbox() / task_id / name) for name in task.pictures]


def update() -> None:
    """For the timer: have back in the form what could not be begun, and pictures of what is in it."""
    form = app().session.form
    while form.returned:
        returned = form.returned.pop(0)
        if is_empty():
            fill(*returned)
        else:
            _set_aside(*returned)
    on_their_way = (path for _prompt, paths in form.sent.values() for path in paths)
    app().previews.show_in_form([*pictures(), *on_their_way])


def touch() -> None:
    """Somebody sees or touches the form: the timer is to ask for the balance, now and then."""
    session, now = app().session, time.monotonic()
    if not session.form.used_at or now > session.form.used_at + BALANCE_HOLDS:
        session.form.used_at, session.account.asked = now, False


def is_empty() -> bool:
    """But for the options."""
    return not app().session.form.prompt.strip() and not pictures()


def take_back(index: int) -> None:
    """Have in the form what was set aside; what is in it is set aside instead."""
    taken = app().session.form.set_aside.pop(index)
    set_aside()
    fill(*taken)


def set_aside() -> None:
    """Keep what is in the form, which is about to be filled with something else."""
    if not is_empty():
        _set_aside(app().session.form.prompt, pictures())


def _set_aside(prompt: str, paths: list[str]) -> None:
    kept = app().session.form.set_aside
    if (prompt, paths) not in kept:
        kept.append((prompt, paths))
        del kept[:-MAX_SET_ASIDE]
        show()


def clear() -> None:
    """Empty the form, but for its options."""
    fill("", [])


def refill() -> None:
    """Have in the properties again what was in the form, when another .blend file was opened, which empties them."""
    form = app().session.form
    _put(form.prompt, form.saved_paths)


def fill(prompt: str, paths: Iterable[str], chosen_options: Mapping[str, str | float | bool] | None = None) -> None:
    """Have this in the form instead of what is there."""
    app().session.form.in_place_of = ""
    _put(prompt, paths)
    for name, value in (chosen_options or {}).items():
        if name in OPTIONS:
            app().settings.set_value(f"{GENERATE}{name}", value)
    show()


def _put(prompt: str, paths: Iterable[str]) -> None:
    form, images = app().session.form, view().images
    images.clear()
    form.paths.clear()
    form.prompt, form.typed = prompt, False
    for path in paths:
        image = images.add()
        image.number = len(images)
        form.paths[image.number] = path


def allowed() -> bool:
    """Whether tasks may be begun here, and not only followed."""
    return bool(app().settings.value("allow_generation"))


def is_shown() -> bool:
    """Whether the panel has the form, and not the field for a subscription key."""
    return allowed() and bpy.context.window_manager.rodin.begin_by == "GENERATE"


def blocker() -> Blocker | None:
    """Why nothing can be generated at all just now. What is still being looked up is waited for."""
    if not allowed():
        where = app().settings.resolve("allow_generation").origin
        text = "Generating is switched off by {where}: tasks can only be followed."
        return Blocker("not_allowed", Text(text, where=where))
    return app().lasting_blocker()


def check(prompt: str, picture_count: int, chosen_options: dict[str, Value]) -> None:
    """Raises BadInput where this cannot be asked for, with what to change."""
    submission(prompt, picture_count, chosen_options)
    check_price(options.price(chosen_options))


def check_price(price: float) -> None:
    """Raises BadInput for more credits than a task may cost."""
    most = float(app().settings.value("max_credits_per_task"))
    if 0.0 < most < price:
        origin = app().settings.resolve("max_credits_per_task").origin
        text = (
            "This costs about {price}, and at most {most} are allowed for a task ({origin}). Choose something cheaper."
        )
        raise BadInput(Text(text, price=price_text(price), most=most, origin=origin))


def trouble() -> Text | Trouble | None:
    """Why what stands in the form cannot be asked for, None where it can."""
    try:
        check(app().session.form.prompt, len(pictures()), all_chosen())
    except BadInput as error:
        return error.trouble
    return next((fault for fault in map(fault_of, pictures()) if fault), None)


def fault_of(path: str) -> Text | Trouble | None:
    """Why the service would not take this picture of the form, as far as that is known."""
    return app().session.form.faults.get(path)


def load_task(task: Task, folder: Path) -> None:
    """Have in the form what a task was made from; its pictures lie in `folder`. What was in it is set aside."""
    set_aside()
    fill(task.prompt, [str(folder / name) for name in task.pictures], dict(task.options))
    wanted = placement.of(task)
    if wanted and wanted.box:
        app().session.form.in_place_of = task.task_id


CLASSES = (RODIN_Picture, RODIN_Form)
