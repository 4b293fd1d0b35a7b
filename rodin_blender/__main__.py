# SPDX-License-Identifier: GPL-3.0-or-later
"""`python -m rodin_blender`: the command line where there is no Blender."""

import sys

from .command_line import main
from .command_line.host import plain

if __name__ == "__main__":
    sys.exit(main.run(sys.argv[1:], plain, own_process=True))
