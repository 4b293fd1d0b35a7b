"""What becomes of a task in time: a list of jobs, each a list of `[seconds since the task began, status]`."""

from __future__ import annotations

import base64
import json
import secrets
import time
import uuid
from collections import deque
from dataclasses import dataclass, field
from typing import Any

ENDS = ("Done", "Failed", "Canceled")

Story = list[list[tuple[float, str]]]
Files = dict[str, bytes] | list[tuple[str, bytes]]
"""Names and contents; a list where a name comes twice."""


def _story(*ends: str, waiting: float = 2.0, step: float = 2.0) -> Story:
    """Jobs that begin together and end one after the other, each in its status of `ends`."""
    return [
        [(0.0, "Waiting"), (waiting, "Generating"), (waiting + step * (number + 1), end)]
        for number, end in enumerate(ends)
    ]


STORIES: dict[str, Story] = {
    "done": _story("Done", "Done", "Done", "Done", "Done"),
    "one-job": _story("Done"),
    "partly-failed": _story("Done", "Done", "Failed"),
    "failed": _story("Failed", "Failed"),
    "canceled": _story("Canceled"),
    "waiting": [[(0.0, "Waiting")], [(0.0, "Waiting")]],
    "stuck": [[(0.0, "Generating")], [(0.0, "Done")], [(0.0, "Done")], [(0.0, "Generating")], [(0.0, "Generating")]],
    "unknown-word": [[(0.0, "Polishing")]],
    "no-jobs": [],
}


def _subscription_key() -> str:
    payload = {"type": "rodin", "jobIds": [str(uuid.uuid4()) for _ in range(3)], "iat": int(time.time())}
    parts = [json.dumps({"alg": "HS256", "typ": "JWT"}).encode(), json.dumps(payload).encode(), secrets.token_bytes(32)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


@dataclass
class Task:
    story: Story
    prompt: str
    began: float
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    subscription_key: str = field(default_factory=_subscription_key)
    job_uuids: list[str] = field(default_factory=list)
    faults: deque[str] = field(default_factory=deque)
    files: list[tuple[str, bytes]] = field(default_factory=list)
    asked: bool = False

    def jobs(self, age: float) -> list[dict[str, Any]]:
        """The jobs as a status answer has them, when the task is `age` of its story's seconds old."""
        jobs = []
        for job_uuid, moments in zip(self.job_uuids, self.story, strict=True):
            status = [word for at, word in moments if at <= age][-1]
            job: dict[str, Any] = {"uuid": job_uuid, "status": status}
            if status == "Waiting":
                job["queue_length"] = max(0, 3 - int(age))
            jobs.append(job)
        return jobs

    def ended(self, age: float) -> bool:
        return all(job["status"] in ENDS for job in self.jobs(age))
