# SPDX-License-Identifier: GPL-3.0-or-later
"""Beginning generations, for the panel's buttons and for scripts alike."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from ..service.errors import BadInput
from ..tasks.generation_request import GenerationRequest
from ..tasks.options import merged
from ..tasks.task import Placement, new_task_id
from ..tracking.messages import NotSubmitted
from .app import app
from .properties import form


@dataclass(frozen=True)
class Draft:
    """What is to be made. `pictures` are whole paths; those not among `options` are as the settings have them."""

    prompt: str
    pictures: Sequence[str]
    placement: Placement
    options: Mapping[str, Any] = field(default_factory=dict)
    name: str = ""
    parent: str = ""
    task_id: str = field(default_factory=new_task_id)


def begin(drafts: Sequence[Draft], *, typed: bool = False) -> None:
    """Have models made. The first one's task becomes the active one. Returns at once.

    While the studio's settings are still being read, they are begun when these were, and what is wrong then is told as
    of any request that could not be stored; else this raises BadInput with what to change, and nothing has been done.
    What was `typed` in the interface is shown until it is in the list, and comes into the form where it cannot be.
    """
    if app().studio_files.pending:
        app().waiting += [(draft.task_id, partial(_begin, [draft])) for draft in drafts]
        app().tracker()
    else:
        _begin(drafts)
    if typed:
        form_state = app().session.form
        for draft in drafts:
            form_state.sent[draft.task_id] = draft.prompt, list(draft.pictures)
            form_state.originals[draft.task_id] = list(draft.pictures)


def begin_waiting() -> None:
    """For the timer: begin what has waited for the settings."""
    if app().studio_files.pending:
        return
    waiting, app().waiting = app().waiting, []
    for task_id, begin in waiting:
        try:
            begin()
        except BadInput as error:
            app().session.handle(NotSubmitted(task_id, error.trouble))


def _begin(drafts: Sequence[Draft]) -> None:
    blocker = form.blocker()
    if blocker:
        raise BadInput(blocker)
    requests = [_request_of(draft) for draft in drafts]
    session, tracker = app().session, app().tracker()
    for request in requests:
        session.started_here.add(request.task_id)
        tracker.generate(request)
    session.select = requests[0].task_id


def _request_of(draft: Draft) -> GenerationRequest:
    """Raises BadInput."""
    paths, chosen_options = tuple(map(Path, draft.pictures)), merged(form.all_chosen(), draft.options)
    form.check(draft.prompt, len(paths), chosen_options)
    return GenerationRequest(
        draft.task_id, draft.prompt, paths, chosen_options, draft.name, draft.placement, draft.parent
    )
