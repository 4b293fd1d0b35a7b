"""What a script would do: ask the service from a timer, as samples of the API do. Blender waits for each answer.

Without a timeout, as samples mostly are; `requests` has none of its own.
"""

import os

import bpy
import requests

URL = os.environ["RODIN_API_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['RODIN_API_KEY']}"}


def start(subscription_key: str) -> None:
    def check() -> float:
        try:
            answer = requests.post(f"{URL}/status", headers=HEADERS, json={"subscription_key": subscription_key})
            bpy.context.window_manager["rodin_status"] = str([job["status"] for job in answer.json()["jobs"]])
        except requests.RequestException as error:
            bpy.context.window_manager["rodin_status"] = str(error)
        return 5.0

    bpy.app.timers.register(check)
