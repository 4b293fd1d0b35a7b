"""A local Rodin service on a real socket, for the demo, the tests and benchmarks. Not a part of the extension.

It speaks the five calls of the service, hands out real files, and can misbehave in all the ways that `FAULTS`,
`FILE_FAULTS` and `GENERATION_FAULTS` name.
Run it by hand with `python -m tools.simulator --port 8090`, or hold a `Simulator` in a test.

A task's *story* is a list of jobs; a job is a list of `[seconds since the task began, status]`. A story's seconds are
divided by the simulator's `speed`. What a client in another process wants it asks for under /simulator:

    POST /simulator/reset     {}   be as new: no task, nothing asked yet, the account and the hosting as at first
    POST /simulator/tasks     {"prompt": ..., "story": name or list, "faults": [names], "files": {name: base64}}
                              -> a generation answer
    POST /simulator/faults    {"faults": [names], "path": "status"}   for the next calls, whatever the task
    POST /simulator/hosting   {"rate": bytes a second or null, "link_life": seconds} of the file server
    POST /simulator/account   {"balance": credits, "parallel": tasks at once or null, "story": of what is generated,
                              "upload_rate": bytes a second or null}
    GET  /simulator/submissions   what was submitted and arrived whole: time, prompt, fields, pictures (name, kind,
                              size, sha256), tier, price, outcome ("" for accepted), task_uuid
    GET  /simulator/requests  what the service was asked: path, time, subscription key, whether a key was sent, ...

The file server is the same one under /files. Its links end after `link_life`, it tells versions (ETag) and takes
ranges, and `rate` makes it as slow as a line.
"""

from __future__ import annotations

from .faults import FAULTS, FILE_FAULTS
from .generation_faults import GENERATION_FAULTS
from .service import API_KEY, Asked, Simulator
from .stories import STORIES, Story, Task

__all__ = ["API_KEY", "FAULTS", "FILE_FAULTS", "GENERATION_FAULTS", "STORIES", "Asked", "Simulator", "Story", "Task"]
