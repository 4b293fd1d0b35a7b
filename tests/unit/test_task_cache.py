# SPDX-License-Identifier: GPL-3.0-or-later
"""The list as a tracker keeps it, when another file is put in its place."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rodin_blender.service.keys import Secret
from rodin_blender.storage import second_copy
from rodin_blender.storage.database import StoreError
from rodin_blender.storage.store import Store
from rodin_blender.tasks.task import Status, Task
from rodin_blender.tracking import task_cache as module
from rodin_blender.tracking.task_cache import TaskCache
from tests.unit.disks import fail_once

SENT = Task("0a1b2c3d", "Chair", Secret(""), status=Status.UNCERTAIN, kind="generate", tracked_at=1.0)


@pytest.mark.parametrize("known", [SENT, replace(SENT, status=Status.SENDING), replace(SENT, status=Status.UNSENT)])
def test_a_key_that_another_program_got_outlives_the_change_of_the_lists_file(tmp_path: Path, known: Task) -> None:
    path, other = tmp_path / "tasks.sqlite", tmp_path / "other.sqlite"
    with closing(Store(path)) as store:
        store.add(known)
    with closing(Store(other)) as store:
        store.add(replace(SENT, status=Status.GENERATING, subscription_key=Secret("key-of-the-chair"), task_uuid="uuid"))
    cache = TaskCache(path, [known], lambda _: None, lambda _: None)
    assert cache.load_if_changed(())
    other.replace(path)
    assert cache.reopen_if_moved()
    cache.close()
    with closing(Store(path)) as store:
        (found,) = store.tasks()
    assert (found.subscription_key, found.status) == (Secret("key-of-the-chair"), Status.GENERATING)


def test_what_others_wrote_is_read_later_where_the_disk_was_in_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tasks.sqlite"
    cache = TaskCache(path, (), lambda _: None, lambda _: None)
    with closing(Store(path)) as store:
        store.add(SENT)
    fail_once(monkeypatch, Store, "tasks", StoreError("The disk does not answer."))
    with pytest.raises(StoreError):
        cache.load_if_changed(())
    assert cache.load_if_changed(()) and cache.by_id == {SENT.task_id: SENT}
    assert not cache.load_if_changed(())
    cache.close()


def test_the_second_copy_is_renewed_soon_after_a_task_was_accepted_and_else_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "tasks.sqlite"
    cache = TaskCache(path, (), lambda _: None, lambda _: None)
    cache.add(SENT)

    def copied() -> list[Status]:
        with closing(sqlite3.connect(second_copy.path_of(path))) as db:
            return [Status(row[0]) for row in db.execute("SELECT status FROM task")]

    cache.renew_copy()
    assert copied() == [], "an uncertain one lies in the outbox"
    monkeypatch.setattr(module, "COPY_SOON", 0.0)
    cache.renew_copy()
    assert copied() == []
    cache.change(SENT.task_id, lambda task: replace(task, status=Status.UNKNOWN, subscription_key=Secret("key")))
    cache.renew_copy()
    assert copied() == [Status.UNKNOWN]
    cache.change(SENT.task_id, lambda task: replace(task, status=Status.DONE))
    cache.renew_copy()
    assert copied() == [Status.UNKNOWN]
    monkeypatch.setattr(module, "COPY_EVERY", 0.0)
    cache.renew_copy()
    assert copied() == [Status.DONE]
    cache.close()


def test_what_was_just_accepted_is_in_the_second_copy_when_the_list_is_closed(tmp_path: Path) -> None:
    path = tmp_path / "tasks.sqlite"
    cache = TaskCache(path, (), lambda _: None, lambda _: None)
    cache.add(replace(SENT, status=Status.UNKNOWN, subscription_key=Secret("key")))
    cache.close()
    with closing(sqlite3.connect(second_copy.path_of(path))) as db:
        assert db.execute("SELECT subscription_key FROM task").fetchall() == [("key",)]
