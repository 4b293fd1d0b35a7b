# What this project can do by one command. What it brings lies in one cache folder (~/.cache/rodin-blender, or below
# XDG_CACHE_HOME), apart from two Debian packages that it names before it installs them (mmdebstrap, python3-venv).
PYTHON ?= python3
# Runs a module with all that tests and tools use.
TOOL := $(PYTHON) -c 'import os, sys; from tools import blenders; p = str(blenders.tools_python()); os.execv(p, [p, "-m", *sys.argv[1:]])'
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rodin-blender

.PHONY: help demo demo-window farm-demo test lint build repository pictures bench fuzz soak simulator clean clean-cache faults

help:
	@echo 'make demo         models from a sentence, a picture and blockouts, in a real Blender without a window, simulated service'
	@echo 'make demo-window  the same in a real window (needs a display and a Blender)'
	@echo 'make farm-demo    twelve prompts through the farm job of farm/, on a simulated service'
	@echo 'make build        the zip to install, in dist/'
	@echo 'make repository   a folder with the zip that a studio can host for its artists, in dist/repository'
	@echo 'make test         all tests, in lanes side by side; LANES=unit for those without a Blender'
	@echo 'make lint         ruff and mypy'
	@echo 'make pictures     new pictures for docs/, from the window tests and the demo'
	@echo 'make fuzz         look for answers, pasted texts and pictures that the extension cannot cope with, and for what breaks the list'
	@echo 'make soak         10,000 tasks on a faulty service for three minutes: nothing grows, nothing is lost'
	@echo 'make faults       what happens when something breaks, tried out by breaking it; writes docs/reliability.md'
	@echo 'make bench        our promises measured, into docs/benchmarks.md; SECTIONS="window draw" for some'
	@echo 'make simulator    the simulated service, to try things against by hand'
	@echo 'make clean-cache  remove all that was brought: $(CACHE)'

demo:
	@$(PYTHON) tools/demo.py

demo-window:
	@$(PYTHON) tools/demo.py --window

farm-demo:
	@$(PYTHON) tools/farm_demo.py

build:
	@$(PYTHON) -c 'from tools import lanes; print(lanes.build())'

repository:
	@$(PYTHON) -c 'from tools import lanes; print(lanes.repository())'

test:
	@$(PYTHON) tools/lanes.py $(if $(LANES),--only $(LANES)) $(if $(TESTS),--tests "$(TESTS)")

lint:
	@$(PYTHON) tools/lint.py

pictures:
	@$(PYTHON) tools/lanes.py --only window-5.2 --pictures dist/pictures
	@$(PYTHON) tools/demo.py
	@$(PYTHON) tools/pictures.py dist/pictures/5.2 docs

bench:
	@$(TOOL) tools.bench $(SECTIONS)

fuzz:
	@$(PYTHON) tools/fuzz.py
	@$(TOOL) pytest -q tests/unit/test_store_machine.py --hypothesis-profile=fuzz

soak:
	@$(TOOL) tools.soak

faults:
	@$(TOOL) tools.faults

simulator:
	@$(TOOL) tools.simulator --port 8090

clean:
	rm -rf dist

clean-cache:
	rm -rf '$(CACHE)'
