#!/usr/bin/env bash
# Builds OUT/libcuda.so from the kernels of this project: a driver that runs them on the CPU.
#
#   tests/sim/build.sh OUT                the driver; then: LD_LIBRARY_PATH=OUT receptive train lenet5 --device cuda
#   SAN=address tests/sim/build.sh OUT    checks that each access stays within an array or an allocation
#   SAN=thread  tests/sim/build.sh OUT    compares each access with those of other threads, to find races
#   COUNT=1     tests/sim/build.sh OUT    counts what each launch would cost on a GPU
#   KERNELS=DIR tests/sim/build.sh OUT    the .cu files of another folder (relative to the root of the project)
#
# Needs only g++ 12 or later. Builds only what has changed.
set -euo pipefail
out=${1:?usage: [SAN=address|thread] $0 OUT}
mkdir -p "$out/obj"
out=$(cd "$out" && pwd)
cd "$(dirname "$0")/../.."
kernels=${KERNELS:-kernels} jobs=$(nproc)

# -ffp-contract=off: a*b+c is rounded twice everywhere, so the results do not depend on the processor.
flags=(-std=c++17 -g1 -gdwarf-4 -fPIC -fvisibility=hidden -ffp-contract=off -fno-strict-aliasing -Itests/sim/include
  "-ffile-prefix-map=$PWD=." -ffile-prefix-map=./=)
engine_flags=(-O2 -Wall -Wextra)
# The checks are calls that the compiler puts before each load and store. These flags forbid it to merge, widen or move
# loads and stores before it adds the calls.
checked=(-DCUSIM_CHECKED -O1 -fno-tree-vectorize -fno-store-merging -fno-if-conversion -fno-if-conversion2
  -fno-tree-sra)
case ${SAN:-}${COUNT:+count} in
  "") kernel_flags=(-O2) ;;
  count) kernel_flags=("${checked[@]}" -DCUSIM_COUNTS -fsanitize=thread -fsanitize-coverage=trace-pc)
         engine_flags+=(-DCUSIM_CHECKED -DCUSIM_COUNTS) ;;
  address) kernel_flags=("${checked[@]}" -fsanitize=kernel-address --param asan-instrumentation-with-call-threshold=0
             --param asan-stack=0 --param asan-globals=1 "-fsanitize-sections=cushared_*")
           engine_flags+=(-DCUSIM_CHECKED -DCUSIM_BOUNDS) ;;
  thread) kernel_flags=("${checked[@]}" -fsanitize=thread)
          engine_flags+=(-DCUSIM_CHECKED -DCUSIM_RACES) ;;
  *) echo "SAN is 'address' or 'thread', not '$SAN', and goes without COUNT" >&2; exit 2 ;;
esac

# A folder holds one flavour. If the flags or the compiler change, everything is built again.
flavour="$(g++ --version | head -1) ${SAN:-}${COUNT:+count} ${flags[*]} ${engine_flags[*]} ${kernel_flags[*]}"
[[ -f $out/flavour && $(<"$out/flavour") == "$flavour" ]] || { rm -f "$out"/obj/*; echo "$flavour" >"$out/flavour"; }

# An object is up to date if it is newer than all files that its last build read.
fresh() { # OBJECT
  [[ -f $1 && -f ${1%.o}.d ]] || return 1
  local file
  for file in $(sed -e 's/^[^:]*://' -e 's/\\$//' "${1%.o}.d"); do
    [[ -f $file && ! $file -nt $1 ]] || return 1
  done
}

running=0 failed=0
compile() { # OBJECT SOURCE FLAGS...
  local object=$1 source=$2
  shift 2
  if fresh "$object"; then return; fi
  if ((running == jobs)); then wait -n || failed=1; running=$((running - 1)); fi
  { g++ "${flags[@]}" "$@" -MMD -MF "${object%.o}.d" -c "$source" -o "$object.new" && mv "$object.new" "$object"; } &
  running=$((running + 1))
}

objects=()
for source in tests/sim/src/*.cpp; do
  object=$out/obj/engine_$(basename "$source" .cpp).o
  objects+=("$object")
  compile "$object" "$source" "${engine_flags[@]}"
done

# For each .cu file, a generated file includes it and registers its kernels. A search for their declarations finds them.
[[ -d $kernels ]] && sources=$(find "$kernels" -name '*.cu' | LC_ALL=C sort) || sources=
for source in $sources; do
  name=${source#"$kernels"/}
  name=$(tr -c 'A-Za-z0-9\n' _ <<<"${name%.cu}")
  section=cushared_$name
  {
    echo "#include \"$source\""
    if grep -q '__shared__' "$source"; then
      echo "extern \"C\" char __start_$section[], __stop_$section[];"
      echo "static char *const cusim_shared_begin = __start_$section, *const cusim_shared_end = __stop_$section;"
    else
      echo "static char *const cusim_shared_begin = nullptr, *const cusim_shared_end = nullptr;"
    fi
    sed -e 's@//.*@@' "$source" | tr '\n' ' ' |
      grep -oP 'extern "C" __global__ void\s+(__launch_bounds__\([^)]*\)\s*)?\K\w+(?=\s*\()' |
      sed -e 's/.*/CUSIM_REGISTER(&)/' || true
  } >"$out/obj/$name.cpp.new"
  cmp -s "$out/obj/$name.cpp.new" "$out/obj/$name.cpp" || mv "$out/obj/$name.cpp.new" "$out/obj/$name.cpp"
  objects+=("$out/obj/$name.o")
  compile "$out/obj/$name.o" "$out/obj/$name.cpp" "${kernel_flags[@]}" -w -I. -I"$kernels" -Ikernels \
    -DCUSIM_SHARED_SECTION="\"$section\"" -include cusim.h
done
while ((running)); do wait -n || failed=1; running=$((running - 1)); done
((failed)) && exit 1

# The library exports only the driver's functions.
g++ -shared -Wl,-soname,libcuda.so.1 -Wl,-z,defs -Wl,--build-id=none "${objects[@]}" -o "$out/libcuda.so.new" -ldl -lpthread
mv "$out/libcuda.so.new" "$out/libcuda.so"
ln -sf libcuda.so "$out/libcuda.so.1"
