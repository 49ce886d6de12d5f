"""Count, sum and average the numbers of a file, one a line."""

import argparse
import json
import math
import pathlib
import sys

from orchestrator.context import Context
from orchestrator.scriptlets.python.core.base import BaseScriptlet
from orchestrator.scriptlets.python.core.logging_util import get_logger
from orchestrator.scriptlets.python.core.resource import track_resources

logger = get_logger(__name__)

KEY = "numbers.stats_v1"


class ComputeNumbers(BaseScriptlet):
    """Write `numbers.stats_v1`: count, sum, mean, min and max."""

    parallelizable = True

    def validate(self, ctx, params):
        """Refuse what is no file of numbers, before anything changes."""
        if not isinstance(params, dict):
            raise ValueError("params must be dict")
        if "src" not in params:
            raise ValueError("missing src")
        if not pathlib.Path(params["src"]).is_file():
            raise ValueError(f"file not found: {params['src']}")

    @track_resources
    def run(self, ctx, params):
        """Read the numbers and write what they come to."""
        try:
            self.validate(ctx, params)
            lines = pathlib.Path(params["src"]).read_text(encoding="utf-8").splitlines()
            numbers = [float(line) for line in lines if line.strip()]
            if not numbers:
                raise ValueError("the file holds no numbers")
            total = math.fsum(numbers)
            stats = {
                "count": len(numbers),
                "sum": total,
                "mean": total / len(numbers),
                "min": min(numbers),
                "max": max(numbers),
            }
            ctx.set(KEY, stats, who="compute_numbers")
            logger.info("read %d numbers", len(numbers))
            print(json.dumps({"status": "ok", "outputs": [KEY]}))
            return 0
        except (OSError, ValueError) as error:
            line = {
                "status": "error",
                "reason": str(error),
                "exit_code": 1,
                "step": "compute_numbers",
            }
            print(json.dumps(line))
            return 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--params", required=True)
    given = json.loads(parser.parse_args().params)
    sys.exit(ComputeNumbers().run(Context(), given))
