# SPDX-License-Identifier: GPL-3.0-or-later
"""The rows of a batch, sent, followed and downloaded until each has its result, or something keeps it from one."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from ..service.keys import Generation, Secret
from ..storage import task_folder
from ..storage.store import Store
from ..tasks import schedule
from ..tasks.generation_request import GenerationRequest, unsent_task
from ..tasks.task import Download, Status, Task, Watch
from ..texts.text import Text, Trouble
from ..tracking.messages import DownloadEnded, Message, NotSubmitted, TaskChanged, TaskRemoved
from .following import CommandEnd, Follower
from .output import Exit, Output
from .planning import EarlierRuns, Item, cost, retry_id
from .results import Journal, Results
from .voice import of_batch

COUNT_EVERY = 60.0
"""Seconds between two lines that count."""
MAX_AT_ONCE = 2
"""Submissions at a time; one where the service has said that it takes no more for now: the others cost no requests."""
MAX_IN_A_ROW = 3
"""Submissions in a row that come to nothing, after which no more is sent: the rest would fare likewise."""


class BatchRun:
    """All rows of one run, by the ids of the tasks that stand for them."""

    def __init__(
        self,
        output: Output,
        folder: Path,
        items: Iterable[Item],
        results: Results,
        journal: Journal,
        earlier: EarlierRuns,
    ) -> None:
        self._output = output
        output.voice = of_batch(folder)
        self._folder = folder
        self._results = results
        self._journal = journal
        self._earlier = earlier
        self._costs = earlier.costs
        """Credits that are spent, or may be, by the ids of tasks."""
        self._budget = float("inf")
        self.items = list(items)
        self._by_id: dict[str, Item] = {}
        self._requests: dict[str, GenerationRequest] = {}
        """What is to be generated anew."""
        self._troubles: dict[str, dict[str, Text]] = {}
        """What is wrong with files of results that were written before."""
        self.left: set[str] = set()
        """Those without a result, or whose files are not whole."""
        self._stopped: dict[str, tuple[Exit, Trouble]] = {}
        self._reported: set[str] = set()
        """Those whose results were told in this run."""
        self._fetched: set[str] = set()
        self._fetching: set[str] = set()
        self._queue: deque[str] = deque()
        """Those to be sent, in the order of the table."""
        self._requested: set[str] = set()
        """Those that the tracker was told to send, in this run."""
        self._in_flight: set[str] = set()
        """Those of them of which it is not yet known what became of them."""
        self._refused_for_now: set[str] = set()
        """Those of them that the service did not take for now."""
        self._max_at_once = MAX_AT_ONCE
        self._sent: set[str] = set()
        self._failures_in_a_row = 0

    # Before.

    def prepare(self, store: Store, *, retry: bool) -> None:
        """Have the list say what the table says, and see what is left. Raises StoreError, OSError."""
        # The claims are of a run that was killed, since this one holds the folder's lock.
        store.release_all_claims()
        tasks = store.tasks()
        keyed = {task.subscription_key: task for task in tasks if task.subscription_key}
        by_id = {task.task_id: task for task in tasks}
        for item in self.items:
            if item.row.generation:
                self._prepare_keyed(store, item, replace(item.row.generation, name=item.row.name), keyed)
            elif item.request:
                self._prepare_request(store, item, item.request, by_id, retry=retry)
        for task in tasks:
            if task.followed and task.task_id not in self._by_id:
                store.change(task.task_id, schedule.paused)

    def _prepare_keyed(self, store: Store, item: Item, generation: Generation, keyed: Mapping[Secret, Task]) -> None:
        uuid = generation.task_uuid
        task = keyed.get(generation.subscription_key)
        if task and task.task_uuid not in ("", uuid):
            # What lies in its folder is of another model.
            store.forget(task.task_id)
            task = None
        if task is None:
            task = store.add(schedule.new_task(generation, time.time()))
        self._by_id[task.task_id] = item
        self._check_result(task.task_id, self._results.written.get(uuid))
        named = lambda task: replace(task, name=generation.name, task_uuid=uuid)  # noqa: E731
        self._follow(store, task, named)

    def _prepare_request(
        self, store: Store, item: Item, request: GenerationRequest, by_id: Mapping[str, Task], *, retry: bool
    ) -> None:
        last = self._earlier.last(request.task_id)
        if last and retry and self._earlier.may_be_retried(last):
            request, last = replace(request, task_id=retry_id(last), parent=last), ""
        task_id = last or request.task_id
        self._by_id[task_id] = item
        if not last:
            self.left.add(task_id)
            self._requests[task_id] = request
            self._queue.append(task_id)
            return
        self._journal.append(task_id, item.row.name)
        if task_id in self._earlier.prepared and task_id not in self._earlier.tasks:
            # Its state is known once the tracker has read the outbox.
            self._costs[task_id] = item.price
        self._check_result(task_id, self._results.by_id.get(task_id))
        task = by_id.get(task_id)
        if task:
            self._follow(store, task, lambda task: task)
        elif task_id in self.left and task_id not in self._earlier.prepared:
            text = "It was discarded. It is sent once more with --retry-failed, or where the row says something else."
            if task_id in self._results.by_id:
                text = "Its files are not whole any more, and the list has lost it, so they cannot be fetched."
            self._stopped[task_id] = Exit.FAILED, _trouble(Exit.FAILED, text)

    def _check_result(self, task_id: str, written: Task | None) -> None:
        # What a result tells of may have been deleted or damaged since.
        self._troubles[task_id] = task_folder.troubles(written.folder, written.files) if written else {}
        if written is None or self._troubles[task_id]:
            self.left.add(task_id)

    def _follow(self, store: Store, task: Task, change: Callable[[Task], Task]) -> None:
        """Have what is left followed, and fetched again where its files are not whole."""

        def wanted(task: Task) -> Task:
            task = change(task)
            if task.task_id in self.left and task_folder.troubles(task.folder, task.files):
                task = replace(task, download=Download.NONE)
            return task if task.followed or task.status.final else schedule.resumed(task, time.time())

        if wanted(task) != task:
            store.change(task.task_id, wanted)

    def whole(self) -> list[Task]:
        """Those whose results earlier runs have written, and that need nothing more."""
        done = [task_id for task_id in self._by_id if task_id not in self.left]
        # The list knows more of them than their results' lines do.
        found = (self._earlier.tasks.get(task_id) or self._written(task_id) for task_id in done)
        return [task for task in found if task]

    # Meanwhile.

    def run(self, follower: Follower, until: float, budget: float | None) -> None:
        """Go on up to `until` (monotonic seconds). Raises CommandEnd where nothing can be asked any more."""
        self._budget = float("inf") if budget is None else budget
        # At the end of the time, too, what is under way is told.
        while not self.is_done and time.monotonic() < until:
            count_at = time.monotonic() + COUNT_EVERY
            self._send_next(follower)
            for message in follower.messages(min(until, count_at)):
                self._take(follower, message)
                self._send_next(follower)
                if self.is_done or time.monotonic() >= count_at:
                    break
            if not self.is_done:
                follower.live(self._count(follower.tasks))

    @property
    def is_done(self) -> bool:
        """Whether there is nothing left that could be had."""
        return self.left == self._stopped.keys() and not self._fetching

    def _take(self, follower: Follower, message: Message) -> None:
        match message:
            case TaskChanged(task) if task.task_id in self._by_id:
                if self._by_id[task.task_id].request:
                    self._journal.append(task.task_id, task.name)
                if task.task_id in self.left:
                    follower.live_task(task)
                    self._take_task(follower, task)
            case NotSubmitted(task_id, said) if task_id in self.left:
                self._stop(follower, task_id, Exit.TROUBLE, said)
            case TaskRemoved(task_id) if task_id in self.left:
                self._stop(follower, task_id, Exit.FAILED, "It was removed from the list.")
            case DownloadEnded(task_id, _, said, _, missing):
                self._fetching.discard(task_id)
                if task_id in self.left and not said:
                    # A program that was just killed may seem to be at it still.
                    self._fetch(follower, task_id)
                elif task_id in self.left:
                    self._stop(follower, task_id, Exit.TROUBLE, said)
                elif missing and task_id in self._by_id:
                    follower.live(f"{self._by_id[task_id].row.name}  {self._output.voice.say(said, task=task_id)}")

    def _take_task(self, follower: Follower, task: Task) -> None:
        if not task.status.submitted:
            self._take_unaccepted(follower, task)
            return
        if task.kind:
            self._costs[task.task_id] = cost(task)
        if task.task_id in self._in_flight:
            self._failures_in_a_row = 0
        self._mark_settled(task.task_id)
        if task.status is Status.FAILED or task.download is Download.SAVED:
            self._results.write(task)
            self._reported.add(task.task_id)
            self.left.discard(task.task_id)
            self._stopped.pop(task.task_id, None)
            self._send_waiting(follower)
        elif task.status.has_files and task.task_id not in self._fetched:
            self._fetched.add(task.task_id)
            self._fetch(follower, task.task_id)
            self._send_waiting(follower)
        elif task.watch is not Watch.FOLLOWING and not task.status.final:
            self._stop(follower, task.task_id, Exit.TROUBLE, task.trouble)

    def _take_unaccepted(self, follower: Follower, task: Task) -> None:
        task_id = task.task_id
        if task.status is Status.UNCERTAIN:
            self._stop(follower, task_id, Exit.UNCERTAIN, task.trouble, told=True)
        elif task.status is Status.REJECTED:
            self._stop(follower, task_id, Exit.FAILED, task.trouble)
        elif task.status is Status.SENDING:
            self._sent.add(task_id)
            self._refused_for_now.discard(task_id)
        elif task_id not in self._requested:
            # What a run that was killed had prepared, and not sent.
            self._costs.pop(task_id, None)
            if task_id not in self._queue:
                self._queue.append(task_id)
        elif task.next_check_at:
            self._refused_for_now.add(task_id)
            self._max_at_once = 1
        elif task_id in self._sent:
            # Such as after an hour without a network.
            self._stop(follower, task_id, Exit.TROUBLE, task.trouble)

    def _send_next(self, follower: Follower) -> None:
        """Have as many sent as may be under way."""
        while self._queue and len(self._in_flight) < self._max_at_once:
            task_id = self._queue.popleft()
            price, spent = self._by_id[task_id].price, sum(self._costs.values())
            if self._failures_in_a_row >= MAX_IN_A_ROW:
                text = f"Not sent, since the last {MAX_IN_A_ROW} came to nothing. Run it again to send it."
                self._stop(follower, task_id, Exit.TROUBLE, text)
            elif spent + price > self._budget:
                text = f"Not sent: {spent:g} of --max-credits {self._budget:g} are spent, and it costs {price:g}."
                self._stop(follower, task_id, Exit.USAGE, text)
            else:
                self._costs[task_id] = price
                self._requested.add(task_id)
                self._in_flight.add(task_id)
                request = self._requests.get(task_id)
                if request and task_id not in follower.tasks:
                    follower.tracker.generate(request)
                else:
                    follower.tracker.send_now(task_id)

    def _send_waiting(self, follower: Follower) -> None:
        """One has ended, so that the service may take another."""
        for task_id in self._refused_for_now:
            follower.tracker.send_now(task_id)

    def _fetch(self, follower: Follower, task_id: str) -> None:
        self._fetching.add(task_id)
        follower.tracker.download(task_id, self._folder)

    def _mark_settled(self, task_id: str) -> None:
        self._in_flight.discard(task_id)
        self._refused_for_now.discard(task_id)

    def _stop(
        self, follower: Follower, task_id: str, code: Exit, said: Text | Trouble | str | None, *, told: bool = False
    ) -> None:
        if task_id in self._in_flight:
            self._failures_in_a_row += 1
        if code is not Exit.UNCERTAIN and task_id in self._in_flight:
            # An uncertain task may have been charged.
            self._costs.pop(task_id, None)
        self._mark_settled(task_id)
        if self._has_models(task_id):
            # The model is there, but its sidecars can no longer be downloaded.
            self.left.discard(task_id)
        else:
            self._stopped[task_id] = code, _trouble(code, said)
        if not told:
            follower.live(f"{self._by_id[task_id].row.name}  {self._output.voice.say(said, task=task_id)}")

    def _has_models(self, task_id: str) -> bool:
        written = self._written(task_id)
        return written is not None and self._results.has_models(written.task_uuid, self._troubles.get(task_id, {}))

    def _written(self, task_id: str) -> Task | None:
        brought = self._by_id[task_id].row.generation
        return self._results.written.get(brought.task_uuid) if brought else self._results.by_id.get(task_id)

    def _count(self, tasks: Mapping[str, Task]) -> str:
        running = self.left - self._stopped.keys() - set(self._queue) - self._in_flight
        states = Counter(tasks[one].status.value.lower().replace("_", " ") for one in running if one in tasks)
        counts = {
            "with a result": len(self._by_id) - len(self.left),
            **states,
            "being sent": len(self._in_flight - self._refused_for_now),
            "waiting for the service to take more": len(self._refused_for_now),
            "to be sent": len(self._queue),
            "stopped": len(self._stopped),
        }
        return f"{len(self._by_id)} rows: {', '.join(f'{count} {what}' for what, count in counts.items() if count)}."

    # After.

    def end(self, tasks: Mapping[str, Task]) -> Exit:
        """Tell of each row that has no whole model, and end with what that means. Raises CommandEnd."""
        failed: list[tuple[str, str]] = []
        for item in self.items:
            if item.row.refused:
                trouble = Trouble("error_answer", item.row.refused)
                refused = Task("", item.row.name, Secret(""), status=Status.REJECTED, trouble=trouble)
                self._output.task(refused)
                failed.append((item.row.name, f"line {item.row.line}: {item.row.refused}"))
        for task_id, item in self._by_id.items():
            written = self._written(task_id)
            if task_id in self.left:
                self._output.task(self._unresolved(task_id, item, tasks.get(task_id)))
            elif written and written.status is not Status.DONE:
                failed.append((item.row.name, f"see {self._results.path}."))
                if task_id not in self._reported:
                    self._output.task(written)
            elif written and task_id not in self._reported:
                self._output.live(f"{item.row.name}  done before, in {written.folder}", time.time())
        self._output.live(self._count(tasks), time.time())
        count, stopped = len(self.items), self._stopped
        pending = len(self.left) - len(stopped)
        if pending > 0:
            text = f"{pending} of {count} tasks have no result yet; run it again to go on."
            raise CommandEnd(Exit.TIME_RAN_OUT, text)
        for code in (Exit.UNCERTAIN, Exit.TROUBLE, Exit.USAGE, Exit.FAILED):
            found = {self._by_id[task_id].row.name: task_id for task_id, (of, _) in stopped.items() if of is code}
            if found:
                name, task_id = min(found.items())
                trouble = stopped[task_id][1]
                why = self._output.voice.say(trouble, task=task_id)
                text = f"{len(stopped)} of {count} tasks have no result; {_ADVICE[code]}. '{name}': {why}"
                raise CommandEnd(code, Trouble(trouble.code, text))
        if failed:
            text = f"{len(failed)} of {count} tasks failed or failed in part"
            raise CommandEnd(Exit.FAILED, f"{text}. '{failed[0][0]}': {failed[0][1]}")
        return Exit.DONE

    def _unresolved(self, task_id: str, item: Item, task: Task | None) -> Task:
        """A task to tell of: as it is, with why it stopped."""
        if task is None:
            request = self._requests.get(task_id) or item.request
            known = self._earlier.tasks.get(task_id)
            task = known or (unsent_task(replace(request, task_id=task_id), 0.0, ()) if request else None)
            task = task or Task(task_id, item.row.name, Secret(""))
        trouble = self._stopped[task_id][1] if task_id in self._stopped else task.trouble
        return replace(task, name=item.row.name, trouble=trouble)


def _trouble(code: Exit, said: Text | Trouble | str | None) -> Trouble:
    return said if isinstance(said, Trouble) else Trouble(code.name.lower(), said or "")


_ADVICE = {
    Exit.UNCERTAIN: "of those that are uncertain `settle` says what becomes of them",
    Exit.TROUBLE: "run it again to try once more",
    Exit.USAGE: "run it again with more credits",
    Exit.FAILED: "change the rows, or send them once more with --retry-failed",
}
