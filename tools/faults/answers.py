"""Bad answers of the service, one row each: the simulator gives it to every status check until it is taken away."""

from __future__ import annotations

from tools.faults.world import Row, World, usual_course

CHECK = "check_now"
ANSWERS: tuple[tuple[str, str, str, str], ...] = (
    # the fault's name in tools/simulator.py, what it is, words that the user must read, what the user then does
    ("401", "401: the API key is not accepted", "does not accept the API key (HTTP 401)", CHECK),
    ("403", "403 with an empty body", "does not accept the API key (HTTP 403)", CHECK),
    ("404", "404 with HTML", "HTTP 404", ""),
    ("429", "429 without Retry-After", "slow down", ""),
    ("429-seconds", "429 with Retry-After in seconds", "slow down", ""),
    ("429-date", "429 with Retry-After as a date", "slow down", ""),
    ("500", "500 with HTML", "HTTP 500", ""),
    ("502-html", "502 with HTML", "HTTP 502", ""),
    ("503-json", "503 with JSON", "HTTP 503", ""),
    ("html", "200 with a hotel network's HTML", "not a JSON object", ""),
    ("empty", "200 with an empty body", "empty answer", ""),
    ("list", "200 with a JSON list", "not a JSON object", ""),
    ("not-json", "200 with text that is not JSON", "not a JSON object", ""),
    ("bytes", "200 with bytes that are no text", "not a JSON object", ""),
    ("deep", "200 with 200,000 opening brackets", "not a JSON object", ""),
    ("no-such-task", "200 with the error NO_SUCH_TASK", "NO_SUCH_TASK", CHECK),
    ("api-error", "200 with the error API_INVALID_REQUEST", "INVALID_REQUEST", CHECK),
    ("unknown-code", "200 with an error code nobody knows", "WEATHER_TOO_HOT", CHECK),
    ("unauthorized-200", "200 with the error UNAUTHORIZED", "does not accept the API key", CHECK),
    ("no-jobs", "200 with an empty list of jobs", "lists no jobs yet", ""),
    ("jobs-missing", "200 without a list of jobs", "lists no jobs yet", ""),
    ("jobs-not-list", "200 whose jobs are no list", "is not a list", ""),
    ("job-without-status", "200 with a job without a status", "has no status", ""),
    ("huge", "200 with 20 MB", "more than 8 MB", ""),
    ("huge-chunked", "200 with 20 MB in chunks, without a length", "more than 8 MB", ""),
    ("endless", "200 with a body in chunks that has no end", "more than 8 MB", ""),
    ("redirect-elsewhere", "302 to another host", "redirects elsewhere", ""),
    ("garbage", "bytes that are no HTTP at all", "broke off", ""),
    ("truncated", "200 whose body is shorter than its length", "broke off", ""),
    ("reset", "the connection reset in place of an answer", "broke off", ""),
)


def answer(world: World, fault: str, says: str, remedy: str) -> None:
    simulator = world.simulator
    usual_course(
        world,
        lambda: simulator.fail("status", f"{fault}!"),
        lambda: simulator.mend("status"),
        says,
        remedy=remedy,
    )
    if any(request.host == "localhost" for request in simulator.requests):
        world.broken.append("a redirect was followed to another host")


def _row(fault: str, name: str, says: str, remedy: str) -> Row:
    return Row(name, f"simulator's fault `{fault}`", lambda world: answer(world, fault, says, remedy))


def unknown_word(world: World) -> None:
    """A word for a job's state that nobody knows counts as running, and says nothing."""
    word: list[str] = []

    def strike() -> None:
        for task in world.tasks:
            if not word and task.story[-1][0][1] == "Generating":
                task.story[-1][:] = [(0.0, "Polishing")]
                word.append("Polishing")

    usual_course(world, strike, lambda: None, "")


ROWS = (
    *(_row(*row) for row in ANSWERS),
    Row("a job in a state nobody knows", "the simulator's task has a job `Polishing`", unknown_word),
)
