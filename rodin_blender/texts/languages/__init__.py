# SPDX-License-Identifier: GPL-3.0-or-later
"""The languages that the interface has besides English: one module each, called as Blender calls the language.

Its `TEXTS` are translations by the English text, with the same {fields}. That is all: Blender's preferences choose
among them, `blender/languages.py` hands them over, and `python3 -m tools.texts de_DE` tells what one lacks.
"""
