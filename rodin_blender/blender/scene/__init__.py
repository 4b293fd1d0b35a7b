# SPDX-License-Identifier: GPL-3.0-or-later
"""Models in the open file: where each is wanted, when it is imported, and which are there."""
