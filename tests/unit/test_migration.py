# SPDX-License-Identifier: GPL-3.0-or-later
"""What earlier versions kept in the extension's folder is brought into the user's: once, whole, whoever is killed."""

from __future__ import annotations

import json
import os
import random
import sqlite3
import stat
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rodin_blender.service.keys import Generation, Secret
from rodin_blender.storage import locks, migration
from rodin_blender.storage.store import Store
from rodin_blender.tasks import schedule
from rodin_blender.tasks.task import Status, Task
from rodin_blender.texts.text import Text
from tests.unit import disks, first_schemas

small_disk, read_only = disks.small_disk, disks.read_only

KEY = "subscription-key-{}-0123456789"


def key(number: object) -> str:
    return KEY.format(number)


def old_place(place: Path, *numbers: int, size: int = 100) -> Path:
    """A folder as the first snapshots left it: a list of the fifth schema, and downloads of each second task."""
    place.mkdir(parents=True)
    with closing(sqlite3.connect(place / "tasks.sqlite")) as db:
        for statements in first_schemas.STATEMENTS:
            db.executescript(statements)
        db.execute("PRAGMA user_version = 5")
        for number in numbers:
            folder = place / "downloads" / f"Vase {number} id{number}"
            files = []
            if number % 2 == 0:
                folder.mkdir(parents=True)
                (folder / "base.glb").write_bytes(bytes([number]) * size)
                (folder / ".rest.glb.part").write_bytes(b"half")
                files = [["base.glb", size]]
            row = (
                f"id{number}", f"Vase {number}", key(number), f"uuid-{number}", "DONE", "[]", "FOLLOWING", "",
                float(number), 9.0, 9.0, 0.0, 5.0, 0, 1.0, str(folder) if files else "", json.dumps(files),
                "SAVED" if files else "", 7.5,
            )  # fmt: skip
            marks = ", ".join("?" * len(row))
            db.execute(f"INSERT INTO task ({', '.join(first_schemas.COLUMNS)}) VALUES ({marks})", row)
        db.commit()
    return place


def tasks(folder: Path) -> dict[str, Task]:
    """By subscription key."""
    # Without a second copy beside it: one in the old place would have to be brought, too.
    with closing(Store(folder / "tasks.sqlite", has_copy=False)) as store:
        return {task.subscription_key.reveal(): task for task in store.tasks()}


def files(folder: Path) -> dict[str, bytes]:
    """All that is no list or lock."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(("tasks.", "takeover."))
    }


def check_whole(place: Path, folder: Path, numbers: range, size: int = 100) -> None:
    found = tasks(folder)
    assert set(found) == {key(number) for number in numbers}
    assert tasks(place) == {} and files(place) == {}
    for number in numbers:
        task = found[key(number)]
        assert (task.name, task.task_uuid, task.took) == (f"Vase {number}", f"uuid-{number}", 7.5)
        if number % 2 == 0:
            assert Path(task.folder) == folder / "downloads" / f"Vase {number} id{number}"
            assert (Path(task.folder) / "base.glb").read_bytes() == bytes([number]) * size
            assert (Path(task.folder) / ".rest.glb.part").read_bytes() == b"half"
    wanted = {f"Vase {number} id{number}" for number in numbers if number % 2 == 0}
    assert {path.name for path in (folder / "downloads").iterdir()} == wanted


def in_words(news: list[Text]) -> list[str]:
    return [str(text) for text in news]


def test_all_is_brought_once(tmp_path: Path) -> None:
    place, folder = old_place(tmp_path / "old", *range(6)), tmp_path / "not" / "there"
    kept = {"notes.txt": b"mine", "tasks.damaged-1.sqlite": b"set aside", "downloads/mine.blend": b"BLENDER"}
    for name, content in kept.items():
        (place / name).write_bytes(content)
    (place / "tasks.damaged-1.sqlite").chmod(0o600)
    (news,) = in_words(migration.migrate([place, tmp_path / "none"], folder))
    assert "6 tasks" in news and str(folder) in news
    for name, content in kept.items():
        assert (folder / name).read_bytes() == content and not (place / name).exists()
        (folder / name).unlink()
    check_whole(place, folder, range(6))
    assert stat.S_IMODE((folder / "tasks.sqlite").stat().st_mode) == 0o600
    assert not any(key(number).encode() in (place / "tasks.sqlite").read_bytes() for number in range(6))
    with closing(Store(folder / "tasks.sqlite")) as store:
        store.forget("id3")
    before = (place / "tasks.sqlite").stat()
    assert migration.migrate([place], folder) == []
    assert key(3) not in tasks(folder), "a forgotten task does not come back"
    assert (place / "tasks.sqlite").stat() == before, "nothing is touched where there is nothing to bring"


def test_what_an_old_version_tracks_afterwards_is_brought_too(tmp_path: Path) -> None:
    place, folder = old_place(tmp_path / "old", 1), tmp_path / "new"
    migration.migrate([place], folder)
    with closing(Store(place / "tasks.sqlite")) as store:
        store.add(schedule.new_task(Generation(Secret(key(2))), 5.0))
    migration.migrate([place], folder)
    assert set(tasks(folder)) == {key(1), key(2)}


def test_tasks_join_those_that_are_there(tmp_path: Path) -> None:
    place, folder = old_place(tmp_path / "old", 1, 2, 3, 4), tmp_path / "new"
    with closing(Store(folder / "tasks.sqlite")) as store:
        known = store.add(schedule.new_task(Generation(Secret(key(2)), "", "My name"), 50.0))
        done = schedule.new_task(Generation(Secret(key(3)), "uuid-of-mine", "Failed here"), 60.0)
        store.add(replace(done, status=Status.FAILED))
        # Another task by the same id.
        store.add(replace(schedule.new_task(Generation(Secret("another")), 70.0), task_id="id4"))
    migration.migrate([place], folder)
    found = tasks(folder)
    assert set(found) == {key(1), key(2), key(3), key(4), "another"}
    ours = found[key(2)]
    assert (ours.task_id, ours.name, ours.task_uuid) == (known.task_id, "My name", "uuid-2")
    assert (ours.status, ours.took) == (Status.DONE, 7.5), "what is known of its end is known here, too"
    assert (Path(ours.folder) / "base.glb").is_file() and Path(ours.folder).is_relative_to(folder)
    assert (found[key(3)].status, found[key(3)].task_uuid) == (Status.FAILED, "uuid-of-mine")
    assert found["another"].task_id == "id4" != found[key(4)].task_id
    assert Path(found[key(4)].folder) == folder / "downloads" / "Vase 4 id4"


def test_another_folder_of_the_same_name_stays_as_it_is(tmp_path: Path) -> None:
    place, folder = old_place(tmp_path / "old", 2), tmp_path / "new"
    there = folder / "downloads" / "Vase 2 id2"
    there.mkdir(parents=True)
    (there / "base.glb").write_bytes(b"other")
    migration.migrate([place], folder)
    assert (there / "base.glb").read_bytes() == b"other"
    assert Path(tasks(folder)[key(2)].folder).name == "Vase 2 id2-2"
    assert (folder / "downloads" / "Vase 2 id2-2" / "base.glb").read_bytes() == b"\2" * 100


def test_downloads_elsewhere_stay_where_they_are(tmp_path: Path) -> None:
    place, folder = old_place(tmp_path / "old", 2), tmp_path / "new"
    with closing(sqlite3.connect(place / "tasks.sqlite")) as db:
        db.execute("UPDATE task SET folder = '/show/assets/Vase 2 id2'")
        db.commit()
    migration.migrate([place], folder)
    assert tasks(folder)[key(2)].folder == "/show/assets/Vase 2 id2"


def test_a_folder_that_the_list_names_by_a_link_is_found(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "home").symlink_to(tmp_path / "disk")
    old_place(tmp_path / "home" / "old", 2)
    migration.migrate([tmp_path / "disk" / "old"], tmp_path / "new")
    assert Path(tasks(tmp_path / "new")[key(2)].folder).parent == tmp_path / "new" / "downloads"


def test_a_damaged_list_is_put_right_first(tmp_path: Path) -> None:
    place, folder = old_place(tmp_path / "old", *range(40)), tmp_path / "new"
    content = bytearray((place / "tasks.sqlite").read_bytes())
    content[-2000:] = b"\xff" * 2000
    (place / "tasks.sqlite").write_bytes(content)
    news = in_words(migration.migrate([place], folder))
    assert len(tasks(folder)) > 10 and "was damaged" in news[0] and str(place) not in news[0]
    (aside,) = folder.glob("tasks.damaged-*.sqlite")
    assert str(aside) in news[0] and aside.read_bytes() == content


def test_a_list_of_a_newer_version_stays_and_is_told(tmp_path: Path) -> None:
    place, folder = old_place(tmp_path / "old", 2), tmp_path / "new"
    with closing(Store(place / "tasks.sqlite")):
        pass
    with closing(sqlite3.connect(place / "tasks.sqlite")) as db:
        db.execute("PRAGMA user_version = 99")
        db.execute("UPDATE reader SET oldest = 99")
        db.commit()
    (news,) = in_words(migration.migrate([place], folder))
    assert "newer version" in news and "Do not uninstall" in news
    with closing(sqlite3.connect(place / "tasks.sqlite")) as db:
        assert db.execute("SELECT count(*) FROM task").fetchone() == (1,)


def test_a_folder_that_another_blender_saves_into_comes_when_that_has_ended(tmp_path: Path) -> None:
    place, folder = old_place(tmp_path / "old", *range(4)), tmp_path / "new"
    busy = place / "downloads" / "Vase 2 id2"
    with locks.acquire(busy / ".lock"):
        (news,) = in_words(migration.migrate([place], folder))
    assert "another Blender is downloading into Vase 2 id2" in news
    assert Path(tasks(folder)[key(2)].folder) == busy and (busy / "base.glb").is_file()
    migration.migrate([place], folder)
    check_whole(place, folder, range(4))


# Another file system, and disks that are in the way.


def test_from_another_file_system_it_is_copied(small_disk: Path, tmp_path: Path) -> None:
    place, folder = old_place(small_disk / "old", *range(4)), tmp_path / "new"
    (place / "tasks.damaged-1.sqlite").write_bytes(b"set aside")
    (place / "tasks.damaged-1.sqlite").chmod(0o600)
    (place / "a link").symlink_to("elsewhere")
    migration.migrate([place], folder)
    assert stat.S_IMODE((folder / "tasks.damaged-1.sqlite").stat().st_mode) == 0o600
    assert (folder / "a link").readlink() == Path("elsewhere")
    check_whole(place, folder, range(4))
    assert not list(folder.rglob(".taken-over*"))


def test_where_the_disk_is_too_small_the_list_is_brought_and_the_files_later(
    small_disk: Path, tmp_path: Path
) -> None:
    place, folder = old_place(tmp_path / "old", *range(4), size=300_000), small_disk / "new"
    (news,) = in_words(migration.migrate([place], folder))
    assert "No space left" in news and "Do not uninstall" in news
    found = tasks(folder)
    assert set(found) == {key(number) for number in range(4)}
    for number in (0, 2):
        assert (Path(found[key(number)].folder) / "base.glb").stat().st_size == 300_000, "the list tells where it is"
    assert Path(found[key(2)].folder).is_relative_to(place)
    subprocess.run(["mount", "-o", "remount,size=4M", str(small_disk)], check=True)
    migration.migrate([place], folder)
    check_whole(place, folder, range(4), size=300_000)


def test_a_place_that_cannot_be_written_is_told(read_only, tmp_path: Path) -> None:
    disk, make_writable = read_only
    make_writable()
    place, folder = old_place(disk / "old", 2), tmp_path / "new"
    subprocess.run(["mount", "-o", "remount,ro,bind", str(disk)], check=True)
    (news,) = in_words(migration.migrate([place], folder))
    assert str(place) in news and "Do not uninstall" in news
    make_writable()
    migration.migrate([place], folder)
    check_whole(place, folder, range(2, 3))


# Several at once, and killed in it.

PROGRAM = """
import sys
from pathlib import Path
from rodin_blender.storage import locks, migration
print("begins", flush=True)
print([str(text) for text in migration.migrate([Path(sys.argv[1])], Path(sys.argv[2]))])
"""


def begin(place: Path, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, str(place), str(folder)],
        cwd=Path(__file__).parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_two_blenders_at_the_same_time(tmp_path: Path) -> None:
    place, folder = old_place(tmp_path / "old", *range(30)), tmp_path / "new"
    running = [begin(place, folder) for _ in range(4)]
    said = [process.communicate(timeout=50)[0] for process in running]
    assert sum("30 tasks" in text for text in said) == 1 and not any("Trace" in text for text in said), said
    check_whole(place, folder, range(30))


def test_two_versions_at_the_same_time(tmp_path: Path) -> None:
    places = [old_place(tmp_path / name, *range(start, start + 20)) for start, name in enumerate(("4.3", "5.2"))]
    folder = tmp_path / "new"
    running = [begin(place, folder) for place in places]
    said = [process.communicate(timeout=50)[0] for process in running]
    assert all("20 tasks" in text for text in said), said
    assert set(tasks(folder)) == {key(number) for number in range(21)}
    assert tasks(places[0]) == tasks(places[1]) == files(places[0]) == files(places[1]) == {}


KILLED = """
import os, signal, sqlite3, sys
connect, left, armed = sqlite3.connect, int(sys.argv[3]), False

def count(statement):
    global left, armed
    armed = armed or statement.startswith("ATTACH")
    left -= armed
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)

def traced(*args, **more):
    db = connect(*args, **more)
    db.set_trace_callback(count)
    return db

sqlite3.connect = traced
"""
"""Before the program above: it is killed at the so many-th statement of SQL since the lists were joined."""


@pytest.mark.timeout(240)
def test_killed_at_each_statement_each_task_is_in_one_list(tmp_path: Path) -> None:
    number, code = 0, -9
    while code == -9:
        place, folder = old_place(tmp_path / f"old {number}", 1, 2), tmp_path / f"new {number}"
        words = [sys.executable, "-c", KILLED + PROGRAM, str(place), str(folder), str(number)]
        code = subprocess.run(words, cwd=Path(__file__).parents[2], capture_output=True).returncode
        here, there = tasks(place), tasks(folder)
        assert here.keys().isdisjoint(there) and {*here, *there} == {key(1), key(2)}, f"at statement {number}"
        migration.migrate([place], folder)
        check_whole(place, folder, range(1, 3))
        number += 1
    assert code == 0 and number > 10


@pytest.mark.timeout(240)
def test_killed_at_any_moment_nothing_is_lost_and_the_next_start_ends_it(tmp_path: Path, small_disk: Path) -> None:
    chance = random.Random(5)
    for attempt in range(6):
        # Each second time from another file system, where files are copied.
        parent = small_disk if attempt % 2 else tmp_path
        place, folder = old_place(parent / f"old {attempt}", *range(24)), tmp_path / f"new {attempt}"
        wanted = files(place)
        for _ in range(3):
            process = begin(place, folder)
            assert process.stdout
            process.stdout.readline()
            time.sleep(chance.random() * 0.12)
            process.kill()
            process.communicate()
            here, there = tasks(place), tasks(folder)
            assert here.keys().isdisjoint(there) and len({*here, *there}) == 24, "each task is in one list"
            for number in range(0, 24, 2):
                task = {**here, **there}[key(number)]
                assert (Path(task.folder) / "base.glb").read_bytes() == wanted[f"downloads/{task.name} id{number}/base.glb"]
        migration.migrate([place], folder)
        check_whole(place, folder, range(24))
        if parent == small_disk:
            for path in sorted(place.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else os.unlink(path)
            place.rmdir()
