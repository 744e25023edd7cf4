#!/usr/bin/env bash
# Makes the files of a release in target/dist: the packed and checked crates, and a statically linked Linux program,
# which needs no library of the machine that it runs on.
#
#   tools/release.sh
set -euo pipefail
cd "$(dirname "$0")/.."
[ -z "$(git status --porcelain)" ] || { echo "commit everything first: a release is made from what is committed"; exit 1; }
tools/package.sh target/dist
target=$(uname -m)-unknown-linux-musl
rustup target add "$target"
# A static program cannot open the driver's library, so this program is built without CUDA.
cargo build --release --no-default-features --features cli --target "$target"
program=target/$target/release/receptive
if ldd "$program" 2>/dev/null | grep -q '=>'; then echo "$program is not static"; exit 1; fi
"$program" --version
cp "$program" "target/dist/receptive-$(uname -m)-linux"
(cd target/dist && sha256sum receptive*.crate "receptive-$(uname -m)-linux" | tee SHA256SUMS)
