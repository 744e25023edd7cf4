#!/usr/bin/env bash
# Everything that is known of the CUDA side, on a machine with no GPU: every op and case against the CPU and PyTorch's
# vectors, whole training runs eager and from captured graphs, every rung, and the simulator's own planted bugs.
#
#   tests/sim/suite.sh [DIR]        DIR: where the simulated driver is built (target/sim)
set -euo pipefail
cd "$(dirname "$0")/../.."
out=${1:-target/sim}
tests/sim/build.sh "$out"
tests/sim/check.sh
LD_LIBRARY_PATH=$(cd "$out" && pwd) RECEPTIVE_REQUIRE_CUDA=1 \
  cargo test --release --test cuda --test golden --test ladder
