"""Inside a Blender without a window: the built zip, installed and enabled in a throw-away profile.

The lane sets RODIN_ZIP, RODIN_SIMULATOR (the address of a simulator process) and BLENDER_USER_RESOURCES. Timers do not
fire in background mode, so the tests call the timer's function themselves, as Blender would.
"""

from __future__ import annotations

import base64
import importlib
import json
import os
import shutil
import signal
import socketserver
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

try:
    import addon_utils
    import bpy
except ModuleNotFoundError:
    # pytest-blender's own process, outside of Blender, reads this file too.
    bpy = None

sys.path.insert(0, str(Path(__file__).parent.parent))
import main_thread

# Servers of the tests count on it, and Blender 4.3 does not do it. Another program that is started begins anew.
signal.signal(signal.SIGPIPE, signal.SIG_IGN)

PACKAGE = "bl_ext.user_default.rodin_blender"
API_KEY = "simulated-api-key"
READY = [[[0, "Done"]], [[0, "Done"]]]
"""The story of a task that is done when it is asked about."""


class Service:
    """The simulator, in another process."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.url = f"{root}/api/v2"

    def reset(self) -> None:
        """Be as new, with an account of 12.5 credits and no task."""
        self._post("reset", {})

    def add(
        self,
        story: str | list[Any] = "done",
        prompt: str = "",
        faults: tuple[str, ...] = (),
        files: dict[str, bytes] | None = None,
    ) -> dict[str, Any]:
        wish: dict[str, Any] = {"story": story, "prompt": prompt, "faults": faults}
        if files is not None:
            wish["files"] = {name: base64.b64encode(content).decode() for name, content in files.items()}
        return self._post("tasks", wish)

    def fail(self, path: str, *faults: str) -> None:
        self._post("faults", {"path": path, "faults": faults})

    def host(self, **hosting: float | None) -> None:
        """Set `rate` (bytes a second) or `link_life` of the file server."""
        self._post("hosting", hosting)

    def account(self, **account: object) -> None:
        """Set `balance`, `parallel`, the `story` of what is generated, or `upload_rate` (bytes a second)."""
        self._post("account", account)

    def submissions(self) -> list[dict[str, Any]]:
        """What was submitted and arrived whole, oldest first."""
        with urllib.request.urlopen(f"{self.root}/simulator/submissions", timeout=60) as answer:
            return json.load(answer)["submissions"]

    def asked(self, path: str = "status") -> list[dict[str, Any]]:
        with urllib.request.urlopen(f"{self.root}/simulator/requests", timeout=60) as answer:
            return [request for request in json.load(answer)["requests"] if request["path"] == path]

    def asked_for(self, answer: dict[str, Any]) -> int:
        key = answer["jobs"]["subscription_key"]
        return sum(request["subscription_key"] == key for request in self.asked())

    def _post(self, path: str, wish: object) -> Any:
        request = urllib.request.Request(
            f"{self.root}/simulator/{path}", json.dumps(wish).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.load(answer)


class Rodin:
    """The enabled extension."""

    def module(self, name: str) -> ModuleType:
        return importlib.import_module(f"{PACKAGE}.{name}")

    @property
    def app(self) -> Any:
        return self.module("blender.app").app()

    @property
    def session(self) -> Any:
        return self.app.session

    @property
    def view(self) -> Any:
        return bpy.context.window_manager.rodin

    @property
    def preferences(self) -> Any:
        return bpy.context.preferences.addons[PACKAGE].preferences

    @property
    def store(self) -> Path:
        return self.module("blender.settings.folders").user_folder() / "tasks.sqlite"

    def track(self, answer: dict[str, Any], **more: str) -> str:
        """Track a generation answer; the id of its task."""
        key, uuid = answer["jobs"]["subscription_key"], answer["uuid"]
        bpy.ops.rodin.track(**{"subscription_key": key, "task_uuid": uuid, "name": answer["prompt"], **more})
        self.until(lambda: self.find(key) is not None, "the task is in the list")
        return str(self.find(key).task_id)

    def find(self, key: str) -> Any:
        tasks = self.session.tasks
        return next((i for i in self.view.tasks if tasks[i.task_id].subscription_key.reveal() == key), None)

    def item(self, task_id: str) -> Any:
        return next((item for item in self.view.tasks if item.task_id == task_id), None)

    def until(self, condition: Callable[[], object], what: str, patience: float = 30.0) -> None:
        """Call the timer as Blender would, until the condition holds once a call has left nothing for the next one."""
        timer = self.module("blender.timer")
        end, wait = time.monotonic() + patience, None
        while wait == timer.BUSY_INTERVAL or not condition():
            wait = timer.run()
            assert time.monotonic() < end, f"not within {patience} s: {what}; {self._known()}"
            time.sleep(min(wait or 0.02, 0.05))

    def _known(self) -> str:
        known = self.session
        return f"{known.news.notice=} {known.files.troubles=} {known.files.downloads=} {known.imports.requests=} {known.blocker=}"

    def until_idle(self) -> None:
        """Until the timer ends by itself."""
        run, end = self.module("blender.timer").run, time.monotonic() + 30.0
        while run() is not None:
            assert time.monotonic() < end, "the timer does not end"
            time.sleep(0.02)

    def enable(self) -> None:
        bpy.ops.preferences.addon_enable(module=PACKAGE)

    def disable(self) -> None:
        """Disable it where it is enabled: each time Blender looks through all its extensions."""
        if any(addon_utils.check(PACKAGE)):
            bpy.ops.preferences.addon_disable(module=PACKAGE)


def rodin_threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("rodin")]


def wait_for_no_thread(patience: float = 8.0) -> None:
    end = time.monotonic() + patience
    while rodin_threads():
        assert time.monotonic() < end, f"still alive: {rodin_threads()}"
        time.sleep(0.01)


@pytest.fixture(scope="session", autouse=True)
def _installed() -> None:
    assert os.environ.get("BLENDER_USER_RESOURCES"), "these tests use a profile of their own: run them by `make test`"
    bpy.ops.extensions.package_install_files(
        filepath=os.environ["RODIN_ZIP"], repo="user_default", enable_on_install=True
    )
    main_thread.watch(PACKAGE)


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Service:
    running = Service(os.environ["RODIN_SIMULATOR"])
    # A task of another test that never ends would count among those that run at a time, and what it spent is gone.
    running.reset()
    monkeypatch.setenv("RODIN_API_URL", running.url)
    monkeypatch.setenv("RODIN_API_KEY", API_KEY)
    monkeypatch.delenv("HYPER3D_API_KEY", raising=False)
    return running


@pytest.fixture
def closing() -> Iterator[str]:
    """The address of a service that closes each connection at once: what is sent next meets a broken pipe."""
    with socketserver.TCPServer(("127.0.0.1", 0), socketserver.BaseRequestHandler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/api/v2"
        server.shutdown()


@pytest.fixture
def rodin(service: Service) -> Iterator[Rodin]:
    """The extension, freshly enabled with an empty list; afterwards it is disabled, and nothing of it is left."""
    extension = Rodin()
    extension.disable()
    wait_for_no_thread()
    extension.enable()
    for path in (extension.store, extension.store.with_name("tasks.copy.sqlite")):
        path.unlink(missing_ok=True)
    shutil.rmtree(extension.store.parent / "outbox", ignore_errors=True)
    extension.preferences.shortest_interval = 1.0
    extension.preferences.longest_interval = 1.0
    extension.preferences.hand_off_operator = "rodin.download"
    main_thread.offences.clear()
    # What is begun before waits, and is not refused at the press.
    extension.until(lambda: not extension.app.studio_files.pending, "the studio's settings are read")
    # What a test changes is looked at with the next call of the timer.
    extension.app.settings_read_at = float("-inf")
    yield extension
    offences = list(main_thread.offences)
    extension.disable()
    wait_for_no_thread()
    assert offences == []


@pytest.fixture
def done(rodin: Rodin, service: Service) -> Callable[..., str]:
    """Makes a finished task with these files in the list, and returns its id."""

    def make(files: dict[str, bytes] | None = None, prompt: str = "A glazed vase") -> str:
        task_id = rodin.track(service.add(READY, prompt=prompt, files=files))
        rodin.until(lambda: rodin.item(task_id).status == "DONE", "it is done")
        return task_id

    return make


@pytest.fixture
def saved(rodin: Rodin, done: Callable[..., str]) -> Callable[..., str]:
    """The same, with the files downloaded and nothing imported."""

    def make(files: dict[str, bytes] | None = None, prompt: str = "A glazed vase") -> str:
        task_id = done(files, prompt)
        bpy.ops.rodin.download(task_id=task_id, import_model=False)
        # The files are in the list a moment before the download has ended.
        rodin.until(lambda: rodin.item(task_id).downloaded and not rodin.session.files.downloads, "its files are saved")
        return task_id

    return make
