"""A campaign of faults that need real processes: each is injected, what the user reads is noted, and what must always
hold is checked.

    python -m tools.faults [--short] [--only TEXT …] [--seed N]

`follower` is a process that follows tasks as Blender does, without it; `in_blender` is the same in a real Blender.
`world` is what a fault happens in: a simulated service, a list, and such processes. The faults themselves are rows in
`proxy`, `clocks`, `blenders`, `kills` and `submissions`. `invariants` judges each of them alike. What a test
breaks in the same way is no row: docs/reliability.md names it.
"""
