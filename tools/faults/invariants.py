"""What must hold after every fault, whatever it was. One judgement for all rows."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from rodin_blender.service import errors
from rodin_blender.storage.folders import OUTBOX
from rodin_blender.storage.outbox import REQUEST
from tools.faults.processes import Event
from tools.faults.world import World
from tools.simulator import API_KEY

FINAL = ("DONE", "PARTLY_FAILED", "FAILED")
NOT_ACCEPTED = ("UNSENT", "SENDING", "UNCERTAIN", "REJECTED")
_OURS = "|".join(name for name, kind in vars(errors).items() if isinstance(kind, type))
CLASS_NAME = re.compile(rf"\b[A-Z][A-Za-z]+(Error|Exception|Warning|Interrupt|Timeout)\b|\b({_OURS})\(")


@dataclass(frozen=True)
class _Kept:
    """What the list has of a task."""

    key: str
    task_uuid: str
    status: str


def broken(world: World) -> list[str]:
    """What does not hold, a line each. For a world that has ended."""
    found = [
        *(f"kept: {text}" for text in not_kept(world)),
        *(f"final: {text}" for text in _asked_again(world)),
        *(f"forward: {text}" for text in _backwards(world)),
        *(f"nothing left: {text}" for text in _left(world)),
        *(f"plain words: {text}" for text in _raw(world)),
        *(f"secret: {text}" for text in _keys(world)),
        *(f"paid: {text}" for text in _paid(world)),
    ]
    return list(dict.fromkeys(found))


def _shown(world: World) -> Iterator[Event]:
    """All that was shown of tasks by all processes, in the order of time."""
    events = [event for process in world.processes for event in process.events if event.kind == "shown"]
    yield from sorted(events, key=lambda event: event.at)


def _rows(world: World) -> tuple[list[str], dict[str, _Kept]]:
    """What is wrong with the list as a whole, and its tasks by their ids. It is there."""
    # A copy of it, with its journal: the row's own is evidence.
    with tempfile.TemporaryDirectory() as copies:
        for path in world.list.parent.glob(f"{world.list.name}*"):
            shutil.copy(path, copies)
        try:
            with closing(sqlite3.connect(Path(copies, world.list.name))) as db:
                (sound,) = db.execute("PRAGMA integrity_check").fetchone()
                rows = db.execute("SELECT task_id, subscription_key, task_uuid, status FROM task").fetchall()
        except sqlite3.Error as error:
            return [f"the list cannot be read in the end: {error}"], {}
    found = [] if sound == "ok" else [f"the list is not sound in the end: {sound}"]
    return found, {task_id: _Kept(*rest) for task_id, *rest in rows}


def not_kept(world: World) -> Iterator[str]:
    if not world.list.exists():
        if any(task.task_id for task in world.tasks):
            yield "the list is gone"
        return
    found, stored = _rows(world)
    yield from found
    last = {event.task_id: event for event in _shown(world)}
    for task in world.tasks:
        if not task.task_id:
            continue
        kept = stored.get(task.task_id)
        if kept is None:
            yield f"'{task.name}' is not in the list"
        elif kept.key != task.key or kept.task_uuid != task.answer["uuid"]:
            yield f"'{task.name}' has another key or uuid"
        elif task.task_id in last and last[task.task_id].status in FINAL and kept.status != last[task.task_id].status:
            yield f"'{task.name}' was shown as {last[task.task_id].status} and is kept as {kept.status}"
    # Of a killed process the acknowledgement may be missing: what was shown counts as well.
    for task_id in last.keys() - stored.keys() - {task.task_id for task in world.tasks}:
        yield f"a task that was shown ({task_id}) is not in the list"
    for event in (event for process in world.processes for event in process.all("removed")):
        yield f"a task ({event.task_id}) was told to be gone"


def _asked_again(world: World) -> Iterator[str]:
    final: dict[str, float] = {}
    for event in _shown(world):
        if event.status in FINAL:
            final.setdefault(event.task_id, event.at)
    by_key = {task.key: task for task in world.tasks}
    for request in world.simulator.asked("status"):
        task = by_key.get(request.subscription_key)
        if task and request.at > final.get(task.task_id, float("inf")):
            yield f"'{task.name}' was asked about after it was final"


def _backwards(world: World) -> Iterator[str]:
    """In what one process shows, and in what one shows that began after another was gone. Two at once may differ by a
    second: each looks at the list so often."""
    gone: list[tuple[float, dict[str, Event]]] = []
    for process in world.processes:
        last: dict[str, Event] = {}
        for ended, before_it in () if world.list_lost else gone:
            if process.events and ended < process.events[0].at:
                last |= before_it
        for event in process.all("shown"):
            yield from _back(last.get(event.task_id), event)
            last[event.task_id] = event
        gone.append((process.ended, last))


def _back(before: Event | None, event: Event) -> Iterator[str]:
    if before and before.status in FINAL and event.status != before.status:
        yield f"from {before.status} to {event.status}"
    if before and before.status not in ("UNKNOWN", *NOT_ACCEPTED) and event.status == "UNKNOWN":
        yield f"from {before.status} to UNKNOWN"
    if before and event.jobs_done < before.jobs_done:
        yield f"from {before.jobs_done} jobs done to {event.jobs_done}"


def _left(world: World) -> Iterator[str]:
    for process in world.processes:
        if process.killed:
            continue
        if process.exit_code != 0:
            yield f"{process.name} ended with {process.exit_code}"
        for event in process.all("stopped"):
            if event.threads or event.timer or not event.ended:
                yield f"{process.name} left threads {event.threads}, timer {event.timer}, ended {event.ended}"
        if not process.all("stopped") and not process.all("quitting"):
            yield f"{process.name} did not come to its end"


def _raw(world: World) -> Iterator[str]:
    for process in world.processes:
        for line in (*process.output, *process.errors):
            if _is_raw(line):
                yield f"{process.name} printed: {line.strip()}"
        for event in process.events:
            # What is told as Python's own description (`repr`) is for the search for keys only.
            text = {"shown": "message", "told": ""}.get(event.kind, "text")
            if _is_raw(event.what.get(text, "")):
                yield f"{process.name} told: {event.what[text]}"


def _is_raw(text: str) -> bool:
    return "Traceback" in text or "itself went wrong" in text or bool(CLASS_NAME.search(text))


def _keys(world: World) -> Iterator[str]:
    keys = [API_KEY, *world.simulator.subscription_keys, *world.secrets]
    for process in world.processes:
        said = [*process.output, *process.errors, *(str(event.what) for event in process.events)]
        if any(key in text for key in keys for text in said):
            yield f"{process.name} told a key"
    for path in sorted(world.folder.rglob("*")):
        if not path.is_file() or _is_list(world, path):
            continue
        content = path.read_bytes()
        # The answer to a submission is what its subscription key comes from.
        ours = [API_KEY] if path.parent.parent.name == OUTBOX and ".answer" in path.name else keys
        if any(key.encode() in content for key in ours):
            yield f"a key is in {path.relative_to(world.folder)}"


def _paid(world: World) -> Iterator[str]:
    """What does not hold of the submissions. Each of a row has a prompt of its own."""
    accepted = {}
    for sent in world.simulator.submissions:
        if not sent.outcome:
            if sent.prompt in accepted:
                yield f"'{sent.prompt}' was sent, and paid for, twice"
            accepted[sent.prompt] = sent
    if not world.simulator.submissions:
        return
    stored = _rows(world)[1]
    digests = [hashlib.sha256(path.read_bytes()).hexdigest() for path in world.pictures]
    prompts = {}
    for folder in sorted((world.list.parent / OUTBOX).glob("[!.]*")):
        prompts[json.loads((folder / REQUEST).read_text())["prompt"]] = folder.name
        copies = [path for path in sorted(folder.rglob("*")) if path.suffix == ".png"]
        if [hashlib.sha256(path.read_bytes()).hexdigest() for path in copies] != digests:
            yield f"a picture in {folder.name} is not whole"
    for prompt, sent in accepted.items():
        kept = stored.get(prompts.get(prompt, ""))
        if [picture["sha256"] for picture in sent.pictures] != digests:
            yield f"'{prompt}' arrived without all of its pictures"
        if kept is None:
            yield f"'{prompt}' was accepted and is not in the list"
        elif kept.status in NOT_ACCEPTED and kept.status != "UNCERTAIN":
            yield f"'{prompt}' was accepted and is kept as {kept.status}"
        elif kept.status != "UNCERTAIN" and kept.task_uuid != sent.task_uuid:
            yield f"'{prompt}' has the uuid of another task"
    for prompt, task_id in prompts.items():
        kept = stored.get(task_id)
        if kept is None:
            yield f"'{prompt}' lies in the outbox and is not in the list"
        elif prompt not in accepted and kept.status not in NOT_ACCEPTED:
            yield f"'{prompt}' was never accepted and is kept as {kept.status}"


def _is_list(world: World, path: Path) -> bool:
    """The list, its journal, a damaged one that was set aside, or a copy that the row made."""
    return path.name.startswith("tasks.") and ".sqlite" in path.name
