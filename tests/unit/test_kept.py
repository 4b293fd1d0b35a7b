# SPDX-License-Identifier: GPL-3.0-or-later
"""The list as a tracker keeps it, when another file is put in its place."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from rodin_blender.service.keys import Secret
from rodin_blender.storage.store import Store
from rodin_blender.tasks.task import Status, Task
from rodin_blender.tracking.kept import KeptTasks

SENT = Task("0a1b2c3d", "Chair", Secret(""), status=Status.UNCERTAIN, kind="generate", tracked_at=1.0)


@pytest.mark.parametrize("known", [SENT, replace(SENT, status=Status.SENDING), replace(SENT, status=Status.UNSENT)])
def test_a_key_that_another_program_got_outlives_the_change_of_the_lists_file(tmp_path: Path, known: Task) -> None:
    path, other = tmp_path / "tasks.sqlite", tmp_path / "other.sqlite"
    with closing(Store(path)) as store:
        store.add(known)
    with closing(Store(other)) as store:
        store.add(replace(SENT, status=Status.GENERATING, subscription_key=Secret("key-of-the-chair"), task_uuid="uuid"))
    kept = KeptTasks(path, [known], lambda _: None, lambda _: None)
    assert kept.load_if_changed(())
    other.replace(path)
    assert kept.reopen_if_moved()
    kept.close()
    with closing(Store(path)) as store:
        (found,) = store.tasks()
    assert (found.subscription_key, found.status) == (Secret("key-of-the-chair"), Status.GENERATING)
