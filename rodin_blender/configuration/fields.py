# SPDX-License-Identifier: GPL-3.0-or-later
"""The table of all that can be set."""

from __future__ import annotations

from ..storage import paths
from ..tasks import templates
from ..tasks.options import OPTIONS, Option
from ..tasks.schedule import REQUESTS_PER_MINUTE
from .field import Field

SERVICE_ADDRESS = "https://api.hyper3d.com/api/v2"

GENERATE = "generate_"
"""What the names of those settings begin with that are options of a generation."""


def _of_option(option: Option) -> Field:
    """What an option is until the form or a command line says otherwise."""
    # 0 or -1, as the option has it, is the number that leaves the matter to the service.
    low = min(option.low, option.default) if isinstance(option.default, int) else option.low
    return Field(
        f"{GENERATE}{option.name}",
        option.default,
        low,
        option.high,
        option.choices,
        label=option.label,
        description=option.description,
    )


_LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR")

FIELDS = {
    field.name: field
    for field in (
        Field(
            "api_key",
            "",
            older_variables=("RODIN_API_KEY", "HYPER3D_API_KEY"),
            label="API Key",
            description="The key of your Hyper3D account, from the API page of the Hyper3D website",
            is_secret=True,
        ),
        # See `storage.key_command`.
        Field(
            "api_key_command",
            "",
            label="API Key Command",
            description="A command of yours whose output's first line is the API key, such as a password manager's. "
            "It is asked when there is no key above; what it prints is never stored",
        ),
        Field(
            "service_address",
            SERVICE_ADDRESS,
            older_variables=("RODIN_API_URL",),
            label="Service Address",
            description="Where the Rodin service is. It must begin with https://, since the API key is sent to it",
        ),
        Field(
            "proxy",
            "",
            label="Proxy",
            description="The studio's proxy, http://HOST:PORT or http://NAME:PASSWORD@HOST:PORT. The system's when "
            "empty. Blender keeps preferences in clear text",
        ),
        Field(
            "ca_file",
            "",
            check=paths.check,
            label="CA File",
            description="A file (PEM) with the studio's own certificate authority, trusted besides the system's",
        ),
        Field(
            "shortest_interval",
            5.0,
            1.0,
            300.0,
            label="Shortest Interval",
            description="Time between two checks of a task that has just changed. The service asks to be asked seldom",
            soft_low=5.0,
            is_time=True,
        ),
        Field(
            "longest_interval",
            30.0,
            1.0,
            3600.0,
            label="Longest Interval",
            description="Time between two checks of a task that has not changed for a while",
            soft_low=5.0,
            is_time=True,
        ),
        # Minutes.
        Field(
            "deadline",
            20.0,
            0.1,
            7 * 24 * 60.0,
            label="Stop Checking After",
            description="A task not finished after this many minutes is no longer asked about until you press Resume",
            soft_low=1.0,
            decimals=1,
        ),
        Field(
            "requests_per_minute",
            REQUESTS_PER_MINUTE,
            1,
            240,
            label="Requests per Minute",
            description="How often the service is asked at most, by all Blenders of yours together",
        ),
        Field(
            "parallel_generations",
            0,
            0,
            1_000,
            label="Parallel Generations",
            description="How many tasks that were begun here may be under way at a time, in all Blenders of yours "
            "together. The others wait. 0 for as many as the account's plan allows",
        ),
        Field(
            "hand_off_operator",
            "rodin.download",
            label="Download Operator",
            description="The operator that the Download button calls with task_id=, such as your studio's own",
        ),
        Field(
            "download_folder",
            "",
            check=paths.check,
            label="Download Folder",
            description="Each task gets a folder of its own in it. // is the folder of the .blend file. Beside the "
            "list of tasks when empty",
            is_folder=True,
        ),
        Field(
            "library_folder",
            "",
            check=paths.check,
            label="Library Folder",
            description="Where Send to Library writes models as .blend files. // is the folder of the .blend file. "
            "Beside the list of tasks when empty",
            is_folder=True,
        ),
        Field(
            "download_when_done",
            False,
            label="Download When Done",
            description="Download a task's files automatically as soon as it is done",
        ),
        Field(
            "import_when_done",
            False,
            label="Import When Done",
            description="Download and import a task's model automatically as soon as it is done, in Object Mode, if it "
            "was tracked since the file was opened",
        ),
        Field(
            "import_after_download",
            True,
            label="Import After Download",
            description="The Download button also imports the model into the scene",
        ),
        Field(
            "import_location",
            "CURSOR",
            choices=("CURSOR", "ORIGIN"),
            label="Location",
            description="Where an imported model stands",
            choice_labels=(("3D Cursor", "At the 3D cursor"), ("World Origin", "At the origin of the world")),
        ),
        Field(
            "import_height",
            0.0,
            0.0,
            1e6,
            label="Height",
            description="Scale an imported model to this height in meters; the service's models are about 1.9 m, "
            "whatever they show. 0 leaves it as it is",
            soft_high=100.0,
        ),
        Field(
            "import_as_asset",
            False,
            label="Mark as Asset",
            description="Mark the imported model as an asset, with the service's preview as its picture",
        ),
        Field(
            "import_companions",
            False,
            label="Cameras and Lights",
            description="Also bring the cameras and lights that a model's file has",
        ),
        Field(
            "import_collection",
            "OWN",
            choices=("OWN", "ACTIVE"),
            label="Collection",
            description="Where an imported model's objects go. An asset always has a collection of its own",
            choice_labels=(
                ("Its Own", "A new collection, named after the task, in the active one"),
                ("Active", "The active collection itself"),
            ),
        ),
        Field(
            "import_join",
            False,
            label="Join Parts",
            description="Make one mesh of a model's parts. A model with bones or animations stays as it is",
        ),
        Field(
            "import_merge_distance",
            0.0,
            0.0,
            100.0,
            label="Merge by Distance",
            description="Merge a model's vertices that are no farther apart than this, in meters. 0 merges none",
            soft_high=0.01,
            decimals=5,
        ),
        Field(
            "import_textures",
            "PACKED",
            choices=("PACKED", "BESIDE"),
            label="Textures",
            description="Where an imported model's textures are kept",
            choice_labels=(
                ("Packed", "In the .blend file"),
                ("Beside the .blend", "In the folder textures beside the .blend file; packed while that is not saved"),
            ),
        ),
        Field(
            "import_max_triangles",
            1_000_000,
            0,
            2**31 - 1,
            label="Ask Above",
            description="A model with more triangles is imported after a question only, since Blender stands still "
            "meanwhile. 0 asks for none",
            soft_high=10_000_000,
        ),
        Field(
            "storage_hint",
            5.0,
            0.0,
            1e6,
            label="Warn Above",
            description="Gigabytes of downloaded files from which the sidebar warns. Nothing is deleted automatically. "
            "0 for no warning",
            soft_high=100.0,
            decimals=1,
        ),
        Field(
            "allow_generation",
            True,
            label="Generate",
            description="Tasks can be begun from the sidebar, which costs credits, and not only followed",
        ),
        Field(
            "max_credits_per_task",
            0.0,
            0.0,
            1e6,
            label="Most Credits",
            description="What is expected to cost more is not sent. 0 for no limit",
            soft_high=100.0,
            decimals=1,
        ),
        Field(
            "folder_template",
            templates.FOLDER,
            check=templates.check_folder,
            label="Folder Names",
            description="What a task's folder is called: of {name}, {date}, {tier}, {task_id} and {user}, with "
            "{task_id} among them",
        ),
        Field(
            "file_template",
            templates.FILE,
            check=templates.check_file,
            label="File Names",
            description="What a model's file is called: the same, and at the end {file}, which is the service's name",
        ),
        Field(
            "collection_template",
            templates.COLLECTION,
            check=templates.check_free,
            label="Collection Names",
            description="What an imported model is called: of {name}, {date}, {tier}, {task_id} and {user}",
        ),
        Field(
            "blend_template",
            templates.BLEND,
            check=templates.check_free,
            label="Blend File Names",
            description="What a .blend file is called in the library, and by the command import in a folder",
        ),
        Field(
            "log_file",
            "",
            check=paths.check,
            label="Log File",
            description="Gets a line for each submission, end and trouble. None when empty",
        ),
        Field(
            "log_level",
            "INFO",
            choices=_LOG_LEVELS,
            label="Log Level",
            description="What is logged: from this on",
        ),
        Field(
            "log_json",
            False,
            label="Log as JSON",
            description="Each line of the log file is a JSON object",
        ),
        Field(
            "log_prompts",
            False,
            label="Log Prompts",
            description="Prompts, and the names that are made of them, stand in the log, too",
        ),
        *(_of_option(option) for option in OPTIONS.values()),
    )
}
