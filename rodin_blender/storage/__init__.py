# SPDX-License-Identifier: GPL-3.0-or-later
"""What is kept on the disk: every task, shared by all Blenders of a user. Never imports `bpy`."""
