#!/usr/bin/env python3
"""Times whole training steps of the zoo's networks in PyTorch on the CPU, as `receptive bench step` does for receptive.

    python3 tests/peer/torch_steps.py [--threads 2] [--channels-last] [--seconds 4] [--json] [CASE ...]

A step is zero_grad, forward, loss, backward, SGD (rate 0.01, momentum 0.9). Three steps warm up. The time of a fourth gives
the number of steps that fit the given time (at least 5, at most 500). The forward pass alone (eval, no_grad) is timed a
quarter as often. `--channels-last` keeps images and weights in the order N H W C. Needs torch.
"""
import argparse, json, resource, statistics, time
import torch, torch.nn.functional as F
from networks import CASES
from quiet import quiet


def milliseconds(n, run):
    times = []
    for _ in range(n):
        start = time.perf_counter()
        run()
        times.append((time.perf_counter() - start) * 1e3)
    return times


def measure(name, args):
    _, make, images = CASES[name]
    torch.manual_seed(0)
    model, x = make().train(), torch.randn(images)
    if args.channels_last:
        model, x = model.to(memory_format=torch.channels_last), x.to(memory_format=torch.channels_last)
    with torch.no_grad():
        output = model(x)
    if output.dim() == 4:
        target, loss_of = (torch.rand(output.shape) > 0.5).float(), F.binary_cross_entropy_with_logits
    else:
        # If the output is log-probabilities, the sum of their exp is 1.
        ends_in_logits = (output.exp().sum(1) - 1).abs().max() > 1e-3
        target, loss_of = torch.randint(0, 10, images[:1]), F.cross_entropy if ends_in_logits else F.nll_loss
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)

    def step():
        optimizer.zero_grad()
        loss_of(model(x), target).backward()
        optimizer.step()

    milliseconds(3, step)
    runs = max(5, min(500, int(args.seconds * 1e3 / milliseconds(1, step)[0])))
    steps = milliseconds(runs, step)
    model.eval()
    with torch.no_grad():
        model(x)
        forwards = milliseconds(max(5, runs // 4), lambda: model(x))
    return {
        "case": name, "torch": torch.__version__, "threads": args.threads, "channels_last": args.channels_last, "runs": runs,
        "step_ms_median": statistics.median(steps), "step_ms_min": min(steps),
        "forward_ms_median": statistics.median(forwards),
        "peak_bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024,
        "parameters": sum(p.numel() for p in model.parameters()),
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=list(CASES), metavar="CASE")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--json", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    if unknown := [name for name in args.cases if name not in CASES]:
        parser.error(f"there is no case {unknown[0]}: {', '.join(CASES)}")
    with quiet():
        for name in args.cases:
            r = measure(name, args)
            text = "{case:20} step {step_ms_median:9.3f} ms (minimum {step_ms_min:.3f})  forward {forward_ms_median:8.3f} ms  n {runs}"
            print(json.dumps(r) if args.json else text.format(**r), flush=True)


if __name__ == "__main__":
    main()
