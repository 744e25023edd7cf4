#!/usr/bin/env python3
"""Writes schedules.safetensors: the learning rate of every step under PyTorch's schedulers, in f64.

    python3 tests/optim/schedules.py          (torch 2.15, numpy)

Keys are `SCHEDULE EPOCHS STEPS_AN_EPOCH LR`. Schedules that cycle the momentum have the same keys below `momentum`.
`plateau.losses` are the validation losses of the epochs for `plateau:...`.
"""
import pathlib, warnings
import numpy, torch
from safetensors.torch import save_file
from torch.optim import lr_scheduler as S

# When the scheduler is stepped. Warm-up goes by step, and a schedule by epoch may follow it: then an epoch is one step.
EPOCH, STEP = "epoch", "step"
LOSSES = [1.0, 0.8, 0.79999, 0.8, 0.7, float("nan"), 0.71, 0.72, 0.6999, 0.6, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]


def warm(o, steps, rest):
    return S.SequentialLR(o, [S.LinearLR(o, start_factor=1 / steps, total_iters=steps - 1), rest], milestones=[steps])


CASES = [
    ("constant", 4, 3, 0.1, EPOCH, lambda o: S.ConstantLR(o, factor=1)),
    ("step:3:0.5", 10, 2, 0.1, EPOCH, lambda o: S.StepLR(o, 3, 0.5)),
    ("multistep:2,5,5,7:0.1", 10, 2, 0.1, EPOCH, lambda o: S.MultiStepLR(o, [2, 5, 5, 7], 0.1)),
    ("exponential:0.9", 12, 2, 0.1, EPOCH, lambda o: S.ExponentialLR(o, 0.9)),
    ("cosine", 25, 2, 0.1, EPOCH, lambda o: S.CosineAnnealingLR(o, 25)),
    *[("onecycle", e, n, 0.1, STEP, lambda o, n=e * n: S.OneCycleLR(o, 0.1, total_steps=n)) for e, n in ((5, 20), (7, 1), (3, 1), (1, 1))],
    *[(f"triangle:{p}", 24, 7, 0.4, STEP, lambda o, p=p: S.LambdaLR(o, lambda s: numpy.interp(s / 7, [0, p, 24], [0, 1, 0]))) for p in (5, 2.5)],
    ("warmup:7/constant", 4, 5, 0.1, STEP, lambda o: warm(o, 7, S.ConstantLR(o, factor=1))),
    ("warmup:4ep/cosine", 20, 1, 0.1, STEP, lambda o: warm(o, 4, S.CosineAnnealingLR(o, 16))),
    ("warmup:3ep/step:4:0.5", 20, 1, 0.1, STEP, lambda o: warm(o, 3, S.StepLR(o, 4, 0.5))),
    ("warmup:2ep/exponential:0.8", 9, 1, 0.1, STEP, lambda o: warm(o, 2, S.ExponentialLR(o, 0.8))),
    ("warmup:2ep/constant", 5, 6, 0.1, STEP, lambda o: warm(o, 12, S.ConstantLR(o, factor=1))),
    ("plateau:0:0.5", 20, 2, 0.1, EPOCH, lambda o: S.ReduceLROnPlateau(o, factor=0.5, patience=0)),
    ("plateau:2:0.1", 20, 2, 0.1, EPOCH, lambda o: S.ReduceLROnPlateau(o, factor=0.1, patience=2)),
    ("plateau:0:0.01", 20, 1, 0.1, EPOCH, lambda o: S.ReduceLROnPlateau(o, factor=0.01, patience=0)),
]


def numbers(epochs, steps, lr, every, make):
    """Learning rate and momentum of every step."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)
    scheduler = make(optimizer)
    for epoch in range(epochs):
        for step in range(steps):
            yield [float(optimizer.param_groups[0][key]) for key in ("lr", "momentum")]
            optimizer.step()
            if every == STEP and not (epoch == epochs - 1 and step == steps - 1):
                scheduler.step()
        if isinstance(scheduler, S.ReduceLROnPlateau):
            scheduler.step(LOSSES[epoch])
        elif every == EPOCH:
            scheduler.step()


warnings.simplefilter("ignore")
out = {"plateau.losses": torch.tensor(LOSSES, dtype=torch.float64)}
for text, epochs, steps, lr, every, make in CASES:
    rates, momenta = torch.tensor(list(numbers(epochs, steps, lr, every, make)), dtype=torch.float64).unbind(1)
    out[f"{text} {epochs} {steps} {lr}"] = rates.contiguous()
    if "onecycle" in text:
        out[f"momentum {text} {epochs} {steps} {lr}"] = momenta.contiguous()
save_file(out, pathlib.Path(__file__).with_name("schedules.safetensors"))
