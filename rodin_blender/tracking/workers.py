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
from ..service.errors import Aborted, ClientUnavailable, RodinError, trouble_of
from ..texts.text import Text
from .log import frames

if TYPE_CHECKING:
    # It imports `requests`, which takes 100 ms and may be missing: a worker's matter.
    from ..service.client import Client

_log = logging.getLogger(__name__)

LONGEST_CALL = 60.0
"""Seconds after which a call is cut short that sends a little now and then, and so never meets a timeout."""


@dataclass(eq=False)
class Question:
    """A call to be made. `answered` gets what it returned, or its exception."""

    call: Callable[[Any], Any]
    """Gets a `Client`."""
    answered: Callable[[Any], None]
    connection: Connection
    cancelled: bool = False
    asks_service: bool = True
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
        self.hand_out()

    def free_for(self, pool: Pool) -> int:
        if not self._limit:
            return sys.maxsize
        used = sum(pool.connected for pool in self._pools)
        kept_free = 1 if pool is self._pools[-1] and self._limit > 1 else 0
        return max(self._limit - kept_free - used, 0)

    def hand_out(self) -> None:
        """Begin what has waited for a connection."""
        for pool in self._pools:
            pool.hand_out()

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
        self._waiting: list[Question] = []
        self._workers: tuple[_Worker, ...] = ()
        self.stopping = False
        self.connections: Connections | None = None

    @property
    def free(self) -> int:
        """How many questions could be asked at once."""
        workers = self._limit - sum(w.question is not None for w in self._workers)
        return max(min(workers, self._free_connections) - len(self._waiting), 0)

    @property
    def connected(self) -> int:
        """How many calls to servers are under way."""
        return sum(worker.question is not None and worker.question.asks_service for worker in self._workers)

    @property
    def _free_connections(self) -> int:
        return self.connections.free_for(self) if self.connections else sys.maxsize

    @property
    def busy(self) -> bool:
        return bool(self._waiting) or any(worker.question for worker in self._workers)

    def ask(self, question: Question) -> None:
        """Have a worker make its call; in its turn, when all are busy."""
        self._waiting.append(question)
        self.hand_out()

    def cancel(self, question: Question) -> None:
        """Cut it short, or take it out of the queue. It is answered with Aborted, unless it had just ended."""
        question.cancelled = True
        if question in self._waiting:
            self._waiting.remove(question)
            self._inbox.put(partial(question.answered, Aborted()))
        for worker in self._workers:
            if worker.question is question:
                worker.abort()

    def abort_overlong(self) -> None:
        for worker in self._workers:
            if worker.question and time.monotonic() - worker.asked_at > LONGEST_CALL:
                worker.abort()

    def end(self) -> None:
        """Let the workers end after what they are at."""
        self._waiting.clear()
        for worker in self._workers:
            worker.questions.put(None)
            worker.abort()  # Again: `stop` may have come just before a connection was begun.

    def stop(self) -> None:
        """For the owner's thread: cut short what is under way, refuse the rest."""
        self.stopping = True
        for worker in self._workers:
            worker.abort()

    def hand_out(self) -> None:
        """Have workers make the calls that wait, as far as they may."""
        while True:
            possible = (q for q in self._waiting if not q.asks_service or self._free_connections)
            question = next(possible, None)
            if question is None:
                return
            worker = next((w for w in self._workers if w.question is None), None)
            if worker is None:
                if len(self._workers) >= self._limit:
                    return
                worker = _Worker(f"{self._name}-{len(self._workers) + 1}", self)
                self._workers = (*self._workers, worker)
                worker.start()
            self._waiting.remove(question)
            worker.question, worker.asked_at = question, time.monotonic()
            worker.questions.put(question)

    def answer(self, worker: _Worker, outcome: object) -> None:
        """For a worker's thread."""
        self._inbox.put(partial(self._take_in, worker, outcome))

    def _take_in(self, worker: _Worker, outcome: object) -> None:
        question, worker.question = worker.question, None
        if self.connections:
            self.connections.hand_out()
        else:
            self.hand_out()
        if question:
            question.answered(outcome)


class _Worker(threading.Thread):
    """Makes one call at a time. `question` and `asked_at` are the tracker thread's."""

    def __init__(self, name: str, pool: Pool) -> None:
        super().__init__(name=name, daemon=True)
        self._pool = pool
        self._client: Client | None = None
        self.questions: SimpleQueue[Question | None] = SimpleQueue()
        self.question: Question | None = None
        self.asked_at = 0.0

    def run(self) -> None:
        # Blender 4.3 leaves SIGPIPE as it is: a connection that the other side closes would end the program. Held back
        # from this thread only, it is an error like any other. Windows has no such signal.
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGPIPE})
        for question in iter(self.questions.get, None):
            try:
                outcome = question.call(self._client_for(question) if question.asks_service else None)
            except Exception as error:
                if not isinstance(error, RodinError):
                    _log.error("%s\n%s", trouble_of(error), frames(error))
                outcome = error
            self._pool.answer(self, outcome)

    def abort(self) -> None:
        """For any thread: cut short the call under way. Does not wait."""
        client = self._client
        if client:
            client.abort()

    def _client_for(self, question: Question) -> Client:
        try:
            from ..service.client import Client
        except ImportError as error:
            text = (
                "This Blender's Python cannot import '{name}', which asking the service needs. Blender 4.2 and newer "
                "from blender.org bring it; for a Linux distribution's Blender install its python3-requests."
            )
            raise ClientUnavailable(Text(text, name=str(error.name))) from None
        if self._client is None or self._client.aborted or self._client.connection != question.connection:
            self._client = Client(question.connection)
        # After the client is there to be found by `abort`, and before it is used.
        if self._pool.stopping or question.cancelled:
            raise Aborted()
        return self._client
