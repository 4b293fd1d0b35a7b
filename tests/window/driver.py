"""Runs inside a Blender with a window: plays a scenario of scenarios.py step by step, and writes down what came of it.
With RODIN_NEXT it then waits for a file of that name, which has the environment of the next one; else it quits.

A scenario is a generator: it yields either seconds to wait, or a condition and what it means, which must come true
within forty seconds. Between two steps Blender's own event loop runs, so all that is tested happens as it does for a user.
"""

from __future__ import annotations

import ctypes
import importlib
import importlib.util
import json
import os
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import bpy

PACKAGE = "bl_ext.user_default.rodin_blender"
PATIENCE = 40.0
IDLE = 0.02
"""Seconds of sleep in each turn of Blender's loop: with --enable-event-simulate it leaves out its own, and keeps a
processor busy that the other lanes could use."""
KEEPS_PICTURES = "RODIN_PICTURES" in os.environ
NEXT = os.environ.get("RODIN_NEXT", "")

try:
    # It is opened here, since Blender's main thread is watched for opening files while a scenario is played.
    _SCHEDULING: int | None = os.open("/proc/self/schedstat", os.O_RDONLY)
except OSError:
    _SCHEDULING = None

Step = float | tuple[Callable[[], bool], str]


class Ui:
    """A user's hands and eyes, and counters."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.facts: dict[str, Any] = {}
        self.viewport_draws = 0
        self.sidebar_draws = 0
        self.at = {"x": 0, "y": 0}
        """Where the mouse is."""
        self.presses = 0
        """Clicks and keys; what is typed is no press."""
        self._handlers = [
            (bpy.types.SpaceView3D.draw_handler_add(counted, (), region, "POST_PIXEL"), region)
            for counted, region in ((self._viewport_drawn, "WINDOW"), (self._sidebar_drawn, "UI"))
        ]

    def close(self) -> None:
        for handler, region in self._handlers:
            bpy.types.SpaceView3D.draw_handler_remove(handler, region)

    def _viewport_drawn(self) -> None:
        self.viewport_draws += 1

    def _sidebar_drawn(self) -> None:
        self.sidebar_draws += 1

    def count_from_here(self) -> None:
        self.viewport_draws = self.sidebar_draws = 0

    def at_rest(self, seconds: float = 3.0) -> Iterator[Step]:
        """Until the viewport is not drawn for so long; from there on draws are counted.

        A change is drawn several times, ever smoother; and all windows once more when Blender has loaded a picture.
        """
        while True:
            self.count_from_here()
            yield seconds
            if not self.viewport_draws:
                return

    @property
    def window(self) -> bpy.types.Window:
        return bpy.context.window_manager.windows[0]

    @property
    def area(self) -> bpy.types.Area:
        return next(area for area in self.window.screen.areas if area.type == "VIEW_3D")

    @property
    def sidebar(self) -> bpy.types.Region:
        return next(region for region in self.area.regions if region.type == "UI")

    @property
    def rodin(self) -> Any:
        return bpy.context.window_manager.rodin

    @staticmethod
    def module(name: str) -> Any:
        return importlib.import_module(f"{PACKAGE}.{name}")

    @property
    def app(self) -> Any:
        return self.module("blender.app").app()

    @property
    def session(self) -> Any:
        return self.app.session

    @property
    def preferences(self) -> Any:
        return bpy.context.preferences.addons[PACKAGE].preferences

    @staticmethod
    def clock() -> float:
        """As `time.perf_counter`, but it stands still while the main thread could run and others have the processors.

        Linux counts that time, in nanoseconds. What the thread waits for by itself, such as a disk or a lock, does count.
        """
        waited = int(os.pread(_SCHEDULING, 100, 0).split()[1]) / 1e9 if _SCHEDULING is not None else 0.0
        return time.perf_counter() - waited

    @staticmethod
    def threads() -> list[str]:
        """The names of the extension's threads that live."""
        return [thread.name for thread in threading.enumerate() if thread.name.startswith("rodin")]

    def task(self, name: str) -> Any:
        return next((task for task in self.rodin.tasks if task.name == name), None)

    def open_sidebar(self, begin_by: str = "FOLLOW") -> Iterator[Step]:
        self.rodin.begin_by = begin_by
        self.area.spaces[0].show_region_ui = True
        yield 1.0
        self.sidebar.active_panel_category = "Rodin"
        yield 0.5
        # 4.3 gives the first click of a new profile to the splash, shown or not.
        yield from self.click_sidebar(0.5, 600)

    def move(self, x: float, y: float) -> None:
        self.at = {"x": int(x), "y": int(y)}
        self.window.event_simulate("MOUSEMOVE", "NOTHING", **self.at)

    def leave_sidebar(self) -> None:
        """Move the mouse to where no button shows that it is under it: to what the sidebar leaves of the viewport."""
        self.move((self.area.x + self.sidebar.x) / 2, 400)

    def click(self, x: float, y: float) -> Iterator[Step]:
        """Click at window pixels, counted from the lower left."""
        self.presses += 1
        # Two moves: a button wakes when the mouse comes in from outside of it.
        self.move(x, y + 40)
        yield 0.1
        self.move(x, y)
        yield 0.2
        self.window.event_simulate("LEFTMOUSE", "PRESS", x=int(x), y=int(y))
        yield 0.1
        self.window.event_simulate("LEFTMOUSE", "RELEASE", x=int(x), y=int(y))
        yield 0.3

    def click_sidebar(self, across: float, down: float) -> Iterator[Step]:
        """Click in the sidebar: a share of its width (without the tabs), and pixels below its upper edge."""
        region = self.sidebar
        yield from self.click(region.x + 8 + across * (region.width - 40), region.y + region.height - down)

    def type(self, text: str) -> Iterator[Step]:
        for character in text:
            kind = character.upper() if character.isalpha() and character.isascii() else "A"
            self.window.event_simulate(kind, "PRESS", unicode=character)
            self.window.event_simulate(kind, "RELEASE")
        yield 0.3

    def press(self, kind: str, **modifiers: bool) -> Iterator[Step]:
        self.presses += 1
        # Where the mouse is: what a key does is the editor's business that lies there.
        self.window.event_simulate(kind, "PRESS", **self.at, **modifiers)
        self.window.event_simulate(kind, "RELEASE", **self.at, **modifiers)
        yield 0.3

    def drop(self, paths: list[str]) -> Iterator[Step]:
        """Drop files on the viewport: what Blender does once a file handler has taken them."""
        files = [{"name": Path(path).name} for path in paths]
        region = next(region for region in self.area.regions if region.type == "WINDOW")
        with bpy.context.temp_override(window=self.window, area=self.area, region=region):
            bpy.ops.wm.drop_import_file("INVOKE_DEFAULT", directory=str(Path(paths[0]).parent), files=files)
        yield 0.5
        if not len(self.rodin.form.images):
            # Blender asks what to do with them, in a menu whose entries may open below the mouse: ours comes last.
            yield from self.picture("dropped")
            yield from self.press("END")
            yield from self.press("RET")

    def info_log(self) -> Iterator[Step]:
        """What the Info editor shows."""
        area = next(area for area in self.window.screen.areas if area.type == "DOPESHEET_EDITOR")
        area.type = "INFO"
        yield 0.5
        region = next(region for region in area.regions if region.type == "WINDOW")
        with bpy.context.temp_override(window=self.window, area=area, region=region):
            bpy.ops.info.select_all(action="SELECT")
            bpy.ops.info.report_copy()
        return bpy.context.window_manager.clipboard

    def picture(self, name: str, *, checked: bool = False) -> Iterator[Step]:
        """The whole screen, as name.png in the scenario's folder: where pictures are kept, or a test looks at it."""
        if not (checked or KEEPS_PICTURES):
            return
        yield 0.6
        subprocess.run(["import", "-window", "root", str(self.folder / f"{name}.png")], check=True, timeout=30)

    def picture_of_materials(self, name: str, x: float, y: float) -> Iterator[Step]:
        """The same with the mouse out of the way, and the viewport in colors: only for a picture, since that is slow."""
        if KEEPS_PICTURES:
            self.area.spaces.active.shading.type = "MATERIAL"
            yield 4.0
            self.move(x, y)
            yield from self.picture(name)


def play(scenario: Iterator[Step], finish: Callable[[str], None]) -> None:
    """Go through the scenario by a timer, and call `finish` with its trouble, or ""."""
    waiting: list[Any] = [None, 0.0, ""]

    def step() -> float | None:
        try:
            condition, until, what = waiting
            if condition is not None and not condition():
                if time.monotonic() > until:
                    raise TimeoutError(f"{PATIENCE:g} s passed and not: {what}")
                return 0.05
            waiting[0] = None
            wish = next(scenario)
            if isinstance(wish, tuple):
                waiting[:] = [wish[0], time.monotonic() + PATIENCE, wish[1]]
                return 0.05
            return float(wish)
        except StopIteration:
            finish("")
        except Exception:
            finish(traceback.format_exc())
        return None

    bpy.app.timers.register(step, persistent=True)


def _rest() -> float:
    """The sleep that Blender leaves out: a timer that is due in each turn of its loop."""
    time.sleep(IDLE)
    return 0.0


def _scenario(name: str) -> Callable[[Ui, Any], Iterator[Step]]:
    for file in ("scenarios.py", "generating.py", "importing.py", "from_scene.py", "first_time.py", "listing.py"):
        spec = importlib.util.spec_from_file_location(file.removesuffix(".py"), Path(__file__).with_name(file))
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        if hasattr(module, name):
            return getattr(module, name)
    raise LookupError(name)


def _prefer() -> None:
    bpy.context.preferences.view.show_splash = False
    if not KEEPS_PICTURES:
        # Without a graphics card each of the viewport's samples takes a third of a second of a processor.
        bpy.context.preferences.system.viewport_aa = "OFF"


def _play_one(first_wait: float) -> None:
    """Play the scenario that the environment names; then quit, or wait for the next one."""
    folder = Path(os.environ["RODIN_FOLDER"])
    ui = Ui(folder)

    def whole() -> Iterator[Step]:
        if not KEEPS_PICTURES:
            # Without a graphics card the overlays are half of what the viewport costs.
            ui.area.spaces[0].overlay.show_overlays = False
        yield first_wait
        yield from _scenario(os.environ["RODIN_SCENARIO"])(ui, json.loads((folder / "given.json").read_text()))
        if NEXT:
            bpy.ops.preferences.addon_disable(module=PACKAGE)
            yield (lambda: not ui.threads()), "no thread is left"

    def finish(trouble: str) -> None:
        ui.close()
        ui.facts["offences"] = list(main_thread.offences)
        if trouble:
            print(trouble)
            subprocess.run(["import", "-window", "root", str(folder / "trouble.png")], check=False, timeout=30)
        # A test looks at what was printed as soon as there is a result.
        sys.stdout.flush()
        sys.stderr.flush()
        ctypes.CDLL(None).fflush(None)
        written = folder / "result.part"
        written.write_text(json.dumps({"trouble": trouble, "facts": ui.facts, "quit_at": time.time()}))
        written.rename(folder / "result.json")
        if trouble or not NEXT:
            bpy.ops.wm.quit_blender()
        else:
            bpy.app.timers.register(_play_next, persistent=True)

    play(whole(), finish)


def _play_next() -> float | None:
    """Begin the next scenario once there is one, in a Blender as it was after its start; quit where there is none left."""
    if not Path(NEXT).exists():
        return 0.05
    environment = json.loads(Path(NEXT).read_text())
    Path(NEXT).unlink()
    if not environment:
        bpy.ops.wm.quit_blender()
        return None
    for name in [name for name in os.environ if name.startswith(("RODIN_", "HYPER3D_"))]:
        del os.environ[name]
    os.environ.update(environment)
    main_thread.offences.clear()
    with bpy.context.temp_override(window=bpy.context.window_manager.windows[0]):
        # This enables the extension, too.
        bpy.ops.wm.read_userpref()
        _prefer()
        bpy.ops.wm.read_homefile(use_splash=False)
    _play_one(0.7)
    return None


_prefer()
sys.path.insert(0, str(Path(__file__).parent.parent))
import main_thread  # noqa: E402

main_thread.watch(PACKAGE)
bpy.app.timers.register(_rest, persistent=True)
_play_one(1.5)
