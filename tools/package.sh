#!/usr/bin/env bash
# Packs both crates as they would be published. Then checks the packed files: they build, train, and run on the
# simulator.
#
#   tools/package.sh [DIR]       DIR: target/dist; writes receptive-engine-VERSION.crate and receptive-VERSION.crate
#
# In the repository, src/ contains the sources of both crates. A published crate must have its sources in its own
# folder. So this script copies the committed files and moves the engine's sources in the copy.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p "${1:-target/dist}"
out=$(cd "${1:-target/dist}" && pwd)
limit=$((8 << 20))
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
git archive HEAD | tar -x -C "$tree"
version=$(sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)

# The engine: the modules that src/engine.rs lists.
engine=$tree/crates/engine
mkdir -p "$engine/src" "$engine/docs"
for module in $(sed -n 's/^pub mod \(.*\);/\1/p' src/engine.rs); do
  for path in "src/$module" "src/$module.rs"; do
    if [ -e "$tree/$path" ]; then mv "$tree/$path" "$engine/src/"; fi
  done
done
mv "$tree/src/engine.rs" "$tree/build.rs" "$engine/"
mv "$engine/engine.rs" "$engine/src/"
cp -r "$tree/kernels" "$tree/build" "$tree/LICENSE-MIT" "$tree/LICENSE-APACHE" "$engine/"
cp "$tree/docs/notation.md" "$engine/docs/"
# The tests and the lessons stay in the repository.
find "$tree/tests" -mindepth 1 -maxdepth 1 ! -name sim -exec rm -r {} +
rm -r "$tree/crates/lessons" "$tree/crates/team-model" "$tree/benches" "$tree/examples" "$tree/runs" 2>/dev/null || true
python3 - "$tree" <<'PYTHON'
import pathlib, re, sys

tree = pathlib.Path(sys.argv[1])
manifest = tree / "Cargo.toml"
text = manifest.read_text()
text = re.sub(r"(?m)^(default-)?members = .*\n", "", text)
text = text.replace("[workspace]\n", '[workspace]\nmembers = ["crates/engine"]\n', 1)
# The tests and benches are removed, so the crates that only they use are removed, too.
text = re.sub(r"(?ms)^\[\[bench\]\]\n.*?\n\n", "", text)
text = re.sub(r"(?ms)^\[dev-dependencies\]\n.*?\n(?=\[)", "", text)
manifest.write_text(text)
manifest = tree / "crates/engine/Cargo.toml"
text = manifest.read_text().replace("publish = false\n", "").replace("../../", "")
text = re.sub(r"(?ms)^\[dev-dependencies\]\n.*", "", text)
manifest.write_text(text)
PYTHON

cd "$tree"
export CARGO_TARGET_DIR=$out/build
# Without cargo's own check: what is below builds the packed files and runs them, too.
cargo publish --dry-run --no-verify --allow-dirty --workspace
cargo package --no-verify --allow-dirty --workspace
for name in receptive-engine receptive; do
  crate=$out/build/package/$name-$version.crate
  cp "$crate" "$out/"
  size=$(stat -c %s "$crate")
  echo "$name: $size bytes"
  [ "$size" -le "$limit" ] || { echo "$name is larger than $limit bytes"; exit 1; }
done

# Does what a user would do: unpacks both crates, builds, trains, and trains on the simulator.
work=$tree/unpacked
mkdir "$work"
for name in receptive-engine receptive; do tar -xzf "$out/$name-$version.crate" -C "$work"; done
cd "$work/receptive-$version"
printf '\n[patch.crates-io]\nreceptive-engine = { path = "../receptive-engine-%s" }\n[workspace]\n' "$version" >>Cargo.toml
cargo build --release
receptive=$CARGO_TARGET_DIR/release/receptive
"$receptive" --version
# An epoch takes less than a second, and 20 s if the engine was compiled without optimisation.
timeout 10 "$receptive" train lenet5 --data sample --epochs 1 --out "$work/run"
tests/sim/build.sh "$out/sim"
LD_LIBRARY_PATH=$out/sim "$receptive" train lenet5 --data sample --subset 100 --max-steps 2 --batch-size 8 --device cuda \
  --out "$work/simulated"
