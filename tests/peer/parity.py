#!/usr/bin/env python3
"""Ten training steps from the same weights on the same batches: receptive's f32 against PyTorch's f64.

    python3 tests/peer/parity.py --bin target/release/receptive --data-dir DIR     (DIR holds mnist/)

For every network and for SGD with momentum and Adam: the losses and, tensor by tensor, the weight updates w10 - w0 must be
as close to PyTorch's f64 run as PyTorch's own f32 run is, within a factor of 10 or 1e-3 relative. (Losses alone hide a
frozen layer or a dropped momentum: near ln 10 they look alike.) Then `last.safetensors` must load into PyTorch with
strict=True. Needs torch, safetensors, numpy. Exits non-zero on any failure.
"""
import argparse, gzip, json, pathlib, subprocess, sys, tempfile
import numpy as np, torch, torch.nn as nn, torch.nn.functional as F
from safetensors.torch import load_file, save_file

STEPS, BATCH, FACTOR, FLOOR = 10, 64, 10.0, 1e-3


class Mlp2(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear1, self.linear2 = nn.Linear(784, 50), nn.Linear(50, 10)

    def forward(self, x):
        return F.log_softmax(self.linear2(self.linear1(x.flatten(1))), 1)


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        sizes = [784, 512, 256, 128, 64, 10]
        self.linears = nn.ModuleList(nn.Linear(a, b) for a, b in zip(sizes, sizes[1:]))

    def forward(self, x):
        x = x.flatten(1)
        for layer in self.linears[:-1]:
            x = F.relu(layer(x))
        return F.log_softmax(self.linears[-1](x), 1)


class LeNet5(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv2d(1, 6, 5, padding=2), nn.Conv2d(6, 16, 5)
        self.fc1, self.fc2, self.fc3 = nn.Linear(400, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2).flatten(1)
        return F.log_softmax(self.fc3(F.relu(self.fc2(F.relu(self.fc1(x))))), 1)


class MiniVgg(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv11, self.conv12 = nn.Conv2d(1, 16, 3), nn.Conv2d(16, 16, 3)
        self.conv21, self.conv22 = nn.Conv2d(16, 32, 3), nn.Conv2d(32, 32, 3, padding=1)
        self.fc1, self.fc2, self.fc3 = nn.Linear(800, 120), nn.Linear(120, 84), nn.Linear(84, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv12(F.relu(self.conv11(x)))), 2)
        x = F.max_pool2d(F.relu(self.conv22(F.relu(self.conv21(x)))), 2).flatten(1)
        return F.log_softmax(self.fc3(F.relu(self.fc2(F.relu(self.fc1(x))))), 1)


MODELS = {"mlp2": Mlp2, "mlp": Mlp, "lenet5": LeNet5, "minivgg": MiniVgg}
# Rates that move the loss well in ten steps.
OPTIMIZERS = {
    "sgd": (0.02, lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9), ["--momentum", "0.9"]),
    "adam": (0.001, lambda p: torch.optim.Adam(p, lr=0.001), []),
}


def batches(folder):
    def read(name, skip):
        path = folder / "mnist" / name
        raw = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
        return np.frombuffer(raw, np.uint8)[skip:]
    images = read("train-images-idx3-ubyte.gz", 16)[: STEPS * BATCH * 784].reshape(STEPS, BATCH, 1, 28, 28)
    labels = read("train-labels-idx1-ubyte.gz", 8)[: STEPS * BATCH].reshape(STEPS, BATCH)
    images = (torch.tensor(images).double() / 255 - 0.1307) / 0.3081
    return images, torch.tensor(labels).long()


def run_torch(model, make, images, labels, dtype):
    model = model.to(dtype)
    optimizer, losses = make(model.parameters()), []
    for x, y in zip(images.to(dtype), labels):
        optimizer.zero_grad()
        loss = F.nll_loss(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses, {k: v.detach().double() for k, v in model.state_dict().items()}


def relative(got, want):
    return float((got - want).norm() / want.norm())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    args = parser.parse_args()
    images, labels = batches(args.data_dir)
    failures, checked = 0, 0
    print(f"torch {torch.__version__}; relative error against f64: torch f32 | receptive f32 (worst tensor)")
    for name, build in MODELS.items():
        for kind, (lr, make, flags) in OPTIMIZERS.items():
            torch.manual_seed(0)
            start = build()
            initial = {k: v.clone() for k, v in start.state_dict().items()}
            with tempfile.TemporaryDirectory() as folder:
                save_file(initial, f"{folder}/init.safetensors")
                command = [args.bin, "train", name, "--data", "mnist", "--data-dir", str(args.data_dir), "--no-shuffle",
                           "--batch-size", str(BATCH), "--max-steps", str(STEPS), "--log-steps", "--optimizer", kind,
                           "--lr", str(lr), *flags, "--init", f"{folder}/init.safetensors", "--out", f"{folder}/run"]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                lines = map(json.loads, open(f"{folder}/run/metrics.jsonl"))
                losses = [line["loss"] for line in lines if line["event"] == "step"]
                last = load_file(f"{folder}/run/last.safetensors")
            build().load_state_dict(last, strict=True)
            runs = {}
            for dtype in (torch.float32, torch.float64):
                model = build()
                model.load_state_dict(initial)
                runs[dtype] = run_torch(model, make, images, labels, dtype)
            (loss32, end32), (loss64, end64) = runs[torch.float32], runs[torch.float64]
            assert len(losses) == STEPS, f"{len(losses)} step lines"
            worst = (0.0, 0.0, 0.0, "")
            pairs = [("losses", torch.tensor(losses).double(), torch.tensor(loss32).double(), torch.tensor(loss64).double())]
            for key, w0 in initial.items():
                w0 = w0.double()
                pairs.append((key, last[key].double() - w0, end32[key] - w0, end64[key] - w0))
            for key, ours, theirs, want in pairs:
                error, peer = relative(ours, want), relative(theirs, want)
                checked += 1
                if not error <= max(FACTOR * peer, FLOOR):
                    failures += 1
                    print(f"  FAILED {name} {kind} {key}: {error:.2e}, torch f32 {peer:.2e}")
                if error >= worst[0]:
                    worst = (error, peer, error / max(peer, 1e-30), key)
            moved = f"{loss64[0]:.3f} -> {loss64[-1]:.3f}"
            print(f"{name:8} {kind:5} loss {moved}  losses {relative(pairs[0][2], pairs[0][3]):.1e} |"
                  f" {relative(pairs[0][1], pairs[0][3]):.1e}  updates {worst[1]:.1e} | {worst[0]:.1e} ({worst[3]})")
    print(f"{checked} comparisons, {failures} failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
