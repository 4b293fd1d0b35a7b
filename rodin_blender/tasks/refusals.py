# SPDX-License-Identifier: GPL-3.0-or-later
"""What the service's "no" means: to a status check, and to a submission. Pure functions."""

from __future__ import annotations

from dataclasses import dataclass

from ..service.errors import (
    BadAnswer,
    ClientUnavailable,
    NotAuthorized,
    NotSent,
    Refused,
    ServiceError,
    Throttled,
)
from ..texts.actions import Action
from ..texts.text import Text, Trouble


@dataclass(frozen=True)
class Refusal:
    """Why a submission came to nothing, and surely cost nothing.

    `retryable` says that sending the same again later may succeed without anybody's doing, `left` that it got to
    the service, or to somebody in its place.
    """

    trouble: Trouble
    retryable: bool = False
    left: bool = True


NOT_PERMITTED = Trouble(
    "permission_denied",
    "The service accepts the API key, but does not let it see this task (PERMISSION_DENIED): "
    "it may be another account's.",
)


def of_check(error: ServiceError) -> Trouble:
    """Why a status check brought no answer, and what to do. After a `Refused` nothing more is asked by itself."""
    match error:
        case Refused(code="PERMISSION_DENIED"):
            return Trouble(NOT_PERMITTED.code, NOT_PERMITTED.text, Action.CHECK_NOW)
        case Refused(code="NO_SUCH_TASK"):
            return Trouble(
                "no_such_task",
                "The service knows no such task (NO_SUCH_TASK). The subscription key is wrong, was swapped with the "
                "task uuid, or is older than 7 days.",
                Action.CHECK_NOW,
            )
        case Refused():
            text = Text("{said} It is not checked any more.", said=error.trouble.text)
            return Trouble(error.trouble.code, text, Action.CHECK_NOW)
    return error.trouble


def of_submission(error: ServiceError) -> Refusal | None:
    """What an error means for a submission; None where the service may have taken it all the same."""
    match error:
        case NotSent():
            return Refusal(error.trouble, error.cause not in ("aborted", "picture"), left=False)
        case ClientUnavailable():
            return Refusal(error.trouble, left=False)
        case Throttled():
            return Refusal(Trouble("throttled", error.trouble.text, Action.WAIT), retryable=True)
        case NotAuthorized() if error.code in _REFUSALS:
            return _refused(Refused(error.code, error.detail))
        case NotAuthorized():
            return Refusal(Trouble("bad_key", error.trouble.text, Action.ENTER_KEY, Action.SEND_AGAIN))
        case Refused():
            return _refused(error)
        case BadAnswer(http_status=status) if 300 <= status < 500 and status not in _MAY_HAVE_BEEN_TAKEN:
            action = Action.SMALLER_PICTURES if status == 413 else Action.CHECK_ADDRESS
            return Refusal(Trouble(f"http_{status}", error.trouble.text, action))
    return None


_MAY_HAVE_BEEN_TAKEN = (408, 409, 425, 499)
"""HTTP codes of a service or a proxy that has begun with a request and not ended it."""

_OTHER_KEY = Text("The service does not know whose API key this is."), Action.ENTER_KEY
_NO_CREDITS = Text("The account has too few credits."), Action.GET_CREDITS

_REFUSALS: dict[str, tuple[Text, Action]] = {
    "INSUFFICIENT_FUND": _NO_CREDITS,
    "INSUFFICIENT_FUNDS": _NO_CREDITS,
    "NO_ACTIVE_SUBSCRIPTION": (Text("The account has no active plan."), Action.SEE_PLAN),
    "SUBSCRIPTION_PLAN_TOO_LOW": (Text("The account's plan does not allow this."), Action.SEE_PLAN),
    "INVALID_REQUEST": (Text("The service does not take this combination."), Action.CHANGE_REQUEST),
    "PERMISSION_DENIED": (Text("The account is not allowed to do this."), Action.SEE_PLAN),
    "PARALLELISM_LIMIT_REACHED": (
        Text("As many tasks as your plan allows are running already."),
        Action.WAIT_FOR_TASK,
    ),
    "IMAGE_CONTENT_VIOLATION": (
        Text(
            "The service's moderation does not accept a picture or the text. Pictures of flat colors are refused, too."
        ),
        Action.OTHER_PICTURES,
    ),
    "OBJECT_NOT_FOUND_ON_IMAGE": (
        Text("The service finds no object in a picture. It has to stand out from the background."),
        Action.OTHER_PICTURES,
    ),
    "IMAGE_LABEL_LENGTH_TOO_LONG": (Text("The service finds more labels than pictures."), Action.WRITE_SUPPORT),
    "USER_NOT_FOUND": _OTHER_KEY,
    "GROUP_NOT_FOUND": _OTHER_KEY,
    "NO_SUCH_TASK": (Text("The service does not know the task."), Action.WRITE_SUPPORT),
    "UNKNOWN": (Text("The service refused, and does not say why."), Action.WRITE_SUPPORT),
}


def _refused(error: Refused) -> Refusal:
    code = error.code.removeprefix("API_")
    text, action = _REFUSALS.get(code, (error.trouble.text, Action.WRITE_SUPPORT))
    if code == "INVALID_REQUEST" and error.detail:
        text = Text("The service does not take this combination: {why}.", why=error.detail.rstrip("."))
    waits = action is Action.WAIT_FOR_TASK
    actions = (action,) if waits else (action, Action.SEND_AGAIN)
    return Refusal(Trouble(error.trouble.code.removeprefix("api_"), text, *actions), waits)
