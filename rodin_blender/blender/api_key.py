# SPDX-License-Identifier: GPL-3.0-or-later
"""The API key in use: held in memory, kept by workers in a file of the user's folder, or printed by a command.

Nothing here touches the disk on the main thread, but for what the command line calls. A key of the environment or of
a studio's file goes before both, see `configuration.key_source`.
"""

from __future__ import annotations

import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import bpy

from .. import configuration
from ..configuration import NotYet, Setting
from ..service import keys
from ..service.errors import BadInput, os_reason
from ..service.keys import Secret
from ..storage import api_key, key_command
from ..tracking.messages import Obstacle
from . import folders, threads
from .session import ApiKey, session

READ_AGAIN = 5.0
"""Seconds between two looks for a key that another Blender may have kept, while there is none or it was refused."""
SHORTEST_RENEWAL = 60.0
"""Seconds: a key from a command that is refused sooner after the last one is not asked for again by itself."""

_writer = api_key.Writer()


def source() -> tuple[bool, Setting]:
    """Where the key comes from, and whether that is a command that prints it."""
    own = folders.addon_preferences()
    known = session.api_key
    kept = Setting(known.kept.reveal(), str(api_key.path_in(Path(known.folder))) if known.kept else "default", False)
    command = Setting(own.api_key_command if own else "", "preferences", fixed=False)
    return configuration.key_source(session.file, kept, command)


def known_source() -> tuple[bool, Setting]:
    """The same once the kept key was read. Raises BadInput where it is needed and could not be."""
    is_command, found = source()
    if session.api_key.trouble and not found.value:
        raise BadInput(session.api_key.trouble)
    return is_command, found


def in_use() -> Setting:
    """The key in use. Raises NotYet while a worker looks it up, and BadInput where there should be one and is none."""
    is_command, found = known_source()
    known = session.api_key
    if not (found.fixed or known.folder):
        raise NotYet("The API key is being read.")
    if is_command:
        if known.command != found.value or known.answer is None:
            raise NotYet("The API key command is being asked.")
        if isinstance(known.answer, BadInput):
            raise known.answer
        return Setting(known.answer.reveal(), f"the API key command of {found.origin}", found.fixed)
    return found


def dots() -> str:
    """The kept key for a field: Blender writes an edited field to its Info log as the field then reads."""
    return "•" * min(len(session.api_key.kept.reveal()), 24)


def enter(key: Secret) -> None:
    """Use this key from now on, and have it kept; with an empty one none is kept any more."""
    folder = folders.user_folder()
    known = session.api_key
    known.kept, known.folder, known.reading, known.trouble = key, str(folder), str(folder), ""
    known.wish = _writer.number()
    told = lambda trouble: session.tell(trouble) if trouble else None  # noqa: E731
    threads.run(partial(_writer.write, known.wish, folder, key), told)


def follow() -> None:
    """Have workers look up what is not known yet, or may be known better by now."""
    known, folder = session.api_key, folders.user_folder()
    is_command, found = source()
    wanting = not (found.fixed or is_command) and (known.refused or not known.kept)
    if known.reading != str(folder) or (wanting and time.monotonic() > known.read_at + READ_AGAIN):
        known.reading, known.read_at = str(folder), time.monotonic()
        known.looking += 1
        threads.run(_reading(folder), partial(_take_in, known, known.wish, folder))
    if is_command and known.folder and known.command != found.value:
        known.command, known.answer = str(found.value), None
        _ask()


def obstacle_changed(obstacle: Obstacle | None) -> None:
    """When the service refuses the key, another Blender may have a new one, and so may the command."""
    known = session.api_key
    known.refused = obstacle is not None and obstacle.kind == "bad_key"
    if known.refused and time.monotonic() > known.asked_at + SHORTEST_RENEWAL:
        renew()


def renew() -> None:
    """Have the key looked up once more. Until that is done, what is known stands."""
    known = session.api_key
    known.reading = ""
    if known.command and not known.asking:
        _ask()


def read_now() -> None:
    """The same as `follow` for the kept key, at once: for the command line, which may wait."""
    known, folder = session.api_key, folders.user_folder()
    known.reading = str(folder)
    known.looking += 1
    _take_in(known, known.wish, folder, _reading(folder)())


def _reading(folder: Path) -> partial[tuple[Secret | BadInput, str, bool]]:
    """What a worker does to read the key; with the one that the preferences of earlier versions held, if they do."""
    old = _of_old_preferences()
    origin = f"Blender {bpy.app.version[0]}.{bpy.app.version[1]}"
    return partial(_read, folder, folders.own_folder(), old, origin)


def _read(folder: Path, own_folder: Path, old: Secret, origin: str) -> tuple[Secret | BadInput, str, bool]:
    """The kept key, news for the user, and whether an old one is kept now, too."""
    news, taken = "", False
    if old:
        try:
            # The user's own folder gets it, too, where RODIN_FOLDER names another: preferences are the user's own.
            asides = {api_key.take_over(place, old, origin) for place in (own_folder, folder)} - {None}
            taken = True
            if asides:
                news = f"Another API key is in use than the one of {origin}, which is kept in {asides.pop()}."
        except OSError as error:
            news = f"The API key of {origin}'s preferences could not be kept in {folder}: {os_reason(error)}."
    try:
        return api_key.read(folder) or (Secret("") if taken else old), news, taken
    except BadInput as error:
        return error, news, taken


def _take_in(known: ApiKey, wish: int, folder: Path, outcome: tuple[Secret | BadInput, str, bool]) -> None:
    found, news, taken = outcome
    known.looking -= 1
    if taken:
        _forget_old_preferences()
    if known is not session.api_key:
        return
    if news:
        session.tell(news)
    # What was entered meanwhile is newer than what was read, and what another folder holds is not wanted any more.
    if wish == known.wish and str(folder) == known.reading:
        key = Secret("") if isinstance(found, BadInput) else found
        known.folder, known.kept = str(folder), key
        known.trouble = str(found) if isinstance(found, BadInput) else ""
        session.undrawn = True


def _ask() -> None:
    known = session.api_key
    known.asking, known.asked_at = True, time.monotonic()
    known.looking += 1
    command = known.command

    def gone() -> bool:
        return session.api_key is not known or known.command != command

    def ask() -> Secret | BadInput:
        try:
            return key_command.ask(command, gone)
        except BadInput as error:
            return error

    def take_in(answer: Secret | BadInput) -> None:
        known.looking -= 1
        if not gone():
            known.asking, known.answer = False, answer
            session.undrawn = True

    threads.run(ask, take_in)


def _old_properties() -> bpy.types.bpy_struct | None:
    """What holds the values of the preferences' properties as they were stored, past their getters."""
    own = folders.addon_preferences()
    # From Blender 5.0 on they stand apart from a script's own custom properties.
    return own.bl_system_properties_get() if hasattr(own, "bl_system_properties_get") else own


def _of_old_preferences() -> Secret:
    """The key that an earlier version kept in the preferences, empty for none."""
    stored = _old_properties()
    text = stored.get("api_key") if stored else None
    with suppress(BadInput):
        return keys.api_key(text) if isinstance(text, str) else Secret("")
    return Secret("")


def _forget_old_preferences() -> None:
    """Leave the key out of the preferences from the next time on that Blender saves them."""
    stored = _old_properties()
    if stored and "api_key" in stored:
        del stored["api_key"]
        bpy.context.preferences.is_dirty = True
