"""Put what earlier steps found into one table."""

import argparse
import json
import sys

from orchestrator.context import Context
from orchestrator.scriptlets.python.core.base import BaseScriptlet
from orchestrator.scriptlets.python.core.resource import track_resources

KEY = "numbers.summary_table_v1"
NEEDED = ("numbers.stats_v1", "numbers.median_v1")


class AggregateSummary(BaseScriptlet):
    """Write `numbers.summary_table_v1`: one row for each figure."""

    def validate(self, ctx, params):
        """Refuse to sum up what is not there."""
        missing = [key for key in NEEDED if ctx.get(key) is None]
        if missing:
            raise ValueError(f"the context has no {', '.join(missing)}")

    @track_resources
    def run(self, ctx, params):
        """Join the figures of both steps."""
        try:
            self.validate(ctx, params)
            figures = {**ctx.get("numbers.stats_v1"), **ctx.get("numbers.median_v1")}
            rows = [{"figure": name, "value": figures[name]} for name in sorted(figures)]
            ctx.set(KEY, {"rows": rows}, who="aggregate_summary")
            print(json.dumps({"status": "ok", "outputs": [KEY]}))
            return 0
        except ValueError as error:
            line = {
                "status": "error",
                "reason": str(error),
                "exit_code": 1,
                "step": "aggregate_summary",
            }
            print(json.dumps(line))
            return 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--params", default="{}")
    given = json.loads(parser.parse_args().params)
    sys.exit(AggregateSummary().run(Context(), given))
