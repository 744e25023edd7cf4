#!/usr/bin/env bash
# Compares kernels/prebuilt with nvcc's output for the kernels: every source compiles, and both have the same entry points
# with the same parameters. The bytes are not compared, because nvcc's output for one source can vary between runs. Three
# other checks are made elsewhere: a test compares the first line of each committed file with the current sources,
# tools/kernels.sh assembles the committed files, and the simulator checks the kernels' results.
#
#   tools/check-ptx.sh NVCC
set -euo pipefail
cd "$(dirname "$0")/.."
nvcc=$(realpath "$1")

NVCC=$nvcc RECEPTIVE_KERNELS=nvcc CARGO_TARGET_DIR=target/ptx cargo check -p receptive-engine --features cuda
made=$(dirname "$(find target/ptx -path '*/out/roof.ptx' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)")

entries() { sed -n '/\.entry/,/^)/p' "$1"; }

for file in kernels/prebuilt/*.ptx; do
  diff <(entries "$file") <(entries "$made/$(basename "$file")") || { echo "$file has other entry points than its source"; exit 1; }
done
echo "$(ls kernels/prebuilt/*.ptx | wc -l) files: same entry points"
