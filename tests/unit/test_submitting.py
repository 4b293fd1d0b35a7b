"""Submissions of a real tracker to a service on a real socket: paid once, never lost, and told in plain words."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from rodin_blender.service.keys import Secret
from rodin_blender.storage.outbox import Outbox, State
from rodin_blender.storage.store import Store
from rodin_blender.tasks import options
from rodin_blender.tasks.generation_request import GenerationRequest
from rodin_blender.tasks.task import Box, Placement, Status, Task, new_task_id
from rodin_blender.tracking import send_limits
from rodin_blender.tracking.messages import (
    BalanceReceived,
    BlockerChanged,
    Forgotten,
    Notice,
    NotSubmitted,
    Restored,
    Settings,
    SubmissionProgress,
    TaskChanged,
)
from tests.unit.pictures import large_file, png_file
from tests.unit.watching import PACE, Watched, wait_until
from tools.simulator import API_KEY, Simulator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(speed=20.0) as running:
        running.result_files = {"base_basic_pbr.glb": b"glTF"}
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "user"


class Generating(Watched):
    """A tracker that generates, and what lies on the disk beside its list."""

    def __init__(self, folder: Path, simulator: Simulator, **settings: object) -> None:
        known = {"address": simulator.url, "api_key": Secret(API_KEY), "timeout": 2.0, "pace": PACE, **settings}
        super().__init__(folder / "tasks.sqlite", Settings(**known))  # type: ignore[arg-type]
        self.outbox = Outbox(folder / "outbox")

    def generate(self, prompt: str = "A glazed vase", pictures: tuple[Path, ...] = (), **chosen: object) -> str:
        task_id = new_task_id()
        self.tracker.generate(GenerationRequest(task_id, prompt, pictures, options.checked(chosen), placement=PLACE))
        return task_id

    def until(self, task_id: str, *statuses: Status) -> Task:
        return self.next(TaskChanged, lambda told: told.task.task_id == task_id and told.task.status in statuses).task

    def told_statuses(self, task_id: str) -> list[Status]:
        told = [message.task.status for message in self.of(TaskChanged) if message.task.task_id == task_id]
        return [status for number, status in enumerate(told) if number == 0 or told[number - 1] is not status]


PLACE = Placement((1.0, 2.0, 3.0), "Scene", "/show/a.blend", Box((1.0, 0.0, 0.0, 0.0), (4.0, 1.0, 2.0)))


@pytest.fixture
def begin(folder: Path, simulator: Simulator) -> Iterator[Callable[..., Generating]]:
    begun: list[Generating] = []

    def begin(**settings: object) -> Generating:
        begun.append(Generating(folder, simulator, **settings))
        return begun[-1]

    yield begin
    simulator.released.set()
    for watched in begun:
        watched.tracker.stop()
    for watched in begun:
        assert watched.tracker.join(15.0)


def stored(folder: Path) -> dict[str, Task]:
    with closing(Store(folder / "tasks.sqlite")) as store:
        return {task.task_id: task for task in store.tasks()}


# Accepted.


def test_a_wish_becomes_a_task_that_is_followed_to_its_end(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path, tmp_path: Path
) -> None:
    watched = begin()
    task_id = watched.generate(pictures=(png_file(tmp_path / "a.png"), png_file(tmp_path / "b.png", seed=2)), tier="Gen-2", seed=7)
    done = watched.until(task_id, Status.DONE)
    assert watched.told_statuses(task_id)[:3] == [Status.UNSENT, Status.SENDING, Status.UNKNOWN]
    assert (done.name, done.prompt, done.placement, done.kind) == ("A glazed vase", "A glazed vase", PLACE, "generate")
    assert (done.price, done.credits, done.pictures) == (0.5, 0.5, ("1/a.png", "2/b.png"))
    assert done.options["tier"] == "Gen-2" and done.subscription_key and done.task_uuid and not done.message
    (sent,) = simulator.submissions
    assert sent.prompt == "A glazed vase" and ("tier", "Gen-2") in sent.fields and ("seed", "7") in sent.fields
    assert ("bbox_condition", "[100, 50, 25]") in sent.fields, "x, up and depth of the box that it is wanted in"
    assert [picture["size"] for picture in sent.pictures] == [(tmp_path / name).stat().st_size for name in ("a.png", "b.png")]
    assert watched.of(BalanceReceived)[-1].credits == 12.0
    assert stored(folder)[task_id] == done
    wait_until(lambda: watched.outbox.state(task_id) is State.ANSWERED)


def test_the_bytes_that_have_left_are_told(begin: Callable[..., Generating], tmp_path: Path) -> None:
    watched = begin()
    task_id = watched.generate(pictures=(large_file(tmp_path / "a.png", 8_000_000),))
    watched.until(task_id, Status.UNKNOWN)
    told = [(message.sent, message.total) for message in watched.of(SubmissionProgress)]
    assert told[0][0] < told[-1][0] == told[-1][1] > 8_000_000


def test_many_at_once_are_each_sent_once(begin: Callable[..., Generating], simulator: Simulator) -> None:
    watched = begin()
    ids = [watched.generate(f"wish {number}") for number in range(12)]
    for task_id in ids:
        wait_until(lambda task_id=task_id: task_id in stored(watched.outbox.folder.parent))
    wait_until(lambda: len(simulator.submissions) == 12)
    time.sleep(0.5)
    assert sorted(sent.prompt for sent in simulator.submissions) == sorted(f"wish {number}" for number in range(12))


# The wish itself is wrong.


def test_a_bad_picture_leaves_everything_as_it_was(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path, tmp_path: Path
) -> None:
    watched = begin()
    task_id = watched.generate(pictures=(png_file(tmp_path / "tiny.png", 100),))
    told = watched.next(NotSubmitted)
    assert told.task_id == task_id and "tiny.png" in str(told.said) and "512" in str(told.said)
    assert stored(folder) == {} and watched.outbox.ids() == [] and simulator.asked("rodin") == []


def test_offline_nothing_is_kept_or_sent(begin: Callable[..., Generating], simulator: Simulator, folder: Path) -> None:
    from rodin_blender.tracking.messages import Blocker

    watched = begin(blocker=Blocker("offline", "Blender is not allowed to go online."))
    watched.generate()
    assert "not allowed to go online" in str(watched.next(NotSubmitted).said)
    assert stored(folder) == {} and simulator.requests == []


# Rejected: nothing was charged.


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        ("refused-insufficient-fund", "too few credits"),
        ("refused-no-active-subscription", "no active plan"),
        ("refused-subscription-plan-too-low", "plan does not allow"),
        ("refused-invalid-request", "does not take this combination"),
        ("refused-permission-denied", "not allowed"),
        ("refused-image-content-violation", "moderation"),
        ("refused-object-not-found-on-image", "finds no object"),
        ("refused-image-label-length-too-long", "labels"),
        ("refused-user-not-found", "API key"),
        ("refused-group-not-found", "API key"),
        ("refused-unknown", "does not say why"),
        ("refused-never-heard-of", "NEVER_HEARD_OF"),
    ],
)
def test_each_refusal_says_why_that_nothing_was_charged_and_what_to_do(
    begin: Callable[..., Generating], simulator: Simulator, fault: str, words: str
) -> None:
    simulator.fail("rodin", fault)
    watched = begin()
    task = watched.until(watched.generate(), Status.REJECTED)
    assert words in task.message and "Nothing was charged." in task.message
    assert not task.followed and not task.subscription_key
    time.sleep(0.4)
    assert len(simulator.asked("rodin")) == 1 and simulator.balance == 12.5


def test_a_wrong_api_key_is_found_before_anything_is_sent(begin: Callable[..., Generating], simulator: Simulator) -> None:
    watched = begin(api_key=Secret("wrong"))
    task = watched.until(watched.generate(), Status.REJECTED)
    assert "API key" in task.message
    assert simulator.asked("rodin") == []
    # Told for all, so that the command that brings the key is asked for another one.
    refused = watched.next(BlockerChanged, lambda told: told.blocker is not None).blocker
    assert refused and refused.code == "bad_key"


# Surely not taken: tried again by itself.


@pytest.mark.parametrize("fault", ["refused-parallelism-limit-reached", "429", "429-seconds"])
def test_what_is_refused_for_now_is_sent_again_by_itself(
    begin: Callable[..., Generating], simulator: Simulator, monkeypatch: pytest.MonkeyPatch, fault: str
) -> None:
    monkeypatch.setattr(send_limits, "FIRST_WAIT", 0.3)
    monkeypatch.setattr(send_limits, "PARALLEL_WAIT", 0.3)
    simulator.fail("rodin", fault, fault)
    watched = begin()
    task_id = watched.generate()
    waiting = watched.next(TaskChanged, lambda told: told.task.task_id == task_id and bool(told.task.message)).task
    assert waiting.status is Status.UNSENT and "automatically" in waiting.message
    watched.until(task_id, Status.UNKNOWN)
    assert sum(not sent.outcome for sent in simulator.submissions) == 1
    assert len(simulator.asked("rodin")) == 3 and simulator.balance == 12.0


def test_where_the_service_cannot_be_reached_it_is_sent_when_it_can(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(send_limits, "FIRST_WAIT", 0.3)
    with Simulator() as gone:
        pass
    watched = Generating(folder, gone)
    try:
        task_id = watched.generate()
        waiting = watched.next(TaskChanged, lambda told: bool(told.task.message)).task
        assert waiting.status is Status.UNSENT and "refused the connection" in waiting.message
        with Simulator(port=gone.port) as back:
            back.result_files = {}
            watched.until(task_id, Status.UNKNOWN)
            assert len(back.submissions) == 1
    finally:
        watched.tracker.stop()
        assert watched.tracker.join(15.0)


# Uncertain: never again by itself.


@pytest.mark.parametrize(
    ("fault", "charged", "words"),
    [
        ("taken-and-closed", True, "went down from 12.5 to 12"),
        ("taken-and-reset", True, "went down from 12.5 to 12"),
        ("taken-and-html", True, "went down from 12.5 to 12"),
        ("taken-and-502", True, "went down from 12.5 to 12"),
        ("taken-and-empty", True, "went down from 12.5 to 12"),
        ("taken-and-huge", True, "went down from 12.5 to 12"),
        ("answer-cut", True, "went down from 12.5 to 12"),
        ("answer-without-key", True, "went down from 12.5 to 12"),
        ("answer-without-uuid", True, "went down from 12.5 to 12"),
        ("closed-after-upload", False, "still has 12.5"),
        ("closed-in-upload", False, "still has 12.5"),
    ],
)
def test_a_lost_answer_is_uncertain_and_told_with_the_balance(
    begin: Callable[..., Generating], simulator: Simulator, tmp_path: Path, fault: str, charged: bool, words: str
) -> None:
    simulator.fail("rodin", fault)
    watched = begin()
    task = watched.until(watched.generate(pictures=(large_file(tmp_path / "a.png", 2_000_000),)), Status.UNCERTAIN)
    assert words in task.message and "may have been charged" in task.message
    time.sleep(0.6)
    assert len(simulator.asked("rodin")) == 1
    assert simulator.balance == (12.0 if charged else 12.5)
    assert stored(watched.outbox.folder.parent)[task.task_id].status is Status.UNCERTAIN


@pytest.mark.parametrize("fault", ["taken-with-500", "taken-with-429"])
def test_an_answer_that_names_uuid_and_key_means_yes_under_any_code(
    begin: Callable[..., Generating], simulator: Simulator, fault: str
) -> None:
    simulator.fail("rodin", fault)
    watched = begin()
    watched.until(watched.generate(), Status.DONE)
    assert len(simulator.submissions) == 1


def test_a_hung_answer_is_uncertain_when_blender_quits_and_stays_so(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path
) -> None:
    simulator.fail("rodin", "taken-and-hung")
    watched = begin()
    task_id = watched.generate()
    wait_until(lambda: len(simulator.submissions) == 1)
    began = time.monotonic()
    watched.tracker.stop()
    assert watched.tracker.join(15.0)
    assert time.monotonic() - began < 9.0
    again = begin()
    task = again.until(task_id, Status.UNCERTAIN)
    assert "It may have been charged. The account had 12.5 credits before it." in task.message
    time.sleep(0.6)
    assert len(simulator.submissions) == 1


def test_an_uncertain_task_is_settled_by_its_answer(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path
) -> None:
    import json

    simulator.fail("rodin", "taken-and-closed")
    watched = begin()
    task_id = watched.generate()
    watched.until(task_id, Status.UNCERTAIN)
    watched.tracker.settle(task_id, b'{"error": "INSUFFICIENT_FUND"}')
    assert "no answer by which" in str(watched.next(Notice).said)
    answer = simulator.add("done", files={})
    watched.tracker.settle(task_id, json.dumps(answer).encode())
    task = watched.until(task_id, Status.DONE)
    assert (task.task_uuid, task.subscription_key.reveal()) == (answer["uuid"], answer["jobs"]["subscription_key"])
    wait_until(lambda: watched.outbox.state(task_id) is State.ANSWERED)


def test_an_uncertain_task_is_sent_again_only_as_another_one_that_takes_its_place(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path, tmp_path: Path
) -> None:
    simulator.fail("rodin", "taken-and-closed")
    watched = begin()
    task_id = watched.generate(pictures=(png_file(tmp_path / "a.png"),))
    uncertain = watched.until(task_id, Status.UNCERTAIN)
    new = new_task_id()
    watched.tracker.send_again(task_id, new)
    done = watched.until(new, Status.DONE)
    assert (done.parent, done.prompt, done.placement) == (task_id, uncertain.prompt, PLACE)
    first, second = simulator.submissions
    assert first.pictures == second.pictures and first.fields == second.fields
    wait_until(lambda: stored(folder).keys() == {new} and watched.outbox.state(task_id) is State.GONE)
    watched.tracker.send_again(new, new_task_id())
    assert "It is known what became of" in str(watched.next(NotSubmitted).said)


# Cancelling, and quitting before anything has left.


def test_it_can_be_cancelled_until_the_first_byte_has_left(
    begin: Callable[..., Generating], simulator: Simulator
) -> None:
    simulator.fail("check_balance", "hang")
    watched = begin(timeout=20.0)
    task_id = watched.generate()
    watched.until(task_id, Status.SENDING)
    wait_until(lambda: bool(simulator.asked("check_balance")))
    watched.tracker.cancel_submission(task_id)
    task = watched.until(task_id, Status.UNSENT)
    assert "Send it now" in task.message and simulator.asked("rodin") == []
    watched.tracker.send_now(task_id)
    watched.until(task_id, Status.UNKNOWN)
    assert len(simulator.submissions) == 1


def test_after_the_first_byte_it_says_that_it_is_on_its_way(
    begin: Callable[..., Generating], simulator: Simulator, tmp_path: Path
) -> None:
    simulator.upload_rate = 2_000_000.0
    watched = begin()
    task_id = watched.generate(pictures=(large_file(tmp_path / "a.png", 6_000_000),))
    watched.next(SubmissionProgress, lambda told: told.sent > 0)
    watched.tracker.cancel_submission(task_id)
    assert "on its way already" in str(watched.next(Notice).said)
    watched.tracker.forget(task_id)
    assert "is being sent just now" in str(watched.next(Notice).said)
    watched.until(task_id, Status.UNKNOWN)


# What the outbox says wins over the list.


def test_a_list_that_was_deleted_or_is_older_never_sends_again(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path
) -> None:
    first = begin()
    done = first.generate("done")
    first.until(done, Status.DONE)
    simulator.fail("rodin", "taken-and-closed")
    lost = first.generate("lost")
    first.until(lost, Status.UNCERTAIN)
    simulator.fail("rodin", "refused-insufficient-fund")
    rejected = first.generate("rejected")
    first.until(rejected, Status.REJECTED)
    first.tracker.stop()
    assert first.tracker.join(15.0)
    (folder / "tasks.sqlite").unlink()
    for _ in range(2):
        again = begin()
        ends = {done: Status.DONE, lost: Status.UNCERTAIN, rejected: Status.REJECTED}
        wait_until(lambda: {task_id: task.status for task_id, task in stored(folder).items()} == ends)
        assert stored(folder)[done].subscription_key
        again.tracker.stop()
        assert again.tracker.join(15.0)
        # An older copy of the list, in which nothing had been sent yet.
        with closing(Store(folder / "tasks.sqlite")) as store:
            for task in store.tasks():
                store.forget(task.task_id)
                store.add(Task(task.task_id, task.name, Secret(""), status=Status.UNSENT, kind="generate", tracked_at=1.0))
    assert len(simulator.asked("rodin")) == 3


def test_a_forgotten_task_does_not_come_back(begin: Callable[..., Generating], folder: Path) -> None:
    first = begin()
    task_id = first.generate()
    first.until(task_id, Status.DONE)
    first.tracker.forget(task_id)
    wait_until(lambda: stored(folder) == {})
    first.tracker.stop()
    assert first.tracker.join(15.0)
    begin()
    time.sleep(1.0)
    assert stored(folder) == {}


def test_what_was_kept_but_not_sent_waits_for_the_user_at_the_next_start(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path
) -> None:
    Outbox(folder / "outbox").add(GenerationRequest("0a1b2c3d", "A chair", (), options.defaults()))
    watched = begin()
    task = watched.until("0a1b2c3d", Status.UNSENT)
    time.sleep(0.6)
    assert "Send it now" in stored(folder)["0a1b2c3d"].message and task.name == "A chair"
    assert simulator.requests == []
    watched.tracker.send_now("0a1b2c3d")
    watched.until("0a1b2c3d", Status.UNKNOWN)
    assert len(simulator.submissions) == 1


def test_two_blenders_send_one_task_once(begin: Callable[..., Generating], simulator: Simulator, folder: Path) -> None:
    Outbox(folder / "outbox").add(GenerationRequest("0a1b2c3d", "A chair", (), options.defaults()))
    both = begin(), begin()
    for watched in both:
        watched.until("0a1b2c3d", Status.UNSENT)
    for watched in both:
        watched.tracker.send_now("0a1b2c3d")
    for watched in both:
        watched.until("0a1b2c3d", Status.DONE)
    assert len(simulator.submissions) == 1


def test_an_unsent_task_that_was_forgotten_comes_back_and_is_not_sent_by_itself(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path
) -> None:
    Outbox(folder / "outbox").add(GenerationRequest("0a1b2c3d", "A chair", (), options.defaults()))
    watched = begin()
    watched.until("0a1b2c3d", Status.UNSENT)
    watched.tracker.forget("0a1b2c3d")
    forgotten = watched.next(Forgotten).task
    # Each start of a tracker cleans, and so does the next one where there was nothing else to follow.
    Outbox(folder / "outbox").clean()
    watched.tracker.restore(forgotten)
    assert watched.next(Restored).task_id == "0a1b2c3d"
    time.sleep(0.6)
    assert stored(folder)["0a1b2c3d"] == forgotten and simulator.requests == []
    watched.tracker.send_now("0a1b2c3d")
    watched.until("0a1b2c3d", Status.UNKNOWN)
    assert len(simulator.submissions) == 1


def test_what_cannot_come_back_since_its_request_is_deleted_is_told(
    begin: Callable[..., Generating], simulator: Simulator, folder: Path
) -> None:
    outbox = Outbox(folder / "outbox")
    outbox.add(GenerationRequest("0a1b2c3d", "A chair", (), options.defaults()))
    watched = begin()
    watched.until("0a1b2c3d", Status.UNSENT)
    watched.tracker.forget("0a1b2c3d")
    forgotten = watched.next(Forgotten).task
    os.utime(folder / "outbox" / "0a1b2c3d" / "forgotten.json", (1.0, 1.0))
    outbox.clean()
    watched.tracker.restore(forgotten)
    assert "cannot be brought back" in str(watched.next(Notice).said)
    assert stored(folder) == {} and simulator.requests == []
