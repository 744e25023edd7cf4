#!/usr/bin/env bash
# What tests of results cannot see: tries the fork and join of src/cpu/team/fork.rs in all orders of threads, by loom, and runs
# the unit tests of the code that handles raw memory in Miri, which notices every access that Rust does not allow. Where there
# is no Miri, AddressSanitizer runs them: it notices accesses out of bounds and after a free.
# usage: tools/check-memory.sh [FOLDER FOR WHAT IS BUILT]
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-$PWD/target/memory}
tests=(cpu::arena cpu::buffer cpu::disjoint cpu::gather cpu::parallel cpu::team)

echo "loom: the fork and join in all orders (${SECONDS} s)"
CARGO_TARGET_DIR=$target/loom cargo test --locked --release --manifest-path crates/team-model/Cargo.toml

# A fixed day's Miri: a later one may find what this one does not, and that is no reason for a change to fail.
nightly=nightly-2026-05-20
if rustup toolchain install $nightly --profile minimal --component miri && cargo +$nightly miri --version; then
  echo "Miri: ${tests[*]} (${SECONDS} s)"
  # A helper's patience needs a clock. Rayon's queues keep memory until the process ends, and point into it in a way that
  # Miri's older model of borrows refuses.
  export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks -Zmiri-tree-borrows"
  CARGO_TARGET_DIR=$target/miri cargo +$nightly miri test --locked -p receptive-engine --lib -- "${tests[@]}"
else
  echo "no Miri, so AddressSanitizer: ${tests[*]} (${SECONDS} s)"
  export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0
  CARGO_TARGET_DIR=$target/asan cargo test --locked -p receptive-engine --lib \
    --target x86_64-unknown-linux-gnu -- "${tests[@]}"
fi
echo "memory: all well (${SECONDS} s)"
