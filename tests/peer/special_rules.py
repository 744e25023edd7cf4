"""The reasons why an element may be of another kind than PyTorch's: the rules of special_ops.py, tried in order."""

import dataclasses

import torch


@dataclasses.dataclass
class Element:
    """One element of one tensor: ours (`got`), PyTorch's (`want`), PyTorch's without mkldnn (`plain`), and PyTorch's in
    f64 (`exact`). With small numbers in place of the large finite ones: ours (`calm`) and PyTorch's (`calm_want`)."""

    op: str
    name: str
    attrs: dict
    tensors: dict
    got: torch.Tensor
    want: torch.Tensor
    plain: torch.Tensor
    exact: torch.Tensor
    calm: torch.Tensor
    calm_want: torch.Tensor


@dataclasses.dataclass
class Rule:
    name: str
    why: str
    applies: object


def kind(x):
    return "nan" if x.isnan() else str(float(x)) if x.isinf() else "finite"


def like(a, b):
    return kind(a) == kind(b) if a.is_floating_point() else bool(a == b)


def large(e):
    return any(bool((x.isfinite() & (x.abs() > 1e10)).any()) for x in e.tensors.values() if x.is_floating_point())


# Ops that compute an output from one or two numbers, and ops that only move or compare numbers. They have no intermediate
# result that could overflow.
EXACT_OPS = {
    "abs", "adaptive_max_pool2d", "add", "argmax", "cat", "clamp", "div", "exp", "expand", "flatten", "leaky_relu", "log",
    "masked_fill", "max", "max_pool2d", "mul", "neg", "pad", "permute", "relu", "reshape", "slice", "sqrt", "sub", "where",
}

# Normalisations and the Dice loss: their outputs and gradients are sums over a group of elements.
SEVERAL_TERMS = {"batch_norm", "batch_norm_relu", "dice_loss", "group_norm", "instance_norm", "layer_norm"}


def not_finite(e, name):
    return name in e.tensors and not bool(e.tensors[name].isfinite().all())


RULES = [
    Rule("without mkldnn", "PyTorch with mkldnn off has the same kind", lambda e: like(e.got, e.plain)),
    Rule("exact", "PyTorch's f32 overflows on the way; in f64, rounded at the end, it has the same kind as ours",
         lambda e: like(e.got, e.exact)),
    Rule("overflow", "a sum or product of numbers near the end of the range overflows on the way, in one order or the "
         "other; with small numbers in their place both agree",
         lambda e: e.op not in EXACT_OPS and large(e) and like(e.calm, e.calm_want)),
    Rule("dropped", "what is dropped is left out and 0; PyTorch multiplies it by 0",
         lambda e: e.op in ("dropout", "dropout2d") and e.got == 0 and bool(e.want.isnan())),
    Rule("limit", "at an infinite argument ours is the limit; PyTorch's formula takes inf - inf or 0 * inf",
         lambda e: e.op in ("gelu", "binary_cross_entropy_with_logits") and not e.got.isnan() and bool(e.want.isnan())),
    Rule("zero weight", "an interpolation by weight 0 is left out; PyTorch adds 0 times the neighbour",
         lambda e: e.op == "interpolate" and not e.got.isnan() and bool(e.want.isnan())),
    Rule("exponent 0", "the derivative 0 times an upstream inf or NaN is NaN by the chain rule; PyTorch leaves it out",
         lambda e: e.op == "pow" and e.name == "grad.input" and bool(e.got.isnan()) and e.want == 0
         and not_finite(e, "grad_output")),
    Rule("terms in another order", "a formula of several terms that are infinite together: the element is not finite in "
         "either, NaN where inf - inf or 0 * inf comes up on the way",
         lambda e: e.op in SEVERAL_TERMS and not e.got.isfinite() and not e.want.isfinite()),
]
