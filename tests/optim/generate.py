#!/usr/bin/env python3
"""Writes vectors.safetensors: five steps of PyTorch's optimisers on fixed weights and gradients, in f64.

    python3 tests/optim/generate.py          (torch 2.15, numpy; seed 0)

Keys: `w0`, `grad.STEP`, and for each setting `SETTING.STEP`: the weights after that step. `clip_norm` and `clip_value` are
`grad.0` after `clip_grad_norm_` and `clip_grad_value_` with limit 0.5.
"""
import pathlib, torch
from safetensors.torch import save_file

SETTINGS = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1),
    "sgd_momentum": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "sgd_nesterov": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.01),
    "sgd_decay": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.5, weight_decay=0.1),
    "adam": lambda p: torch.optim.Adam(p, lr=0.1),
    "adam_decay": lambda p: torch.optim.Adam(p, lr=0.1, weight_decay=0.1),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.1, weight_decay=0.1),
    "sgd_cycled": lambda p: torch.optim.SGD(p, lr=0.1),
    "adam_cycled": lambda p: torch.optim.Adam(p, lr=0.1),
}
# The momentum (for Adam: beta1) of each step, for the settings that end in `_cycled`.
MOMENTA = [0.95, 0.9, 0.85, 0.875, 0.95]
STEPS = 5

torch.manual_seed(0)
w0 = torch.randn(3, 4, dtype=torch.float64)
grads = [torch.randn(3, 4, dtype=torch.float64) for _ in range(STEPS)]
out = {"w0": w0, **{f"grad.{i}": g for i, g in enumerate(grads)}}
for name, make in SETTINGS.items():
    w = w0.clone().requires_grad_()
    optimizer = make([w])
    for i, grad in enumerate(grads):
        w.grad = grad.clone()
        if name.endswith("_cycled"):
            group = optimizer.param_groups[0]
            group.update({"betas": (MOMENTA[i], 0.999)} if "betas" in group else {"momentum": MOMENTA[i]})
        optimizer.step()
        out[f"{name}.{i}"] = w.detach().clone()
for name, clip in (("clip_norm", torch.nn.utils.clip_grad_norm_), ("clip_value", torch.nn.utils.clip_grad_value_)):
    w = w0.clone().requires_grad_()
    w.grad = grads[0].clone()
    clip([w], 0.5)
    out[name] = w.grad
save_file(out, pathlib.Path(__file__).with_name("vectors.safetensors"))
