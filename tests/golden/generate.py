"""Writes the golden vectors: PyTorch's outputs and gradients in f64 for every small case of every op.

    cargo build --release && python tests/golden/generate.py [target/release/receptive] [OP ...]

Needs torch (2.15 made the committed files), numpy and safetensors. The tests need none of them. The inputs and upstream
gradients come from the Rust side (`receptive op --cases`, keyed generator with seed 0), so nothing here is random. Writes
tests/golden/OP.safetensors with `CASE/input`, `CASE/grad_output`, `CASE/output`, `CASE/grad.input`, ... Inputs are stored in
f32, which represents them exactly. An output that has the name of an input (running_mean) is `CASE/new.NAME`.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file

import torch_ops

HERE = pathlib.Path(__file__).parent


def main():
    arguments = sys.argv[1:]
    binary = arguments.pop(0) if arguments else str(HERE / "../../target/release/receptive")
    torch.set_num_threads(1)
    rows = torch_ops.table(binary)
    with tempfile.TemporaryDirectory() as folder:
        out = subprocess.run([binary, "op", "--cases", folder], check=True, capture_output=True, text=True)
        cases = json.loads(out.stdout)["cases"]
        for op in arguments or rows:
            inputs = load_file(f"{folder}/{op}.safetensors")
            write(rows[op], [case for case in cases if case["op"] == op], inputs)


def write(row, cases, inputs):
    vectors = {}
    for case in cases:
        label = case["case"]
        if random(row["name"], case["attrs"]):
            continue
        start = label + "/"
        tensors = {key.removeprefix(start): x for key, x in inputs.items() if key.startswith(start)}
        try:
            result = torch_ops.run(row, case["attrs"], tensors)
        except Exception as error:
            print(f"{row['name']}, case `{label}` {case['attrs']}: {error}", file=sys.stderr)
            continue
        result = {f"new.{name}" if name in tensors else name: x for name, x in result.items()}
        given = {name: x.float() if x.is_floating_point() else x for name, x in tensors.items()}
        assert all(torch.equal(given[name].to(x.dtype), x) for name, x in tensors.items()), "f32 holds every input"
        vectors.update({start + name: x.clone() for name, x in {**given, **result}.items()})
    version = torch.__version__.split("+")[0]
    path = HERE / f"{row['name']}.safetensors"
    save_file(vectors, path, metadata={"made_by": f"torch {version}, seed 0"})
    print(f"{row['name']}: {len(vectors)} tensors, {path.stat().st_size} bytes")


def random(op, attrs):
    """True for dropout with a random mask: PyTorch would draw a different mask."""
    return op.startswith("dropout") and attrs.get("training", "true").lower() == "true" and attrs.get("p") not in ("0", "1")


main()
