"""Makes a `bpy` wheel answer to the arguments of a Blender executable, as far as tests and builds use them.

-b, --background, --factory-startup, --offline-mode, --online-mode
--python FILE           run it
--command extension …   Blender's own extension tool: build and validate
-- …                    left for the script
"""

import runpy
import subprocess
import sys
from pathlib import Path


def main() -> int:
    arguments = iter(sys.argv[1:])
    for argument in arguments:
        if argument == "--command":
            command = list(arguments)
            if command[:1] != ["extension"]:
                raise SystemExit(f"only the command 'extension' is here, not {command[:1]}")
            import bpy

            tool = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
            return subprocess.run([sys.executable, str(tool), *command[1:]], check=False).returncode
        if argument == "--online-mode":
            import bpy

            bpy.context.preferences.system.use_online_access = True
        elif argument == "--python":
            import bpy

            runpy.run_path(next(arguments), run_name="__main__")
        elif argument == "--":
            break
        elif argument not in ("-b", "--background", "--factory-startup", "--offline-mode"):
            raise SystemExit(f"the bpy wheel does not know the argument {argument}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
