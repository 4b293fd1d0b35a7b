# SPDX-License-Identifier: GPL-3.0-or-later
"""What a task's jobs say about it together."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rodin_blender.service.answers import Job
from rodin_blender.service.files import SavedFile
from rodin_blender.service.keys import Secret
from rodin_blender.tasks.task import Box, Status, Task, Watch, new_task_id, status_of

ENDED = {"Done", "done", "Failed", "FAILED", "Canceled", "Cancelled"}
WORDS = st.sampled_from([*sorted(ENDED), "Waiting", "waiting", "Generating", "Polishing", "完了", "?"])


def jobs_of(*words: str) -> tuple[Job, ...]:
    return tuple(Job(str(number), word) for number, word in enumerate(words))


@pytest.mark.parametrize(
    ("words", "status"),
    [
        ((), Status.UNKNOWN),
        (("Done", "Done"), Status.DONE),
        (("Done", "Failed"), Status.PARTLY_FAILED),
        (("Done", "Canceled"), Status.PARTLY_FAILED),
        (("Failed", "Canceled"), Status.FAILED),
        (("Canceled",), Status.FAILED),
        (("Done", "Generating"), Status.GENERATING),
        (("Done", "Waiting"), Status.GENERATING),
        (("Failed", "Waiting"), Status.GENERATING),
        (("Waiting", "Waiting"), Status.WAITING),
        (("Polishing",), Status.GENERATING),
        (("Done", "Polishing"), Status.GENERATING),
    ],
)
def test_the_status_is_that_of_all_jobs_together(words: tuple[str, ...], status: Status) -> None:
    assert status_of(jobs_of(*words)) is status


@given(st.lists(WORDS, max_size=8), st.randoms())
def test_final_exactly_when_there_are_jobs_and_each_has_ended_in_any_order(
    words: list[str], chance: random.Random
) -> None:
    status = status_of(jobs_of(*words))
    assert status.final == (bool(words) and set(words) <= ENDED)
    shuffled = list(words)
    chance.shuffle(shuffled)
    assert status_of(jobs_of(*shuffled)) is status


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("watch", Watch)
def test_followed_only_while_not_final_and_not_stopped(status: Status, watch: Watch) -> None:
    task = Task("id", "name", Secret("key"), status=status, watch=watch)
    assert task.followed == (watch is Watch.FOLLOWING and not status.final)


def test_a_task_shows_no_key_and_its_ids_are_distinct() -> None:
    assert "very-secret" not in repr(Task(new_task_id(), "name", Secret("very-secret")))
    assert len({new_task_id() for _ in range(100)}) == 100


def test_a_task_has_the_size_of_its_files() -> None:
    assert Task("id", "name", Secret("key")).size == 0
    assert Task("id", "name", Secret("key"), files=(SavedFile("a", 5), SavedFile("b", 7))).size == 12


@given(st.tuples(*[st.floats(1e-6, 1e6)] * 3))
def test_the_service_gets_proportions_that_it_takes(size: tuple[float, float, float]) -> None:
    width, height, depth = Box((1.0, 0.0, 0.0, 0.0), size).proportions
    assert all(type(length) is int and 1 <= length <= 100 for length in (width, height, depth))
    assert max(width, height, depth) == 100
    for length, real in ((width, size[0]), (depth, size[1]), (height, size[2])):
        assert length == max(round(100 * real / max(size)), 1)


def test_a_flat_box_has_a_thickness() -> None:
    assert Box((1.0, 0.0, 0.0, 0.0), (2.0, 1.0, 0.0)).proportions == (100, 1, 50)
