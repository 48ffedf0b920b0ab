"""A worker whose process runs a few lines of a test's for each request."""

import sys

from tapeline.speech.process import Worker

_FRAME = """
import json, sys
def tell(**fields):
    print(json.dumps(fields), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    {does}
"""


def program(does: str) -> Worker:
    """`does` may use `request` and `tell(**fields)`."""
    return Worker((sys.executable, "-c", _FRAME.format(does=does)))
