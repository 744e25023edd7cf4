#!/usr/bin/env python3
"""Checks that a long training run does not grow: 10,000 steps of LeNet-5, resident memory constant within 1 %.

    python3 tests/soak/flat_memory.py --bin target/release/receptive [--steps 10000] [-- TRAIN FLAGS]

Reads the run's resident memory (`VmRSS`) ten times per second. After the first tenth of the run, everything has been
allocated. The check compares the median of the next three tenths with the median of the last three tenths: it may not grow
by more than 1 %. The change of the highest figure is printed too, but it decides nothing: a short peak in a validation or a
checkpoint can fall between two readings. Linux only. Needs only Python's standard library. Exits non-zero on growth.
"""
import argparse, pathlib, re, statistics, subprocess, sys, tempfile, time

DEFAULT = ["lenet5", "--data", "sample", "--threads", "2"]
GROWTH = 0.01


def resident(pid):
    """The process's resident memory in bytes, or None after it has ended."""
    try:
        found = re.search(r"VmRSS:\s+(\d+) kB", pathlib.Path(f"/proc/{pid}/status").read_text())
    except (FileNotFoundError, ProcessLookupError):
        return None
    return int(found[1]) * 1024 if found else None


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--steps", type=int, default=10_000)
    parser.add_argument("flags", nargs="*", default=DEFAULT)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        command = [args.bin, "train", *args.flags, "--epochs", str(args.steps), "--max-steps", str(args.steps), "--out",
                   f"{folder}/run"]
        start, samples = time.time(), []
        child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        while child.poll() is None:
            if (bytes := resident(child.pid)) is not None:
                samples.append(bytes)
            time.sleep(0.1)
        if child.returncode != 0:
            sys.exit(f"{' '.join(command)} failed: {child.stderr.read()}")
        seconds = time.time() - start
    tenth = len(samples) // 10
    if tenth < 5:
        sys.exit(f"only {len(samples)} figures in {seconds:.1f} s: give it more --steps")
    early, late = samples[tenth : 4 * tenth], samples[-3 * tenth :]
    median, highest = (of(late) / of(early) - 1 for of in (statistics.median, max))
    print(f"{args.steps} steps in {seconds:.1f} s, {len(samples)} figures: {statistics.median(early) / 1e6:.2f} MB after a tenth, "
          f"{statistics.median(late) / 1e6:.2f} MB at the end: {100 * median:+.2f} % (highest {100 * highest:+.2f} %)")
    sys.exit(not median <= GROWTH)


if __name__ == "__main__":
    main()
