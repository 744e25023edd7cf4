#!/usr/bin/env bash
# Tests and times the bundle in its folder on this machine's GPU; see tools/gpu-bundle.sh. Writes results.txt into the
# same folder.
#
#   ./run.sh [--quick]       --quick: tests only
# PEER=FILE: a script that prints PyTorch's step times; it is called with --device cuda --mode MODE --dtype TYPE
# RECEPTIVE_DATA=DIR: the folder of the data sets; without it, nothing is trained
set -uo pipefail
cd "$(dirname "$0")"
exec > >(tee results.txt) 2>&1
export RECEPTIVE_REQUIRE_CUDA=1
failed=()

step() { # NAME COMMAND...
  local name=$1 start=$SECONDS
  shift
  printf '\n== %s\n' "$name"
  if "$@"; then printf -- '-- %s: ok, %d s\n' "$name" $((SECONDS - start))
  else failed+=("$name"); printf -- '-- %s: FAILED, %d s\n' "$name" $((SECONDS - start)); fi
}

echo "commit $(cat commit)"
command -v nvidia-smi >/dev/null && nvidia-smi --query-gpu=name,driver_version,clocks.max.sm,memory.total --format=csv
step "doctor" bin/receptive doctor --device cuda
step "every op and case against the CPU; training and graphs" bin/test-cuda
step "PyTorch's golden vectors" bin/test-golden cuda
step "every rung against its definition" bin/test-ladder cuda
if command -v compute-sanitizer >/dev/null; then
  for tool in memcheck racecheck synccheck initcheck; do
    step "compute-sanitizer $tool" compute-sanitizer --tool $tool --error-exitcode 1 --log-file "sanitizer-$tool.txt" \
      bin/test-cuda conforms
  done
fi
if [[ ${1:-} != --quick ]]; then
  step "ladders" bin/bench-ladder --bench --device cuda
  for setting in "mlp 64 1x28x28" "lenet5 64 1x28x28" "minivgg 64 1x28x28" "lenet5 100 3x32x32" "minivgg 100 3x32x32" \
    "resnet-cifar 100 3x32x32" "resnet9 512 3x32x32" "alexnet 16 3x224x224" "vgg11 4 3x224x224" "resnet18 32 3x96x96" \
    "unet 4 3x128x128"; do
    read -r model batch input <<<"$setting"
    for graph in off on; do for precision in f32 tf32 bf16; do
      step "step $model $precision graph $graph" bin/receptive bench step "$model" --batch-size "$batch" \
        --input "$input" --device cuda --graph $graph --precision $precision --seconds 2 --json
    done; done
  done
  case $(nvidia-smi --query-gpu=name --format=csv,noheader 2>/dev/null | head -1) in
    *A100*) card=a100 ;; *H100*) card=h100 ;; *H200*) card=h200 ;; *3090*) card=rtx3090 ;; *4090*) card=rtx4090 ;;
    *" L4") card=l4 ;; *) card= ;;
  esac
  while read -r -u 3 model batch input; do
    for precision in f32 tf32 bf16; do
      [[ -z $card ]] || step "kernels $model $precision beside the prediction" bin/receptive bench kernels "$model" \
        --batch-size "$batch" --input "$input" --device cuda --precision $precision \
        --against "predicted/$model-$precision-$card.json"
    done
  done 3<networks.txt
  if [[ -n ${PEER:-} ]]; then
    for mode in eager graph; do for dtype in f32 tf32 bf16; do
      step "PyTorch $mode $dtype" python3 "$PEER" --device cuda --mode $mode --dtype $dtype --seconds 2
    done; done
  fi
  if [[ -n ${RECEPTIVE_DATA:-} ]]; then
    step "lenet5 on MNIST, 5 epochs" bin/receptive train lenet5 --data mnist --epochs 5 --device cuda --json --out run-lenet5
    step "resnet-cifar on CIFAR-10, 25 epochs" \
      bin/receptive train resnet-cifar --data cifar10 --epochs 25 --device cuda --json --out run-resnet-cifar
    step "resnet9 on CIFAR-10, to 94 %" bin/receptive train resnet9 --data cifar10 --device cuda --json --out run-resnet9
  fi
fi
printf '\n== %d failed: %s\n' ${#failed[@]} "${failed[*]:-none}"
exit $((${#failed[@]} > 0))
