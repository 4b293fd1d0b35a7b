# SPDX-License-Identifier: GPL-3.0-or-later
"""What a tracked task is, and what its jobs say about it together."""

from __future__ import annotations

import enum
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from ..service.answers import Job
from ..service.files import SavedFile
from ..service.keys import Secret
from ..texts.text import Trouble


class Status(enum.StrEnum):
    """The last known state of a task. Trouble in asking is no status: it stands in `Task.trouble`.

    The first four are of a task that was begun here and has no subscription key yet.
    """

    UNSENT = "UNSENT"
    """Nothing has left us, or it was surely refused and is tried again."""
    SENDING = "SENDING"
    UNCERTAIN = "UNCERTAIN"
    """It was sent and no usable answer came: it may have been charged. Only the user decides what becomes of it."""
    REJECTED = "REJECTED"
    """The service said no, and nothing was charged."""
    UNKNOWN = "UNKNOWN"
    WAITING = "WAITING"
    GENERATING = "GENERATING"
    DONE = "DONE"
    PARTLY_FAILED = "PARTLY_FAILED"
    FAILED = "FAILED"

    @property
    def submitted(self) -> bool:
        """Whether the service has accepted it, so that there is a subscription key to ask with."""
        return self not in (Status.UNSENT, Status.SENDING, Status.UNCERTAIN, Status.REJECTED)

    @property
    def final(self) -> bool:
        return self in (Status.DONE, Status.PARTLY_FAILED, Status.FAILED)

    @property
    def has_files(self) -> bool:
        return self in (Status.DONE, Status.PARTLY_FAILED)


class Watch(enum.StrEnum):
    """Whether we ask for a task that is not final."""

    FOLLOWING = "FOLLOWING"
    PAUSED = "PAUSED"
    """The user stopped it."""
    OVERDUE = "OVERDUE"
    """The deadline stopped it."""
    REFUSED = "REFUSED"
    """The service does not know it: asking again is of no use."""


class Download(enum.StrEnum):
    """Whether a task's files were asked for, and whether they are there."""

    NONE = ""
    """Not asked for, or it came to nothing; some files may be there all the same."""
    WANTED = "WANTED"
    """Under way, or to be gone on with by the next Blender that looks."""
    SAVED = "SAVED"
    """All files that the service lists for the finished task are there."""


@dataclass(frozen=True)
class Box:
    """The box that a model is fitted into. `turn` is a quaternion (w, x, y, z), `size` is along the box's own axes."""

    turn: tuple[float, float, float, float]
    size: tuple[float, float, float]
    """In the scene's units: from left to right, from front to back, from bottom to top."""

    @property
    def proportions(self) -> tuple[int, int, int]:
        """The service's `bbox_condition`: glTF's axes (x, up, depth), each 1 to 100. A flat box has the thickness 1."""
        x, depth, up = self.size
        largest = max(self.size)
        width, height, back = (max(round(100.0 * length / largest), 1) for length in (x, up, depth))
        return width, height, back


@dataclass(frozen=True)
class Placement:
    """Where a model is wanted in the scene of that name in the .blend file ("" if not saved).

    Without a box that is the 3D cursor's place, else the middle of the box of the object that it is generated from.
    """

    location: tuple[float, float, float]
    scene: str
    file: str
    box: Box | None = None


@dataclass(frozen=True)
class Task:
    """A task as it stands in the store. Times are seconds since the epoch, 0.0 where it has not happened."""

    task_id: str
    name: str
    subscription_key: Secret
    task_uuid: str = ""
    status: Status = Status.UNKNOWN
    jobs: tuple[Job, ...] = ()
    watch: Watch = Watch.FOLLOWING
    trouble: Trouble | None = None
    """What is in the way, or what to do next; None when all is well."""
    tracked_at: float = 0.0
    finished_at: float = 0.0
    checked_at: float = 0.0
    """When the service was last asked, whatever came of it."""
    next_check_at: float = 0.0
    interval: float = 0.0
    """Seconds between the last two planned checks: the pace that grows."""
    failures: int = 0
    """Checks in a row that brought no usable answer."""
    watched: float = 0.0
    """Seconds spent following, for the deadline; grows only while somebody asks."""
    folder: str = ""
    """Where its files are saved."""
    files: tuple[SavedFile, ...] = ()
    """The whole files that were saved there, in the service's order; the user may have moved them since."""
    download: Download = Download.NONE
    took: float = 0.0
    """Seconds from tracking to Done, where that was seen closely enough to learn from; else 0.0."""

    kind: str = ""
    """How it was begun: "" for one that was tracked by its key, else the name of its kind, see `tasks.kinds`."""
    parent: str = ""
    """The id of the task that this one was made from, such as the one that was sent again."""
    prompt: str = ""
    options: Mapping[str, str | float | bool] = field(default_factory=dict)
    """The options of a generation, see `tasks.options`."""
    pictures: tuple[str, ...] = ()
    """The names of its pictures in its folder of the outbox, in their order."""
    placement: Placement | None = None
    price: float = 0.0
    """Credits that it was expected to cost."""
    credits: float | None = None
    """Credits that the service said it cost."""

    @property
    def message(self) -> str:
        """The trouble in English, for scripts: a front end says it in its own words, see `texts.text.Voice`."""
        return str(self.trouble or "")

    @property
    def code(self) -> str:
        """What the message is about, in a word that stays when the sentence is put better; "" where there is none."""
        return self.trouble.code if self.trouble else ""

    @property
    def followed(self) -> bool:
        """Whether the service is to be asked about it without anybody's doing."""
        return bool(self.subscription_key) and self.watch is Watch.FOLLOWING and not self.status.final

    @property
    def size(self) -> int:
        """Bytes on the disk."""
        return sum(file.size for file in self.files)

    @property
    def jobs_done(self) -> int:
        return sum(is_done(job) for job in self.jobs)


def without_files(task: Task, left: tuple[SavedFile, ...] = ()) -> Task:
    """The task when its files were deleted, but for those that are `left`."""
    return replace(task, files=left, download=Download.NONE, folder=task.folder if left else "")


def new_task_id() -> str:
    """Ours: short, stable, says nothing about the key."""
    return secrets.token_hex(4)


def is_done(job: Job) -> bool:
    return job.status.casefold() == "done"


def is_failed(job: Job) -> bool:
    # Canceled: handled as final by the vendor's code, absent from its documentation.
    return job.status.casefold() in ("failed", "canceled", "cancelled")


def status_of(jobs: Iterable[Job]) -> Status:
    """What all jobs say together: a task is final only when every one of them is. UNKNOWN for no jobs at all.

    A word we do not know counts as running.
    """
    jobs = tuple(jobs)
    if not jobs:
        return Status.UNKNOWN
    done = sum(map(is_done, jobs))
    failed = sum(map(is_failed, jobs))
    if done == len(jobs):
        return Status.DONE
    if failed == len(jobs):
        return Status.FAILED
    if done + failed == len(jobs):
        return Status.PARTLY_FAILED
    if all(job.status.casefold() == "waiting" for job in jobs):
        return Status.WAITING
    return Status.GENERATING
