"""How many calls go on at a time: no more than Blender's preferences allow, whichever pool they are of."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from queue import SimpleQueue

import pytest

from rodin_blender.service.connection import Connection
from rodin_blender.service.keys import Secret
from rodin_blender.tracking.workers import Connections, Pool, WorkItem

CONNECTION = Connection("https://service.invalid/api/v2", Secret("a-key"))


class Calls:
    """Calls of three pools, each of which goes on until it is let go."""

    def __init__(self, limit: int) -> None:
        self.inbox: SimpleQueue[Callable[[], None]] = SimpleQueue()
        self.submit, self.ask, self.download = (
            Pool(f"rodin-{name}", limit, self.inbox) for name, limit in (("submit", 2), ("ask", 4), ("download", 2))
        )
        self.connections = Connections(limit, self.submit, self.ask, self.download)
        self.started: SimpleQueue[str] = SimpleQueue()
        self.going_on: dict[str, threading.Event] = {}

    def begin(self, pool: Pool, name: str, *, needs_client: bool = True) -> None:
        let_go = self.going_on[name] = threading.Event()

        def call(_client: object) -> None:
            self.started.put(name)
            let_go.wait(30)

        pool.submit(WorkItem(call, lambda _outcome: None, CONNECTION, needs_client=needs_client))

    def end(self, name: str) -> None:
        self.going_on.pop(name).set()
        self.inbox.get(timeout=30)()

    def next_started(self) -> str:
        return self.started.get(timeout=30)

    def none_starts(self) -> bool:
        time.sleep(0.1)
        return self.started.empty()


@pytest.fixture
def calls(request: pytest.FixtureRequest):
    calls = Calls(request.param)
    yield calls
    for pool in (calls.submit, calls.ask, calls.download):
        pool.end()
    for let_go in calls.going_on.values():
        let_go.set()


@pytest.mark.parametrize("calls", [1], indirect=True)
def test_one_connection_is_shared_by_all_pools_and_submissions_go_first(calls: Calls) -> None:
    calls.begin(calls.download, "a download")
    assert calls.next_started() == "a download"
    calls.begin(calls.ask, "a check")
    calls.begin(calls.submit, "a submission")
    calls.begin(calls.submit, "its preparation", needs_client=False)
    assert calls.next_started() == "its preparation", "the disk is no connection"
    assert calls.none_starts()
    calls.end("its preparation")
    calls.end("a download")
    assert calls.next_started() == "a submission"
    assert calls.none_starts()
    calls.end("a submission")
    assert calls.next_started() == "a check"


@pytest.mark.parametrize("calls", [2], indirect=True)
def test_downloads_leave_a_connection_to_what_is_soon_over(calls: Calls) -> None:
    for number in range(2):
        calls.begin(calls.download, f"download {number}")
    assert calls.next_started() == "download 0" and calls.none_starts()
    assert (calls.download.free, calls.ask.free) == (0, 1)
    calls.begin(calls.ask, "a check")
    assert calls.next_started() == "a check" and calls.none_starts()
    calls.connections.configure(0)
    assert calls.next_started() == "download 1", "a limit that is raised holds at once"
