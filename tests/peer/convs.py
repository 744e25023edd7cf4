#!/usr/bin/env python3
"""Compares receptive's ladder with PyTorch, loop by loop, on the zoo's matrix products and convolutions.

    cargo bench --bench ladder -- --threads 2 --json target/ladder.json
    python3 tests/peer/convs.py target/ladder.json [--channels-last] [--markdown] [FILTER]

For every layer in the ladder's JSON, PyTorch computes the same three loops (forward, grad input, grad weight) with the same
number of threads. As in the ladder, a loop runs once to warm up, then 5 to 200 times within about a fifth of a second; the
figure is the median. The table shows GFLOP/s, the share of the peak rate of multiply-adds that the ladder measured, and how
many times faster than PyTorch the kernel that training uses is. Matrix products also show `matrixmultiply`. FILTER is a part
of a layer's name (`conv2d vgg11`). Needs torch.
"""
import argparse, collections, json, math, statistics, time
import torch
from quiet import quiet

YARDSTICK = "matrixmultiply"


def seconds(run):
    run()
    times, end = [], time.perf_counter() + 0.2
    while len(times) < 5 or (len(times) < 200 and time.perf_counter() < end):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def loops(row, channels_last):
    """PyTorch's three loops for one layer."""
    g, rand = row["geometry"], torch.rand
    if row["op"] == "linear":
        x, w, y = rand(g["n"], g["c"]), rand(g["o"], g["c"]), rand(g["n"], g["o"])
        return {"forward": lambda: torch.mm(x, w.t()), "grad input": lambda: torch.mm(y, w),
                "grad weight": lambda: torch.mm(y.t(), x)}
    window, groups = g["window"], g["groups"]
    padding = [before for before, _ in window["padding"]]
    layout = torch.channels_last if channels_last else torch.contiguous_format
    x = rand(g["n"], g["c"], g["h"], g["w"]).to(memory_format=layout)
    w = rand(g["o"], g["c"] // groups, *window["kernel"]).to(memory_format=layout)
    y = rand(g["n"], g["o"], g["oh"], g["ow"]).to(memory_format=layout)
    settings = window["stride"], padding, window["dilation"], False, [0, 0], groups
    backward = lambda *mask: torch.ops.aten.convolution_backward(y, x, w, None, *settings, mask)
    return {"forward": lambda: torch.ops.aten.convolution(x, w, None, *settings),
            "grad input": lambda: backward(True, False, False), "grad weight": lambda: backward(False, True, False)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ladder", help="what --json of the ladder bench wrote")
    parser.add_argument("filter", nargs="?", default="")
    parser.add_argument("--channels-last", action="store_true")
    parser.add_argument("--markdown", action="store_true")
    args = parser.parse_args()
    report = json.load(open(args.ladder))
    source, roof = report["provenance"], report["roof"]["flops"]
    torch.set_num_threads(source["threads"])
    seconds(lambda: torch.mm(torch.rand(256, 256), torch.rand(256, 256)))  # starts the threads
    layers = collections.defaultdict(lambda: collections.defaultdict(list))
    for row in report["rows"]:
        name = f"{row['op']} {row['label']}"
        if args.filter in name:
            layers[name, json.dumps(row["geometry"])][row["loop"]].append(row)
    print(f"{source['cpu']}, {source['threads']} threads, commit {source['commit']}, torch {torch.__version__}"
          f"{', channels_last' if args.channels_last else ''}; median of 5 to 200 runs; roof {roof / 1e9:.1f} GFLOP/s\n")
    head = ["layer", "input", "weight", "loop", "rung in training", "GFLOP/s", "% of roof", YARDSTICK, "PyTorch", "% of roof",
            "times faster"]
    widths = [40, 18, 16, 12, 18, 9, 9, 14, 9, 9, 12]
    line = (lambda cells: f"| {' | '.join(cells)} |") if args.markdown else \
        (lambda cells: " ".join(f"{cell:{width}}" for cell, width in zip(cells, widths)))
    print(line(head) + ("\n|" + "---|" * len(head) if args.markdown else ""))
    ratios = collections.defaultdict(list)
    with quiet():
        for (name, _), by_loop in layers.items():
            peer = loops(next(iter(by_loop.values()))[0], args.channels_last)
            for loop, rows in by_loop.items():
                own = next(row for row in rows if row["trains"])
                ours, theirs = own["seconds"]["median"], seconds(peer[loop])
                g, flops = own["geometry"], own["flops"]
                rate = lambda seconds: f"{flops / seconds / 1e9:.1f}"
                part = lambda seconds: f"{100 * flops / seconds / roof:.1f}"
                beside = [rate(row["seconds"]["median"]) for row in rows if row["name"] == YARDSTICK] or ["-"]
                ratios[own["op"]].append(theirs / ours)
                image, kernel = f"{g['n']}x{g['c']}x{g['h']}x{g['w']}", "x".join(map(str, g["window"]["kernel"]))
                print(line([name, image, f"{g['o']}x{g['c'] // g['groups']}x{kernel}", loop, f"{own['rung']:02} {own['name']}",
                            rate(ours), part(ours), beside[0], rate(theirs), part(theirs), f"{theirs / ours:.2f}"]), flush=True)
    for op, values in ratios.items():
        mean = math.exp(statistics.fmean(map(math.log, values)))
        print(f"{op}: {len(values)} loops, geometric mean {mean:.2f} times faster, lowest {min(values):.2f}")


if __name__ == "__main__":
    main()
