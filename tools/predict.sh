#!/usr/bin/env bash
# Prints the table of predicted step times in docs/gpu.md: six networks in three precisions, on three cards. Needs no card:
# the simulated GPU counts four blocks of each launch (see `receptive bench kernels --help`).
#
#   tools/predict.sh [BINARY]       BINARY: target/release/receptive
set -euo pipefail
cd "$(dirname "$0")/.."
binary=${1:-target/release/receptive}
COUNT=1 tests/sim/build.sh target/sim/count
echo '| network | precision | launches | A100 | H100 | RTX 4090 | seconds to count |'
echo '|---|---|---|---|---|---|---|'
while read -r -u 3 model batch input; do
  for precision in f32 tf32 bf16; do
    began=$(date +%s.%N)
    LD_LIBRARY_PATH=target/sim/count "$binary" bench kernels "$model" --batch-size "$batch" --input "$input" --device cuda \
      --precision "$precision" --gpu a100,h100,rtx4090 --json >"${TMPDIR:-/tmp}/predicted.json"
    python3 - "$model, batch $batch" "$precision" "$began" "${TMPDIR:-/tmp}/predicted.json" <<'PYTHON'
import json, sys, time
title, precision, began, file = sys.argv[1:]
tables = json.load(open(file))
cells = [f"{1e3 * table['seconds']:.2f} ms" for table in tables]
print("|", " | ".join([title, precision, str(tables[0]["nodes"]), *cells, f"{time.time() - float(began):.1f}"]), "|")
PYTHON
  done
done 3<tools/gpu-networks.txt
