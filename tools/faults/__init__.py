"""A campaign of faults: each is injected for real, what the user reads is noted, and what must always hold is checked.

    python -m tools.faults [--short] [--only TEXT …] [--seed N] [--page FILE]

`follower` is a process that follows tasks as Blender does, without it; `in_blender` is the same in a real Blender.
`world` is what a fault happens in: a simulated service, a list, and such processes. The faults themselves are rows in
`answers`, `connections`, `disks`, `clocks`, `kills` and `blenders`. `invariants` judges each of them alike.
"""
