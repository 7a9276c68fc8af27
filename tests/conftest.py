"""Makes the helpers beside this file importable from every test room: `from jumping import run_jumping`."""
