"""Compares random ops with PyTorch through `receptive op`: values and gradients, f32 and f64 (on CUDA only f32).

    cargo build --release && python tests/peer/random_ops.py [--binary target/release/receptive] [--cases 480] [--seed 0]
        [--device cpu]

For each op, draws cases of shapes, attributes and inputs, and a random upstream gradient if the op has gradients. The
error in f32 may be at most 1e-5 + 3e-5 * L, where L is the tensor's largest absolute value. In f64 it may be at most
1e-10 * max(1, L). Prints one line per op, and for each failed case its op, number, attributes and shapes. Exits non-zero
if a case failed.
"""

import argparse
import concurrent.futures
import pathlib
import random
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))
import torch_ops  # noqa: E402
from random_cases import draw  # noqa: E402


def plan(args):
    """The table of ops, the ops to test, and the number of cases per op. Sets PyTorch to one thread per job."""
    torch.set_num_threads(1)
    rows = torch_ops.table(args.binary)
    ops = [args.op] if args.op else sorted(rows)
    return rows, ops, -(-args.cases // len(ops))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/receptive"))
    parser.add_argument("--cases", type=int, default=480)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--op", help="only this op")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--device", default="cpu")
    args = parser.parse_args()
    rows, ops, each = plan(args)
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = [pool.submit(check, args, rows[op], i, pathlib.Path(folder)) for op in ops for i in range(each)]
        results = [job.result() for job in jobs]
    failed = 0
    for op in ops:
        mine = [r for r in results if r["op"] == op]
        bad = [r for r in mine if r["failure"]]
        failed += len(bad)
        worst = {d: max((r["used"] for r in mine if r["dtype"] == d), default=0.0) for d in ("f32", "f64")}
        print(f"{op:<18} {len(mine):>3} cases, {len(bad)} failed; worst share of the tolerance:"
              f" f32 {worst['f32']:.3f}, f64 {worst['f64']:.3f}")
        for r in bad:
            print(f"  {r['dtype']} --op {op} (case {r['number']}) {r['attrs']} {r['shapes']}\n    {r['failure']}")
    print(f"{len(results)} cases, {failed} failed (torch {torch.__version__}, seed {args.seed})")
    sys.exit(failed > 0)


def check(args, row, number, folder):
    """Runs one case. On the CPU every second case is in f64."""
    rng = random.Random(f"{args.seed} {row['name']} {number}")
    generator = torch.Generator().manual_seed(rng.getrandbits(62))
    double = number % 2 == 1 and args.device == "cpu"
    dtype = torch.float64 if double else torch.float32
    attrs, tensors = draw(row, rng, generator)
    attrs = {key: text(v) for key, v in attrs.items()}
    tensors = {name: x.to(dtype) if x.is_floating_point() else x for name, x in tensors.items()}
    report = {
        "op": row["name"], "number": number, "attrs": attrs, "dtype": "f64" if double else "f32",
        "shapes": {name: list(x.shape) for name, x in tensors.items()}, "used": 0.0, "failure": None,
    }
    exact = {name: x.double() if x.is_floating_point() else x for name, x in tensors.items()}
    output = torch_ops.call(row, attrs, exact)[0]
    takes_grad = {entry["name"] for entry in row["inputs"] if entry["differentiable"]}
    if output.is_floating_point() and any(name.split(".")[0] in takes_grad for name in tensors):
        dy = torch.randn(output.shape, generator=generator, dtype=torch.float64).to(dtype)
        tensors["grad_output"], exact["grad_output"] = dy, dy.double()
    want = torch_ops.run(row, attrs, exact)
    given, made = folder / f"{row['name']}-{number}.in", folder / f"{row['name']}-{number}.out"
    save_file({name: x.contiguous() for name, x in tensors.items()}, given)
    command = [args.binary, "op", row["name"], "--input", str(given), "--output", str(made)]
    command += ["--device", args.device, "--threads", "2"]
    command += [part for key, value in attrs.items() for part in ("--attr", f"{key}={value}")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        report["failure"] = f"exit code {done.returncode}: {done.stderr.strip()}"
        return report
    got = load_file(made)
    report["failure"], report["used"] = compare(got, want, dtype)
    return report


def text(v):
    """An attribute's value as text for the command line."""
    if isinstance(v, bool):
        return str(v).lower()
    return ",".join(map(str, v)) if isinstance(v, (list, tuple)) and v else str(v)


def compare(got, want, dtype):
    """The first failure, and the largest error as a share of the tolerance over all tensors."""
    if set(got) != set(want):
        return f"got {sorted(got)}, want {sorted(want)}", float("inf")
    used = 0.0
    for name, w in want.items():
        g = got[name]
        kind = dtype if w.is_floating_point() else torch.int64
        if g.shape != w.shape or g.dtype != kind:
            return f"{name}: got {list(g.shape)} {g.dtype}, want {list(w.shape)} {kind}", float("inf")
        if not w.is_floating_point():
            if not torch.equal(g, w):
                return f"{name}: {int((g != w).sum())} of {w.numel()} integers differ", float("inf")
            continue
        g = g.double()
        finite = w[w.isfinite()].abs()
        largest = float(finite.max()) if finite.numel() else 0.0
        allowed = 1e-5 + 3e-5 * largest if dtype == torch.float32 else 1e-10 * max(1.0, largest)
        equal = (g == w) | (g.isnan() & w.isnan())
        error = torch.where(equal, 0.0, (g - w).abs())
        if not bool((error <= allowed).all()):
            at = int(torch.where(error.isnan(), torch.inf, error).argmax())
            return f"{name}: element {at}: got {g.flatten()[at]}, want {w.flatten()[at]}, allowed {allowed:.3g}", float("inf")
        if error.numel():
            used = max(used, float(error.max()) / allowed)
    return None, used


if __name__ == "__main__":
    main()
