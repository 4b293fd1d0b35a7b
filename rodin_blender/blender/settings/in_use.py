# SPDX-License-Identifier: GPL-3.0-or-later
"""What is set: by the environment, a studio's file, or the user in Blender's preferences."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace

import bpy

from ... import configuration
from ...configuration import FIELDS, GENERATE, Setting, Value
from ...service.errors import BadInput
from ...service.keys import Secret
from ...storage import folders as places
from ...storage.paths import NoBlendFile
from ...tasks import templates
from ...tasks.task import Task
from ...texts.text import Text
from ...tracking.messages import PENDING, Blocker, Settings
from . import network, option_properties
from .api_key import ApiKey
from .folders import addon_preferences, blend_folder, stored_preferences, user_folder
from .studio_files import StudioFiles

FOLLOW_EVERY = 1.0
"""Seconds for which a draw takes the environment as it was: a script may change it while the timer rests."""


def own() -> bpy.types.AddonPreferences | SimpleNamespace:
    """The user's preferences; their defaults where a script enabled the extension without an entry in Blender's."""
    return addon_preferences() or SimpleNamespace(**{name: field.default for name, field in FIELDS.items()})


class SettingsInUse:
    def __init__(self, file: StudioFiles, api_key: ApiKey) -> None:
        self._file = file
        self._api_key = api_key
        self._environment = dict(os.environ)
        """As it was when it was last followed."""
        self._followed_at = time.monotonic()
        self._drawing = False
        self._drawn: dict[str, Setting] = {}
        """What was worked out to be drawn, as long as nothing is set in another way."""
        self._drawn_trouble: Text | None = None
        """What is wrong in the environment then."""
        self._drawn_from: tuple[object, ...] = ()

    def follow(self) -> None:
        """Have what is drawn be as the environment is now."""
        self._environment, self._followed_at = dict(os.environ), time.monotonic()

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """Within one draw, which asks for a hundred values: look once whether anything is set in another way."""
        if time.monotonic() > self._followed_at + FOLLOW_EVERY:
            # Nobody else follows it while Blender rests.
            self.follow()
        stored = stored_preferences()
        now = self._environment, self._file.values, dict(stored.items()) if stored else {}
        if now != self._drawn_from:
            self._drawn_from = now
            self._drawn_trouble = configuration.wrong_in_environment(self._file.values, self._environment)
            self._drawn.clear()
        self._drawing = True
        try:
            yield
        finally:
            self._drawing = False

    def resolve(self, name: str) -> Setting:
        """The value in use, and where it comes from. What the environment holds wrongly is passed over.

        That is a blocker, see `for_tracker`. Raises BadInput for an API key that is not known, see `ApiKey.in_use`.
        """
        if name == "api_key":
            return self._api_key.in_use()
        if not self._drawing:
            return self._find(name, os.environ)
        if name not in self._drawn:
            self._drawn[name] = self._find(name, self._environment)
        return self._drawn[name]

    def _find(self, name: str, environment: Mapping[str, str]) -> Setting:
        try:
            found = configuration.fixed(name, self._file.values, environment)
        except BadInput:
            found = None
        if found:
            return found
        preferences = own()
        if name == "proxy":
            given = network.stored_proxy(preferences)
            return Setting(given, "preferences" if given else "default", fixed=False)
        touched = isinstance(preferences, bpy.types.AddonPreferences) and preferences.is_property_set(name)
        value = getattr(preferences, name)
        if name.startswith(GENERATE):
            value = option_properties.choice(value)
        return Setting(value, "preferences" if touched else "default", fixed=False)

    def value(self, name: str) -> Value:
        """The value in use."""
        return self.resolve(name).value

    def set_value(self, name: str, value: Value) -> None:
        """Have a value in the preferences, as if the user had set it there. What is fixed stays."""
        preferences = own()
        fixed = name in FIELDS and self.resolve(name).fixed
        if isinstance(preferences, bpy.types.AddonPreferences) and not fixed:
            if name.startswith(GENERATE) and isinstance(value, str):
                value = option_properties.identifier(value)
            setattr(preferences, name, value)
            # Setting this flag makes Blender redraw all windows.
            if not bpy.context.preferences.is_dirty:
                bpy.context.preferences.is_dirty = True

    def download_folder(self) -> Path:
        """Where the folders of tasks are made. Raises BadInput where it cannot be told."""
        return self._folder("download_folder") or places.downloads(user_folder())

    def library_folder(self) -> Path:
        """The folder of the asset library. Raises BadInput where it cannot be told."""
        return self._folder("library_folder") or places.library(user_folder())

    def _folder(self, name: str) -> Path | None:
        """None where none is set. Raises BadInput."""
        try:
            return configuration.path_of(self.resolve(name), blend_folder())
        except BadInput as error:
            text = "{setting} cannot be used: {why} Set another folder in the preferences."
            if isinstance(error, NoBlendFile):
                text = "{setting} cannot be used: {why} Save it, or set another folder in the preferences."
            raise BadInput(Text(text, setting=Text(FIELDS[name].label), why=error.trouble)) from None

    def collection_name(self, task: Task) -> str:
        """What an imported model is called. Raises BadInput for a template that is wrong."""
        template = configuration.template_of(self.resolve("collection_template"), "collection_template")
        return templates.collection_name(template, task)

    def for_tracker(self, api_key: Secret | None = None) -> Settings:
        """What the tracker is to know now, with what keeps it from asking, if anything does.

        With `api_key`, as if that one were in use.
        """

        def resolve(name: str) -> Setting:
            if api_key and name == "api_key":
                return Setting(api_key.reveal(), "dialog", fixed=False)
            return self.resolve(name)

        if self._file.trouble:
            code = PENDING if self._file.pending else "settings"
            return Settings(timeout=network.timeout(), blocker=Blocker(code, self._file.trouble))
        return configuration.tracker_settings(
            resolve,
            self._drawn_trouble if self._drawing else configuration.wrong_in_environment(self._file.values),
            blend_folder=blend_folder(),
            timeout=network.timeout(),
            connection_limit=network.connection_limit(),
            offline=network.offline(),
            program=network.program(),
        )
