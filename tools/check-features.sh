#!/usr/bin/env bash
# Fails if a crate is built with different Cargo features for the tests than for the program. Cargo would then compile
# it, and everything that depends on it, a second time for `cargo run --example` or `cargo test`. To fix this, name the
# missing feature in Cargo.toml.
set -euo pipefail
cd "$(dirname "$0")/.."

crates() { cargo tree --workspace -e "$1" -f '{p} {f}' --prefix none | sed 's/ (\*)//' | sort -u; }

program=$(crates normal,build)
tests=$(crates normal,build,dev)
names=$(awk '{ print $1 }' <<<"$program" | sort -u)
differing=$(comm -13 <(echo "$program") <(echo "$tests") | awk '{ print $1 }' | sort -u | comm -12 - <(echo "$names"))
if [ -n "$differing" ]; then
  for crate in $differing; do grep -h "^$crate " <(echo "$program") <(echo "$tests"); done
  echo "these crates have other features for the tests"
  exit 1
fi
