#!/usr/bin/env bash
# Measures the rows of docs/results/plan.tsv in the background, one after the other, and writes a JSON file per row and
# seed into docs/results. It runs at the lowest priority. A stopped row goes on where it was.
#
#   tools/results.sh [--until TIME]    measure unfinished rows until TIME (as `date --date` reads it), or to the end
#   tools/results.sh plan              show what is done and what is left
#   tools/results.sh pause | resume    stop the running row for a while, and continue it
#   tools/results.sh quiet ID [FLAGS]  time single epochs of a row, ours and PyTorch's in turn, with the rest paused
#   tools/results.sh tables            write the tables and pictures of docs/ from the JSON files
#
# RECEPTIVE_DATA=DIR  the folder of the data sets
# RESULTS_DIR=DIR     where runs and programs are kept (default: target/results)
# PYTHON=COMMAND      a Python that has torch and torchvision, for the rows of PyTorch (default: python3)
#
# A benchmark pauses this script while it measures: it takes a shared lock on `pause.lock` in the folder
# `receptive-results-UID` for temporary files, and waits until the file `state` there no longer says `running`.
set -euo pipefail
cd "$(dirname "$0")/.."
here=$PWD
work=${RESULTS_DIR:-$here/target/results}
lock=${TMPDIR:-/tmp}/receptive-results-$(id -u)
plan=$here/docs/results/plan.tsv
python=${PYTHON:-python3}
mkdir -p "$work" "$lock"
# Whoever holds these locks holds them until its process ends, however it ends.
exec 8>>"$lock/runner.lock" 9>>"$lock/pause.lock"

say() { printf '%s %s\n' "$(date +%H:%M:%S)" "$*"; }
fail() { printf 'error: %s\n' "$*" >&2; exit 1; }

# The program, built from the current commit in a folder of its own, so that work on the source changes nothing.
program() {
  local commit source=$work/source
  commit=$(git rev-parse --short=9 HEAD)
  binary=$work/bin/receptive-$commit
  [ -x "$binary" ] && return
  say "building commit $commit"
  [ -e "$source/.git" ] || git worktree add --quiet --force --detach "$source" "$commit"
  git -C "$source" checkout --quiet --force --detach "$commit"
  (cd "$source" && CARGO_TARGET_DIR=$work/build nice -n 19 cargo build --quiet --release --bin receptive) 8>&- 9>&-
  mkdir -p "$work/bin"
  cp "$work/build/release/receptive" "$binary.new" && mv "$binary.new" "$binary"
}

# The name of a line of the plan: C2-seed1, C6-seed0-epochs5, C2-seed1-torch.
file_name() { # KIND ID SEED FLAGS...
  local kind=$1 name=$2-seed$3
  shift 3
  while [ $# -gt 0 ]; do name+=-${1#--}$2; shift 2; done
  [ "$kind" = receptive ] || name+=-$kind
  printf '%s' "$name"
}

paused() { [ -e "$lock/paused" ] || ! flock --nonblock 9; }
release() { flock --unlock 9; }

# Runs a command at the lowest priority until it ends. While a benchmark measures, it is stopped. At the time limit it
# is asked to write its checkpoint and end.
background() {
  local pid rc=0
  setsid nice -n 19 "$@" 8>&- 9>&- &
  pid=$!
  trap 'kill -CONT -- -$pid; kill -TERM -- -$pid; wait $pid; exit 130' INT TERM
  printf 'running %s\n' "$pid" >"$lock/state"
  while kill -0 "$pid" 2>/dev/null; do
    if paused; then
      kill -STOP -- "-$pid"
      printf 'paused\n' >"$lock/state"
      until ! paused; do sleep 0.2; done
      printf 'running %s\n' "$pid" >"$lock/state"
      kill -CONT -- "-$pid"
    fi
    release
    if [ "$deadline" -gt 0 ] && [ "$(date +%s)" -ge "$deadline" ]; then kill -TERM -- "-$pid" && break; fi
    sleep 0.2
  done
  wait "$pid" || rc=$?
  trap - INT TERM
  printf 'idle\n' >"$lock/state"
  return "$rc"
}

measure() { # KIND ID SEED FLAGS...
  local kind=$1 id=$2 seed=$3 file began
  file=$(file_name "$@").json
  shift 3
  if [ "$kind" = torch ]; then
    # Threads of PyTorch that wait must not keep the processor busy: others have a higher priority.
    OMP_WAIT_POLICY=passive background "$python" tests/peer/notebooks.py "$id" --seed "$seed" "$@" --threads 2 --out "$work/runs/$file" \
      >>"$work/log" 2>&1
    # A row that is asked to stop ends without a result.
    [ -e "$work/runs/$file" ] || return 1
  else
    # A row that was begun goes on with the program that began it.
    began=$work/runs/${file%.json}.program
    [ -x "$(cat "$began" 2>/dev/null)" ] || printf '%s' "$binary" >"$began"
    background "$(cat "$began")" reproduce "$id" --seed "$seed" "$@" --device cpu --threads 2 --out "$work/runs" \
      >>"$work/log" 2>&1
    cp "$work/runs/${file%.json}/result.json" "$work/runs/$file"
  fi
  cp "$work/runs/$file" "docs/results/$file"
}

run() {
  local kind id seed minutes flags list file
  flock --nonblock 8 || fail "another tools/results.sh is running on this machine"
  mkdir -p "$work/runs" docs/results
  program
  while IFS=$'\t' read -r -u 3 kind id seed minutes flags; do
    [ "$kind" != kind ] || continue
    read -ra list <<<"$flags"
    file=docs/results/$(file_name "$kind" "$id" "$seed" "${list[@]}").json
    [ ! -e "$file" ] || continue
    if [ "$deadline" -gt 0 ] && [ "$minutes" -gt 60 ] && [ $(((deadline - $(date +%s)) / 60)) -lt $((2 * minutes)) ]; then
      say "$file needs about $minutes minutes: it is left for a longer stay"
      continue
    fi
    say "$file (about $minutes minutes)"
    if ! measure "$kind" "$id" "$seed" "${list[@]}"; then
      [ "$deadline" -eq 0 ] || [ "$(date +%s)" -lt "$deadline" ] || { say "stopped in time"; return; }
      say "$file failed: see $work/log"
    fi
  done 3<"$plan"
  say "nothing is left"
}

show_plan() {
  local done=0 left=0 minutes_left=0 kind id seed minutes flags list file
  while IFS=$'\t' read -r kind id seed minutes flags; do
    [ "$kind" != kind ] || continue
    read -ra list <<<"$flags"
    file=$(file_name "$kind" "$id" "$seed" "${list[@]}").json
    if [ -e "docs/results/$file" ]; then done=$((done + 1)); continue; fi
    left=$((left + 1)) minutes_left=$((minutes_left + minutes))
    printf '%s\t%s minutes\n' "$file" "$minutes"
  done <"$plan"
  echo "$done done, $left left, about $minutes_left minutes at full speed"
}

# Asks the background to pause, and waits until it has.
quietly() {
  flock --shared 9
  for _ in $(seq 50); do
    flock --nonblock --shared 8 && { flock --unlock 8; return; }
    [ "$(cut -d' ' -f1 "$lock/state" 2>/dev/null)" != running ] && return
    sleep 0.2
  done
  fail "the background did not pause within 10 seconds: end it"
}

quiet() {
  local id=$1 runs=${RUNS:-3} out i
  shift
  program
  quietly
  out=$(mktemp -d)
  trap "rm -rf '$out'" EXIT
  for i in $(seq "$runs"); do
    "$binary" reproduce "$id" --seed 0 --epochs 2 "$@" --device cpu --threads 2 --out "$out/$i" >/dev/null 2>&1
    "$python" tests/peer/notebooks.py "$id" --seed 0 "$@" --threads 2 --time >"$out/torch$i.json"
  done
  "$python" tools/quiet_times.py "$id" "$out" >"$out/quiet.json"
  cp "$out/quiet.json" "docs/results/$(file_name receptive "$id" 0 "$@" | sed 's/-seed0//')-quiet.json"
  cat "$out/quiet.json"
}

deadline=0
case ${1:-run} in
  pause) touch "$lock/paused" ;;
  resume) rm -f "$lock/paused" ;;
  plan) show_plan ;;
  quiet) shift && [ $# -ge 1 ] || fail "usage: tools/results.sh quiet ID [--width N]"; quiet "$@" ;;
  tables) RECEPTIVE_UPDATE_TABLES=1 cargo test --release --test reproduce documents ;;
  --until)
    deadline=$(date --date "${2:?a time}" +%s)
    # A time of day that has passed is tomorrow's.
    [ "$deadline" -gt "$(date +%s)" ] || deadline=$((deadline + 86400))
    run
    ;;
  run) run ;;
  *) fail "there is no such command: $1 (see the first lines of tools/results.sh)" ;;
esac
