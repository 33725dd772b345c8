"""A runner started as an ordinary process: `python -m pipelines.execution.spawned REQUEST`.

Its standard input is its lifeline, its standard output the report.
"""

import json
import sys

from pipelines.execution.nursery import hold_lifeline, perform

if __name__ == "__main__":
    hold_lifeline(sys.stdin.fileno())
    sys.exit(perform(json.loads(sys.argv[1]), sys.stdout.fileno()))
