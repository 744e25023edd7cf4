#!/usr/bin/env bash
# The simulator's own tests: kernels with planted bugs that it must report, correct kernels that it must not report, the
# driver's rules for capture and graphs, and counters against numbers on paper. Prints a table. Fails if a bug is missed,
# or if a report or a counter is wrong.
#
#   tests/sim/check.sh [OUT]
set -euo pipefail
out=${1:-target/sim-check}
mkdir -p "$out"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/../.."

KERNELS=tests/sim/tests tests/sim/build.sh "$out/plain"
SAN=address KERNELS=tests/sim/tests tests/sim/build.sh "$out/address"
SAN=thread KERNELS=tests/sim/tests tests/sim/build.sh "$out/thread"
COUNT=1 KERNELS=tests/sim/tests tests/sim/build.sh "$out/count"
for program in planted driver counted; do
  g++ -std=c++17 -O1 -Wall -Wextra "tests/sim/tests/$program.cpp" -L"$out/plain" -lcuda -lpthread -o "$out/$program"
done

failed=0
for build in plain address thread; do
  LD_LIBRARY_PATH=$out/$build "$out/planted" "$build" || failed=1
done
LD_LIBRARY_PATH=$out/plain "$out/driver" || failed=1
LD_LIBRARY_PATH=$out/count "$out/counted" || failed=1
((failed)) && { echo "the simulator missed something" >&2; exit 1; }
echo "all seen"
