# SPDX-License-Identifier: GPL-3.0-or-later
"""The second copy of the list: what it is there for, and what must not come back by it."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rodin_blender.service.keys import Secret
from rodin_blender.storage import second_copy
from rodin_blender.storage.store import Store
from rodin_blender.tasks.task import Status, Task
from tests.unit import disks
from tests.unit.test_migration import KILLED

small_disk = disks.small_disk

ROOT = Path(__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "rodin" / "tasks.sqlite"


def add(path: Path, *numbers: int) -> None:
    with closing(Store(path)) as store:
        for number in numbers:
            key = Secret(f"subscription-key-{number:04d}" + "k" * 280)
            store.add(Task(f"id-{number}", f"Vase {number}", key, f"uuid-{number}", tracked_at=float(number)))


def ids(path: Path) -> list[str]:
    """What a newly opened list has, oldest first."""
    with closing(Store(path)) as store:
        return [task.task_id for task in store.tasks()][::-1]


def copied(path: Path) -> set[str]:
    with closing(sqlite3.connect(second_copy.path_of(path))) as db:
        return {row[0] for row in db.execute("SELECT task_id FROM task")}


def destroy(path: Path) -> None:
    path.write_bytes(b"garbage" * 2000)


def test_it_is_renewed_when_the_list_was_opened_and_has_changed(path: Path) -> None:
    add(path, 1, 2)
    assert ids(path) == ["id-1", "id-2"] and copied(path) == {"id-1", "id-2"}
    before = second_copy.path_of(path).stat()
    ids(path)
    assert second_copy.path_of(path).stat() == before, "nothing has changed"
    add(path, 3)
    ids(path)
    assert copied(path) == {"id-1", "id-2", "id-3"}
    assert sorted(file.name for file in path.parent.iterdir()) == ["tasks.copy.sqlite", "tasks.sqlite"]


def test_a_destroyed_list_is_rebuilt_from_it(path: Path) -> None:
    add(path, 1, 2)
    ids(path)
    destroy(path)
    with closing(Store(path)) as store:
        assert [task.task_id for task in store.tasks()] == ["id-2", "id-1"]
        assert store.set_aside and "2 of its tasks" in str(store.damage_text())
    assert ids(path) == ["id-1", "id-2"]


@pytest.mark.parametrize("what_is_left", [None, b""])
def test_a_list_that_is_gone_or_empty_is_rebuilt_from_it_and_told(path: Path, what_is_left: bytes | None) -> None:
    add(path, 1, 2)
    ids(path)
    path.unlink() if what_is_left is None else path.write_bytes(what_is_left)
    with closing(Store(path)) as store:
        assert len(store.tasks()) == 2 and store.set_aside is None
        assert str(store.damage_text()) == "The list of tasks was gone. It was made anew from its second copy, with 2 tasks."
    with closing(Store(path)) as store:
        assert store.damage_text() is None


def test_what_can_be_read_of_both_is_in_the_new_list_and_the_newer_word_wins(path: Path) -> None:
    add(path, *range(60))
    ids(path)
    add(path, *range(60, 120))
    with closing(Store(path, has_copy=False)) as store:
        store.change("id-119", lambda task: replace(task, status=Status.DONE))
    content = bytearray(path.read_bytes())
    # A page from the middle, with old tasks, and one of new ones is left.
    for start in (4096 * 6, 4096 * 7, 4096 * 8):
        content[start : start + 4096] = b"\xff" * 4096
    path.write_bytes(content)
    with closing(Store(path)) as store:
        assert store.set_aside
        found = {task.task_id: task for task in store.tasks()}
        of_old = {f"id-{number}" for number in range(60)}
        assert of_old <= found.keys(), "the copy has all old ones"
        assert found["id-119"].status is Status.DONE, "the list itself has what came after it"


def test_a_destroyed_copy_is_made_anew_and_harms_nothing(path: Path) -> None:
    add(path, 1, 2)
    ids(path)
    second_copy.path_of(path).write_bytes(b"garbage" * 500)
    with closing(Store(path, has_copy=False)) as store:
        store.forget("id-1")
    assert ids(path) == ["id-2"] and copied(path) == {"id-2"}
    destroy(path)
    second_copy.path_of(path).write_bytes(b"garbage" * 500)
    assert ids(path) == [], "nothing could be read of either"


def test_a_full_disk_leaves_the_last_copy(small_disk: Path) -> None:
    path = small_disk / "tasks.sqlite"
    add(path, 1)
    ids(path)
    add(path, 2)
    filler = disks.fill(small_disk)
    assert ids(path) == ["id-1", "id-2"] and copied(path) == {"id-1"}
    filler.unlink()
    assert ids(path) == ["id-1", "id-2"] and copied(path) == {"id-1", "id-2"}


# What was forgotten.


def test_a_forgotten_task_does_not_come_back(path: Path) -> None:
    add(path, 1, 2)
    with closing(Store(path)) as store:
        store.forget("id-1")
        content = second_copy.path_of(path).read_bytes()
        assert b"subscription-key-0001" not in content and b"subscription-key-0002" in content
    destroy(path)
    assert ids(path) == ["id-2"]


FORGET = """
import sys
from contextlib import closing
from pathlib import Path
from rodin_blender.storage.store import Store
with closing(Store(Path(sys.argv[1]))) as store:
    print("begins", flush=True)
    for task_id in sys.argv[2].split():
        store.forget(task_id)
"""
RENEW = """
import sys
from contextlib import closing
from pathlib import Path
from rodin_blender.storage.store import Store
print("begins", flush=True)
number = 0
while True:
    with closing(Store(Path(sys.argv[1]))) as store:
        store.throttle(0.0, number)
    number += 1
"""


def begin(program: str, *words: str) -> subprocess.Popen[bytes]:
    process = subprocess.Popen([sys.executable, "-c", program, *words], cwd=ROOT, stdout=subprocess.PIPE)
    assert process.stdout
    process.stdout.readline()
    return process


def test_killed_at_each_statement_of_forgetting_it_stays_whole_or_is_gone_for_good(path: Path) -> None:
    # The trace begins with the statement that opens the transaction.
    armed = KILLED.replace('startswith("ATTACH")', 'startswith("BEGIN EXCLUSIVE")')
    number, code = 0, -9
    while code == -9:
        add(path, 1, 2)
        ids(path)
        words = [sys.executable, "-c", armed + FORGET, str(path), "id-1", str(number)]
        code = subprocess.run(words, cwd=ROOT, capture_output=True).returncode
        still = "id-1" in ids_without_a_new_copy(path)
        assert still or "id-1" not in copied(path), f"at statement {number}"
        destroy(path)
        assert ids(path) in (["id-2"], ["id-1", "id-2"] if still else ["id-2"])
        number += 1
    assert code == 0 and number > 4


def ids_without_a_new_copy(path: Path) -> list[str]:
    with closing(Store(path, has_copy=False)) as store:
        return [task.task_id for task in store.tasks()]


def test_who_copies_while_another_forgets_remembers_nothing(path: Path) -> None:
    numbers = range(40)
    add(path, *numbers)
    renewing = [begin(RENEW, str(path)) for _ in range(2)]
    try:
        forgetting = begin(FORGET, str(path), " ".join(f"id-{number}" for number in numbers if number % 2))
        assert forgetting.wait(50) == 0
        assert copied(path) <= {f"id-{number}" for number in numbers if number % 2 == 0}
    finally:
        for process in renewing:
            process.kill()
            process.communicate()
    destroy(path)
    assert ids(path) == [f"id-{number}" for number in numbers if number % 2 == 0]


def test_killed_while_it_is_renewed_there_is_a_whole_copy(path: Path) -> None:
    add(path, *range(30))
    ids(path)
    for moment in range(8):
        process = begin(RENEW, str(path))
        time.sleep(0.02 + moment * 0.011)
        process.kill()
        process.communicate()
        assert copied(path) == {f"id-{number}" for number in range(30)}
        assert ids(path) == [f"id-{number}" for number in range(30)]
    assert not list(path.parent.glob("*new*"))
