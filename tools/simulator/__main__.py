"""A simulator as a process of its own, until it is ended."""

from __future__ import annotations

import argparse
import contextlib
import threading

from tools.simulator import API_KEY, Simulator


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tools.simulator", description="A local Rodin service.")
    parser.add_argument("--port", type=int, default=0, help="on 127.0.0.1; a free one unless given")
    parser.add_argument("--speed", type=float, default=1.0, help="how many of a story's seconds pass in one second")
    arguments = parser.parse_args()
    with Simulator(port=arguments.port, speed=arguments.speed) as simulator:
        print(f"RODIN_API_URL={simulator.url} RODIN_API_KEY={API_KEY}", flush=True)
        threading.Event().wait()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main()
