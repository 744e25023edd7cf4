"""Calls an op of receptive's table in PyTorch, for the golden vectors and the random comparison.

The table's `torch` column has the call, such as `F.softmax(input, dim)`. It is parsed, and every argument takes the value of
the tensor or attribute with its name. OTHER lists the few ops for which PyTorch has no single call.
"""

import ast
import json
import subprocess
import tempfile
import warnings

import torch
import torch.nn.functional as F
from safetensors.torch import load_file

# PyTorch warns about the copies for padding='same' and about losses that broadcast. Both are intended here.
warnings.simplefilter("ignore", UserWarning)

SCOPE = {"torch": torch, "F": F}
# Attributes that PyTorch needs as a sequence even if there is only one number.
SEQUENCES = {"size", "shape", "dims", "pad", "normalized_shape"}
# Inputs that are bytes in the files and booleans in PyTorch.
MASKS = {"condition", "mask"}


def tracking(function):
    """A normalisation that changes its running statistics in place. It gets copies of them, which are outputs here."""

    def call(t, a):
        running = [t[name].clone() if name in t else None for name in ("running_mean", "running_var")]
        output = function(t["input"], *running, t.get("weight"), t.get("bias"), **a)
        return [output] + [x for x in running if x is not None]

    return call


def batch_norm_relu(t, a):
    output, *running = tracking(F.batch_norm)(t, a)
    return [F.relu(output + t["residual"] if "residual" in t else output), *running]


def dice_loss(t, a):
    """PyTorch has no such function. This is the row's expression, written with PyTorch's functions."""
    p, target, smooth = t["input"].sigmoid(), t["target"], a.get("smooth", 1.0)
    overlap, total = (2 * p * target).flatten(2).sum(2), (p + target).flatten(2).sum(2)
    loss = 1 - (overlap + smooth) / (total + smooth)
    reduction = a.get("reduction", "mean")
    return loss if reduction == "none" else getattr(loss, reduction)()


# Ops that no single PyTorch call computes: name -> function(tensors by name, attributes).
OTHER = {
    "batch_norm": tracking(F.batch_norm),
    "batch_norm_relu": batch_norm_relu,
    "conv2d_relu": lambda t, a: F.relu(F.conv2d(t["input"], t["weight"], t.get("bias"), **a)),
    "dice_loss": dice_loss,
    "instance_norm": tracking(F.instance_norm),
    "linear_relu": lambda t, a: F.relu(F.linear(t["input"], t["weight"], t.get("bias"))),
    # Here `size` is a number; in other ops it is a sequence.
    "local_response_norm": lambda t, a: F.local_response_norm(t["input"], **{**a, "size": a["size"][0]}),
    # torch.max(input) and torch.max(input, dim, keepdim) are two functions; neither takes dim=None.
    "max": lambda t, a: torch.max(t["input"], **a) if a.get("dim") is not None else torch.max(t["input"]),
}


def table(binary):
    """The rows of `receptive op --list --json`, by op name, with their small cases: attributes, and tensors by name."""
    out = subprocess.run([binary, "op", "--list", "--json"], check=True, capture_output=True, text=True)
    rows = {row["name"]: {**row, "cases": []} for row in json.loads(out.stdout)["ops"]}
    with tempfile.TemporaryDirectory() as folder:
        out = subprocess.run([binary, "op", "--cases", folder], check=True, capture_output=True, text=True)
        files = {name: load_file(f"{folder}/{name}.safetensors") for name in rows}
    for case in json.loads(out.stdout)["cases"]:
        tensors = {name: files[case["op"]][f"{case['case']}/{name}"] for name in case["inputs"]}
        rows[case["op"]]["cases"].append((case["attrs"], tensors))
    return rows


def value(name, text):
    """An attribute's text as a Python value: `2,1`, `(2, 1)`, `true`, `None`, `1e-05`, `same`."""
    named = {"true": True, "True": True, "false": False, "False": False, "None": None}
    if text in named:
        return named[text]
    inner = text.strip("()[] ")
    items = [None if item.strip() == "None" else number(item.strip()) for item in inner.split(",") if item.strip()]
    if name in SEQUENCES or len(items) != 1 or text[:1] in "([":
        return items
    return items[0]


def number(text):
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def call(row, attrs, tensors):
    """The outputs of one op, in the order of the row's `outputs`."""
    values = {key: value(key, text) for key, text in attrs.items()}
    named = dict(tensors)
    for entry in row["inputs"]:
        if entry["name"] in MASKS:
            named[entry["name"]] = named[entry["name"]].bool()
        if entry["list"]:
            count = sum(name.startswith(entry["name"] + ".") for name in tensors)
            named[entry["name"]] = [tensors[f"{entry['name']}.{i}"] for i in range(count)]
    if row["name"] in OTHER:
        out = OTHER[row["name"]](named, values)
    else:
        out = torch_call(row, {**values, **named})
    return list(out) if isinstance(out, (tuple, list)) else [out]


def torch_call(row, known):
    """Calls the row's `torch` with the arguments that are known. Other arguments keep PyTorch's defaults. A keyword that is
    no attribute of the op (`return_indices=True`) keeps the value in the call."""
    tree = ast.parse(row["torch"], mode="eval").body
    own = set(row["attrs"]) | {entry["name"] for entry in row["inputs"]}
    fixed = {k.arg: ast.literal_eval(k.value) for k in tree.keywords if k.arg not in own}
    names = [arg.id for arg in tree.args]
    gap = next((i for i, name in enumerate(names) if name not in known), len(names))
    by_keyword = names[gap:] + [keyword.arg for keyword in tree.keywords]
    keywords = {name: known[name] for name in by_keyword if name in known}
    target = tree.func
    if isinstance(target.value, ast.Name) and target.value.id in known:
        function = getattr(known[target.value.id], target.attr)
    else:
        function = eval(compile(ast.Expression(target), "torch", "eval"), SCOPE)
    return function(*(known[name] for name in names[:gap]), **keywords, **fixed)


def run(row, attrs, tensors):
    """The outputs, and the gradients if `grad_output` is given: the content of the file that `receptive op` writes."""
    tensors = dict(tensors)
    dy = tensors.pop("grad_output", None)
    takes_grad = {entry["name"] for entry in row["inputs"] if entry["differentiable"]}
    leaves = {}
    for name, x in tensors.items():
        if dy is not None and x.is_floating_point() and name.split(".")[0] in takes_grad:
            leaves[name] = tensors[name] = x.clone().requires_grad_()
    outputs = call(row, attrs, tensors)
    result = dict(zip(row["outputs"], (out.detach().contiguous() for out in outputs)))
    if dy is not None:
        outputs[0].backward(dy)
        for name, x in leaves.items():
            grad = torch.zeros_like(x) if x.grad is None else x.grad
            result[f"grad.{name}"] = grad.contiguous()
    return result
