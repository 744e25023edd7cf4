#!/usr/bin/env python3
"""Kills a training run many times with SIGKILL, resumes it each time, and compares it with an undisturbed run.

    python3 tests/soak/kill_resume.py --bin target/release/receptive [--kills 50] [--seed 0] [-- TRAIN FLAGS]

`last.safetensors`, `best.safetensors` and `health.jsonl` must have the same bytes. `metrics.jsonl` must be the same except
for the field `seconds`.
Needs only Python's standard library. Exits non-zero on any difference.
"""
import argparse, json, pathlib, random, shutil, subprocess, sys, tempfile, time

DEFAULT = ["lenet5", "--data", "sample", "--epochs", "6", "--log-steps", "--health", "20"]


def metrics(run):
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--kills", type=int, default=50)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("flags", nargs="*", default=DEFAULT)
    args = parser.parse_args()
    dice = random.Random(args.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, broken = pathlib.Path(folder, "whole"), pathlib.Path(folder, "broken")
        quiet = dict(stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        start = time.time()
        subprocess.run([args.bin, "train", *args.flags, "--out", str(whole)], check=True, **quiet)
        seconds = time.time() - start
        kills, whole_runs = 0, 0
        while kills < args.kills:
            resume = (broken / "config.toml").exists()
            command = ["--resume", str(broken)] if resume else [*args.flags, "--out", str(broken)]
            child = subprocess.Popen([args.bin, "train", *command], **quiet)
            try:
                # The kill comes at a random time: from before the first line of main to after a few epochs.
                child.wait(dice.random() ** 2 * seconds * 0.6)
                if child.returncode != 0:
                    sys.exit(f"resuming after {kills} kills failed: {child.stderr.read()}")
                # The run ended before the kill: compare it and start a new one, so that every kill hits a live run.
                compare(whole, broken)
                shutil.rmtree(broken)
                whole_runs += 1
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
                kills += 1
        if (broken / "config.toml").exists():
            subprocess.run([args.bin, "train", "--resume", str(broken)], check=True, **quiet)
            compare(whole, broken)
            whole_runs += 1
        print(f"{kills} kills spread over {whole_runs} runs of {seconds:.1f} s: weights and health bit-identical, metrics the same")


def compare(whole, broken):
    for name in ("last.safetensors", "best.safetensors", "health.jsonl"):
        # With `--health 0` there is no health.jsonl.
        whole_bytes, broken_bytes = (f.read_bytes() if f.exists() else None for f in (whole / name, broken / name))
        if whole_bytes != broken_bytes:
            sys.exit(f"{name} differs")
    if metrics(whole) != metrics(broken):
        sys.exit("metrics.jsonl differs")


if __name__ == "__main__":
    main()
