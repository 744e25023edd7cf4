#!/bin/sh
# Installs the nvcc that made the committed PTX: version 13.0.88 from PyPI, 270 MB, without root and without the CUDA
# toolkit. Needs python3 with pip. nvcc itself needs g++, version 15 or older. All versions are fixed, because a newer
# version of one part emits PTX that the other parts refuse.
#
#   export NVCC=$(tools/get-nvcc.sh [DIR])       DIR: ~/.cache/receptive/nvcc-13.0
set -e
dir=${1:-$HOME/.cache/receptive/nvcc-13.0}
nvcc=$dir/nvidia/cu13/bin/nvcc
if [ ! -x "$nvcc" ]; then
  # cccl provides one header that cuda_fp16.h and cuda_bf16.h include.
  python3 -m pip install --quiet --no-deps --only-binary=:all: --target "$dir" \
    nvidia-cuda-nvcc==13.0.88 nvidia-nvvm==13.0.88 nvidia-cuda-crt==13.0.88 \
    nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85 >&2
fi
"$nvcc" --version >&2
echo "$nvcc"
