#!/usr/bin/env bash
# What NVIDIA's assembler makes of the committed PTX, for four GPU architectures: registers, spills, shared memory and
# blocks per multiprocessor of each kernel, and the instructions of each of its loops. Compares it with
# kernels/resources.tsv. Fails, and names the lines, if a kernel spills more, if fewer of its blocks fit on a
# multiprocessor, if a loop has 5 % more instructions, or if its share of FFMA or HMMA instructions is lower.
#
#   tools/kernels.sh                 compare
#   tools/kernels.sh --update        write kernels/resources.tsv
#   NVCC=FILE                        use the ptxas next to this nvcc (default: tools/get-nvcc.sh target/nvcc)
set -euo pipefail
cd "$(dirname "$0")/.."
nvcc=${NVCC:-$(tools/get-nvcc.sh "$PWD/target/nvcc")}
ptxas=$(dirname "$nvcc")/ptxas
disassembler=target/nvdisasm/nvidia/cu13/bin/nvdisasm
[ -x "$disassembler" ] ||
  python3 -m pip install --quiet --no-deps --only-binary=:all: --target target/nvdisasm nvidia-cuda-nvdisasm==13.2.51
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT

assemble() { # ARCH FILE.ptx
  local into
  into=$out/$1/$(basename "${2%.ptx}")
  "$ptxas" -v -arch="$1" "$2" -o "$into.cubin" 2>"$into.log"
  "$disassembler" -c "$into.cubin" >"$into.sass"
}
export -f assemble
export ptxas disassembler out

architectures=(sm_80 sm_86 sm_89 sm_90)
for arch in "${architectures[@]}"; do
  mkdir "$out/$arch"
  printf '%s\0' kernels/prebuilt/*.ptx | xargs -0 -n 1 -P "$(nproc)" bash -c 'assemble "$@"' - "$arch"
done
{
  printf 'arch\tkernel\tpart\tregisters\tspilled\tshared\tthreads\tblocks\tinstructions\tmix\n'
  for arch in "${architectures[@]}"; do python3 tools/sass.py "$arch" "$out/$arch"; done
} >"$out/resources.tsv"
if [ "${1:-}" = --update ]; then
  cp "$out/resources.tsv" kernels/resources.tsv
else
  python3 tools/sass.py --compare kernels/resources.tsv "$out/resources.tsv"
fi
echo "$(grep -c $'\tall\t' "$out/resources.tsv") kernels assembled, of $(ls kernels/prebuilt/*.ptx | wc -l) files for ${#architectures[@]} architectures"
