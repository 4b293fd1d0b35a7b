"""Runs inside the Blender that tools/demo.py starts: installs the extension's zip, generates and follows tasks.

Without a window it has two models generated and follows one more task, presses Download for what there is, has models
made of rough objects, renders a picture of each and writes down what became of the tasks; with one it opens the sidebar
on some tasks and leaves the rest to the user.
"""

import importlib
import json
import sys
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import bpy

sys.path.insert(0, str(Path(__file__).parent))
import still_life

PACKAGE = "bl_ext.user_default.rodin_blender"
LONGEST_STORY = 60.0
LONGEST_DOWNLOAD = 30.0
TABLES_AT = 10.0
"""Where the tables stand, in meters along X."""
HEIGHT = 0.3
"""Metres that the models are made high; about as far apart they stand."""


def install(archive: str) -> None:
    bpy.ops.extensions.package_install_files(filepath=archive, repo="user_default", enable_on_install=True)
    if PACKAGE not in bpy.context.preferences.addons:
        raise SystemExit(f"{archive} was not installed")


def track(simulator: str, tasks: list[dict[str, Any]]) -> None:
    """Begin these tasks at the simulator, as another tool would, and follow them."""
    for task in tasks:
        answer = ask(f"{simulator}/tasks", task)
        key = answer["jobs"]["subscription_key"]
        bpy.ops.rodin.track(subscription_key=key, task_uuid=answer["uuid"], name=task["prompt"])


def ask(address: str, wish: dict[str, Any]) -> Any:
    request = urllib.request.Request(address, json.dumps(wish).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=10) as response:
        return json.load(response)


class Follower:
    """Does what Blender's timers do where there is a window, and tells what changes."""

    def __init__(self, mark: str) -> None:
        self._mark = mark
        self._timer = importlib.import_module(f"{PACKAGE}.blender.timer")
        self._session = importlib.import_module(f"{PACKAGE}.blender.app").app().session
        self._began = time.monotonic()
        self._told: dict[str, str] = {}

    @property
    def tasks(self) -> list[Any]:
        """As any script reads them."""
        return list(bpy.context.window_manager.rodin.tasks)

    def wait(self, seconds: float, ended: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while not ended() and time.monotonic() < until:
            pause = self._timer.run()
            for task in reversed(self.tasks):
                line = f"{task.name:<20}  {word(task):<13}  {jobs(task):<11}  {self._more(task)}".rstrip()
                if self._told.get(task.task_id) != line:
                    self._told[task.task_id] = line
                    self.tell(f"{time.monotonic() - self._began:5.1f} s  {line}")
            time.sleep(pause or self._timer.INTERVAL)

    def tell(self, line: str) -> None:
        print(f"{self._mark}{line}", flush=True)

    def models(self) -> list[Any]:
        """The collections of the models that were imported."""
        return list(bpy.context.scene.collection.children)

    def bring(self, tasks: list[Any]) -> list[Any]:
        """Press Download for each, and wait for its model. Returns the collections that came."""
        before = self.models()
        for number, task_id in enumerate([task.task_id for task in tasks], len(before) + 1):
            bpy.ops.rodin.hand_off(task_id=task_id)
            self.wait(
                LONGEST_DOWNLOAD,
                lambda number=number, task_id=task_id: (
                    len(self.models()) == number or task_id in self._session.files.troubles
                ),
            )
        return [model for model in self.models() if model not in before]

    def _more(self, task: Any) -> str:
        running = self._session.files.downloads.get(task.task_id)
        if running:
            return f"Downloading {running.name}".rstrip()
        trouble = str(self._session.files.troubles.get(task.task_id, ""))
        imported = any(model.name == task.name for model in self.models())
        return task.message or trouble or ("In the scene" if imported else "Saved" if task.downloaded else "")


def word(task: Any) -> str:
    return task.bl_rna.properties["status"].enum_items[task.status].name


def jobs(task: Any) -> str:
    return f"{task.jobs_done} of {task.jobs_total} jobs" if task.jobs_total else ""


def follow(given: dict[str, Any]) -> None:
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    preferences.shortest_interval = preferences.longest_interval = 1.0
    preferences.import_height = HEIGHT
    bpy.ops.wm.read_homefile(use_empty=True)
    folder, follower = Path(given["folder"]), Follower(given["mark"])
    follower.tell(f"Installed it into Blender {bpy.app.version_string}.")
    follower.tell("A task that another tool has begun is followed by its key:")
    track(given["simulator"], given["tasks"])
    for number, wish in enumerate(given["wishes"], 1):
        bpy.context.scene.cursor.location.x = HEIGHT * number
        picture = str(folder / "goblet.png") if wish.get("picture") else ""
        follower.tell(f"{wish['prompt']!r} is typed{' and a picture added' if picture else ''}, Generate is pressed:")
        ask(f"{given['simulator']}/account", {"story": wish["story"]})
        bpy.ops.rodin.generate(prompt=wish["prompt"], images=picture)
        count = len(given["tasks"]) + number
        follower.wait(
            LONGEST_STORY,
            lambda count=count: (
                len(follower.tasks) == count and not {task.status for task in follower.tasks} & {"UNSENT", "SENDING"}
            ),
        )
    bpy.context.scene.cursor.location.x = 0.0
    final = ("DONE", "PARTLY_FAILED", "FAILED")
    count = len(given["tasks"]) + len(given["wishes"])
    follower.wait(
        LONGEST_STORY,
        lambda: len(follower.tasks) == count and all(task.status in final for task in follower.tasks),
    )
    follower.tell("Download is pressed for those that have something; the models come to where the 3D cursor was.")
    models = follower.bring([task for task in follower.tasks if task.status in ("DONE", "PARTLY_FAILED")])
    thumbnail = importlib.import_module(f"{PACKAGE}.blender.thumbnail")
    follower.tell("The scene is rendered.")
    scale = given["scale"]
    thumbnail.render(models, folder / "models.png", int(960 * scale), int(640 * scale))
    tables = make_of_blockouts(given, follower)
    follower.tell("The tables are rendered.")
    thumbnail.render(tables, folder / "blockouts.png", int(1400 * scale), int(560 * scale))
    session = importlib.import_module(f"{PACKAGE}.blender.app").app().session
    tasks = [
        {
            "name": t.name,
            "status": t.status,
            "word": word(t),
            "jobs": jobs(t),
            "folder": t.folder,
            "credits": session.tasks[t.task_id].credits,
        }
        for t in follower.tasks
    ]
    (folder / "result.json").write_text(json.dumps(tasks))


def make_of_blockouts(given: dict[str, Any], follower: Follower) -> list[Any]:
    """Have models made of rough objects on a table. Returns all that is on that and on the table beside it."""
    stays, blockouts = still_life.build(TABLES_AT)
    for item in bpy.context.scene.objects:
        item.select_set(item in blockouts)
    # Six at once ask as often together as the three before did.
    preferences = bpy.context.preferences.addons[PACKAGE].preferences
    preferences.shortest_interval = preferences.longest_interval = 3.0
    follower.tell("Rough objects on a table are selected; Make This is pressed with 'A {name} for the table':")
    ask(f"{given['simulator']}/account", {"story": "done"})
    known = {task.task_id for task in follower.tasks}
    bpy.ops.rodin.generate_from_selected(prompt="A {name} for the table")

    def begun() -> list[Any]:
        return [task for task in follower.tasks if task.task_id not in known]

    follower.wait(
        LONGEST_STORY, lambda: len(begun()) == len(blockouts) and all(task.status == "DONE" for task in begun())
    )
    follower.tell("Download is pressed for each; the models come in the objects' places, which are hidden.")
    return [*stays, *follower.bring(begun())]


def show(given: dict[str, Any]) -> None:
    bpy.context.preferences.view.show_splash = False
    track(given["simulator"], given["tasks"])
    area = next(area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D")
    area.spaces.active.show_region_ui = True
    attempts = iter(range(20))

    def open_tab() -> float | None:
        # A tab can be chosen once the sidebar has been drawn; in Blender 4.2 by the user only.
        sidebar = next(region for region in area.regions if region.type == "UI")
        with suppress(AttributeError, TypeError):
            sidebar.active_panel_category = "Rodin"
        return None if sidebar.active_panel_category == "Rodin" or next(attempts, None) is None else 0.3

    bpy.app.timers.register(open_tab, first_interval=0.5)


def main() -> None:
    given = json.loads(Path(sys.argv[sys.argv.index("--") + 1]).read_text())
    install(given["archive"])
    if bpy.app.background:
        follow(given)
    else:
        show(given)


main()
