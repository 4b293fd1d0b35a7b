# SPDX-License-Identifier: GPL-3.0-or-later
"""What is alive between `register` and `unregister`, all of it on one object: no other module keeps any state."""

from __future__ import annotations

import time
from collections.abc import Callable

import bpy

from ..configuration.logs import Logging
from ..storage import folders as places
from ..texts.text import Text
from ..tracking.messages import PENDING, Blocker
from ..tracking.tracker import Tracker
from .hooks import Hooks
from .library import Library
from .previews import Previews
from .settings import folders
from .settings.api_key import ApiKey
from .settings.in_use import SettingsInUse
from .settings.studio_files import StudioFiles
from .state.session import Session
from .task_list import TaskList
from .threads import Threads


class App:
    def __init__(self, pump: Callable[[], float | None]) -> None:
        """`pump` is the callback of `bpy.app.timers`, which `wake` has called."""
        self.session = Session()
        self.threads = Threads()
        self.studio_files = StudioFiles(self.threads, self.session)
        self.api_key = ApiKey(self.threads, self.session, self.studio_files)
        self.settings = SettingsInUse(self.studio_files, self.api_key)
        self.previews = Previews(self.session)
        self.library = Library(self.threads, self.session)
        self.hooks = Hooks(self.threads, self.session)
        self.logging = Logging()
        self.waiting: list[tuple[str, Callable[[], None]]] = []
        """What begins tasks once the studio's settings are known, with the tasks' ids, see generating.py."""
        self.task_list = TaskList(self.session, self.settings)
        self.positions: dict[str, int] = {}
        """Where each task stands among the properties, see task_properties.py."""
        self.dialog: tuple[bpy.types.Window, bpy.types.Region] | None = None
        """Where the dialog for the API key is open."""
        self.command: object = None
        """What takes `blender --command rodin` away again, see commands.py."""
        self.settings_read_at = 0.0
        """When the tracker was last told the settings, as `time.monotonic` has it."""
        self.pump_trouble = ""
        """The last error of the pump that was printed."""
        self.drawn_second = 0
        """The second of the clock that the sidebar was last told to show."""
        self._pump = pump
        self._migrating = False
        """Whether a worker was told to bring what an earlier version kept elsewhere."""

    def wake(self, first_interval: float = 0.0) -> None:
        """Have the pump called, from so many seconds on, until there is nothing more to do."""
        if not bpy.app.timers.is_registered(self._pump):
            bpy.app.timers.register(self._pump, first_interval=first_interval, persistent=True)

    def tracker(self) -> Tracker:
        """The running tracker with the settings as they are now, started if there is none, and the pump with it.

        Returns at once.
        """
        self.wake()
        session = self.session
        self.settings_read_at = time.monotonic()
        if not self._migrating:
            self._migrating = True
            self.threads.run(folders.migration_work(), self._migrated)
        self.hooks.follow()
        self.studio_files.follow()
        self.api_key.follow()
        self.logging.configure(self.settings.resolve, folders.blend_folder())
        self.settings.follow()
        settings = self.settings.for_tracker()
        session.needs_redraw |= settings != session.settings
        if settings.api_key != session.settings.api_key:
            session.key_test.result = session.key_test.result_for(settings.api_key)
            session.account.reset()
        tracker = session.tracker
        if tracker is None:
            tracker = Tracker(places.list_path(folders.user_folder()), settings, session.tasks.values())
            session.connect(tracker)
        elif settings != session.settings:
            tracker.configure(settings)
        session.settings = settings
        return tracker

    def blocker(self) -> Blocker | None:
        """What keeps tasks from being asked now: by the settings, else by what the tracker has met."""
        return self.settings.for_tracker().blocker or self.session.blocker

    def lasting_blocker(self) -> Blocker | None:
        """The same, but for what is still being looked up and so over in a moment."""
        found = self.blocker()
        return None if found and found.code == PENDING else found

    def ask_account(self) -> None:
        """Ask for what is to be known of the account, once it can be asked."""
        session = self.session
        if session.key_test.wanted and not self.api_key.lookups:
            session.key_test.wanted = False
            self.tracker().test_key()
        wanted = session.form.used_at and not session.account.asked
        if wanted and session.tracker and not session.settings.blocker and not session.blocker:
            session.account.asked = True
            session.tracker.ask_balance()

    def end(self) -> None:
        if bpy.app.timers.is_registered(self._pump):
            bpy.app.timers.unregister(self._pump)
        self.session.disconnect()
        self.api_key.end()
        self.previews.end()
        self.library.end()
        self.logging.end()

    def _migrated(self, news: list[Text]) -> None:
        """What an earlier version kept elsewhere is in the user's folder now."""
        if news:
            for text in news:
                self.session.tell(text)
            # The tracker may have looked at the list, and ended, before.
            self.tracker().refresh()


_app: App | None = None


def app() -> App:
    """The running one. Raises RuntimeError where the extension is not enabled."""
    if _app is None:
        raise RuntimeError("Rodin is not enabled.")
    return _app


def begin(pump: Callable[[], float | None]) -> None:
    global _app
    _app = App(pump)


def end() -> None:
    global _app
    app().end()
    _app = None
