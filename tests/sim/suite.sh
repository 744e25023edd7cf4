#!/usr/bin/env bash
# All tests of the CUDA side, on a machine without a GPU: every case of every op against the CPU and PyTorch's test
# vectors, whole training runs (eager and from captured graphs), every kernel of the ladders, counters of every kernel of
# six networks, and the simulator's own tests.
#
#   tests/sim/suite.sh [DIR]        DIR: where the simulated driver is built (target/sim)
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-target/sim}
tests/sim/build.sh "$out"
tests/sim/check.sh
LD_LIBRARY_PATH=$(cd "$out" && pwd) RECEPTIVE_REQUIRE_CUDA=1 \
  cargo test --release --test cuda --test golden --test ladder --test gpu_steps
COUNT=1 tests/sim/build.sh "$out/count"
LD_LIBRARY_PATH=$(cd "$out/count" && pwd) RECEPTIVE_REQUIRE_CUDA=1 cargo test --release --test gpu_steps kernels
LD_LIBRARY_PATH=$(cd "$out/count" && pwd) cargo run --release --quiet --example 13_memory_requests
