"""Build the extension's zip: rodin_blender/ and wheels/ beside the manifest, by Blender's own tool.

    python -m tools.build BLENDER [FOLDER]      prints the path of the zip

`repository` puts a zip into a folder that a studio can host for its artists, by Blender's own tool, too.

One wheel goes in: `truststore`, pure Python of 19 kB, which no Blender brings. By it the certificates count that the
system trusts: Blender's own list is years old in 4.2 to 4.4, and does not know a studio's CA. Nothing else: every
Blender from blender.org since 4.2 brings `requests`, and so does the `bpy` wheel by its requirements; bundled copies
would add five packages to each artist's installation and could shadow the ones of Blender and of other extensions. A
Blender without it (a distribution's, built without) says what to install.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def build(blender: Path, folder: Path) -> Path:
    """The path of the new zip in `folder`. Ends the program, with Blender's words shown, when it is refused."""
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="rodin-build-") as temporary:
        stage = Path(temporary) / "stage"
        shutil.copytree(ROOT / "rodin_blender", stage, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
        shutil.copy(ROOT / "blender_manifest.toml", stage)
        shutil.copy(ROOT / "LICENSE", stage)
        shutil.copytree(ROOT / "wheels", stage / "wheels")
        made = Path(temporary) / "made"
        made.mkdir()
        _extension(blender, "build", f"--source-dir={stage}", f"--output-dir={made}")
        (archive,) = made.glob("*.zip")
        _extension(blender, "validate", str(archive))
        return Path(shutil.copy(archive, folder))


def given_or_built(blender: Path, folder: Path) -> Path:
    """The zip that the lanes have built, else a new one."""
    given = os.environ.get("RODIN_ZIP")
    return Path(given) if given else build(blender, folder)


def install(blender: Path, archive: Path, profile: Path, *, enabled: bool = True) -> None:
    """Into a profile of its own, as a user would. What was made of it by halves has another name."""
    part = profile.with_name(f"{profile.name}-part")
    part.mkdir(parents=True)
    words = ["--command", "extension", "install-file", "-r", "user_default", *(["-e"] if enabled else []), str(archive)]
    # A BLENDER_USER_… of the user's would win over the profile.
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("BLENDER_USER_", "RODIN_"))}
    done = subprocess.run(
        [str(blender), *words], env={**kept, "BLENDER_USER_RESOURCES": str(part)},
        text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
    )  # fmt: skip
    if done.returncode:
        raise RuntimeError(f"{archive} cannot be installed:\n{done.stdout[-3000:]}")
    part.rename(profile)


def repository(blender: Path, archive: Path, folder: Path) -> Path:
    """A static extension repository with this zip: index.json for Blender, index.html for people. Made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shutil.copy(archive, folder)
    _extension(blender, "server-generate", f"--repo-dir={folder}", "--html")
    return folder


def _extension(blender: Path, *arguments: str) -> None:
    command = [str(blender), "--factory-startup", "--command", "extension", *arguments]
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        sys.stderr.write(done.stdout)
        raise SystemExit(f"Blender did not accept it: {' '.join(command)} ended with {done.returncode}")


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        raise SystemExit(__doc__)
    print(build(Path(sys.argv[1]), Path(sys.argv[2] if len(sys.argv) == 3 else ROOT / "dist")))
