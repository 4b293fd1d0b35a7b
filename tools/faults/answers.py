"""Bad answers of the service, one row each: given to every status check until the fault is taken away."""

from __future__ import annotations

import json
import socket

from tools.faults.connections import HEAD, cut, said
from tools.faults.world import Row, World, usual_course

CHECK = "check_now"
ANSWERS: tuple[tuple[str, str, str, str], ...] = (
    # the fault's name in tools/simulator, what it is, words that the user must read, what the user then does
    ("401", "401 with JSON, while the balance is told", "though it accepts the API key", ""),
    ("401-bare", "401 with an empty body, while the balance is told", "though it accepts the API key", ""),
    ("401-html", "401 with a proxy's HTML", "A firewall or proxy", ""),
    ("403", "403 with an empty body", "A firewall or proxy", ""),
    ("403-html", "403 with a firewall's HTML", "A firewall or proxy", ""),
    ("403-json", "403 with JSON, while the balance is told", "though it accepts the API key", ""),
    ("permission-denied", "200 with the error PERMISSION_DENIED", "(PERMISSION_DENIED)", CHECK),
    ("user-not-found", "200 with the error USER_NOT_FOUND", "does not accept the API key (USER_NOT_FOUND)", CHECK),
    ("404", "404 with HTML", "HTTP 404", ""),
    ("429", "429 without Retry-After", "slow down", ""),
    ("429-seconds", "429 with Retry-After in seconds", "slow down", ""),
    ("429-date", "429 with Retry-After as a date", "slow down", ""),
    ("500", "500 with HTML", "HTTP 500", ""),
    ("502-html", "502 with HTML", "HTTP 502", ""),
    ("503-json", "503 with JSON", "HTTP 503", ""),
    ("html", "200 with a hotel network's HTML", "not a JSON object", ""),
    ("empty", "200 with an empty body", "answer is empty", ""),
    ("list", "200 with a JSON list", "not a JSON object", ""),
    ("not-json", "200 with text that is not JSON", "not a JSON object", ""),
    ("bytes", "200 with bytes that are no text", "not a JSON object", ""),
    ("deep", "200 with 200,000 opening brackets", "not a JSON object", ""),
    ("no-such-task", "200 with the error NO_SUCH_TASK", "NO_SUCH_TASK", CHECK),
    ("api-error", "200 with the error API_INVALID_REQUEST", "INVALID_REQUEST", CHECK),
    ("no-jobs", "200 with an empty list of jobs", "lists no jobs yet", ""),
    ("jobs-missing", "200 without a list of jobs", "lists no jobs yet", ""),
    ("jobs-not-list", "200 whose jobs are no list", "makes no sense", ""),
    ("job-without-status", "200 with a job without a status", "has no status", ""),
    ("huge", "200 with 20 MB", "more than 8 MB", ""),
    ("huge-chunked", "200 with 20 MB in chunks, without a length", "more than 8 MB", ""),
    ("garbage", "bytes that are no HTTP at all", "broke off", ""),
    ("truncated", "200 whose body is shorter than its length", "broke off", ""),
    ("reset", "the connection reset in place of an answer", "broke off", ""),
)


OF_EACH_KIND = {"401", "401-bare", "403", "429-seconds", "502-html", "html", "no-such-task", "no-jobs", "truncated"}
"""For the short form, one of each that is treated alike. The tests of the client meet them all and name each, those of
the tracker ask again after each: here they bring nothing new but the processes around them."""


def answer(world: World, fault: str, says: str, remedy: str) -> None:
    simulator = world.simulator
    usual_course(
        world,
        lambda: simulator.fail("status", f"{fault}!"),
        lambda: simulator.mend("status"),
        says,
        remedy=remedy,
    )


def balance_too(world: World, fault: str, balance_fault: str, says: str, remedy: str) -> None:
    """The balance, which tells whose fault a refusal is, does not come either."""
    simulator = world.simulator

    def strike() -> None:
        simulator.fail("check_balance", f"{balance_fault}!")
        simulator.fail("status", f"{fault}!")

    def relieve() -> None:
        simulator.mend("status")
        simulator.mend("check_balance")

    usual_course(world, strike, relieve, says, remedy=remedy)


def refused(world: World, code: str, says: str) -> None:
    """Answers that the simulator does not know: by the gateway before it."""
    body = json.dumps({"error": code, "message": "Try again in autumn."}).encode()
    cut(world, said(HEAD + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)), says, CHECK)


def endless(world: World) -> None:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b" " * 65536 + b"\r\n")

    cut(world, handle, "more than 8 MB")


def redirected(world: World) -> None:
    """To a name that is another host for a client, though the simulator answers there, too, and would see a key."""
    target = f"http://localhost:{world.simulator.port}/api/v2/check_balance"
    head = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
    cut(world, said(head.encode()), f"redirects to {target} (HTTP 302)")
    if world.simulator.asked("check_balance"):
        world.broken.append("secret: a redirect was followed to another host")


def _row(fault: str, name: str, says: str, remedy: str) -> Row:
    short = fault in OF_EACH_KIND
    return Row(name, f"simulator's fault `{fault}`", lambda world: answer(world, fault, says, remedy), short)


def unknown_word(world: World) -> None:
    """A word for a job's state that nobody knows counts as running, and says nothing."""
    word: list[str] = []

    def strike() -> None:
        for task in world.tasks:
            if not word and task.story[-1][0][1] == "Generating":
                task.story[-1][:] = [(0.0, "Polishing")]
                word.append("Polishing")

    usual_course(world, strike, lambda: None, "")


GATEWAY = "a gateway before the simulator answers so"
ROWS = (
    *(_row(*row) for row in ANSWERS),
    Row(
        "401 to every call: the API key is not accepted",
        "simulator's fault `401`, to the balance, too",
        lambda world: balance_too(world, "401", "401", "does not accept the API key (HTTP 401)", CHECK),
    ),
    Row(
        "403 with JSON, and a firewall's HTML in place of the balance",
        "simulator's faults `403-json` and `403-html`",
        lambda world: balance_too(world, "403-json", "403-html", "A firewall or proxy", ""),
    ),
    Row(
        "200 with an error code nobody knows",
        GATEWAY,
        lambda world: refused(world, "WEATHER_TOO_HOT", "WEATHER_TOO_HOT"),
    ),
    Row(
        "200 with the error UNAUTHORIZED",
        GATEWAY,
        lambda world: refused(world, "UNAUTHORIZED", "does not accept the API key"),
    ),
    Row("200 with a body in chunks that has no end", GATEWAY, endless),
    Row("302 to another host", GATEWAY, redirected),
    Row("a job in a state nobody knows", "the simulator's task has a job `Polishing`", unknown_word),
)
