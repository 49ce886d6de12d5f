"""Run a recipe: `python orchestrator/runner.py --recipe FILE`, from the folder above."""

import sys

from oneiric.cli.app import main
from oneiric.recipes import run_recipe

__all__ = ["run_recipe"]

if __name__ == "__main__":
    sys.argv[1:1] = ["recipe", "run"]
    main()
