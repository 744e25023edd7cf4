#!/usr/bin/env bash
# Makes what a release consists of, in target/dist: the packed crates, checked, and a Linux program that needs no library
# of the machine.
#
#   tools/release.sh
set -euo pipefail
cd "$(dirname "$0")/.."
[ -z "$(git status --porcelain)" ] || { echo "commit everything first: a release is made from what is committed"; exit 1; }
tools/package.sh target/dist
target=$(uname -m)-unknown-linux-musl
rustup target add "$target"
# A static program cannot open the driver's library, so it computes on CPUs alone.
cargo build --release --no-default-features --features cli --target "$target"
program=target/$target/release/receptive
if ldd "$program" 2>/dev/null | grep -q '=>'; then echo "$program is not static"; exit 1; fi
"$program" --version
cp "$program" "target/dist/receptive-$(uname -m)-linux"
(cd target/dist && sha256sum receptive*.crate "receptive-$(uname -m)-linux" | tee SHA256SUMS)
