"""Makes a `bpy` wheel answer to the arguments of a Blender executable, as far as tests and builds use them.

-b, --background, --factory-startup, --offline-mode, --online-mode
--addons NAMES          those of the profile are enabled for each command, without being named
--python FILE           run it
--command extension …   Blender's own extension tool: build and validate; and install-file … ZIP
--command NAME …        the command of an extension that is installed in the profile
-- …                    left for the script
"""

import runpy
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path


def run_command(command: list[str], online: bool) -> int:
    """Run an extension's command. The wheel does not tell what was registered, and begins with nothing enabled.

    (To have it read the profile's preferences crashes that of 4.2.)
    """
    import bpy

    commands = {}

    def register(name: str, run: Callable[[list[str]], int]) -> str:
        commands[name] = run
        return name

    bpy.utils.register_cli_command, bpy.utils.unregister_cli_command = register, commands.pop
    for folder in Path(bpy.utils.user_resource("EXTENSIONS", path="user_default")).glob("*/__init__.py"):
        bpy.ops.preferences.addon_enable(module=f"bl_ext.user_default.{folder.parent.name}")
    if online:
        bpy.context.preferences.system.use_online_access = True
    if command[0] not in commands:
        raise SystemExit(f"no extension in this profile has the command {command[0]!r}")
    return commands[command[0]](command[1:])


def main() -> int:
    arguments = iter(sys.argv[1:])
    online = False
    for argument in arguments:
        if argument == "--command":
            command = list(arguments)
            import bpy

            if command[:2] == ["extension", "install-file"]:
                bpy.ops.wm.read_userpref()
                bpy.ops.extensions.package_install_files(
                    filepath=command[-1], repo="user_default", enable_on_install=True
                )
                bpy.ops.wm.save_userpref()
                return 0
            if command[:1] != ["extension"]:
                return run_command(command, online)
            tool = Path(bpy.utils.system_resource("SCRIPTS")) / "addons_core" / "bl_pkg" / "cli" / "blender_ext.py"
            return subprocess.run([sys.executable, str(tool), *command[1:]], check=False).returncode
        if argument == "--online-mode":
            import bpy

            bpy.context.preferences.system.use_online_access = online = True
        elif argument == "--addons":
            next(arguments)
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
