#!/usr/bin/env bash
# Packs everything that a machine with a GPU needs to test and time this project. That machine needs a driver, but no
# Rust and no CUDA toolkit.
#
#   tools/gpu-bundle.sh [DIR]       DIR: target/gpu-bundle; makes DIR and DIR.tar.gz
#
# On that machine, ./run.sh [--quick] writes results.txt. It runs in this order:
#   - `receptive doctor`;
#   - every op and case, and training (eager and from graphs), compared with the CPU;
#   - test vectors made by PyTorch;
#   - checks of every rung of the ladders;
#   - compute-sanitizer, if it is installed.
# Without --quick, it then times both ladders, the training steps of several models, and each kernel of six networks
# beside its prediction (the simulated GPU makes the predictions here, which takes some minutes). If PEER is set, it also times
# the steps in PyTorch. If RECEPTIVE_DATA is set (the folder of the data sets), it trains on MNIST and CIFAR-10.
set -euo pipefail
cd "$(dirname "$0")/.."
bundle=${1:-target/gpu-bundle}
rm -rf "$bundle" "$bundle.tar.gz"
mkdir -p "$bundle/bin" "$bundle/tests/golden"

# Cargo reports the name and the path of each executable.
cargo build --release --bin receptive
cargo test --release --no-run --test cuda --test golden --test ladder --message-format=json >"$bundle/built.json"
cargo bench --no-run --bench ladder --message-format=json >>"$bundle/built.json"
python3 - "$bundle" <<'PYTHON'
import json, pathlib, shutil, sys
bundle = pathlib.Path(sys.argv[1])
for line in open(bundle / "built.json"):
    made = json.loads(line)
    if made.get("executable") and made["target"]["kind"][0] in ("test", "bench"):
        shutil.copy(made["executable"], bundle / "bin" / f'{made["target"]["kind"][0]}-{made["target"]["name"]}')
PYTHON
rm "$bundle/built.json"
target=$(cargo metadata --format-version 1 --no-deps | python3 -c 'import json,sys; print(json.load(sys.stdin)["target_directory"])')
cp "$target/release/receptive" "$bundle/bin/"
strip "$bundle"/bin/*
COUNT=1 tests/sim/build.sh target/sim/count
mkdir "$bundle/predicted"
cp tools/gpu-networks.txt "$bundle/networks.txt"
while read -r -u 3 model batch input; do
  for precision in f32 tf32 bf16; do
    LD_LIBRARY_PATH=target/sim/count "$target/release/receptive" bench kernels "$model" --batch-size "$batch" --input "$input" \
      --device cuda --precision "$precision" --graph off --gpu a100,h100,h200,rtx3090,rtx4090,l4 --json |
      python3 -c 'import json, sys
for table in json.load(sys.stdin):
    json.dump(table, open(sys.argv[1] + table["card"]["name"] + ".json", "w"))' "$bundle/predicted/$model-$precision-"
  done
done 3<tools/gpu-networks.txt
cp tests/golden/*.safetensors "$bundle/tests/golden/"
cp tools/gpu-run.sh "$bundle/run.sh"
git rev-parse HEAD >"$bundle/commit" 2>/dev/null || echo unknown >"$bundle/commit"
tar -C "$(dirname "$bundle")" -czf "$bundle.tar.gz" "$(basename "$bundle")"
du -sh "$bundle" "$bundle.tar.gz"
