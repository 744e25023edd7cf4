#!/usr/bin/env python3
"""Compares the first training steps from the same weights on the same batches: receptive's f32 with PyTorch's f64.

    python3 tests/peer/parity.py --bin target/release/receptive --data-dir DIR [MODEL...]

DIR holds mnist/ and cifar-10-batches-bin/; U-Net's images and masks are made up. ResNet-18 and GoogLeNet are run at 32x32.

Every network is trained with SGD with momentum and with Adam. The script compares the losses and, for each tensor, the total
change of the weights and running statistics. Their error against PyTorch's f64 run may be at most 10 times the error of
PyTorch's own f32 runs (with and without oneDNN), or 1e-3 relative. The losses alone are not enough: near ln 10 a frozen layer
or a missing momentum does not show in them. The gradient of a bias before a batch norm is only rounding error, in both
programs, so its figures are large. At the end `last.safetensors` must load into PyTorch with strict=True. Needs torch,
safetensors, numpy, Pillow. Exits non-zero on any failure.
"""
import argparse, gzip, json, pathlib, subprocess, sys, tempfile
import numpy as np, torch, torch.nn.functional as F
from safetensors.torch import load_file, save_file
from networks import GoogLeNet, LeNet5, LeNet5Bn, MiniVgg, Mlp, Mlp2, ResNet18, ResNetCifar, UNet

FACTOR, FLOOR = 10.0, 1e-3


def read(path, skip):
    raw = gzip.open(path).read() if path.suffix == ".gz" else path.read_bytes()
    return np.frombuffer(raw, np.uint8)[skip:]


def mnist(folder, steps, batch):
    count = steps * batch
    images = read(folder / "mnist/train-images-idx3-ubyte.gz", 16)[: count * 784].reshape(steps, batch, 1, 28, 28)
    labels = read(folder / "mnist/train-labels-idx1-ubyte.gz", 8)[:count].reshape(steps, batch)
    images = (torch.tensor(images).double() / 255 - 0.1307) / 0.3081
    return images, torch.tensor(labels).long(), ["--data", "mnist", "--data-dir", str(folder), "--normalize", "on"]


def cifar10(folder, steps, batch):
    rows = read(folder / "cifar-10-batches-bin/data_batch_1.bin", 0).reshape(-1, 3073)[: steps * batch]
    images = torch.tensor(rows[:, 1:].reshape(steps, batch, 3, 32, 32)).double() / 255
    labels = torch.tensor(rows[:, 0].reshape(steps, batch)).long()
    flags = ["--data", "cifar10", "--data-dir", str(folder), "--normalize", "off", "--augment", "none", "--resize", "32"]
    return images, labels, flags


def masks(_, steps, batch):
    """A made-up set of pets: the pet is a bright square, with noise around it."""
    from PIL import Image
    rng = np.random.default_rng(0)
    folder = pathlib.Path(SCRATCH.name) / "pets"
    for name in ("images", "annotations/trimaps"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    images, trimaps, lines = [], [], []
    count = steps * batch
    for i in range(count + batch):  # the last batch is the validation set
        image, trimap = rng.integers(0, 128, (32, 32, 3), np.uint8), np.full((32, 32), 2, np.uint8)
        (y, x), side = rng.integers(0, 16, 2), int(rng.integers(6, 16))
        image[y : y + side, x : x + side] += 100
        trimap[y : y + side, x : x + side] = 3
        trimap[y + 1 : y + side - 1, x + 1 : x + side - 1] = 1
        # A PNG with the name of a JPEG: it keeps every pixel, and the reader goes by the content, not by the name.
        Image.fromarray(image).save(folder / f"images/made_{i}.jpg", format="PNG")
        Image.fromarray(trimap).save(folder / f"annotations/trimaps/made_{i}.png")
        images.append(image.transpose(2, 0, 1)), trimaps.append(trimap), lines.append(f"made_{i} 1 1 1")
    for part, names in (("trainval", lines[:count]), ("test", lines[count:])):
        (folder / f"annotations/{part}.txt").write_text("\n".join(names) + "\n")
    shape = (steps, batch)
    images = torch.tensor(np.stack(images[:count]).reshape(*shape, 3, 32, 32)).double() / 255
    pet = torch.tensor(np.stack(trimaps[:count]).reshape(*shape, 1, 32, 32) != 2)
    flags = ["--data", "pets", "--data-dir", str(folder.parent), "--normalize", "off", "--augment", "none",
             "--resize", "32", "--width", "8"]
    return images, pet.double(), flags


SCRATCH = tempfile.TemporaryDirectory()
bce = lambda output, mask: F.binary_cross_entropy_with_logits(output, mask.to(output.dtype))
# Network, data, loss, steps, batch size. The two large networks get few steps and small batches. An activation that is 0
# within rounding may fall on either side of ReLU's corner. Among two million activations one does, and then PyTorch's f32
# without oneDNN is 26 % off.
MODELS = {
    "mlp2": (Mlp2, mnist, F.nll_loss, 10, 64),
    "mlp": (Mlp, mnist, F.nll_loss, 10, 64),
    "lenet5": (LeNet5, mnist, F.nll_loss, 10, 64),
    "minivgg": (MiniVgg, mnist, F.nll_loss, 10, 64),
    "lenet5-bn": (LeNet5Bn, mnist, F.cross_entropy, 10, 64),
    "resnet-cifar": (ResNetCifar, cifar10, F.nll_loss, 3, 64),
    "resnet18": (lambda: ResNet18(3), cifar10, F.cross_entropy, 2, 16),
    "googlenet": (GoogLeNet, cifar10, F.cross_entropy, 2, 16),
    "unet": (lambda: UNet(width=8), masks, bce, 5, 8),
}
# Learning rates that change the loss clearly within a few steps.
OPTIMIZERS = {
    "sgd": (0.02, lambda p: torch.optim.SGD(p, lr=0.02, momentum=0.9), ["--momentum", "0.9"]),
    "adam": (0.001, lambda p: torch.optim.Adam(p, lr=0.001), []),
}


def run_torch(model, loss_of, make, images, targets, dtype):
    model = model.to(dtype)
    optimizer, losses = make(model.parameters()), []
    for x, y in zip(images.to(dtype), targets):
        optimizer.zero_grad()
        loss = loss_of(model(x), y)
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
    parser.add_argument("models", nargs="*", default=list(MODELS))
    args = parser.parse_args()
    failures, checked = 0, 0
    print(f"torch {torch.__version__}; relative error against f64: torch f32 | receptive f32 (tensor nearest to failing)")
    for name in args.models:
        build, data, loss_of, steps, batch = MODELS[name]
        images, targets, data_flags = data(args.data_dir, steps, batch)
        for kind, (lr, make, flags) in OPTIMIZERS.items():
            torch.manual_seed(0)
            start = build()
            initial = {k: v.clone() for k, v in start.state_dict().items()}
            with tempfile.TemporaryDirectory() as folder:
                save_file(initial, f"{folder}/init.safetensors")
                command = [args.bin, "train", name, *data_flags, "--no-shuffle",
                           "--batch-size", str(batch), "--max-steps", str(steps), "--log-steps", "--optimizer", kind,
                           "--lr", str(lr), *flags, "--init", f"{folder}/init.safetensors", "--out", f"{folder}/run"]
                subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
                lines = map(json.loads, open(f"{folder}/run/metrics.jsonl"))
                losses = [line["loss"] for line in lines if line["event"] == "step"]
                last = load_file(f"{folder}/run/last.safetensors")
            build().load_state_dict(last, strict=True)
            def run(dtype, onednn=True):
                model = build()
                model.load_state_dict(initial)
                with torch.backends.mkldnn.flags(enabled=onednn):
                    return run_torch(model, loss_of, make, images, targets, dtype)

            loss64, end64 = run(torch.float64)
            peers = [run(torch.float32), run(torch.float32, onednn=False)]
            assert len(losses) == steps, f"{len(losses)} step lines"
            worst = (0.0, 0.0, 0.0, "")
            vector = lambda losses: torch.tensor(losses).double()
            pairs = [("losses", vector(losses), [vector(loss) for loss, _ in peers], vector(loss64))]
            for key, w0 in initial.items():
                w0 = w0.double()
                pairs.append((key, last[key].double() - w0, [end[key] - w0 for _, end in peers], end64[key] - w0))
            for key, ours, theirs, want in pairs:
                error, peer = relative(ours, want), max(relative(their, want) for their in theirs)
                checked += 1
                if not error <= max(FACTOR * peer, FLOOR):
                    failures += 1
                    print(f"  FAILED {name} {kind} {key}: {error:.2e}, torch f32 {peer:.2e}")
                if key == "losses":
                    about_losses = f"losses {peer:.1e} | {error:.1e}"
                share = error / max(FACTOR * peer, FLOOR)
                if share >= worst[0]:
                    worst = (share, error, peer, key)
            moved = f"{loss64[0]:.3f} -> {loss64[-1]:.3f}"
            print(f"{name:12} {kind:5} loss {moved}  {about_losses}  nearest to its limit {worst[2]:.1e} | {worst[1]:.1e}"
                  f" ({worst[3]})", flush=True)
    print(f"{checked} comparisons, {failures} failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
