# SPDX-License-Identifier: GPL-3.0-or-later
"""The list of tasks on disk: real SQLite files, real processes, real full disks."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import fields, replace
from pathlib import Path

import pytest

from rodin_blender.service.answers import Job
from rodin_blender.service.files import SavedFile
from rodin_blender.service.keys import Secret
from rodin_blender.storage import database, rows, second_copy, store
from rodin_blender.storage.database import StoreError
from rodin_blender.storage.store import CLAIM_LASTS, Store
from rodin_blender.tasks import schedule
from rodin_blender.tasks.schedule import REQUESTS_PER_MINUTE, Pace
from rodin_blender.tasks.task import Box, Download, Placement, Status, Task, Watch, new_task_id
from rodin_blender.texts.actions import Action
from rodin_blender.texts.text import Text, Trouble
from tests.unit import disks, first_schemas
from tests.unit.disks import fill

small_disk = disks.small_disk

ROOT = Path(__file__).parents[2]
NOW = 1_800_000_000.0
DONE = (Job("a", "Done"),)
WAITING = (Job("a", "Waiting", 2), Job("b", "Generating"))


def new_task(key: str, **values: object) -> Task:
    return replace(Task(new_task_id(), "", Secret(key), tracked_at=NOW, next_check_at=NOW), **values)  # type: ignore[arg-type]


def filled(path: Path, count: int = 3) -> list[Task]:
    """A new file with tasks of the usual size, oldest first."""
    with closing(Store(path)) as tasks:
        return [
            tasks.add(new_task(f"{number:04d}" + "k" * 296, name=f"name-{number:04d}", jobs=WAITING, folder="/f"))
            for number in range(count)
        ]


def stored(path: Path) -> list[Task]:
    """What a newly opened store has, oldest first."""
    with closing(Store(path)) as tasks:
        return tasks.tasks()[::-1]


def answer(jobs: tuple[Job, ...], now: float) -> Callable[[Task], Task]:
    return lambda task: schedule.after_answer(task, jobs, now, Pace(), 0.5)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rodin" / "tasks.sqlite"


def started(script: str, *args: object) -> subprocess.Popen[str]:
    """Another process that has Store, new_task, path and args, and says when it is ready to begin."""
    head = (
        "import sys, time; from pathlib import Path; from rodin_blender.storage.store import Store\n"
        "from tests.unit.test_store import NOW, new_task; path = Path(sys.argv[1]); args = sys.argv[2:]\n"
        "print('ready', flush=True); sys.stdin.readline()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", head + script, *map(str, args)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    assert process.stdout.readline() == "ready\n"
    return process


def together(processes: list[subprocess.Popen[str]]) -> list[list[str]]:
    """Let all begin at once; what each printed."""
    for process in processes:
        assert process.stdin
        process.stdin.write("\n")
        process.stdin.flush()
    printed = [process.communicate(timeout=40)[0].split() for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return printed


# Keeping tasks.


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such modes")
def test_only_the_user_may_read_the_file(path: Path) -> None:
    before = os.umask(0)
    try:
        filled(path)
    finally:
        os.umask(before)
    with closing(Store(path)):
        assert second_copy.path_of(path).exists()
    assert {f"{file.stat().st_mode & 0o777:o}" for file in path.parent.iterdir()} == {"600"}


TROUBLE = Trouble(
    "throttled",
    Text("{why} {left:n} left, \N{SNOWMAN} {none}", why=Trouble("no_jobs", Text("'{name}'", name='a "name"')), left=2.5),
    Action.CHECK_NOW,
)


def test_every_field_survives_reopening(path: Path) -> None:
    task = Task(
        "id", 'a "name" \N{SNOWMAN}', Secret("key"), "uuid", Status.GENERATING, WAITING, Watch.PAUSED, TROUBLE,
        1.5, 2.5, 3.5, 4.5, 5.5, 6, 7.5, "/folder", (SavedFile("m.glb", 5), SavedFile('"Möbel".png', 0)), Download.WANTED, 8.5,
        "generate", "parent", "a prompt", {"tier": "Gen-2", "seed": 7}, ("1.png", "2.jpg"),
        Placement((1.0, -2.0, 0.5), "Scène", "/show/a.blend", Box((0.5, 0.5, -0.5, 0.5), (2.0, 1.0, 0.5))), 0.5, 1.5,
    )  # fmt: skip
    assert {field.name for field in fields(task) if getattr(task, field.name) == field.default} == set()
    with closing(Store(path)) as tasks:
        assert tasks.add(task) == task
    assert stored(path) == [task]


def test_the_same_key_is_one_task_which_takes_the_uuid_given_last(path: Path) -> None:
    with closing(Store(path)) as tasks:
        first = tasks.add(new_task("key", name="mine"))
        again = tasks.add(new_task("key", name="other", task_uuid="uuid-1"))
        assert again == replace(first, task_uuid="uuid-1")
        last = tasks.add(new_task("key", task_uuid="uuid-2"))
        assert tasks.add(new_task("key")) == last == replace(first, task_uuid="uuid-2"), "the last one was on purpose"
        assert tasks.tasks() == [last]


def test_nameless_tasks_take_the_first_free_number(path: Path) -> None:
    with closing(Store(path)) as tasks:
        one, two, three = (tasks.add(new_task(key)) for key in "abc")
        assert [task.name for task in (one, two, three)] == ["Task 1", "Task 2", "Task 3"]
        tasks.forget(two.task_id)
        assert tasks.add(new_task("d")).name == "Task 2"
        assert tasks.add(new_task("e")).name == "Task 4"


def test_one_store_tells_that_another_has_written(path: Path) -> None:
    with closing(Store(path)) as one, closing(Store(path)) as two:
        assert one.changed_by_others() and two.changed_by_others()
        task = one.add(new_task("key"))
        assert not one.changed_by_others()
        assert two.changed_by_others() and not two.changed_by_others()
        assert two.tasks() == [task]
        assert two.change("no such id", lambda task: task) is None


# Schema versions.


def version_1(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(first_schemas.STATEMENTS[0])
        db.execute(
            "INSERT INTO task VALUES ('id', 'old', 'old-key', 'uuid', 'WAITING', '[[\"a\", \"Waiting\", 2]]', "
            "'FOLLOWING', '', 1, 0, 2, 3, 4, 5, 6, '', 0)"
        )
        db.execute("INSERT INTO hold VALUES (5)")
        db.execute("PRAGMA user_version = 1")
        db.commit()


OLD = Task(
    "id", "old", Secret("old-key"), "uuid", Status.WAITING, (Job("a", "Waiting", 2),),
    tracked_at=1, checked_at=2, next_check_at=3, interval=4, failures=5, watched=6,
)  # fmt: skip


def test_a_file_of_the_first_version_keeps_its_tasks(path: Path) -> None:
    version_1(path)
    with closing(Store(path)) as tasks:
        assert tasks.set_aside is None
        assert tasks.tasks() == [OLD]
        assert len(tasks.claim_due(NOW, 5)) == 1
    assert len(stored(path)) == 1


def test_a_damaged_file_of_the_first_version_is_salvaged(path: Path) -> None:
    version_1(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute("DROP TABLE hold")
    with closing(Store(path)) as tasks:
        assert tasks.set_aside
        assert tasks.tasks() == [OLD]


def version_3(path: Path, count: int = 3) -> list[Task]:
    """A file as version 3 wrote it, with tasks that have been saved. Oldest first."""
    path.parent.mkdir(parents=True)
    tasks = [
        replace(OLD, task_id=f"id-{n}", name=f"name-{n:04d}", subscription_key=Secret(f"{n}" * 300), folder=f"/saved/{n}", tracked_at=n)
        for n in range(count)
    ]
    with closing(sqlite3.connect(path)) as db:
        for statements in first_schemas.STATEMENTS[:3]:
            db.executescript(statements)
        columns = [column for column in first_schemas.COLUMNS if column not in ("files", "download", "took")]
        for task in tasks:
            written = {**rows.row(task), "message": ""}
            values = {column: written[column] for column in columns}
            marks = ", ".join(f":{column}" for column in columns)
            db.execute(f"INSERT INTO task ({', '.join(columns)}) VALUES ({marks})", values)
        db.execute("INSERT INTO hold (until, since) VALUES (5, 4)")
        db.execute("PRAGMA user_version = 3")
        db.commit()
    return tasks


def test_a_file_of_the_third_version_keeps_its_tasks_and_takes_files(path: Path) -> None:
    before = version_3(path)
    with closing(Store(path)) as tasks:
        assert tasks.set_aside is None
        assert tasks.tasks()[::-1] == before
        assert {(task.files, task.download) for task in tasks.tasks()} == {((), Download.NONE)}
        saved = tasks.change("id-1", lambda t: replace(t, files=(SavedFile("m.glb", 7),), download=Download.SAVED))
    assert stored(path) == [before[0], saved, before[2]]
    with closing(sqlite3.connect(path)) as db:
        assert db.execute("PRAGMA user_version").fetchone() == (database.VERSION,)


def test_a_damaged_file_of_the_third_version_is_salvaged(path: Path) -> None:
    before = version_3(path, 60)
    content = bytearray(path.read_bytes())
    lost = content.index(b"name-0030") // 4096 * 4096
    gone = {t.name for t in before if t.name.encode() in content[lost : lost + 4096]}
    content[lost : lost + 4096] = bytes(4096)
    path.write_bytes(content)
    with closing(Store(path)) as tasks:
        assert tasks.set_aside
        assert tasks.tasks()[::-1] == [task for task in before if task.name not in gone]


def test_a_file_of_a_newer_version_is_refused_and_stays_as_it_is(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {database.VERSION + 1}")
        db.execute("UPDATE reader SET oldest = ?", (database.VERSION + 1,))
        db.commit()
    before = path.read_bytes()
    with pytest.raises(StoreError, match="newer version of the Rodin extension"):
        Store(path)
    assert path.read_bytes() == before
    assert {*path.parent.iterdir()} == {path, second_copy.path_of(path)}


def test_a_file_of_a_newer_version_that_we_may_read_is_used_and_its_words_and_columns_stay(path: Path) -> None:
    first, second, third = filled(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version = {database.VERSION + 1}")
        db.execute("ALTER TABLE task ADD COLUMN mood TEXT NOT NULL DEFAULT 'fine'")
        db.execute("UPDATE task SET status = 'POLISHING', watch = 'SNOOZED' WHERE task_id = ?", (first.task_id,))
        db.commit()
    with closing(Store(path)) as tasks:
        assert tasks.set_aside is None
        found = {task.task_id: task for task in tasks.tasks()}
        assert found[second.task_id] == second and found[third.task_id] == third
        assert (found[first.task_id].status, found[first.task_id].watch) == (Status.UNKNOWN, Watch.PAUSED)
        tasks.change(first.task_id, lambda task: replace(task, name="renamed"))
    with closing(sqlite3.connect(path)) as db:
        kept = db.execute("SELECT name, status, watch, mood FROM task WHERE task_id = ?", (first.task_id,)).fetchone()
        assert kept == ("renamed", "POLISHING", "SNOOZED", "fine")
        assert db.execute("PRAGMA user_version").fetchone() == (database.VERSION + 1,)


LISTS = sorted((Path(__file__).parent / "lists").glob("*.sql"))


def test_there_is_a_list_of_the_present_schema() -> None:
    assert f"schema-{database.VERSION}.sql" in {path.name for path in LISTS}


@pytest.mark.parametrize("fixture", LISTS, ids=lambda path: path.stem)
def test_a_list_of_each_schema_is_read_by_all_later_ones(path: Path, fixture: Path) -> None:
    """The fixtures are lists as each version wrote them; they stay as they are when the schema moves on."""
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(fixture.read_text(encoding="utf-8"))
    with closing(Store(path)) as tasks:
        assert tasks.set_aside is None
        uncertain, done, waiting = tasks.tasks()
    assert (waiting.status, waiting.subscription_key.reveal(), waiting.jobs) == (Status.WAITING, "key-1", WAITING)
    assert (done.status, done.download, done.files, done.credits) == (
        Status.DONE, Download.SAVED, (SavedFile("base_basic_pbr.glb", 1200),), 0.5
    )  # fmt: skip
    assert (uncertain.status, uncertain.subscription_key, uncertain.pictures) == (
        Status.UNCERTAIN, Secret(""), ("1.png",)
    )  # fmt: skip
    assert uncertain.placement == Placement((1.0, 2.0, 3.0), "Scene", "/show/a.blend")
    assert uncertain.options == {"tier": "Gen-2.5-Medium", "seed": 7}
    if fixture.stem != "schema-6":
        assert waiting.trouble == Trouble("throttled", Text("The service says {word}.", word="no"), Action.CHECK_NOW)


@pytest.mark.parametrize("sentence", ["Paused: not asking. {it} stays.", '{"code": 1}', "[1]", "{"])
def test_a_sentence_that_an_earlier_version_stored_is_a_text_without_fields(path: Path, sentence: str) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(LISTS[0].read_text(encoding="utf-8"))
        db.execute("UPDATE task SET message = ? WHERE task_id = '11111111'", (sentence,))
        db.commit()
    with closing(Store(path)) as tasks:
        assert tasks.tasks()[-1].message == sentence
        paused = tasks.change("11111111", schedule.paused)
        assert paused and paused.trouble and paused.trouble.code == "paused"
    assert paused in stored(path)


def test_an_action_of_a_newer_version_is_left_out(path: Path) -> None:
    with closing(Store(path)) as tasks:
        task = tasks.add(Task("id", "a", Secret("key"), trouble=TROUBLE))
        assert task.trouble == TROUBLE
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE task SET trouble = replace(trouble, 'check_now', 'whistle')")
        db.commit()
    (found,) = stored(path)
    assert found.trouble == Trouble(TROUBLE.code, TROUBLE.text)


def test_several_tasks_without_a_key_are_several_tasks_and_none_is_asked_about(path: Path) -> None:
    with closing(Store(path)) as tasks:
        for number in range(3):
            tasks.add(Task(f"id-{number}", f"wish {number}", Secret(""), status=Status.UNSENT, tracked_at=NOW))
        assert len(tasks.tasks()) == 3
        assert tasks.claim_due(NOW + 1000.0, 5) == []
        assert not any(task.followed for task in tasks.tasks())


# Damage.


def test_garbage_is_set_aside_under_names_never_used_before_though_in_the_same_second(path: Path) -> None:
    path.parent.mkdir()
    aside = {}
    for number in range(5):
        garbage = f"garbage {number}".encode() * 100
        path.write_bytes(garbage)
        with closing(Store(path)) as tasks:
            assert tasks.tasks() == []
            assert tasks.set_aside
            assert tasks.set_aside not in aside
            aside[tasks.set_aside] = garbage
    assert {file: file.read_bytes() for file in aside} == aside
    if os.name != "nt":
        assert all(file.stat().st_nlink == 1 for file in aside)


def test_a_garbled_header_is_set_aside_and_the_name_told(path: Path) -> None:
    filled(path)
    damaged = b"\0" * 16 + path.read_bytes()[16:]
    path.write_bytes(damaged)
    with closing(Store(path)) as tasks:
        assert tasks.set_aside and tasks.set_aside.parent == path.parent
        assert tasks.set_aside.read_bytes() == damaged
        tasks.add(new_task("key"))
    with closing(Store(path)) as tasks:
        assert tasks.set_aside is None, "once is enough"
        assert len(tasks.tasks()) == 1


def test_a_task_whose_key_is_damaged_is_not_salvaged_and_a_damaged_uuid_is_asked_for_again(path: Path) -> None:
    uuids = [f"123e4567-e89b-12d3-a456-42661417400{number}" for number in range(3)]
    with closing(Store(path)) as tasks:
        for number, uuid in enumerate(uuids):
            tasks.add(new_task(f"key-of-task-{number}", name=f"Task {number}", task_uuid=uuid))
    content = path.read_bytes()
    for text in ("key-of-task-0", uuids[1]):
        content = content.replace(text.encode(), text.encode()[:4] + b"\xff\x80\x00" + text.encode()[7:])
    path.write_bytes(content)
    with closing(Store(path)) as tasks:
        assert tasks.set_aside
        found = {task.name: (task.subscription_key.reveal(), task.task_uuid) for task in tasks.tasks()}
    assert found == {"Task 1": ("key-of-task-1", ""), "Task 2": ("key-of-task-2", uuids[2])}


def test_reading_a_file_cut_within_a_page_comes_to_its_end(path: Path) -> None:
    """Of the page that is cut SQLite gives rows without content that are numbered 0, and so lead back to the start."""
    with closing(Store(path)) as tasks:
        for number in range(12):
            tasks.add(new_task(f"{number:x<300}"))
    os.truncate(path, path.stat().st_size * 9 // 10)
    script = (
        "import sys; from pathlib import Path; from rodin_blender.storage.store import Store;"
        "store = Store(Path(sys.argv[1])); print(len(store.tasks())); store.close()"
    )
    done = subprocess.run([sys.executable, "-c", script, str(path)], capture_output=True, text=True, timeout=20)
    assert int(done.stdout) >= 9


def test_all_tasks_outside_of_a_lost_page_are_salvaged(path: Path) -> None:
    before = filled(path, 60)
    content = bytearray(path.read_bytes())
    lost = content.index(b"name-0030") // 4096 * 4096
    gone = {t.name for t in before if t.name.encode() in content[lost : lost + 4096]}
    assert 0 < len(gone) < 15
    content[lost : lost + 4096] = bytes(4096)
    path.write_bytes(content)
    with closing(Store(path)) as tasks:
        assert tasks.set_aside
        assert tasks.tasks()[::-1] == [t for t in before if t.name not in gone]


@pytest.mark.parametrize("kept", [0.9, 0.5, 0.05])
def test_of_a_truncated_file_the_readable_tasks_are_salvaged(path: Path, kept: float) -> None:
    before = filled(path, 60)
    content = path.read_bytes()
    path.write_bytes(content[: int(len(content) * kept)])
    with closing(Store(path)) as tasks:
        assert tasks.set_aside
        assert tasks.set_aside.read_bytes() == content[: int(len(content) * kept)]
        salvaged = tasks.tasks()[::-1]
    assert [t for t in before if t in salvaged] == salvaged
    assert len(salvaged) > 10 or kept < 0.5


@pytest.mark.parametrize(
    "change",
    [
        "status = 'NO STATUS!'",
        "watch = ''",
        "jobs = '{'",
        "jobs = '[[1, 2, 3]]'",
        "jobs = '[[\"a\"]]'",
        "files = '{'",
        "files = '[[\"a\"]]'",
        "files = '[[1, 2]]'",
        "files = '[[\"a\", \"b\"]]'",
        "download = 'NO STATUS!'",
        "name = CAST(x'ff00fe' AS TEXT)",
        "interval = 9e999",
    ],
)
def test_one_row_that_makes_no_sense_costs_no_other_task(path: Path, change: str) -> None:
    before = filled(path)
    with closing(sqlite3.connect(path)) as db:
        db.execute(f"UPDATE task SET {change} WHERE task_id = ?", (before[1].task_id,))
        db.commit()
    with closing(Store(path)) as tasks:
        assert tasks.set_aside
        kept = tasks.tasks()[::-1]
        assert kept[0] == before[0] and kept[-1] == before[2]


@pytest.mark.parametrize("seed", range(40))
def test_flipped_bytes_anywhere_never_break_the_list_for_good(path: Path, seed: int) -> None:
    chance = random.Random(seed)
    filled(path, 40)
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([1, 1, 3, 30, 300])):
        content[chance.randrange(len(content) if seed % 4 else 4096)] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    try:
        tasks = Store(path)
    except StoreError as error:
        assert str(path) in str(error) or "newer version" in str(error)
        assert path.read_bytes() == content
        return
    with closing(tasks):
        if tasks.set_aside:
            assert tasks.set_aside.read_bytes() == content
        listed = tasks.tasks()
        assert all(tasks.change(task.task_id, lambda task: task) == task for task in listed)
        assert all(tasks.add(replace(task, task_id="x")).task_id == task.task_id for task in listed)
        added = tasks.add(new_task("one more"))
    assert added in stored(path)


def test_many_processes_that_find_the_same_damage_lose_nothing(path: Path) -> None:
    before = filled(path, 60)
    content = bytearray(path.read_bytes())
    lost = content.index(b"name-0030") // 4096 * 4096
    content[lost : lost + 4096] = bytes(4096)
    path.write_bytes(content)
    script = "store = Store(path); print(store.add(new_task('key' + args[0])).task_id)"
    added = {line for lines in together([started(script, path, number) for number in range(4)]) for line in lines}
    aside = [file for file in path.parent.iterdir() if "damaged" in file.name]
    assert [file.read_bytes() for file in aside] == [content]
    ids = {task.task_id for task in stored(path)}
    assert len(added) == 4 and added <= ids
    assert len(ids & {task.task_id for task in before}) > 45


# A file or a disk in the way.


def test_a_folder_in_the_way_is_a_sentence_with_its_path(path: Path) -> None:
    path.mkdir(parents=True)
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert str(caught.value) == f"The list of tasks ({path}) cannot be used: Is a directory."


def test_a_file_in_the_place_of_the_folder_is_a_sentence_with_its_path(path: Path) -> None:
    path.parent.write_text("in the way")
    with pytest.raises(StoreError, match=r"^The list of tasks \(.*tasks\.sqlite\) cannot be used: .*\.$"):
        Store(path)


def test_a_read_only_disk_is_a_sentence_with_its_path(small_disk: Path) -> None:
    path = small_disk / "tasks.sqlite"
    before = filled(path)
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with pytest.raises(StoreError) as caught:
        Store(path)
    assert str(caught.value) == f"The list of tasks ({path}) cannot be used: Read-only file system."
    subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
    assert stored(path) == before


def test_a_locked_file_is_waited_for_then_told_of(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "LOCK_TIMEOUT", 0.2)
    filled(path)
    with closing(Store(path)) as tasks, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(StoreError, match="another program holds it locked"):
            tasks.add(new_task("key"))
        other.execute("ROLLBACK")
        tasks.add(new_task("key"))


def test_on_a_full_disk_nothing_is_lost_and_all_goes_on_with_room(small_disk: Path) -> None:
    path = small_disk / "tasks.sqlite"
    before = filled(path)
    with closing(Store(path)) as tasks:
        filler = fill(small_disk)
        for attempt in range(3):
            with pytest.raises(StoreError, match=r"tasks\.sqlite\) cannot be used: the disk is full\. Free some space"):
                tasks.add(new_task(f"key {attempt}"))
        assert tasks.tasks()[::-1] == before
        assert stored(path) == before
        filler.unlink()
        added = tasks.add(new_task("key"))
    assert stored(path) == [*before, added]


def test_a_disk_too_full_to_salvage_on_leaves_the_damaged_file_until_there_is_room(small_disk: Path) -> None:
    path = small_disk / "tasks.sqlite"
    before = filled(path, 60)
    with closing(sqlite3.connect(path)) as db:
        db.execute("UPDATE task SET status = 'NO STATUS!' WHERE name = 'name-0030'")
        db.commit()
    damaged = path.read_bytes()
    filler = fill(small_disk)
    os.truncate(filler, filler.stat().st_size - 40_000)
    for _ in range(2):
        with pytest.raises(StoreError, match="disk is full"):
            Store(path)
        assert path.read_bytes() == damaged
        assert not [*small_disk.glob("*damaged*")]
    filler.unlink()
    with closing(Store(path)) as tasks:
        assert tasks.set_aside and tasks.set_aside.read_bytes() == damaged
        assert tasks.tasks()[::-1] == [task for task in before if task.name != "name-0030"]


# Several Blenders.


def test_each_due_check_is_claimed_by_one_of_two_stores(path: Path) -> None:
    filled(path, 9)
    with closing(Store(path)) as one, closing(Store(path)) as two:
        claims = [*one.claim_due(NOW, 4), *two.claim_due(NOW, 4), *one.claim_due(NOW, 4), *two.claim_due(NOW, 4)]
        assert len({claim.task.task_id for claim in claims}) == len(claims) == 9
        one.complete_check(claims[0], lambda task: task)
        assert [claim.task.task_id for claim in two.claim_due(NOW, 4)] == [claims[0].task.task_id]


def test_each_due_check_is_claimed_by_one_of_several_processes(path: Path) -> None:
    count = REQUESTS_PER_MINUTE - 10
    tasks = filled(path, count)
    script = """
store, end = Store(path), time.time() + 20
while time.time() < end:
    claims = store.claim_due(NOW, 1)
    if not claims: break
    print(claims[0].task.task_id, flush=True)
"""
    claimed = [task_id for lines in together([started(script, path) for _ in range(3)]) for task_id in lines]
    assert sorted(claimed) == sorted(task.task_id for task in tasks)


def test_the_longest_due_are_claimed_first_and_those_not_due_never(path: Path) -> None:
    with closing(Store(path)) as tasks:
        due = [tasks.add(new_task(str(after), next_check_at=NOW - after)) for after in (1, 3, 2)]
        for number, (watch, status) in enumerate(
            [(Watch.PAUSED, Status.WAITING), (Watch.REFUSED, Status.UNKNOWN), (Watch.FOLLOWING, Status.FAILED)]
        ):
            tasks.add(new_task(f"not {number}", watch=watch, status=status, next_check_at=NOW - 9))
        tasks.add(new_task("later", next_check_at=NOW + 1))
        claims = [claim.task for claim in tasks.claim_due(NOW, 9)]
        assert claims == [due[1], due[2], due[0]]


def test_the_answer_of_a_lapsed_claim_is_dropped(path: Path) -> None:
    filled(path, 1)
    with closing(Store(path)) as one, closing(Store(path)) as two:
        (slow,) = one.claim_due(NOW, 1)
        assert two.claim_due(NOW + CLAIM_LASTS - 1, 1) == []
        (fresh,) = two.claim_due(NOW + CLAIM_LASTS, 1)
        newest = two.complete_check(fresh, answer(WAITING, NOW + CLAIM_LASTS + 1))
        assert newest and newest.jobs == WAITING
        assert one.complete_check(slow, answer((Job("a", "Generating"),), NOW)) == newest
        assert two.tasks() == [newest]


def test_no_answer_overwrites_a_final_task_or_one_that_the_user_stopped_unless_it_is_final(path: Path) -> None:
    filled(path, 3)
    with closing(Store(path)) as tasks:
        final, stopped, stopped_done = tasks.claim_due(NOW, 3)
        done = tasks.change(final.task.task_id, answer(DONE, NOW))
        assert done and done.status is Status.DONE
        assert tasks.complete_check(final, answer((Job("a", "Failed"),), NOW + 1)) == done
        paused = tasks.change(stopped.task.task_id, schedule.paused)
        assert tasks.complete_check(stopped, answer((Job("a", "Generating"),), NOW + 1)) == paused
        tasks.change(stopped_done.task.task_id, schedule.paused)
        ended = tasks.complete_check(stopped_done, answer(DONE, NOW + 1))
        assert ended and ended.status is Status.DONE
        assert {t.task_id: t for t in tasks.tasks()} == {t.task_id: t for t in (done, paused, ended) if t}


def test_the_answer_to_a_forgotten_task_does_not_bring_it_back(path: Path) -> None:
    filled(path, 1)
    with closing(Store(path)) as one, closing(Store(path)) as two:
        (claim,) = one.claim_due(NOW, 1)
        two.forget(claim.task.task_id)
        assert one.complete_check(claim, answer(WAITING, NOW)) is None
        one.complete_check(claim, lambda task: task)
        assert one.tasks() == []


def test_the_requests_of_a_minute_are_common_to_all_blenders(path: Path) -> None:
    filled(path, REQUESTS_PER_MINUTE + 20)
    with closing(Store(path)) as one, closing(Store(path)) as two:
        assert len(one.claim_due(NOW, 40)) == 40
        assert two.next_request_at(NOW + 1) <= NOW + 1
        assert len(two.claim_due(NOW + 1, 40)) == REQUESTS_PER_MINUTE - 40
        assert one.claim_due(NOW + 2, 40) == two.claim_due(NOW + 59.9, 40) == []
        assert one.next_request_at(NOW + 2) == two.next_request_at(NOW + 2) == NOW + 60
        assert len(one.claim_due(NOW + 60, 99)) == 20, "the 40 of a minute ago are free again, 20 tasks are left"


def test_a_pause_the_service_asks_for_holds_all_blenders_and_is_never_shortened(path: Path) -> None:
    filled(path, 2)
    with closing(Store(path)) as one, closing(Store(path)) as two:
        one.throttle(NOW + 30, NOW)
        two.throttle(NOW + 3, NOW + 1)
        for tasks in (one, two):
            assert tasks.next_request_at(NOW + 1) == NOW + 30
            assert tasks.claim_due(NOW + 29.9, 1) == []
            assert len(tasks.claim_due(NOW + 30, 1)) == 1


@pytest.mark.parametrize("behind", [0.001, 1.0, store.LOCK_TIMEOUT])
def test_a_blender_that_read_its_clock_before_it_waited_for_the_list_claims_nothing_twice(
    path: Path, behind: float
) -> None:
    filled(path, REQUESTS_PER_MINUTE)
    with closing(Store(path)) as tasks:
        for task in tasks.tasks():
            tasks.change(task.task_id, lambda t: replace(t, next_check_at=NOW - 99))
    with closing(Store(path)) as one, closing(Store(path)) as two:
        first = one.claim_due(NOW, REQUESTS_PER_MINUTE - 9)
        claimed = {claim.task.task_id for claim in first}
        again = two.claim_due(NOW - behind, 3)
        assert len(again) == 3
        assert not claimed & {claim.task.task_id for claim in again}
        settled = one.complete_check(first[0], answer(WAITING, NOW))
        assert settled and not schedule.is_due(settled, NOW - behind)
        one.throttle(NOW + 30, NOW)
        assert two.next_request_at(NOW - behind) == NOW + 30


def test_the_minutes_requests_are_not_forgotten_for_a_clock_that_lags(path: Path) -> None:
    filled(path, REQUESTS_PER_MINUTE + 9)
    with closing(Store(path)) as one, closing(Store(path)) as two:
        assert len(one.claim_due(NOW + 1, REQUESTS_PER_MINUTE - 1)) == REQUESTS_PER_MINUTE - 1
        assert len(two.claim_due(NOW, 9)) == 1
        assert one.claim_due(NOW + 1, 9) == two.claim_due(NOW, 9) == []


def test_a_clock_set_back_leaves_no_claim_no_budget_and_no_pause_of_the_future_in_the_way(path: Path) -> None:
    filled(path, REQUESTS_PER_MINUTE)
    earlier = NOW - 5 * 3600
    with closing(Store(path)) as tasks:
        claims = tasks.claim_due(NOW, REQUESTS_PER_MINUTE)
        for claim in claims[1:]:
            tasks.complete_check(claim, answer(WAITING, NOW))
        tasks.throttle(NOW + 60, NOW)
        assert tasks.next_request_at(earlier) <= earlier
        again = tasks.claim_due(earlier, REQUESTS_PER_MINUTE)
        assert len(again) == REQUESTS_PER_MINUTE
        settled = tasks.complete_check(again[0], answer(WAITING, earlier))
        assert settled and settled.next_check_at < earlier + 60
        tasks.throttle(earlier + 10, earlier)
        assert tasks.next_request_at(earlier + 5) >= earlier + 10


def test_several_processes_that_add_at_once_lose_nothing_and_give_no_name_twice(path: Path) -> None:
    script = "store = Store(path)\nfor n in range(12): print(store.add(new_task(f'{args[0]} {n}')).task_id, flush=True)"
    printed = together([started(script, path, number) for number in range(4)])
    tasks = stored(path)
    assert sorted(t.task_id for t in tasks) == sorted(task_id for lines in printed for task_id in lines)
    assert {t.name for t in tasks} == {f"Task {number}" for number in range(1, 49)}


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGKILL")
def test_a_process_killed_while_adding_leaves_a_sound_file_with_all_it_told_of(path: Path) -> None:
    chance = random.Random(7)
    script = """
store, n = Store(path), 0
while True:
    print(store.add(new_task(f'{args[0]} {n}' + 'k' * 300)).task_id, flush=True)
    n += 1
"""
    told: set[str] = set()
    for number in range(8):
        process = started(script, path, number)
        assert process.stdin and process.stdout
        process.stdin.write("\n")
        process.stdin.flush()
        time.sleep(chance.uniform(0.0, 0.25))
        process.send_signal(signal.SIGKILL)
        printed = process.communicate(timeout=20)[0]
        told |= {*printed[: printed.rfind("\n") + 1].split()}
        with closing(Store(path)) as tasks:
            assert tasks.set_aside is None
            assert told <= {task.task_id for task in tasks.tasks()}
    assert len(told) > 20
