"""Real Blenders to build, test and show with. Standard library only: it runs before anything is installed.

    python tools/blenders.py NAME     prepares that Blender if need be and prints the path of its executable
    python tools/blenders.py          lists the names

    4.2 4.5 5.0   PyPI's `bpy` wheels in environments of their own: Blender without a window
    4.3 5.2       Debian's packages (trixie and sid), each in a root folder of its own: with a window, under Xvfb.
    own           the executable that BLENDER names: tested instead of Debian's

All of it lies in one cache folder, which `make clean-cache` removes.
"""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

try:
    import fcntl
except ImportError:
    fcntl = None  # type: ignore[assignment]

ROOT = Path(__file__).resolve().parent.parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "rodin-blender"


def _hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:8]


WRAPPER = f"blender-{_hash(str(ROOT))}"
"""How an executable that knows this checkout is called: others may share the cache."""
PYTEST = "pytest==8.4.2"
"""For the inside of a Blender. What runs outside stands in requirements.txt."""

HTTP_OF_4_2 = ("requests==2.27.1", "urllib3==1.26.8", "certifi==2021.10.8")
"""What Blender 4.2 to 4.4 from blender.org ask the service with. Their wheels leave it to pip, which takes newer."""

WHEELS = {"4.2": "4.2.23", "4.5": "4.5.15", "5.0": "5.0.1"}
DEBIAN = {"4.3": "trixie", "5.2": "sid"}

_DEBIAN_PACKAGES = (
    "blender", "python3-requests", "python3-numpy", "python3-pytest", "xvfb", "xauth", "libgl1-mesa-dri", "libegl1",
    "libgl1", "imagemagick", "ca-certificates",
)  # fmt: skip


class NotAvailable(Exception):
    """This machine cannot have that Blender; the text says why."""


@dataclass(frozen=True)
class Blender:
    """`executable` takes Blender's arguments; `window` says whether it can open one."""

    name: str
    executable: Path
    window: bool


def blender(name: str) -> Blender:
    """The Blender of that name, prepared if need be. Raises NotAvailable."""
    if name in WHEELS:
        return Blender(name, _wheel(name), window=False)
    if name in DEBIAN:
        return Blender(name, _debian(name), window=True)
    if name == "own":
        found = shutil.which(os.environ.get("BLENDER", ""))
        if not found:
            raise NotAvailable(f"BLENDER names {os.environ.get('BLENDER')!r}, which is no executable")
        # Not resolved: what a snap is called by is a link to one program for all.
        return Blender(name, Path(found).absolute(), window=True)
    raise NotAvailable(f"no Blender is called {name!r} here; the names are {', '.join([*WHEELS, *DEBIAN])}")


def chosen(*names: str) -> Blender:
    """The one that BLENDER names, else the first of these that can be had, else the one on the PATH."""
    if os.environ.get("BLENDER"):
        return blender("own")
    reasons = []
    for name in names:
        try:
            return blender(name)
        except NotAvailable as error:
            reasons.append(f"{name}: {error}")
    found = shutil.which("blender")
    if found:
        return Blender("own", Path(found).absolute(), window=True)
    reasons.append("no `blender` is on the PATH; install Blender 4.2 or newer, or set BLENDER to its executable")
    raise NotAvailable("\n".join(reasons))


def in_root(found: Blender) -> bool:
    """Whether it runs in a Debian root, which has a screen (Xvfb) of its own."""
    return CACHE / "roots" in found.executable.parents


def packages(name: str, requirements: list[str]) -> Path:
    """A folder in the cache with these pure Python packages, for a Python that is not ours to install into."""
    folder = CACHE / name

    def make() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        pip = [str(environment("pip", ["pip"])), "-m", "pip", "install", "--quiet", "--target", str(folder)]
        _run([*pip, *requirements])

    _once(folder, json.dumps(requirements), f"fetching {' '.join(requirements)}", make)
    return folder


def environment(name: str, requirements: list[str]) -> Path:
    """A virtual environment in the cache with these requirements. Returns its Python."""
    folder = CACHE / name

    def make() -> None:
        shutil.rmtree(folder, ignore_errors=True)
        _make_venv(folder)
        _run([str(folder / "bin/python"), "-m", "pip", "install", "--quiet", *requirements])

    _once(folder, json.dumps([requirements, sys.version]), f"installing {' '.join(requirements)}", make)
    return folder / "bin/python"


def tools_python() -> Path:
    """The Python of the environment with all that tests and tools use.

    The requirements are part of the environment's name: another checkout that shares the cache may have other ones.
    """
    requirements = _requirements()
    return environment(f"tools-{_hash(json.dumps(requirements))}", requirements)


def old_http_python() -> Path:
    """The Python of an environment with Blender 4.2's `requests` and what the tests of the client use."""
    used = ("hypothesis", "numpy", "pillow", "pytest", "pytest-timeout", "trimesh", "trustme", "truststore", "Werkzeug")
    requirements = [*HTTP_OF_4_2, *(line for line in _requirements() if line.partition("==")[0] in used)]
    return environment(f"http-{_hash(json.dumps(requirements))}", requirements)


def _requirements() -> list[str]:
    lines = (ROOT / "tools/requirements.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def _make_venv(folder: Path) -> None:
    if subprocess.run([sys.executable, "-c", "import ensurepip"], capture_output=True, check=False).returncode:
        # Debian splits it off Python.
        _apt_install("python3-venv")
    _run([sys.executable, "-m", "venv", str(folder)])


def _wheel(name: str) -> Path:
    if sys.version_info[:2] != (3, 11):
        raise NotAvailable(f"the bpy wheel {WHEELS[name]} needs Python 3.11, and this is {sys.version.split()[0]}")
    folder, http = ("bpy-4.2-http", HTTP_OF_4_2) if name == "4.2" else (f"bpy-{name}", ("requests==2.34.2",))
    python = environment(folder, [f"bpy=={WHEELS[name]}", *http, PYTEST])
    executable = python.with_name(WRAPPER)
    _write_executable(
        executable,
        f'#!/bin/sh\nexec {shlex.quote(str(python))} {shlex.quote(str(ROOT / "tools/bpy_as_blender.py"))} "$@"\n',
    )
    return executable


def _debian(name: str) -> Path:
    suite = DEBIAN[name]
    root = CACHE / "roots" / suite
    if not Path("/etc/debian_version").exists() or os.geteuid() != 0:
        raise NotAvailable("a Debian root is built on Debian by root; set BLENDER to a Blender of yours instead")

    def make() -> None:
        if not shutil.which("mmdebstrap"):
            _apt_install("mmdebstrap")
        part = root.with_name(f"{suite}.part")
        shutil.rmtree(part, ignore_errors=True)
        shutil.rmtree(root, ignore_errors=True)
        part.parent.mkdir(parents=True, exist_ok=True)
        options = [f"--dpkgopt=path-exclude=/usr/share/{folder}/*" for folder in ("doc", "man")]
        if suite == "sid":
            options.append('--aptopt=Acquire::Check-Valid-Until "false"')
        _run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=apt",
                f"--include={','.join(_DEBIAN_PACKAGES)}",
                *options,
                suite,
                str(part),
            ]
        )
        if suite == "sid":
            # Blender 5.2's extension manager imports cattrs, which Debian does not package.
            packages = part / "usr/lib/python3/dist-packages"
            pip = [str(environment("pip", ["pip"])), "-m", "pip", "install", "--quiet", "--no-deps"]
            _run([*pip, "--target", str(packages), "cattrs", "attrs", "typing_extensions"])
        part.rename(root)

    recipe = json.dumps([suite, _DEBIAN_PACKAGES])
    _once(root, recipe, f"building a Debian {suite} root with its Blender (1.3 GB)", make)
    executable = root.with_name(f"{suite}-{WRAPPER}")
    _write_executable(
        executable,
        _IN_ROOT.format(root=shlex.quote(str(root)), project=shlex.quote(str(ROOT)), cache=shlex.quote(str(CACHE))),
    )
    return executable


_IN_ROOT = """#!/bin/sh
# Blender of a Debian root, in a mount namespace of its own: nothing stays mounted. IN_ROOT=NAME runs another program.
export ROOT={root} PROJECT={project} CACHE={cache} IN_ROOT="${{IN_ROOT:-blender}}" FOLDER="$PWD"
exec unshare --mount sh -ec '
mount --make-rprivate /
for folder in /proc /sys /dev /tmp "$PROJECT" "$CACHE"; do
    mkdir -p "$ROOT$folder"
    mount --rbind "$folder" "$ROOT$folder"
done
exec chroot "$ROOT" env --chdir="$FOLDER" $IN_ROOT "$@"
' sh "$@"
"""


def _once(folder: Path, recipe: str, what: str, make: Callable[[], None]) -> None:
    """Make `folder` unless it was made to this very recipe before. A half-made one is never taken for good.

    Where two processes want the same folder at once, one makes it and the other waits.
    """
    stamp = folder.with_name(folder.name + ".complete")

    def complete() -> bool:
        return folder.exists() and stamp.exists() and stamp.read_text() == recipe

    if complete():
        return
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _locked(folder.with_name(folder.name + ".lock")):
        if complete():
            return
        stamp.unlink(missing_ok=True)
        say(f"{what}, in {folder}")
        make()
        stamp.write_text(recipe)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """No other thread or process is in here with the same path."""
    # The demo in a window runs on Windows, too, which has no fcntl. Nothing is prepared side by side there.
    if fcntl is None:
        yield
        return
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _apt_install(package: str) -> None:
    if not shutil.which("apt-get") or os.geteuid() != 0:
        raise NotAvailable(f"the program package {package} is missing; install it")
    CACHE.mkdir(parents=True, exist_ok=True)
    with _locked(CACHE / "apt.lock"):
        say(f"installing Debian's package {package} on this machine (apt-get install {package})")
        _run(["apt-get", "update", "-qq"])
        _run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package])


def _run(command: list[str]) -> None:
    done = subprocess.run(command, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        last = "\n".join(done.stdout.strip().splitlines()[-15:])
        raise NotAvailable(f"`{' '.join(command[:4])} …` ended with {done.returncode}:\n{last}")


def _write_executable(path: Path, text: str) -> None:
    if path.exists() and path.read_text() == text:
        return
    # Renamed into its place, since another lane may be starting it.
    part = path.with_name(f"{path.name}.{threading.get_ident()}.part")
    part.write_text(text)
    part.chmod(0o755)
    part.replace(path)


def say(text: str) -> None:
    print(f"-- {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    try:
        print(blender(sys.argv[1]).executable)
    except NotAvailable as error:
        raise SystemExit(f"Blender {sys.argv[1]}: {error}") from None
