#!/usr/bin/env bash
# Makes a checkout ready: tools that are missing, locked Python packages, the native core.
# `scripts/setup.sh` for running, `scripts/setup.sh test` also for the tests. Quick when all is there.
set -euo pipefail
cd "$(dirname "$0")/.."
purpose=${1:-run}
cache=${XDG_CACHE_HOME:-$HOME/.cache}/tapeline
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
mkdir -p "$cache"

say() { printf 'setup: %s\n' "$*" >&2; }
fail() { printf 'setup: %s\n' "$*" >&2; exit 1; }
have() { command -v "$1" >/dev/null 2>&1; }

is_debian() { [ -r /etc/debian_version ] && have apt-get; }
as_root() { if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi; }
can_install() { is_debian && { [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }; }; }

updated=no
install_packages() { # packages…
  if ! can_install; then
    if is_debian; then
      fail "missing: $*. Run: sudo apt-get update && sudo apt-get install $*"
    fi
    fail "missing: $*. These are Debian's names: install their like with your system's packages"
  fi
  if [ "$updated" = no ]; then
    say "reading the package lists"
    as_root apt-get update -qq
    updated=yes
  fi
  say "installing $*"
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

need() { # command package
  have "$1" || missing+=("$2")
}

rust_is_new_enough() {
  have cargo && have rustc && rustc --version | awk '{split($2, v, "."); exit !(v[1] > 1 || v[2] >= 89)}'
}

set_up_rust() {
  [ -x "$HOME/.cargo/bin/cargo" ] && PATH=$HOME/.cargo/bin:$PATH
  rust_is_new_enough && return
  if can_install; then
    [ "$updated" = yes ] || { as_root apt-get update -qq; updated=yes; }
    if apt-cache show rustc-web >/dev/null 2>&1; then
      install_packages rustc-web cargo-web
      hash -r
      rust_is_new_enough && return
    fi
  fi
  if have rustup; then
    say "installing Rust by rustup"
    rustup toolchain install stable --profile minimal && rust_is_new_enough && return
  fi
  fail "Rust 1.89 or newer is missing: install it by your system's packages or from https://rustup.rs"
}

set_up_uv() {
  have uv && return
  if [ ! -x "$cache/uv/bin/uv" ]; then
    say "installing uv into $cache/uv"
    python3 -m venv "$cache/uv" || fail "python3 with its venv module is missing"
    "$cache/uv/bin/pip" install --quiet uv
  fi
  PATH=$cache/uv/bin:$PATH
}

# A vendor's SDK for Node, at the version of the lock file, outside the checkout.
set_up_node_sdk() {
  local from=tests/sdk/node to=$cache/node
  have node && have npm || return 0
  cmp -s "$from/package-lock.json" "$to/package-lock.json" && [ -e "$to/installed" ] && return
  say "installing the SDK for Node into $to"
  rm -rf "$to"
  mkdir -p "$to"
  cp "$from"/package*.json "$to"
  (cd "$to" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error >/dev/null) \
    || fail "npm could not install $from/package-lock.json"
  touch "$to/installed"
}

missing=()
need python3 python3
need cc gcc
need make make
need git git
if have python3 && ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
  missing+=(python3-venv)
fi
if [ "$purpose" = test ]; then
  need sipp sip-tester
  need ffmpeg ffmpeg
  need soxi sox
  need flite flite
  need curl curl
  # Elsewhere the tests that need Node are skipped by name when it is not there.
  if is_debian; then
    need node nodejs
    need npm npm
  fi
fi
[ ${#missing[@]} -eq 0 ] || install_packages "${missing[@]}"

set_up_rust
set_up_uv
uv sync --quiet --locked || {
  [ "$purpose" = run ] || fail "uv sync failed"
  # Not every system has wheels of the recogniser and the voice; calls and recordings need neither.
  say "trying again without the recogniser and the voice"
  uv sync --quiet --locked --no-dev
}
if [ "$purpose" = test ]; then
  set_up_node_sdk
fi
