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

from ... import configuration
from ...configuration import NotYet, Setting
from ...service import keys
from ...service.errors import BadInput, os_reason
from ...service.keys import Secret
from ...storage import api_key, key_command
from ...texts.text import Text, Trouble
from ...tracking.messages import Blocker
from ..state.session import Session
from ..threads import Threads
from . import folders
from .studio_files import StudioFiles

READ_AGAIN = 5.0
"""Seconds between two looks for a key that another Blender may have kept, while there is none or it was refused."""
SHORTEST_RENEWAL = 60.0
"""Seconds: a key from a command that is refused sooner after the last one is not asked for again by itself."""


class ApiKey:
    """What is known of it. One that was being looked up when the extension was disabled is none of the next one's."""

    def __init__(self, threads: Threads, session: Session, file: StudioFiles) -> None:
        self.kept = Secret("")
        self.lookups = 0
        """How many workers look it up now."""
        self._threads = threads
        self._session = session
        self._file = file
        self._folder = ""
        """The user's folder that it is kept in; "" before it was read."""
        self._trouble: Trouble | None = None
        """Why it could not be read."""
        self._reading = ""
        """The folder that a worker reads, or has read."""
        self._read_at = 0.0
        self._write_number = 0
        """The number of the last request to store another key, see `Writer`."""
        self._refused = False
        self._command = ""
        """The command that was asked last."""
        self._asking = False
        self._asked_at = float("-inf")
        self._answer: Secret | BadInput | None = None
        """The key that it printed, or why there is none; None before its first answer."""
        self._ended = False

    @property
    def source(self) -> Setting:
        """Where the API key comes from: the setting of it, or of the command that prints it."""
        return self.find()[1]

    def find(self) -> tuple[bool, Setting]:
        """Where the key comes from, and whether that is a command that prints it."""
        own = folders.addon_preferences()
        origin = str(api_key.path_in(Path(self._folder))) if self.kept else "default"
        kept = Setting(self.kept.reveal(), origin, fixed=False)
        command = Setting(own.api_key_command if own else "", "preferences", fixed=False)
        return configuration.key_source(self._file.values, kept, command)

    def find_known(self) -> tuple[bool, Setting]:
        """The same once the kept key was read. Raises BadInput where it is needed and could not be."""
        is_command, found = self.find()
        if self._trouble and not found.value:
            raise BadInput(self._trouble)
        return is_command, found

    def in_use(self) -> Setting:
        """The key in use.

        Raises NotYet while a worker looks it up, and BadInput where there should be one and is none.
        """
        is_command, found = self.find_known()
        if not (found.fixed or self._folder):
            raise NotYet(Text("The API key is being read."))
        if is_command:
            if self._command != found.value or self._answer is None:
                raise NotYet(Text("The API key command is being asked."))
            if isinstance(self._answer, BadInput):
                raise self._answer
            return Setting(self._answer.reveal(), found.source, found.fixed)
        return found

    def dots(self) -> str:
        """The kept key for a field: Blender writes an edited field to its Info log as the field then reads."""
        return "•" * min(len(self.kept.reveal()), 24)

    def enter(self, key: Secret) -> None:
        """Use this key from now on, and have it kept; with an empty one none is kept any more."""
        folder = folders.user_folder()
        self.kept, self._folder, self._reading, self._trouble = key, str(folder), str(folder), None
        self._write_number = api_key.writer.next_number()
        told = lambda trouble: self._session.tell(trouble) if trouble else None  # noqa: E731
        self._threads.run(partial(api_key.writer.write, self._write_number, folder, key), told)

    def follow(self) -> None:
        """Have workers look up what is not known yet, or may be known better by now."""
        folder = folders.user_folder()
        is_command, found = self.find()
        wanting = not (found.fixed or is_command) and (self._refused or not self.kept)
        if self._reading != str(folder) or (wanting and time.monotonic() > self._read_at + READ_AGAIN):
            self._reading, self._read_at = str(folder), time.monotonic()
            self.lookups += 1
            self._threads.run(_reading(folder), partial(self._on_read, self._write_number, folder))
        if is_command and self._folder and self._command != found.value:
            self._command, self._answer = str(found.value), None
            self._ask()

    def blocker_changed(self, blocker: Blocker | None) -> None:
        """When the service refuses the key, another Blender may have a new one, and so may the command."""
        self._refused = blocker is not None and blocker.code == "bad_key"
        if self._refused and time.monotonic() > self._asked_at + SHORTEST_RENEWAL:
            self.renew()

    def renew(self) -> None:
        """Have the key looked up once more. Until that is done, what is known stands."""
        self._reading = ""
        if self._command and not self._asking:
            self._ask()

    def end(self) -> None:
        """Let no command that prints a key be waited for any longer."""
        self._ended = True

    def read_now(self) -> None:
        """The same as `follow` for the kept key, at once: for the command line, which may wait."""
        folder = folders.user_folder()
        self._reading = str(folder)
        self.lookups += 1
        self._on_read(self._write_number, folder, _reading(folder)())

    def _on_read(self, number: int, folder: Path, outcome: tuple[Secret | BadInput, Text | None, bool]) -> None:
        found, news, taken = outcome
        self.lookups -= 1
        if taken:
            _forget_old_preferences()
        if news:
            self._session.tell(news)
        # What was entered meanwhile is newer than what was read, and what another folder holds is not wanted any more.
        if number == self._write_number and str(folder) == self._reading:
            key = Secret("") if isinstance(found, BadInput) else found
            self._folder, self.kept = str(folder), key
            self._trouble = found.trouble if isinstance(found, BadInput) else None
            self._session.needs_redraw = True

    def _ask(self) -> None:
        self._asking, self._asked_at = True, time.monotonic()
        self.lookups += 1
        command = self._command

        def gone() -> bool:
            return self._ended or self._command != command

        def ask() -> Secret | BadInput:
            try:
                return key_command.ask(command, gone)
            except BadInput as error:
                return error

        def on_answer(answer: Secret | BadInput) -> None:
            self.lookups -= 1
            if not gone():
                self._asking, self._answer = False, answer
                self._session.needs_redraw = True

        self._threads.run(ask, on_answer)


def _reading(folder: Path) -> partial[tuple[Secret | BadInput, Text | None, bool]]:
    """What a worker does to read the key; with the one that the preferences of earlier versions held, if they do."""
    old = _of_old_preferences()
    origin = f"Blender {bpy.app.version[0]}.{bpy.app.version[1]}"
    return partial(_read, folder, folders.own_folder(), old, origin)


def _read(folder: Path, own_folder: Path, old: Secret, origin: str) -> tuple[Secret | BadInput, Text | None, bool]:
    """The kept key, news for the user, and whether an old one is kept now, too."""
    news: Text | None = None
    taken = False
    if old:
        try:
            # The user's own folder gets it, too, where RODIN_FOLDER names another: preferences are the user's own.
            asides = {api_key.migrate(place, old, origin) for place in (own_folder, folder)} - {None}
            taken = True
            if asides:
                text = "Another API key is in use than the one of {origin}, which is kept in {file}."
                news = Text(text, origin=origin, file=str(asides.pop()))
        except OSError as error:
            text = "The API key of {origin}'s preferences could not be kept in {folder}: {reason}."
            news = Text(text, origin=origin, folder=str(folder), reason=os_reason(error))
    try:
        return api_key.read(folder) or (Secret("") if taken else old), news, taken
    except BadInput as error:
        return error, news, taken


def _of_old_preferences() -> Secret:
    """The key that an earlier version kept in the preferences, empty for none."""
    stored = folders.stored_preferences()
    text = stored.get("api_key") if stored else None
    with suppress(BadInput):
        return keys.api_key(text) if isinstance(text, str) else Secret("")
    return Secret("")


def _forget_old_preferences() -> None:
    """Leave the key out of the preferences from the next time on that Blender saves them."""
    stored = folders.stored_preferences()
    if stored and "api_key" in stored:
        del stored["api_key"]
        bpy.context.preferences.is_dirty = True
