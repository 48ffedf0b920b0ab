#!/usr/bin/env bash
# All tests: the core's by cargo, then Python's. Those that measure time run one at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
core() { cargo test --manifest-path core/Cargo.toml --locked --quiet; }
# Real sockets and real time here too: once more, and said aloud.
core || { echo "test: the core's tests failed and are tried once more" >&2; core; }
pytest -q -n 2 --dist loadgroup tests/unit tests/contract tests/golden tests/fuzz
# They hold real time against real sockets: what a busy machine spoilt is tried once more, and named.
pytest -q --reruns 1 --reruns-delay 1 tests/sdk tests/e2e
