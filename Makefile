# The front door. Every target does its own set-up; the second run of any of them builds nothing.

SHELL := /bin/bash
CACHE := $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tapeline
export CARGO_TARGET_DIR ?= $(CACHE)/target
export PATH := $(CURDIR)/.venv/bin:$(PATH):$(HOME)/.cargo/bin:$(CACHE)/uv/bin
CARGO := cargo
WHEELS ?= dist
MANIFEST := --manifest-path core/Cargo.toml

.PHONY: help setup setup-test demo serve test soak check format bench wheel clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

setup: ## what running needs: .venv/bin/tapeline
	@scripts/setup.sh

setup-test:
	@scripts/setup.sh test

demo: setup ## three callers, one recorded conference, checked second by second
	@tapeline demo $(ARGS)

serve: setup ## a node on 127.0.0.1:8080 and SIP on UDP 5060
	@tapeline serve $(ARGS)

test: setup-test ## everything that must hold
	@scripts/test.sh

soak: setup-test ## the long tests: a million mutated packets
	@TAPELINE_SOAK=1 $(CARGO) test $(MANIFEST) --locked --quiet --test media_fuzz

check: setup-test ## lint, types, imports
	ruff check src tests benchmarks examples
	ruff format --check src tests benchmarks examples
	mypy
	mypy benchmarks/*.py
	lint-imports --no-logo
	$(CARGO) fmt $(MANIFEST) --all --check
	$(CARGO) clippy $(MANIFEST) --locked --all-targets --quiet -- -D warnings

format: setup-test ## make the tree pass what check asks of its form
	ruff check --fix src tests benchmarks examples
	ruff format src tests benchmarks examples
	$(CARGO) fmt $(MANIFEST) --all

bench: setup-test ## figures: CPU per participant, set-up cost per call
	@python benchmarks/run.py $(ARGS)

# Its own profile costs 4 minutes of CPU with an empty cache, seconds afterwards: the smaller and
# faster core is worth that to whoever installs it.
wheel: setup ## an abi3 wheel in dist/
	@MATURIN_PEP517_ARGS="--profile dist" uv build --quiet --wheel --out-dir $(WHEELS)
	@ls -1 $(WHEELS)/*.whl

clean: ## the virtual environment and the wheels; the build cache stays
	rm -rf .venv dist
