#!/usr/bin/env python3
"""Compares Grad-CAM, saliency and occlusion of `receptive inspect` with PyTorch's autograd, on the same weights and images.

    python3 tests/peer/attribution.py --bin target/release/receptive [MODEL...]

PyTorch draws random weights and running statistics. receptive loads them, and both process the same made-up pictures. The
command reports several goals: the likeliest classes, or the mask. For each goal, every value of the three maps must equal
PyTorch's f64 value within 1e-4 of the map's largest value. The score is the logit: if a network ends in log_softmax, the
score is the input of log_softmax. Needs torch, safetensors, numpy, Pillow. Exits non-zero on any failure.
"""
import argparse, json, pathlib, subprocess, sys, tempfile
from unittest import mock
import numpy as np, torch, torch.nn.functional as F
from PIL import Image
from safetensors.torch import save_file
from networks import LeNet5, MiniVgg, ResNetCifar, UNet

TOLERANCE, PICTURES = 1e-4, 4
# Constructor, image shape, more flags. U-Net is narrow and its image small to save time; the arithmetic is the same.
MODELS = {
    "lenet5": (LeNet5, (1, 28, 28), []),
    "minivgg": (MiniVgg, (1, 28, 28), []),
    "resnet-cifar": (ResNetCifar, (3, 32, 32), []),
    "unet": (lambda: UNet(width=8), (3, 32, 32), ["--width", "8", "--resize", "32"]),
}


def picture(seed, channels, h, w):
    """Bright and dark blobs with some noise, as bytes [C, H, W]."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:h, :w]
    image = rng.uniform(90, 130, (channels, h, w))
    for _ in range(6):
        (cy, cx), spread = rng.uniform(0, [h, w]), rng.uniform(2, h / 4)
        blob = np.exp(-((y - cy) ** 2 + (x - cx) ** 2) / (2 * spread**2))
        image += rng.uniform(-120, 120, (channels, 1, 1)) * blob
    return image.clip(0, 255).astype(np.uint8)


def network(make, images):
    """A network with weights whose outputs differ enough between classes or pixels to be explained."""
    torch.manual_seed(0)
    model = make().eval()
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if name.endswith("running_mean"):
                value.normal_(0, 0.1)
            elif name.endswith("running_var"):
                value.uniform_(0.5, 1.5)
            elif value.dim() > 1:  # with PyTorch's default every layer shrinks its input; sets He's variance, 2 / fan_in
                value.mul_(6**0.5)
        if isinstance(model, UNet):  # makes about half of the pixels belong to the mask
            model.conv_final.bias -= model(images[:1]).median()
    return model


def logits(model, x):
    """The logits: the output, or the input of a final log_softmax. And every layer's output by name, also of the poolings."""
    layers, pool, hooks = {}, F.max_pool2d, []

    def pooling(*args, **more):
        y = pool(*args, **more)
        layers[f"pool{sum(name.startswith('pool') for name in layers) + 1}"] = y
        return y

    for name, module in model.named_modules():
        keep = lambda module, inputs, y, name=name: layers.__setitem__(name, y)
        hooks.append(module.register_forward_hook(keep))
    with mock.patch.object(F, "max_pool2d", pooling), mock.patch.object(F, "log_softmax", lambda x, dim: x):
        y = model(x)
    for hook in hooks:
        hook.remove()
    return y, layers


def explain(model, x, goal, layer, patch):
    """Score, Grad-CAM, saliency and occlusion, computed from their definitions."""
    x = x.clone().requires_grad_()
    y, layers = logits(model, x)
    weights = (y > 0).to(y.dtype) if goal == "mask" else F.one_hot(torch.tensor([goal]), y.shape[1]).to(y.dtype)
    score = (weights * y).sum()
    activation = layers[layer]
    by_activation, by_pixel = torch.autograd.grad(score, [activation, x])
    gradcam = (by_activation.mean((2, 3), keepdim=True) * activation).sum(1).relu()[0]
    h, w = x.shape[2:]
    begins = lambda side: range(0, side - patch["size"] + patch["stride"], patch["stride"])
    corners = [(top, left) for top in begins(h) for left in begins(w)]
    under = torch.zeros(len(corners), 1, h, w).double()
    for mask, (top, left) in zip(under, corners):
        mask[0, top : top + patch["size"], left : left + patch["size"]] = 1
    with torch.no_grad():
        covered, _ = logits(model, x * (1 - under))
    drop = score.detach() - (weights * covered).flatten(1).sum(1)
    occlusion = (drop[:, None, None] * under[:, 0]).sum(0) / under[:, 0].sum(0)
    return score.item(), {"gradcam": gradcam, "saliency": by_pixel.abs().amax(1)[0], "occlusion": occlusion}


def inspect(args, name, weights, image, flags, folder):
    file = folder / "picture.png"
    Image.fromarray(image[0] if len(image) == 1 else image.transpose(1, 2, 0)).save(file)
    command = [args.bin, "inspect", str(weights), "--model", name, "--image", str(file), "--normalize", "off", *flags,
               "--out", str(folder / "page.html"), "--json"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"{' '.join(command)}\n{done.stderr}")
    return json.loads(done.stdout)["attribution"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    args = parser.parse_args()
    print(f"torch {torch.__version__}; largest difference to its f64, in parts of the largest value")
    failures, checked = 0, 0
    for name in args.models:
        make, dims, flags = MODELS[name]
        bytes_of = [picture(seed, *dims) for seed in range(PICTURES)]
        images = torch.tensor(np.stack(bytes_of)).float() / 255
        model = network(make, images)
        worst, largest, layer = {}, {}, None
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            save_file(model.state_dict(), folder / "weights.safetensors")
            model = model.double()
            for image, x in zip(bytes_of, images.double()):
                for entry in inspect(args, name, folder / "weights.safetensors", image, flags, folder):
                    layer = entry["gradcam"]["layer"]
                    score, maps = explain(model, x[None], entry["goal"], layer, entry["occlusion"])
                    pairs = {kind: (entry[kind]["dims"], entry[kind]["values"], want.detach()) for kind, want in maps.items()}
                    pairs["score"] = ([], [entry["score"]], torch.tensor(score).double())
                    for kind, (shape, got, want) in pairs.items():
                        assert list(want.shape) == shape, f"{name} {kind}: {shape}, not {list(want.shape)}"
                        most = want.abs().max().item()
                        error = (torch.tensor(got).double().reshape(shape) - want).abs().max().item()
                        checked += 1
                        if not error <= TOLERANCE * most:
                            failures += 1
                            print(f"  FAILED {name} {kind} of {entry['goal']}: {error:.2e} of {most:.2e}")
                        worst[kind] = max(worst.get(kind, 0.0), error / most if most else 0.0)
                        largest[kind] = max(largest.get(kind, 0.0), most)
        for kind, most in largest.items():
            if not most > 0:
                failures += 1
                print(f"  FAILED {name} {kind}: all zero, which shows nothing")
        figures = "  ".join(f"{kind} {worst[kind]:.1e}" for kind in ("score", "gradcam", "saliency", "occlusion"))
        print(f"{name:12} at {layer:7} {figures}", flush=True)
    print(f"{checked} comparisons, {failures} failed")
    sys.exit(failures > 0)


if __name__ == "__main__":
    main()
