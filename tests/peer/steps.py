#!/usr/bin/env python3
"""Times whole training steps of receptive and PyTorch by turns on one machine, and prints the ratio for each network.

    python3 tests/peer/steps.py --bin target/release/receptive [--channels-last] [--rounds 3] [--threads 2] [--markdown]
                                [--peer torch_steps.py] [--seconds 4] [CASE ...]

A step is zero_grad, forward, loss, backward, SGD with momentum 0.9. In each round one process per program measures the case
and reports its median step. A program's figure is the median of these over the rounds; its memory is the largest peak of its
processes. A ratio above 1 means that receptive is faster. `--channels-last` measures PyTorch in both of its layouts and shows
the ratio to each. `--peer` names another script that takes the flags of torch_steps.py (`--threads N --seconds S --json
CASE`).
"""
import argparse, json, math, pathlib, statistics, subprocess, sys
from networks import CASES
from quiet import quiet

BESIDE = str(pathlib.Path(__file__).with_name("torch_steps.py"))


def measure(command):
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout.strip().splitlines()[-1])


def commands(name, args):
    """The commands that measure a case, one per program; ours is the first."""
    model, _, (batch, *image) = CASES[name]
    common = ["--threads", str(args.threads), "--seconds", str(args.seconds), "--json"]
    ours = [args.bin, "bench", "step", model, "--batch-size", str(batch), "--input", "x".join(map(str, image)), *common]
    peer = [sys.executable, args.peer, *common]
    sides = {"receptive": ours, "PyTorch": [*peer, name]}
    if args.channels_last:
        sides["channels_last"] = [*peer, "--channels-last", name]
    return sides


def compare(name, args):
    sides = commands(name, args)
    runs = {side: [] for side in sides}
    for _ in range(args.rounds):
        for side, command in sides.items():
            runs[side].append(measure(command))
    parameters = {r["parameters"] for rounds in runs.values() for r in rounds}
    assert len(parameters) == 1, f"{name}: the networks differ: {parameters} parameters"
    median = lambda side, key: statistics.median(r[key] for r in runs[side])
    return {side: {
        "step": median(side, "step_ms_median"), "forward": median(side, "forward_ms_median"),
        "peak": max(r["peak_bytes"] for r in runs[side]), "n": sum(r["runs"] for r in runs[side]),
    } for side in sides}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peer", default=BESIDE)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    args = parser.parse_args()
    if unknown := [name for name in args.cases if name not in CASES]:
        parser.error(f"there is no case {unknown[0]}: {', '.join(CASES)}")
    peers = ["PyTorch"] + ["channels_last"] * args.channels_last
    sides = ["receptive", *peers]
    head = ["case", *(f"{side}, ms" for side in sides), *(f"ratio to {peer}" for peer in peers), "forward, ms",
            "peak memory, MB", "n"]
    line = (lambda cells: f"| {' | '.join(cells)} |") if args.markdown else \
        (lambda cells: f"{cells[0]:20}" + "".join(f"{cell:>22}" for cell in cells[1:]))
    print(line(head) + ("\n|" + "---|" * len(head) if args.markdown else ""), flush=True)
    ratios = {peer: [] for peer in peers}
    with quiet():
        for name in args.cases:
            figures = compare(name, args)
            for peer in peers:
                ratios[peer].append(figures[peer]["step"] / figures["receptive"]["step"])
            each = lambda text: " / ".join(text(figures[side]) for side in sides)
            print(line([
                name, *(f"{figures[side]['step']:.2f}" for side in sides), *(f"{ratios[peer][-1]:.2f}" for peer in peers),
                each(lambda f: f"{f['forward']:.2f}"), each(lambda f: f"{f['peak'] / 1e6:.0f}"), each(lambda f: str(f["n"])),
            ]), flush=True)
    mean = lambda values: math.exp(statistics.fmean(map(math.log, values)))
    for peer in peers:
        print(f"{'geometric mean' if len(ratios[peer]) > 1 else 'ratio'} to {peer}: {mean(ratios[peer]):.2f}, lowest "
              f"{min(ratios[peer]):.2f} ({args.threads} threads, {args.rounds} rounds)")


if __name__ == "__main__":
    main()
