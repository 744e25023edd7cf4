#!/usr/bin/env python3
"""Trains a row of the notebooks in PyTorch, with the notebooks' own loop and loader: what a student gets on this machine.

    python3 tests/peer/notebooks.py M7 --seed 0 [--data-dir DIR] [--threads 2] [--out M7.json]
    python3 tests/peer/notebooks.py P1 --masks raw --width 16 [--epochs 2]
    python3 tests/peer/notebooks.py C6 --time [--max-steps 100]

The rows are those of `receptive reproduce`, but M1, M2 (scikit-learn) and C9 (only linked in the notebooks). Images come from
torchvision's data sets and transforms through a DataLoader without workers; see notebook_data.py. Validation uses the batch
size of training. The loops:

- M3-M10, C1-C6, C8: `train_val_model`. Each epoch trains and validates, and the weights of the best epoch are kept.
- M11, C7: no validation. The mean loss of every 1,000 batches; the last weights are tested.
- F1-F5: each epoch trains and validates. The loss is the mean of the batches' means; the last weights are tested.
- P1: no validation. The loss of each epoch's last batch; the last weights are tested. The notebook's masks are the trimaps /
  255 (`--masks raw`). The default, `binary`, is 1 for the pet. Both are tested on binary masks: Dice and IoU are means over
  pictures, and a pixel is pet if its logit is positive, as in `receptive reproduce P1`.

The result has the figures of `receptive reproduce`, in percent and in the same order. Its seconds are those of training and
validation. With `--out`, FILE.part has the result so far after each epoch, and FILE.ckpt what is needed to go on: the same
command continues a run that was stopped, and ends with the same weights. `--max-steps` ends each phase after so many batches.
`--time` trains one epoch and prints its seconds; with `--max-steps`, the seconds of an epoch by those of so many batches,
after two batches that are not timed. Needs torch and torchvision.
"""
import argparse, copy, dataclasses, itertools, json, math, os, pathlib, subprocess, time, typing
import torch, torch.nn.functional as F
from torch.utils.data import DataLoader
import notebook_data as data
from networks import (AlexNet, GoogLeNet, LeNet5, LeNet5Bn, LeNet5Tanh, MiniVgg, Mlp, Mlp2, ResNet18, ResNetCifar, UNet, Vgg11)
from quiet import quiet

HERE = pathlib.Path(__file__).resolve().parent
CURVES = ["train_loss", "train_accuracy", "val_loss", "val_accuracy", "seconds"]
PETS = 3680  # training pictures of the whole set


@dataclasses.dataclass
class Loop:
    validates: bool = False
    keeps_best: bool = False
    counts: bool = False  # counts correct labels while training
    by_sample: bool = True  # the mean loss is over samples, not over batches


TRAIN_VAL_MODEL = Loop(validates=True, keeps_best=True, counts=True)
BOOK = Loop(validates=True, counts=True, by_sample=False)
PRINTED = Loop()


@dataclasses.dataclass
class Row:
    data: typing.Callable
    net: typing.Callable
    optimizer: typing.Callable
    batch: int
    epochs: int
    loop: Loop = dataclasses.field(default_factory=lambda: TRAIN_VAL_MODEL)
    loss: typing.Callable = F.nll_loss
    then: tuple = ()  # epochs of a second run, from the first one's weights
    xavier: bool = False


def sgd(lr, momentum=0.0):
    return lambda params: torch.optim.SGD(params, lr=lr, momentum=momentum)


def adam(params):
    return torch.optim.Adam(params, lr=0.001)


def fashion(images, net, lr, batch, epochs):
    return Row(images, net, sgd(lr), batch, epochs, BOOK, F.cross_entropy, xavier=True)


lenet5_c, minivgg_c = lambda: LeNet5(3, 576), lambda: MiniVgg(3, 1152)
ROWS = {
    "M3": Row(data.mnist, Mlp2, sgd(0.01, 0.5), 64, 1, then=(10,)),
    "M4": Row(data.mnist, Mlp, sgd(0.01, 0.5), 64, 10),
    "M5": Row(data.mnist160, Mlp, sgd(0.01, 0.5), 16, 100),
    "M6": Row(data.mnist160, Mlp, adam, 16, 100),
    "M7": Row(data.mnist, LeNet5, sgd(0.01, 0.5), 64, 5),
    "M8": Row(data.mnist, MiniVgg, sgd(0.01, 0.5), 64, 5),
    "M9": Row(data.mnist160, LeNet5, sgd(0.01, 0.5), 16, 100),
    "M10": Row(data.mnist160, MiniVgg, sgd(0.01, 0.5), 16, 100),
    "M11": Row(data.mnist, LeNet5Tanh, adam, 10, 3, PRINTED, F.cross_entropy),
    "C1": Row(data.cifar10_cropped, lenet5_c, sgd(0.001, 0.5), 100, 25),
    "C2": Row(data.cifar10_cropped, lenet5_c, sgd(0.01, 0.9), 100, 25),
    "C3": Row(data.cifar10_cropped, lenet5_c, adam, 100, 25),
    "C4": Row(data.cifar10_cropped, minivgg_c, sgd(0.01, 0.9), 100, 25),
    "C5": Row(data.cifar10_cropped, minivgg_c, adam, 100, 25),
    "C6": Row(data.cifar10_cropped, ResNetCifar, adam, 100, 25),
    "C7": Row(data.cifar10_halved, lambda: LeNet5Tanh(3, padding=0), adam, 10, 3, PRINTED, F.cross_entropy),
    "C8": Row(data.cifar10_cropped, lambda: Mlp(3072), adam, 100, 50),
    "F1": fashion(data.fashion224, AlexNet, 0.01, 128, 5),
    "F2": fashion(data.fashion224, lambda: Vgg11(16), 0.05, 128, 5),
    "F3": fashion(data.fashion, LeNet5Bn, 1.0, 256, 10),
    "F4": fashion(data.fashion96, ResNet18, 0.05, 256, 5),
    "F5": fashion(data.fashion96, lambda: GoogLeNet(1), 0.1, 128, 10),
    "P1": Row(data.pets, UNet, adam, 4, 10, PRINTED, F.binary_cross_entropy_with_logits),
}


def phase(row, model, loader, optimizer=None, limit=None):
    """A pass over the loader: the batches' losses, the mean loss, the accuracy in percent (if it is counted), seconds."""
    start, training = time.perf_counter(), optimizer is not None
    model.train(training)
    losses, sizes, correct = [], [], 0
    for inputs, targets in itertools.islice(loader, limit):
        with torch.set_grad_enabled(training):
            outputs = model(inputs)
            loss = row.loss(outputs, targets)
            if training:
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        losses.append(loss.item())
        sizes.append(len(inputs))
        if row.loop.counts or not training:
            correct += torch.sum(outputs.max(1)[1] == targets).item()
    weights = sizes if row.loop.by_sample else [1] * len(sizes)
    mean = sum(loss * weight for loss, weight in zip(losses, weights)) / sum(weights)
    return losses, mean, 100 * correct / sum(sizes), time.perf_counter() - start


def overlap(model, loader, limit):
    """Mean Dice and IoU of the predicted masks, and mean Dice if every pixel is called pet, in percent."""
    model.eval()
    sums, n = [0.0] * 3, 0
    for images, masks in itertools.islice(loader, limit):
        with torch.no_grad():
            predicted, truth = model(images).flatten(1) > 0, masks.flatten(1) > 0.5
        for p, t in zip(predicted, truth):
            common, p, t, pixels = (p & t).sum().item(), p.sum().item(), t.sum().item(), t.numel()
            union = p + t - common
            for i, score in enumerate([2 * common / (p + t), common / union] if union else [1.0, 1.0]):
                sums[i] += score
            sums[2] += 2 * t / (pixels + t)
            n += 1
    return [100 * total / n for total in sums]


def build(row, args):
    """The network with its first weights, and the loaders of training, validation and test."""
    torch.manual_seed(args.seed)
    train, val, test = row.data(args.data_dir, args.seed)
    model = row.net()
    if row.xavier:
        for layer in model.modules():
            if isinstance(layer, (torch.nn.Linear, torch.nn.Conv2d)):
                torch.nn.init.xavier_uniform_(layer.weight)
    in_order = lambda images: DataLoader(images, batch_size=row.batch, shuffle=False)
    return model, DataLoader(train, batch_size=row.batch, shuffle=True), in_order(val), in_order(test)


def write(path, save):
    """Calls save with the name of a new file, which then takes the place of the old one."""
    save(f"{path}.new")
    os.replace(f"{path}.new", path)


def settings(row, args, images):
    """What differs from the notebook."""
    said = []
    if args.epochs and args.epochs != row.epochs:
        said.append(f"{args.epochs} of {row.epochs} epochs")
    if args.max_steps:
        said.append(f"{args.max_steps} batches per phase")
    if args.row == "P1":
        said += ["binary masks"] * (args.masks == "binary") + [f"width {args.width}"] * (args.width != 64)
        said += [f"{images} of {PETS} training images"] * (images != PETS)
    return ", ".join(said)


def machine():
    names = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return f"{names[0] if names else 'unknown processor'}, {len(os.sched_getaffinity(0))} cores"


def commit():
    git = subprocess.run(["git", "-C", HERE, "rev-parse", "--short=9", "HEAD"], capture_output=True, text=True)
    return git.stdout.strip()


def rounded(value):
    """Six places are enough to read; a number that is not finite has no JSON form."""
    if isinstance(value, dict):
        return {key: rounded(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [rounded(inner) for inner in value]
    if isinstance(value, float):
        return round(value, 6) if math.isfinite(value) else None
    return value


def text(result):
    """One key per line."""
    lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in rounded(result).items()]
    return "{\n" + ",\n".join(lines) + "\n}\n"


class Run:
    """A row with one seed. `state` is what the checkpoint holds beside the weights."""

    def __init__(self, row, args):
        self.row, self.args = row, args
        self.model, self.train_loader, self.val_loader, self.test_loader = build(row, args)
        self.lengths = [args.epochs or row.epochs, *row.then]
        keys = ["row", "seed", "epochs", "max_steps", "masks", "width", "threads"]
        self.state = {"args": {key: getattr(args, key) for key in keys}, "commit": commit(), "curves": [], "batch_loss": [],
                      "last_batch_loss": [], "best": None, "best_accuracy": -1.0}

    def path(self, ending):
        return f"{self.args.out}.{ending}"

    def save(self, optimizer):
        if not self.args.out:
            return
        more = {"model": self.model.state_dict(), "optimizer": optimizer.state_dict(), "rng": torch.get_rng_state()}
        write(self.path("ckpt"), lambda file: torch.save({**self.state, **more}, file))
        write(self.path("part"), lambda file: pathlib.Path(file).write_text(text(self.result([]))))

    def resume(self):
        """Reads the checkpoint, if there is one. Returns what the optimiser needs."""
        if not self.args.out or not os.path.exists(self.path("ckpt")):
            return None
        state = torch.load(self.path("ckpt"), weights_only=True)
        if state["args"] != self.state["args"]:
            raise SystemExit(f"{self.path('ckpt')} was written with other settings: {state['args']}. Use the same, delete it, "
                             f"or choose another --out")
        self.model.load_state_dict(state.pop("model"))
        torch.set_rng_state(state.pop("rng"))
        optimizer = state.pop("optimizer")
        self.state = state
        return optimizer

    def epoch(self, optimizer, of):
        row, curves, limit = self.row, self.state["curves"][-1], self.args.max_steps
        losses, loss, accuracy, seconds = phase(row, self.model, self.train_loader, optimizer, limit)
        curves["train_loss"].append(loss)
        said = f"train loss {loss:.4f}"
        if row.loop.counts:
            curves["train_accuracy"].append(accuracy)
            said += f"  accuracy {accuracy:5.2f} %"
        if row.loop.validates:
            _, loss, accuracy, more = phase(row, self.model, self.val_loader, None, limit)
            curves["val_loss"].append(loss)
            curves["val_accuracy"].append(accuracy)
            said, seconds = f"{said}  val loss {loss:.4f}  accuracy {accuracy:5.2f} %", seconds + more
        if row.loop.keeps_best and accuracy > self.state["best_accuracy"]:
            self.state["best"], self.state["best_accuracy"] = copy.deepcopy(self.model.state_dict()), accuracy
        if self.args.row == "P1":
            self.state["last_batch_loss"].append(losses[-1])
            said += f"  last batch {losses[-1]:.4f}"
        elif row.loop is PRINTED:
            means = [sum(losses[i : i + 1000]) / 1000 for i in range(0, len(losses) - 999, 1000)]
            self.state["batch_loss"] += means
            said += "  every 1,000 batches" + "".join(f" {mean:.3f}" for mean in means)
        curves["seconds"].append(seconds)
        print(f"epoch {len(curves['seconds'])}/{of}  {said}  {seconds:.1f} s", flush=True)

    def train(self):
        saved, curves = self.resume(), self.state["curves"]
        for number, epochs in enumerate(self.lengths):
            if number < len(curves) - 1:
                continue  # a run that was done before the checkpoint
            optimizer = self.row.optimizer(self.model.parameters())
            if number == len(curves):
                curves.append({name: [] for name in CURVES})
                self.state.update(best=None, best_accuracy=-1.0)
            else:
                optimizer.load_state_dict(saved)
            while len(curves[-1]["seconds"]) < epochs:
                self.epoch(optimizer, epochs)
                self.save(optimizer)
            if self.row.loop.keeps_best:
                self.model.load_state_dict(self.state["best"])

    def measure(self):
        """Trains, tests, and returns the result."""
        self.train()
        if self.args.row == "P1":
            dice, iou, all_pet = overlap(self.model, self.test_loader, self.args.max_steps)
            return {**self.result([dice, all_pet]), "iou": iou}
        if self.row.loop.keeps_best:
            return self.result([max(curves["val_accuracy"]) for curves in self.state["curves"]])
        return self.result([phase(self.row, self.model, self.test_loader, None, self.args.max_steps)[2]])

    def result(self, figures):
        args, curves = self.args, self.state["curves"]
        result = {
            "id": args.row, "seed": args.seed, "settings": settings(self.row, args, len(self.train_loader.dataset)),
            "epochs": self.lengths[0], "figures": figures, "seconds": sum(sum(run["seconds"]) for run in curves),
            "machine": machine(), "threads": args.threads, "torch": torch.__version__, "commit": self.state["commit"],
            "curves": curves}
        if args.row == "P1":
            return {**result, "last_batch_loss": self.state["last_batch_loss"], "masks": args.masks}
        return {**result, "batch_loss": self.state["batch_loss"]} if self.row.loop is PRINTED else result


def timed(row, args):
    """The seconds of one epoch. They are scaled up from `--max-steps` batches, if it is given."""
    model, train, val, _ = build(row, args)
    optimizer, limit = row.optimizer(model.parameters()), args.max_steps
    phases = {"train": (train, optimizer)} | ({"val": (val, None)} if row.loop.validates else {})
    seconds = {"train": 0.0, "val": 0.0}
    for name, (loader, optimizer) in phases.items():
        if limit:
            phase(row, model, loader, optimizer, 2)
        losses, *_, elapsed = phase(row, model, loader, optimizer, limit)
        seconds[name] = elapsed * len(loader) / len(losses)
    total = sum(seconds.values())
    return {"id": args.row, "seconds_per_epoch": total, "train_seconds": seconds["train"], "val_seconds": seconds["val"],
            "images_per_second": len(train.dataset) / total, "torch": torch.__version__}


def positive(word):
    if (number := int(word)) < 1:
        raise ValueError
    return number


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("row", type=str.upper, choices=list(ROWS), metavar="ROW")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=positive, help="of the first run, if there are two")
    parser.add_argument("--threads", type=positive, default=2)
    parser.add_argument("--data-dir", default=os.environ.get("RECEPTIVE_DATA", "."), help="default: $RECEPTIVE_DATA")
    parser.add_argument("--out", metavar="FILE.json")
    parser.add_argument("--max-steps", type=positive, metavar="N")
    parser.add_argument("--time", action="store_true")
    parser.add_argument("--masks", choices=["binary", "raw"], default="binary", help="P1 only")
    parser.add_argument("--width", type=positive, default=64, help="P1 only: channels of the first level")
    args = parser.parse_args()
    row = ROWS[args.row]
    if args.row == "P1":
        row = dataclasses.replace(row, net=lambda: UNet(args.width), data=data.pets_raw if args.masks == "raw" else data.pets)
    elif (args.masks, args.width) != ("binary", 64):
        parser.error("--masks and --width belong to P1")
    torch.set_num_threads(args.threads)
    if args.time:
        if args.out or args.epochs:
            parser.error("--time measures one epoch and prints it: it takes neither --out nor --epochs")
        with quiet():
            print(json.dumps(rounded(timed(row, args))))
        return
    if args.out and os.path.exists(args.out):
        print(f"{args.out} is there already; to measure it again, delete it")
        return
    run = Run(row, args)
    result = text(run.measure())
    if not args.out:
        print(result, end="")
        return
    write(args.out, lambda file: pathlib.Path(file).write_text(result))
    for ending in ("ckpt", "part"):
        pathlib.Path(run.path(ending)).unlink(missing_ok=True)
    print(f"{args.out} written")


if __name__ == "__main__":
    main()
