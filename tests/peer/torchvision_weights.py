#!/usr/bin/env python3
"""Checks that torchvision's state_dicts, loaded without changes, give torchvision's logits in receptive.

    python3 tests/peer/torchvision_weights.py --bin target/release/receptive [MODEL...]

Each network gets random weights and running statistics from a fixed seed, saved with safetensors. Both programs evaluate
four random images in evaluation mode. No logit may differ by more than 1e-4, nor by more than 1e-4 of the largest logit.
Needs torch, torchvision, safetensors. Exits non-zero on any failure.
"""
import argparse, subprocess, sys, tempfile
import torch, torchvision
from safetensors.torch import load_file, save_file

TOLERANCE = 1e-4
MODELS = {
    "resnet18": {}, "resnet34": {}, "resnet50": {}, "vgg11": {}, "alexnet": {},
    "googlenet": {"aux_logits": False, "init_weights": False},
}


def randomise(model):
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            for tensor, low, high in [(module.running_mean, -0.2, 0.2), (module.running_var, 0.5, 1.5),
                                      (module.weight.data, 0.3, 0.7), (module.bias.data, -0.2, 0.2)]:
                tensor.uniform_(low, high)
            module.num_batches_tracked.fill_(7)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bin", required=True)
    parser.add_argument("models", nargs="*", default=list(MODELS))
    args = parser.parse_args()
    failed = 0
    print(f"torch {torch.__version__}, torchvision {torchvision.__version__}")
    for name in args.models:
        torch.manual_seed(0)
        model = getattr(torchvision.models, name)(**MODELS[name]).eval()
        randomise(model)
        images = torch.randn(4, 3, 224, 224)
        with torch.no_grad():
            want = model(images)
        with tempfile.TemporaryDirectory() as folder:
            save_file(model.state_dict(), f"{folder}/weights.safetensors")
            save_file({"input": images}, f"{folder}/in.safetensors")
            subprocess.run([args.bin, "predict", f"{folder}/weights.safetensors", "--model", f"tv-{name}", "--tensor",
                            f"{folder}/in.safetensors", "--output", f"{folder}/out.safetensors"], check=True)
            got = load_file(f"{folder}/out.safetensors")["output"]
        worst, size = float((got - want).abs().max()), float(want.abs().max())
        same = bool((got.argmax(1) == want.argmax(1)).all())
        good = worst <= TOLERANCE * min(size, 1.0) and same
        failed += not good
        print(f"{name:10} {'ok' if good else 'FAILED'}  largest difference {worst:.1e}, largest logit {size:.3g}", flush=True)
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
