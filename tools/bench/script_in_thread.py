"""The next thing a script would do: ask from a thread, which then writes Blender's data and has the area redrawn.

Blender's manual warns of touching its data from threads: it may crash. It is here because it is often done.
"""

import os
import threading
import time

import bpy
import requests

URL = os.environ["RODIN_API_URL"]
HEADERS = {"Authorization": f"Bearer {os.environ['RODIN_API_KEY']}"}


def start(subscription_key: str) -> None:
    areas = [area for area in bpy.context.window_manager.windows[0].screen.areas if area.type == "VIEW_3D"]

    def check() -> None:
        while True:
            try:
                answer = requests.post(f"{URL}/status", headers=HEADERS, json={"subscription_key": subscription_key})
                bpy.context.scene["rodin_status"] = str([job["status"] for job in answer.json()["jobs"]])
            except requests.RequestException as error:
                bpy.context.scene["rodin_status"] = str(error)
            for area in areas:
                area.tag_redraw()
            time.sleep(5.0)

    threading.Thread(target=check, daemon=True).start()
