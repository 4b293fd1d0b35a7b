"""Which tasks a list shows, and in which order."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rodin_blender.service.keys import Secret
from rodin_blender.tasks.listing import Arrangement, Group, Listing, Sort, group_of
from rodin_blender.tasks.task import Download, Status, Task, Watch


def task(task_id: str, name: str = "A vase", **more: object) -> Task:
    return replace(Task(task_id, name, Secret("key")), **more)


@pytest.mark.parametrize(
    ("made", "group"),
    [
        (task("a"), Group.RUNNING),
        (task("a", status=Status.SENDING), Group.RUNNING),
        (task("a", watch=Watch.PAUSED), Group.RUNNING),
        (task("a", watch=Watch.OVERDUE), Group.ATTENTION),
        (task("a", status=Status.UNCERTAIN), Group.ATTENTION),
        (task("a", status=Status.PARTLY_FAILED), Group.DONE),
        (task("a", status=Status.DONE, watch=Watch.PAUSED), Group.DONE),
        (task("a", status=Status.DONE, download=Download.WANTED), Group.DONE),
        (task("a", status=Status.DONE, download=Download.SAVED), Group.DOWNLOADED),
        (task("a", status=Status.REJECTED), Group.FAILED),
        (task("a", status=Status.FAILED), Group.FAILED),
    ],
)
def test_each_task_is_in_the_group_of_what_can_be_done_next(made, group):
    assert group_of(made) is group


TASKS = [
    task("a", "Task 10", tracked_at=1.0, status=Status.FAILED),
    task("b", "task 2", tracked_at=3.0, status=Status.DONE),
    task("c", "Ähre", tracked_at=2.0, status=Status.UNCERTAIN, prompt="An ear of WHEAT"),
    task("d", "2 vases", tracked_at=4.0),
]


@pytest.mark.parametrize(
    ("arrangement", "shown"),
    [
        (Arrangement(), "dbca"),
        (Arrangement(sort=Sort.NAME), "dbac"),
        (Arrangement(sort=Sort.STATE), "cbda"),
        (Arrangement(search="  "), "dbca"),
        (Arrangement(search="wheat ear"), "c"),
        (Arrangement(search="wheat vase"), ""),
        (Arrangement(search="TASK", sort=Sort.NAME), "ba"),
        (Arrangement(groups=frozenset({Group.FAILED, Group.RUNNING})), "da"),
        (Arrangement(search="task", groups=frozenset({Group.FAILED})), "a"),
    ],
)
def test_a_list_is_searched_filtered_and_sorted(arrangement, shown):
    listing = Listing()
    listing.arrange(arrangement, TASKS)
    assert "".join(listing) == shown
    assert [listing.row(task_id) for task_id in shown] == [*range(len(shown))]
    assert arrangement.filters == (shown != "dbca" and len(shown) < 4)


changes = st.lists(
    st.tuples(
        st.sampled_from("abcdef"),
        st.none() | st.tuples(st.sampled_from(["a1", "a02", "b", ""]), st.sampled_from(Status), st.floats(0, 9)),
    )
)
arrangements = st.builds(
    Arrangement, st.sampled_from(["", "a", "b 1"]), st.frozensets(st.sampled_from(Group)), st.sampled_from(Sort)
)


@given(arrangements, changes)
def test_change_by_change_it_is_as_if_made_anew(arrangement, changed):
    listing, tasks = Listing(), {}
    listing.arrange(arrangement, [])
    for task_id, wish in changed:
        tasks.pop(task_id, None)
        if wish is not None:
            name, status, at = wish
            tasks[task_id] = task(task_id, name, status=status, tracked_at=at)
        listing.update(task_id, tasks.get(task_id))
    anew = Listing()
    anew.arrange(arrangement, tasks.values())
    assert [*listing] == [*anew]
    assert all((task_id in listing) == (listing.row(task_id) is not None) for task_id in "abcdef")
