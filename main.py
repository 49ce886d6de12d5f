"""Show Oneiric on real data: the words of this repository's docs. `python main.py [--json]`."""

import argparse
import contextlib
import sys
from pathlib import Path

from oneiric.demo.main import run


def main() -> int:
    """Return 0 if everything that the demonstration promises held."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args()
    home = Path(__file__).resolve().parent
    with contextlib.chdir(home):  # its configuration and its files are found from here
        return run(texts=home / "docs", as_json=options.json)


if __name__ == "__main__":
    sys.exit(main())
