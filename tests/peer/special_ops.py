"""Puts NaN, inf, -0, denormals and 3e38 into all ops, forward and backward, and compares NaN, inf and -inf with PyTorch.

    cargo build --release && python tests/peer/special_ops.py [--binary target/release/receptive] [--cases 2400] [--seed 0]

Draws cases as random_ops.py does and puts special numbers into some of the tensors (inputs, weights, the upstream
gradient). Then compares the kind of each element in f32 on the CPU: NaN, inf, -inf or finite. Whole numbers (indices) must
be equal. The reference is PyTorch in f32 with its default, mkldnn. If an element's kind differs, one of RULES, tried in
order, must explain why this is right or harmless; a table counts the rules used. Exits non-zero if no rule explains an
element, and prints the op and number that repeat the case.
"""

import argparse
import collections
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
from random_ops import plan, text  # noqa: E402
from special_rules import RULES, Element  # noqa: E402

NUMBERS = [float("nan"), float("inf"), float("-inf"), -0.0, 1e-42, -1e-45, 3e38, -3e38, 1e20]
# Inputs for which PyTorch refuses values that are not probabilities.
PROBABILITIES = {"binary_cross_entropy_with_logits": {"target"}}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/receptive"))
    parser.add_argument("--cases", type=int, default=2400)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--op", help="only this op")
    parser.add_argument("--number", type=int, help="only this case of it")
    parser.add_argument("--jobs", type=int, default=2)
    args = parser.parse_args()
    rows, ops, each = plan(args)
    numbers = range(each) if args.number is None else [args.number]
    with tempfile.TemporaryDirectory() as folder, concurrent.futures.ThreadPoolExecutor(args.jobs) as pool:
        jobs = [pool.submit(check, args, rows[op], i, pathlib.Path(folder)) for op in ops for i in numbers]
        results = [job.result() for job in jobs]
    report(ops, results)
    failed = sum(bool(r["failures"]) for r in results)
    print(f"{len(results)} cases, {failed} failed (torch {torch.__version__}, seed {args.seed})")
    sys.exit(failed > 0)


def report(ops, results):
    elements, used, where = 0, collections.Counter(), collections.defaultdict(set)
    for op in ops:
        mine = [r for r in results if r["op"] == op]
        bad = [r for r in mine if r["failures"]]
        differ = sum(bool(r["rules"]) for r in mine)
        print(f"{op:<33} {len(mine):>3} cases, {len(bad)} failed, {differ} with differences that a rule explains")
        for r in bad:
            print(f"  --op {op} --number {r['number']} {r['attrs']} {r['shapes']}")
            for line in r["failures"][:4]:
                print(f"    {line}")
        for r in mine:
            elements += r["elements"]
            for rule, count in r["rules"].items():
                used[rule] += count
                where[rule].add(op)
    print(f"\n{elements} elements compared, {sum(used.values())} of another kind than PyTorch's, by rule:")
    for rule in RULES:
        if used[rule.name]:
            print(f"  {used[rule.name]:>6}  {rule.name}: {rule.why}\n          {', '.join(sorted(where[rule.name]))}")


def sprinkle(rng, generator, op, tensors):
    """Puts special numbers at some places of some of the tensors, in place."""
    names = [n for n, x in tensors.items() if x.is_floating_point() and x.numel() and n not in PROBABILITIES.get(op, ())]
    chosen = [name for name in names if rng.random() < 0.5] or names[:1]
    for name in chosen:
        flat = tensors[name].view(-1)
        few = rng.choice([NUMBERS, NUMBERS[:3], NUMBERS[3:6], NUMBERS[6:]])
        for _ in range(rng.choice([1, 1, 2, 4])):
            flat[rng.randrange(flat.numel())] = rng.choice(few)


def check(args, row, number, folder):
    rng = random.Random(f"special {args.seed} {row['name']} {number}")
    generator = torch.Generator().manual_seed(rng.getrandbits(62))
    attrs, tensors = draw(row, rng, generator)
    attrs = {key: text(v) for key, v in attrs.items()}
    tensors = {name: x.clone().contiguous() for name, x in tensors.items()}
    result = {
        "op": row["name"], "number": number, "attrs": attrs, "rules": collections.Counter(), "failures": [], "elements": 0,
        "shapes": {name: list(x.shape) for name, x in tensors.items()},
    }
    output = torch_ops.call(row, attrs, tensors)[0]
    takes_grad = {entry["name"] for entry in row["inputs"] if entry["differentiable"]}
    if output.is_floating_point() and any(name.split(".")[0] in takes_grad for name in tensors):
        tensors["grad_output"] = torch.randn(output.shape, generator=generator)
    sprinkle(rng, generator, row["name"], tensors)
    want = reference(row, attrs, tensors)
    file = folder / f"{row['name']}-{number}"
    try:
        got = ours(args.binary, row["name"], attrs, tensors, file)
    except RuntimeError as error:
        result["failures"].append(str(error))
        return result
    if set(got) != set(want):
        result["failures"].append(f"got {sorted(got)}, want {sorted(want)}")
        return result
    others = {}
    for name, w in want.items():
        g = got[name]
        result["elements"] += w.numel()
        same = kinds(g) == kinds(w) if w.is_floating_point() else g == w
        if bool(same.all()):
            continue
        others = others or other_references(args.binary, row, attrs, tensors, file)
        for at in (~same.view(-1)).nonzero().view(-1).tolist():
            one = {key: ref[name].view(-1)[at] for key, ref in {"got": got, "want": want, **others}.items()}
            element = Element(row["name"], name, attrs, tensors, **one)
            rule = next((rule for rule in RULES if rule.applies(element)), None)
            if rule:
                result["rules"][rule.name] += 1
            else:
                result["failures"].append(f"{name}[{at}]: " + ", ".join(f"{k} {float(v):.4g}" for k, v in one.items()))
    return result


def ours(binary, op, attrs, tensors, file):
    given, made = file.with_suffix(".in"), file.with_suffix(".out")
    save_file(tensors, given)
    command = [binary, "op", op, "--input", str(given), "--output", str(made), "--device", "cpu", "--threads", "2"]
    command += [part for key, value in attrs.items() for part in ("--attr", f"{key}={value}")]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"exit code {done.returncode}: {done.stderr.strip()}")
    got = load_file(made)
    given.unlink(), made.unlink()
    return got


def kinds(x):
    """The kind of each element: 0 finite, 1 NaN, 2 inf, 3 -inf."""
    return torch.where(x.isnan(), 1, torch.where(x == torch.inf, 2, torch.where(x == -torch.inf, 3, 0)))


def reference(row, attrs, tensors):
    return torch_ops.run(row, attrs, tensors)


def other_references(binary, row, attrs, tensors, file):
    """PyTorch's results without mkldnn, and in f64 rounded to f32; both programs' results without the large numbers."""
    with torch.backends.mkldnn.flags(enabled=False):
        plain = reference(row, attrs, tensors)
    double = {name: x.double() if x.is_floating_point() else x for name, x in tensors.items()}
    exact = {n: x.float() if x.is_floating_point() else x for n, x in reference(row, attrs, double).items()}
    calm = {n: torch.where(x.isfinite() & (x.abs() > 1e10), 2.0 * x.sign(), x) if x.is_floating_point() else x
            for n, x in tensors.items()}
    return {"plain": plain, "exact": exact, "calm": ours(binary, row["name"], attrs, calm, file),
            "calm_want": reference(row, attrs, calm)}


if __name__ == "__main__":
    main()
