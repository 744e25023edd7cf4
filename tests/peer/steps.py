#!/usr/bin/env python3
"""Whole training steps, receptive and PyTorch taking turns on one machine; prints the ratio for each model.

    python3 tests/peer/steps.py --bin target/release/receptive --peer torch_steps.py [--rounds 3] [--threads 2]

`--peer` is a script that times a case with PyTorch and prints `step_ms_median` and `forward_ms_median` as JSON
(`PEER --threads N --json CASE`). A step is zero_grad, forward, loss, backward, SGD with momentum 0.9. The figure of each
side is the median over the rounds of its median step. Above 1 means receptive is faster.
"""
import argparse, json, statistics, subprocess, sys

CASES = {
    "mlp": ("mlp5_mnist_b64", 64, "1x28x28"),
    "lenet5": ("lenet5_mnist_b64", 64, "1x28x28"),
    "minivgg": ("minivgg_mnist_b64", 64, "1x28x28"),
    "lenet5 cifar": ("lenet5_cifar_b100", 100, "3x32x32"),
    "minivgg cifar": ("minivgg_cifar_b100", 100, "3x32x32"),
}


def measure(command):
    line = subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1]
    return json.loads(line)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--peer", required=True)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("cases", nargs="*", default=list(CASES))
    args = parser.parse_args()
    keys = ("step_ms_median", "forward_ms_median", "peak_bytes")
    for name in args.cases:
        case, batch, image = CASES[name]
        ours_command = [args.bin, "bench", "step", name.split()[0], "--batch-size", str(batch), "--input", image,
                        "--threads", str(args.threads), "--json"]
        peer_command = [sys.executable, args.peer, "--threads", str(args.threads), "--json", case]
        ours, peers = [], []
        for _ in range(args.rounds):
            ours.append(measure(ours_command))
            peers.append(measure(peer_command))
        a, b = ({k: statistics.median(r[k] for r in runs) for k in keys} for runs in (ours, peers))
        runs = (sum(r["runs"] for r in ours), sum(r["runs"] for r in peers))
        print(f"{name:14} step {a[keys[0]]:7.2f} ms  PyTorch {b[keys[0]]:7.2f} ms  ratio {b[keys[0]] / a[keys[0]]:.2f}"
              f"   forward {a[keys[1]]:6.2f} / {b[keys[1]]:6.2f} ms   peak {a[keys[2]] / 1e6:.0f} / {b[keys[2]] / 1e6:.0f} MB"
              f"   n {runs[0]} / {runs[1]}", flush=True)


if __name__ == "__main__":
    main()
