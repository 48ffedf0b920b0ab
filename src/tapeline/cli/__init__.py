"""The command line: `tapeline serve`, `demo`, and what an operator lists and makes.

`serve.py` runs a node, `admin.py` holds accounts, applications, numbers and the lists,
`endpoints.py`, `trunks.py` and `policies.py` who calls, by which way, and what is recorded,
`ask.py` reaches a running node or the database, `show.py` prints.
"""

import sys

from tapeline.cli.app import app
from tapeline.config import ConfigError
from tapeline.domain.error import TapelineError

__all__ = ["main"]


def main() -> None:
    """Entry point. Faults of the request or of what the system refuses (an address in use, a folder
    that cannot be written) are one line and exit status 1; 2 is for wrong usage.
    """
    try:
        app()
    except (TapelineError, ConfigError, OSError) as error:
        sys.stderr.write(f"tapeline: {error}\n")
        sys.exit(1)
