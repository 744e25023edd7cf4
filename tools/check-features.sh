#!/usr/bin/env bash
# Fails where a crate that the program and the tests share has other features for the tests. Cargo would then compile it, and
# everything above it, a second time for `cargo run --example` or `cargo test`; naming the feature in Cargo.toml mends it.
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
