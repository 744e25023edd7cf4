#!/usr/bin/env bash
# Finds memory errors that can go unnoticed because the results are still right. Loom runs the fork and join of
# src/cpu/fork_join/fork.rs in all orders of its threads. Miri runs the unit tests of the code that handles raw memory,
# and reports every access that Rust does not allow. If Miri cannot be installed, these tests run with AddressSanitizer,
# which reports accesses out of bounds and after a free.
#
#   tools/check-memory.sh [FOLDER FOR BUILD OUTPUTS]
set -euo pipefail
cd "$(dirname "$0")/.."
target=${1:-$PWD/target/memory}
tests=(cpu::arena cpu::buffer cpu::disjoint cpu::gather cpu::chunks cpu::fork_join)

echo "loom: the fork and join in all orders (${SECONDS} s)"
CARGO_TARGET_DIR=$target/loom cargo test --locked --release --manifest-path crates/team-model/Cargo.toml

# The version of Miri is fixed. A newer one may report more, but a change should not fail because Miri is newer.
nightly=nightly-2026-05-20
if rustup toolchain install $nightly --profile minimal --component miri && cargo +$nightly miri --version; then
  echo "Miri: ${tests[*]} (${SECONDS} s)"
  # Helper threads wait with a time limit and so need a clock, which Miri's isolation forbids. Rayon's queues keep
  # memory until the process ends, so leaks are ignored. Rayon's queues also use pointers that Miri's older model
  # (stacked borrows) refuses, so the newer one (tree borrows) is used.
  export MIRIFLAGS="-Zmiri-disable-isolation -Zmiri-ignore-leaks -Zmiri-tree-borrows"
  CARGO_TARGET_DIR=$target/miri cargo +$nightly miri test --locked -p receptive-engine --lib -- "${tests[@]}"
else
  echo "no Miri, so AddressSanitizer: ${tests[*]} (${SECONDS} s)"
  export RUSTC_BOOTSTRAP=1 RUSTFLAGS=-Zsanitizer=address ASAN_OPTIONS=detect_leaks=0
  CARGO_TARGET_DIR=$target/asan cargo test --locked -p receptive-engine --lib \
    --target x86_64-unknown-linux-gnu -- "${tests[@]}"
fi
echo "memory: all well (${SECONDS} s)"
