"""Publishes a Rodin model to Kitsu, for --exec: pip install gazu

    rodin batch show.csv --to /show/rodin --exec "python3 kitsu_publish.py"
    rodin import Vase --save vase.blend --thumbnail vase.png --exec "python3 kitsu_publish.py"

Each model becomes an asset of its name in the project KITSU_PROJECT, with a task Modeling that waits for approval; the
preview is the thumbnail, where there is one, else the model itself, which Kitsu shows in 3D. KITSU_HOST is such as
https://kitsu.studio.example/api, KITSU_TOKEN is a bot's. Run again, it publishes nothing twice.

Tried with gazu 1.3.1 and a small server that answers as gazu expects, not with a studio's Kitsu: whether yours has an
asset type Props, a task type Modeling and a status wfa, and takes these kinds of files, is to be seen there.
"""

import json
import os
import sys
from pathlib import Path

import gazu

result = json.load(sys.stdin)
if result["status"] not in ("DONE", "PARTLY_FAILED"):
    # The service could not make it: there is nothing to publish.
    sys.exit()
models = [Path(result["folder"]) / file["name"] for file in result["files"] if file["name"].endswith(".glb")]
preview = result.get("thumbnail") or next((str(path) for path in models if "pbr" in path.name), str(models[0]))

gazu.set_host(os.environ["KITSU_HOST"])
gazu.set_token(os.environ["KITSU_TOKEN"])
project = gazu.project.get_project_by_name(os.environ["KITSU_PROJECT"])
# Both find what is there already, and make what is not.
asset = gazu.asset.new_asset(project, gazu.asset.get_asset_type_by_name("Props"), result["name"], result["prompt"])
task = gazu.task.new_task(asset, gazu.task.get_task_type_by_name("Modeling"))

mark = f"Rodin task {result['task_uuid']}"
if any(mark in (comment["text"] or "") for comment in gazu.task.all_comments_for_task(task)):
    sys.exit()
wfa = gazu.task.get_task_status_by_short_name("wfa")
cost = f"{result['credits']:g} credits" if result["credits"] is not None else "credits unknown"
text = f"{mark}, {cost}, files in {result['folder']}"
gazu.task.publish_preview(task, wfa, text, preview_file_path=preview, set_thumbnail=True)
