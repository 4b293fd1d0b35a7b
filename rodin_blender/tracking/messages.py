# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tracker and its owner tell each other: settings go in, messages come out."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..service.connection import Connection
from ..service.files import Progress
from ..service.keys import Secret
from ..tasks.schedule import Pace
from ..tasks.task import Task
from ..tasks.templates import Names
from ..texts.text import Text, Trouble

Blocker = Trouble
"""Why no request can be sent for any task.

Its code: offline, no_key, bad_key, address, client, store, settings (wrong ones), or PENDING.
"""
PENDING = "pending"
"""A worker is still reading the settings: until then requests are stored and not refused."""
Said = Text | Trouble


@dataclass(frozen=True)
class Settings:
    """What the tracker needs to know of the outside. While there is a `blocker`, nothing is asked."""

    address: str = ""
    api_key: Secret = field(default_factory=lambda: Secret(""))
    timeout: float = 20.0
    pace: Pace = field(default_factory=Pace)
    blocker: Blocker | None = None
    proxy: Secret = field(default_factory=lambda: Secret(""))
    ca_file: str = ""
    program: str = ""
    requests_per_minute: int | None = None
    """For all programs that use the list; None for the usual number."""
    parallel_generations: int = 0
    """How many generations of the list may be under way at a time; 0 for as many as the account's plan allows."""
    log_prompts: bool = False
    names: Names = field(default_factory=Names)
    connection_limit: int = 0
    """How many connections may be open at a time; 0 for as many as are of use."""

    @property
    def connection(self) -> Connection:
        return Connection(
            self.address, self.api_key, self.timeout, self.timeout, self.proxy, self.ca_file, self.program
        )


# Messages: what happened, in the order in which it happened.


@dataclass(frozen=True)
class TaskChanged:
    """A task is new or not what it was. What it shows is on the disk."""

    task: Task


@dataclass(frozen=True)
class TaskRemoved:
    task_id: str


@dataclass(frozen=True)
class Followed:
    """The answer to `follow`: the task is in the list, and `was_known` if it had been before."""

    task: Task
    was_known: bool


@dataclass(frozen=True)
class NotFollowed:
    """The answer to `follow` when the task could not be stored."""

    said: Said


@dataclass(frozen=True)
class Forgotten:
    """The answer to `forget`: the task as it was, for `restore`."""

    task: Task


@dataclass(frozen=True)
class Restored:
    """The answer to `restore`: the task is in the list again."""

    task_id: str


@dataclass(frozen=True)
class NotSubmitted:
    """The answer to `generate` where the request cannot be stored: nothing is kept or sent, and `said` tells why."""

    task_id: str
    said: Said


@dataclass(frozen=True)
class SubmissionProgress:
    """`sent` of `total` bytes of a submission have left us. With the first of them it can no longer be cancelled."""

    task_id: str
    sent: int
    total: int


@dataclass(frozen=True)
class BalanceReceived:
    """The account's credits, as the service last said."""

    credits: float


@dataclass(frozen=True)
class BlockerChanged:
    blocker: Blocker | None


@dataclass(frozen=True)
class RequestsThrottled:
    """No request is sent before `until` (seconds since the epoch): the minute's are used up, or the service asks so."""

    until: float


@dataclass(frozen=True)
class KeyTested:
    """What the service says of an API key. Where it is not accepted and not `refused`, it could not be asked."""

    accepted: bool
    said: Said
    api_key: Secret = field(default_factory=lambda: Secret(""))
    refused: bool = False


@dataclass(frozen=True)
class DownloadProgress:
    task_id: str
    progress: Progress


@dataclass(frozen=True)
class DownloadEnded:
    """`folder` holds the listed files, or is empty and `said` tells what happened and what to do.

    It is empty and `said` is None where it was left to another Blender.
    """

    task_id: str
    folder: str
    said: Said | None
    cancelled: bool = False
    """By the user, so that it is no trouble."""
    missing: Text | None = None
    """Of files in `folder` that no model needs: which did not arrive, and why."""


@dataclass(frozen=True)
class FilesDeleted:
    """`failed` where some could not be."""

    task_id: str
    said: Said
    failed: bool = False


@dataclass(frozen=True)
class ModelChecked:
    """The answer to `check_model`: the file, with its bytes; or `trouble`, and why it cannot be imported.

    `triangles` are about so many; None where that cannot be told.
    """

    task_id: str
    path: str = ""
    size: int = 0
    trouble: Trouble | None = None
    triangles: int | None = None


@dataclass(frozen=True)
class Notice:
    """Something the user should read that is no task's own message."""

    said: Said


@dataclass(frozen=True)
class Idle:
    """Nothing to follow and nothing under way after `calls` calls: the owner may `stop` the tracker."""

    calls: int


Message = (
    TaskChanged | TaskRemoved | Followed | NotFollowed | Forgotten | Restored | NotSubmitted | SubmissionProgress
    | BalanceReceived | BlockerChanged | RequestsThrottled | KeyTested
    | DownloadProgress | DownloadEnded | FilesDeleted | ModelChecked | Notice | Idle
)  # fmt: skip
