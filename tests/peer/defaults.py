"""Compares every default with PyTorch's default of the same name: ops, losses, layers, optimisers, schedules.

    cargo build --release && python tests/peer/defaults.py [--binary target/release/receptive]

PyTorch's defaults are read from its signatures. Each op or layer runs twice on the same numbers, once without the setting
and once with PyTorch's default written out: both must give the same bits. A third run with another value must give other
bits, or the comparison would prove nothing. Constants of optimisers and schedules that the command line cannot set are read
from the source. OTHERWISE lists the defaults that differ on purpose, with the reason. Exits non-zero if another one differs.
"""

import argparse
import ast
import inspect
import pathlib
import random
import re
import subprocess
import sys
import tempfile

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn
from torch.optim import lr_scheduler

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/golden"))
import torch_ops  # noqa: E402
from random_cases import draw  # noqa: E402
from random_ops import text  # noqa: E402

# The most cases that are drawn for one setting of an op, to find one in which the setting changes the result.
TRIES = 60
# PyTorch's functions for rows of the op table that are no single PyTorch call; None means that there is none.
FUNCTIONS = {
    "batch_norm": F.batch_norm, "batch_norm_relu": F.batch_norm, "conv2d_relu": F.conv2d, "instance_norm": F.instance_norm,
    "linear_relu": F.linear, "local_response_norm": F.local_response_norm, "max": None, "dice_loss": None,
}
# Layers of an arch file that are more than one op: PyTorch's class, the required settings, and the layer's input.
LAYERS = {
    "conv2d": (nn.Conv2d, {"out_channels": 6, "kernel_size": 3}, "image"),
    "conv_transpose2d": (nn.ConvTranspose2d, {"out_channels": 6, "kernel_size": 3}, "image"),
    "linear": (nn.Linear, {"out_features": 6}, "row"),
    "max_pool2d": (nn.MaxPool2d, {"kernel_size": 2}, "image"),
    "avg_pool2d": (nn.AvgPool2d, {"kernel_size": 2}, "image"),
    "adaptive_avg_pool2d": (nn.AdaptiveAvgPool2d, {"output_size": 2}, "image"),
    "adaptive_max_pool2d": (nn.AdaptiveMaxPool2d, {"output_size": 2}, "image"),
    "batch_norm1d": (nn.BatchNorm1d, {}, "row"),
    "batch_norm2d": (nn.BatchNorm2d, {}, "image"),
    "layer_norm": (nn.LayerNorm, {}, "image"),
    "group_norm": (nn.GroupNorm, {"num_groups": 2}, "image"),
    "instance_norm2d": (nn.InstanceNorm2d, {}, "image"),
    "local_response_norm": (nn.LocalResponseNorm, {"size": 3}, "image"),
    "dropout": (nn.Dropout, {}, "image"),
    "dropout2d": (nn.Dropout2d, {}, "image"),
    "upsample": (nn.Upsample, {"scale_factor": 2}, "image"),
}
# Layers and blocks that have no setting with a default.
PLAIN = {"softmax", "log_softmax", "flatten", "sequential", "repeat", "residual"}
# The value for the third run, where the usual choice (the opposite, the double, or 1) does not work.
OTHERS = {"padding": 1, "output_padding": 1, "groups": 2, "dilation": 2, "mode": "bilinear", "reduction": "sum"}
# Other settings that are needed before a setting has an effect.
FIRST = {"output_padding": {"stride": 2}, "momentum": {"track_running_stats": True}}
# Constants in the source of optimisers and schedules: file, pattern, PyTorch's class, its argument, index in a tuple.
CONSTANTS = [
    ("src/optim/adam.rs", r"BETA1: f64 = (\S+);", torch.optim.Adam, "betas", 0),
    ("src/optim/adam.rs", r"BETA2: f64 = (\S+);", torch.optim.Adam, "betas", 1),
    ("src/optim/adam.rs", r"EPS: f64 = (\S+);", torch.optim.Adam, "eps", None),
    ("src/optim/adam.rs", r"BETA1: f64 = (\S+);", torch.optim.AdamW, "betas", 0),
    ("src/optim/adam.rs", r"BETA2: f64 = (\S+);", torch.optim.AdamW, "betas", 1),
    ("src/optim/adam.rs", r"EPS: f64 = (\S+);", torch.optim.AdamW, "eps", None),
    ("src/optim/adam.rs", r"ADAMW_DECAY: f64 = (\S+);", torch.optim.AdamW, "weight_decay", None),
    ("src/optim/schedule.rs", r"ONE_CYCLE_MOMENTUM: \[f64; 3\] = \[(\S+),", lr_scheduler.OneCycleLR, "max_momentum", None),
    ("src/optim/schedule.rs", r"ONE_CYCLE_MOMENTUM: \[f64; 3\] = \[\S+ (\S+),", lr_scheduler.OneCycleLR, "base_momentum", None),
    ("src/optim/schedule.rs", r"let peak = (\S+) \* at\.steps", lr_scheduler.OneCycleLR, "pct_start", None),
    ("src/optim/schedule.rs", r"\[lr / (\S+), lr,", lr_scheduler.OneCycleLR, "div_factor", None),
    ("src/optim/schedule.rs", r"lr / 25\.0 / (\S+)\]", lr_scheduler.OneCycleLR, "final_div_factor", None),
    ("src/train/trainer.rs", r"cycle_momentum: (true|false)", lr_scheduler.OneCycleLR, "cycle_momentum", None),
    ("src/optim/plateau.rs", r"THRESHOLD: f64 = (\S+);", lr_scheduler.ReduceLROnPlateau, "threshold", None),
    ("src/optim/plateau.rs", r"EPS: f64 = (\S+);", lr_scheduler.ReduceLROnPlateau, "eps", None),
]
# Settings of the command line: flags, the setting in config.toml, PyTorch's class and argument.
RUNS = [
    (["--optimizer", "adam"], "lr", torch.optim.Adam, "lr"),
    (["--optimizer", "adam"], "weight_decay", torch.optim.Adam, "weight_decay"),
    (["--optimizer", "adamw"], "lr", torch.optim.AdamW, "lr"),
    (["--optimizer", "adamw"], "weight_decay", torch.optim.AdamW, "weight_decay"),
    (["--optimizer", "sgd"], "lr", torch.optim.SGD, "lr"),
    (["--optimizer", "sgd"], "momentum", torch.optim.SGD, "momentum"),
    (["--optimizer", "sgd"], "nesterov", torch.optim.SGD, "nesterov"),
    (["--optimizer", "sgd"], "weight_decay", torch.optim.SGD, "weight_decay"),
    (["--scheduler", "onecycle"], "cycle_momentum", lr_scheduler.OneCycleLR, "cycle_momentum"),
    ([], "label_smoothing", nn.CrossEntropyLoss, "label_smoothing"),
]
GUESSED = "PyTorch guesses a dimension and warns that this is deprecated; here it must be said"
# Defaults that differ on purpose.
OTHERWISE = {
    ("train --optimizer sgd", "lr"): "0.01 was the usual rate before SGD had a default (PyTorch 2.1), and is the notebooks'",
    ("train --optimizer sgd", "momentum"): "it is that of the network's notebook",
    ("softmax", "dim"): GUESSED,
    ("log_softmax", "dim"): GUESSED,
}


def defaults(function):
    """A signature's defaults by name. For PyTorch's built-in functions they are in the first line of the documentation."""
    try:
        parameters = inspect.signature(function).parameters.values()
        return {p.name: p.default for p in parameters if p.default is not p.empty}
    except ValueError:
        line = next(line for line in function.__doc__.splitlines() if "(" in line)
        pairs = re.findall(r"(\w+)=([^,()]+|\([^)]*\))", line)
        return {name: ast.literal_eval(value.strip()) for name, value in pairs}


def function_of(row):
    """PyTorch's function for a row, or None if it has none: a slice, for example, is no call."""
    if row["name"] in FUNCTIONS:
        return FUNCTIONS[row["name"]]
    target = ast.parse(row["torch"], mode="eval").body.func
    if isinstance(target.value, ast.Name) and target.value.id in torch_ops.SCOPE:
        return eval(compile(ast.Expression(target), "torch", "eval"), torch_ops.SCOPE)
    return getattr(torch.Tensor, target.attr, None)


class Report:
    def __init__(self):
        self.equal, self.justified, self.failures = 0, [], []

    def add(self, what, setting, failure):
        if failure is None:
            self.equal += 1
        elif (what, setting) in OTHERWISE:
            self.justified.append(f"{what} {setting}: {failure}; {OTHERWISE[what, setting]}")
        else:
            self.failures.append(f"{what} {setting}: {failure}")


def ops(binary, folder, report):
    for row in torch_ops.table(binary).values():
        function = function_of(row)
        if function is None:
            continue
        theirs = defaults(function)
        written = {k.arg: k.value for k in ast.parse(row["torch"], mode="eval").body.keywords}
        for key in row["attrs"]:
            if key not in theirs:
                continue
            failure = op(binary, row, key, theirs[key], folder)
            if key in written and isinstance(written[key], ast.Constant) and written[key].value != theirs[key]:
                failure = f"the table says {written[key].value}, PyTorch {theirs[key]}"
            report.add(row["name"], key, failure)


def op(binary, row, key, default, folder):
    """How a setting's default differs from PyTorch's, as text; None if it is the same."""
    seen = compared = False
    for number in range(TRIES):
        rng = random.Random(f"{row['name']} {key} {number}")
        attrs, tensors = draw(row, rng, torch.Generator().manual_seed(number))
        drawn = attrs.pop(key, None)
        bare = outcome(binary, row, attrs, tensors, folder)
        if bare is None:
            seen |= drawn is not None  # the case is refused without the drawn value, so the setting has an effect
            continue
        compared = True
        explicit = outcome(binary, row, {**attrs, key: default}, tensors, folder)
        if explicit != bare:
            return f"without it the result is not that of {default}"
        if default is None:
            return None  # None stands for a setting that is not given, so there is no other value to compare
        seen |= drawn is not None and outcome(binary, row, {**attrs, key: drawn}, tensors, folder) not in (bare, None)
        if seen and number >= 3:
            return None
    if not compared:
        return f"it must be given; PyTorch has {default}"
    return None if seen else f"no case of {TRIES} shows a difference between {default} and another value"


def outcome(binary, row, attrs, tensors, folder):
    """The bytes that an op writes; None if it refuses the case."""
    given, made = folder / "given.safetensors", folder / "made.safetensors"
    save_file({name: x.contiguous() for name, x in tensors.items()}, given)
    command = [binary, "op", row["name"], "--input", str(given), "--output", str(made), "--threads", "1"]
    command += [part for name, value in attrs.items() for part in ("--attr", f"{name}={text(value)}")]
    done = subprocess.run(command, capture_output=True)
    return made.read_bytes() if done.returncode == 0 else None


def layers(binary, folder, report):
    kinds = re.search(r"static LAYERS: &\[Kind\] = &\[(.*?)\n\];", (ROOT / "src/models/arch/kinds.rs").read_text(), re.S)[1]
    rows = re.findall(r'layer\(\s*"(\w+)",\s*&\[([^\]]*)\]', kinds) + re.findall(r'Kind \{ name: "(\w+)", keys: &\[([^\]]*)\]', kinds)
    for kind, keys in rows:
        if kind in PLAIN:
            continue
        layer, needed, place = LAYERS[kind]
        theirs = defaults(layer.__init__)
        for key in re.findall(r'"(\w+)"', keys):
            if key in theirs and key not in needed and theirs[key] is not None:
                report.add(f"layer {kind}", key, setting(binary, kind, needed, place, key, theirs[key], folder))
    for row in torch_ops.table(binary).values():
        theirs = defaults(getattr(nn, row["layer"]).__init__) if row["layer"] else {}
        for key in set(row["attrs"]) & set(theirs):
            drawn = [torch_ops.value(key, attrs[key]) for attrs, _ in row["cases"] if key in attrs]
            other = next((v for v in drawn if v != theirs[key]), None)
            failure = setting(binary, row["name"], {}, "image", key, theirs[key], folder, other)
            report.add(f"layer {row['name']}", key, failure)


def setting(binary, kind, needed, place, key, default, folder, other=None):
    bare = weights(binary, kind, needed, place, folder)
    explicit = weights(binary, kind, {**needed, key: default}, place, folder)
    if bare is None or explicit is None:
        return f"cannot be trained with {needed}, {key} = {default}"
    if bare != explicit:
        return f"without it the weights are not those of {default}"
    other = other or OTHERS.get(key, not default if isinstance(default, bool) else default * 2 if default else 1)
    first = {**needed, **FIRST.get(key, {})}
    changed = weights(binary, kind, {**first, key: other}, place, folder)
    if changed in (None, weights(binary, kind, first, place, folder)):
        return f"{other} makes no difference, or is refused"
    return None


def weights(binary, kind, keys, place, folder):
    """The losses and weights after four steps of a small network with this layer. Buffers change the validation loss."""
    toml = {True: "true", False: "false"}
    value = lambda v: toml[v] if isinstance(v, bool) else repr(v).replace("'", '"')  # noqa: E731
    layer = ", ".join([f'kind = "{kind}"', *(f"{key} = {value(v)}" for key, v in keys.items())])
    before = ['{ kind = "conv2d", out_channels = 4, kernel_size = 3, stride = 3 }']
    before += ['{ kind = "flatten" }'] if place == "row" else []
    after = ['{ kind = "flatten" }'] if place == "image" else []
    after += ['{ kind = "linear", out_features = 10 }']
    lines = ",\n".join([*before, "{ " + layer + " }", *after])
    arch, out = folder / "arch.toml", folder / "run"
    arch.write_text(f"input = [1, 28, 28]\nlayers = [\n{lines}\n]\n")
    subprocess.run(["rm", "-rf", str(out)], check=True)
    flags = ["--subset", "80", "--batch-size", "20", "--epochs", "1", "--threads", "1", "--device", "cpu", "--health", "0"]
    done = subprocess.run([binary, "train", "--arch", str(arch), "--data", "sample", *flags, "--out", str(out)], capture_output=True)
    if done.returncode != 0:
        return None
    losses = re.findall(r'"loss":([^,]+)', (out / "metrics.jsonl").read_text())
    tensors = load_file(out / "last.safetensors")
    return losses, {name: x.numpy().tobytes() for name, x in tensors.items()}


def constants(report):
    for file, pattern, theirs, argument, index in CONSTANTS:
        found = re.search(pattern, (ROOT / file).read_text())
        want = defaults(theirs.__init__)[argument]
        want = want if index is None else want[index]
        ours = {"true": True, "false": False}.get(found[1]) if found and found[1].isalpha() else found and float(found[1])
        failure = None if found and ours == want else f"{found and found[1]} in {file}, PyTorch has {want}"
        report.add(theirs.__name__, argument, failure)


def runs(binary, folder, report):
    for flags, key, theirs, argument in RUNS:
        out = folder / "run"
        subprocess.run(["rm", "-rf", str(out)], check=True)
        command = [binary, "train", "mlp2", "--data", "sample", "--max-steps", "1", "--subset", "20", *flags, "--out", str(out)]
        subprocess.run(command, check=True, capture_output=True)
        found = re.search(rf"^{key} = (\S+)$", (out / "config.toml").read_text(), re.M)
        want = defaults(theirs.__init__)[argument]
        ours = {"true": True, "false": False}.get(found[1]) if found and found[1].isalpha() else found and float(found[1])
        failure = None if found and ours == want else f"{found and found[1]}, PyTorch has {want}"
        report.add(" ".join(["train", *flags]), key, failure)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/receptive"))
    binary = parser.parse_args().binary
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        constants(report)
        runs(binary, folder, report)
        layers(binary, folder, report)
        ops(binary, folder, report)
    print(*(f"on purpose: {line}" for line in report.justified), *(f"FAILED: {line}" for line in report.failures), sep="\n")
    print(f"{report.equal} defaults equal PyTorch's, {len(report.justified)} differ on purpose, {len(report.failures)} failed"
          f" (torch {torch.__version__})")
    sys.exit(bool(report.failures))


if __name__ == "__main__":
    main()
