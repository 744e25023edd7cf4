#!/usr/bin/env bash
# The sanitizer pass. Runs every small enough case of every op, and every kernel of the ladders, with each memory access
# checked and in several orders of the threads.
#
#   tests/sim/sanitize.sh [DIR]        DIR: where the three simulated drivers are built (target/sim)
#
# | build | what is checked | orders |
# |---|---|---|
# | plain | results, barriers, warps, guard pages, NaN in unwritten memory | reverse, random, random; late execution |
# | address | bounds and alignment of each access | forward |
# | thread | races, reads of unwritten shared memory | forward, random |
set -euo pipefail
cd "$(dirname "$0")/../.."
mkdir -p "${1:-target/sim}"
out=$(cd "${1:-target/sim}" && pwd)
tests/sim/build.sh "$out"
SAN=address tests/sim/build.sh "$out/address"
SAN=thread tests/sim/build.sh "$out/thread"
cargo test --release --test cuda --test golden --test ladder --no-run

export RECEPTIVE_REQUIRE_CUDA=1 CUSIM_STRICT=1 PROPTEST_CASES=2
SECONDS=0 failed=0
pass() { # NAME FOLDER SETTING...
  local name=$1 folder=$2 began=$SECONDS
  shift 2
  local verdict=clean
  env "LD_LIBRARY_PATH=$folder" "$@" cargo test --release --quiet --test cuda conformance &&
    env "LD_LIBRARY_PATH=$folder" "$@" cargo test --release --quiet --test golden cuda &&
    env "LD_LIBRARY_PATH=$folder" "$@" cargo test --release --quiet --test ladder cuda || verdict=FAILED failed=1
  table+=$(printf '\n%-26s %-7s %4d s' "$name" "$verdict" $((SECONDS - began)))
}
table=
pass "plain, reverse" "$out" CUSIM_ORDER=reverse
pass "plain, random 1" "$out" CUSIM_ORDER=random CUSIM_SEED=1
pass "plain, random 2" "$out" CUSIM_ORDER=random CUSIM_SEED=2
pass "plain, late" "$out" CUSIM_ASYNC=1
pass "address, forward" "$out/address" CUSIM_ORDER=forward
pass "thread, forward" "$out/thread" CUSIM_ORDER=forward
pass "thread, random 3" "$out/thread" CUSIM_ORDER=random CUSIM_SEED=3
printf '\n%-26s %-7s %6s%s\n%-26s %-7s %4d s\n' "sanitizer pass" "" "time" "$table" "all" "" "$SECONDS"
exit "$failed"
