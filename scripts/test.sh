#!/usr/bin/env bash
# All tests: the core's by cargo, then Python's. Those that measure time run one at a time.
set -euo pipefail
cd "$(dirname "$0")/.."
cargo test --manifest-path core/Cargo.toml --locked --quiet
pytest -q -n 2 --dist loadgroup tests/unit tests/contract tests/golden tests/fuzz
pytest -q tests/sdk tests/e2e
