# SPDX-License-Identifier: GPL-3.0-or-later
"""Threads that make the calls which block, so that a hung one holds up only itself."""

from __future__ import annotations

import logging
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any

from ..service.connection import Connection
from ..service.errors import Aborted, ClientUnavailable, RodinError, frames, trouble_of
from ..texts.text import Text

if TYPE_CHECKING:
    # It imports `requests`, which takes 100 ms and may be missing: a worker's matter.
    from ..service.client import Client

_log = logging.getLogger(__name__)

LONGEST_CALL = 60.0
"""Seconds after which a call is cut short that sends a little now and then, and so never meets a timeout."""


@dataclass(eq=False)
class WorkItem:
    """A call to be made. `on_done` gets what it returned, or its exception."""

    call: Callable[[Any], Any]
    """Gets a `Client`."""
    on_done: Callable[[Any], None]
    connection: Connection
    cancelled: bool = False
    needs_client: bool = True
    """Whether it needs a client, and is not to be begun once the pool is stopping. Else it gets None."""


class Connections:
    """How many calls to servers may be under way at a time, in all pools together. For the tracker's thread.

    The first pool goes first. The last one, whose calls take long, leaves one to the others where there are several.
    """

    def __init__(self, limit: int, *pools: Pool) -> None:
        """A limit of 0 is none."""
        self._limit = limit
        self._pools = pools
        for pool in pools:
            pool.connections = self

    def configure(self, limit: int) -> None:
        self._limit = limit
        self.dispatch()

    def free_for(self, pool: Pool) -> int:
        if not self._limit:
            return sys.maxsize
        used = sum(pool.connected for pool in self._pools)
        kept_free = 1 if pool is self._pools[-1] and self._limit > 1 else 0
        return max(self._limit - kept_free - used, 0)

    def dispatch(self) -> None:
        """Begin what has waited for a connection."""
        for pool in self._pools:
            pool.dispatch()

    def end(self) -> None:
        """Let the workers of all pools end after what they are at."""
        for pool in self._pools:
            pool.end()


class Pool:
    """Up to `limit` workers, made when needed. Answers are handed to `inbox`, to be taken in by the tracker thread."""

    def __init__(self, name: str, limit: int, inbox: SimpleQueue[Callable[[], None]]) -> None:
        self._name = name
        self._limit = limit
        self._inbox = inbox
        self._queue: list[WorkItem] = []
        self._workers: tuple[_Worker, ...] = ()
        self.stopping = False
        self.connections: Connections | None = None

    @property
    def free(self) -> int:
        """How many questions could be asked at once."""
        workers = self._limit - sum(w.item is not None for w in self._workers)
        return max(min(workers, self._free_connections) - len(self._queue), 0)

    @property
    def connected(self) -> int:
        """How many calls to servers are under way."""
        return sum(worker.item is not None and worker.item.needs_client for worker in self._workers)

    @property
    def _free_connections(self) -> int:
        return self.connections.free_for(self) if self.connections else sys.maxsize

    @property
    def busy(self) -> bool:
        return bool(self._queue) or any(worker.item for worker in self._workers)

    def submit(self, item: WorkItem) -> None:
        """Have a worker make its call; in its turn, when all are busy."""
        self._queue.append(item)
        self.dispatch()

    def cancel(self, item: WorkItem) -> None:
        """Cut it short, or take it out of the queue. It is answered with Aborted, unless it had just ended."""
        item.cancelled = True
        if item in self._queue:
            self._queue.remove(item)
            self._inbox.put(partial(item.on_done, Aborted()))
        for worker in self._workers:
            if worker.item is item:
                worker.abort()

    def abort_timed_out(self) -> None:
        for worker in self._workers:
            if worker.item and time.monotonic() - worker.started_at > LONGEST_CALL:
                worker.abort()

    def end(self) -> None:
        """Let the workers end after what they are at."""
        self._queue.clear()
        for worker in self._workers:
            worker.items.put(None)
            worker.abort()  # Again: `stop` may have come just before a connection was begun.

    def stop(self) -> None:
        """For the owner's thread: cut short what is under way, refuse the rest."""
        self.stopping = True
        for worker in self._workers:
            worker.abort()

    def dispatch(self) -> None:
        """Have workers make the calls that wait, as far as they may."""
        while True:
            possible = (q for q in self._queue if not q.needs_client or self._free_connections)
            item = next(possible, None)
            if item is None:
                return
            worker = next((w for w in self._workers if w.item is None), None)
            if worker is None:
                if len(self._workers) >= self._limit:
                    return
                worker = _Worker(f"{self._name}-{len(self._workers) + 1}", self)
                self._workers = (*self._workers, worker)
                worker.start()
            self._queue.remove(item)
            worker.item, worker.started_at = item, time.monotonic()
            worker.items.put(item)

    def finish(self, worker: _Worker, outcome: object) -> None:
        """For a worker's thread."""
        self._inbox.put(partial(self._handle_outcome, worker, outcome))

    def _handle_outcome(self, worker: _Worker, outcome: object) -> None:
        item, worker.item = worker.item, None
        if self.connections:
            self.connections.dispatch()
        else:
            self.dispatch()
        if item:
            item.on_done(outcome)


class _Worker(threading.Thread):
    """Makes one call at a time. `item` and `started_at` are the tracker thread's."""

    def __init__(self, name: str, pool: Pool) -> None:
        super().__init__(name=name, daemon=True)
        self._pool = pool
        self._client: Client | None = None
        self.items: SimpleQueue[WorkItem | None] = SimpleQueue()
        self.item: WorkItem | None = None
        self.started_at = 0.0

    def run(self) -> None:
        # Blender 4.3 leaves SIGPIPE as it is: a connection that the other side closes would end the program. Held back
        # from this thread only, it is an error like any other. Windows has no such signal.
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        for item in iter(self.items.get, None):
            try:
                outcome = item.call(self._client_for(item) if item.needs_client else None)
            except Exception as error:
                if not isinstance(error, RodinError):
                    _log.error("%s\n%s", trouble_of(error), frames(error))
                outcome = error
            self._pool.finish(self, outcome)

    def abort(self) -> None:
        """For any thread: cut short the call under way. Does not wait."""
        client = self._client
        if client:
            client.abort()

    def _client_for(self, item: WorkItem) -> Client:
        try:
            from ..service.client import Client
        except ImportError as error:
            text = (
                "This Blender's Python cannot import '{name}', which asking the service needs. Blender 4.2 and newer "
                "from blender.org bring it; for a Linux distribution's Blender install its python3-requests."
            )
            raise ClientUnavailable(Text(text, name=str(error.name))) from None
        if self._client is None or self._client.aborted or self._client.connection != item.connection:
            self._client = Client(item.connection)
        # This is checked once `abort` can find the client, and before the client is used.
        if self._pool.stopping or item.cancelled:
            raise Aborted()
        return self._client
