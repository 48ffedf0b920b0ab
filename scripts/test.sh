#!/usr/bin/env bash
# All tests: the core's by cargo, then Python's. Those marked `alone` need the machine to themselves.
set -euo pipefail
cd "$(dirname "$0")/.."
python scripts/core_tests.py
pytest -q -n 2 --dist loadgroup tests/unit tests/contract tests/golden tests/fuzz
# A node for each file; most of their time is real time, in which a core is idle.
pytest -q -n 2 --dist loadfile -m "not alone" tests/sdk tests/e2e
pytest -q -m alone tests/sdk tests/e2e
