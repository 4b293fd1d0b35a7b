# SPDX-License-Identifier: GPL-3.0-or-later
"""The Rodin service over HTTP: identifiers, answers, errors and the client. Needs `requests`, never `bpy`."""
