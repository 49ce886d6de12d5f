"""Find the median of the numbers of a file, one a line."""

import argparse
import json
import pathlib
import statistics
import sys

from orchestrator.context import Context
from orchestrator.scriptlets.python.core.base import BaseScriptlet
from orchestrator.scriptlets.python.core.resource import track_resources

KEY = "numbers.median_v1"
DEFAULT = "orchestrator/Data/numbers.csv"


class ComputeMedian(BaseScriptlet):
    """Write `numbers.median_v1`: the median, and of how many numbers."""

    parallelizable = True

    def validate(self, ctx, params):
        """Refuse what is no file, before anything changes."""
        if not isinstance(params, dict):
            raise ValueError("params must be dict")
        if not pathlib.Path(params.get("src", DEFAULT)).is_file():
            raise ValueError(f"file not found: {params.get('src', DEFAULT)}")

    @track_resources
    def run(self, ctx, params):
        """Read the numbers and write their median."""
        try:
            self.validate(ctx, params)
            source = pathlib.Path(params.get("src", DEFAULT))
            lines = source.read_text(encoding="utf-8").splitlines()
            numbers = [float(line) for line in lines if line.strip()]
            found = {"median": statistics.median(numbers), "count": len(numbers)}
            ctx.set(KEY, found, who="compute_median")
            print(json.dumps({"status": "ok", "outputs": [KEY]}))
            return 0
        except (OSError, ValueError) as error:
            line = {
                "status": "error",
                "reason": str(error),
                "exit_code": 1,
                "step": "compute_median",
            }
            print(json.dumps(line))
            return 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--params", required=True)
    given = json.loads(parser.parse_args().params)
    sys.exit(ComputeMedian().run(Context(), given))
