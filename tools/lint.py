"""ruff over everything, mypy strictly over the extension."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from tools.blenders import tools_python


def main() -> int:
    python = str(tools_python())
    codes = [
        subprocess.run([python, "-m", *check], cwd=ROOT, check=False).returncode
        for check in (["ruff", "check", "--no-cache", "."], ["mypy", "--no-incremental", "--cache-dir=/dev/null"])
    ]
    return max(codes)


if __name__ == "__main__":
    sys.exit(main())
