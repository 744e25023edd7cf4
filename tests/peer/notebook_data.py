"""The notebooks' data sets, for `notebooks.py`: torchvision's data sets and transforms, over the files that receptive reads.

torchvision reads other files (MNIST unpacked, CIFAR-10 as pickles). So the pixels are read here, and the images are made by
torchvision: `__getitem__` is that of its MNIST and CIFAR10. Every call returns the sets for training, validation and test.
"""
import gzip, pathlib
import numpy as np, torch
from PIL import Image
from torch.utils.data import Dataset, Subset, random_split
from torchvision import datasets
from torchvision.transforms import (Compose, InterpolationMode, Normalize, Pad, RandomCrop, RandomHorizontalFlip, Resize,
                                    ToTensor)


def found(folder, *names):
    """The first of these folders that exists; others are other layouts of the same files."""
    for name in names:
        if (path := pathlib.Path(folder) / name).is_dir():
            return path
    raise SystemExit(f"{pathlib.Path(folder) / names[0]} does not exist: give the folder that holds {names[0]}/ by --data-dir "
                     f"or $RECEPTIVE_DATA, or run `receptive data fetch`")


class Grey(datasets.MNIST):
    """28x28 images from a pair of IDX files."""
    def __init__(self, folder, part, transform):
        datasets.VisionDataset.__init__(self, str(folder), transform=transform)
        read = lambda kind: np.frombuffer(gzip.open(folder / f"{part}-{kind}-ubyte.gz").read(), np.uint8)
        self.data = torch.tensor(read("images-idx3")[16:]).view(-1, 28, 28)
        self.targets = torch.tensor(read("labels-idx1")[8:]).long()


class Colour(datasets.CIFAR10):
    """32x32 images from the binary files of CIFAR-10."""
    def __init__(self, folder, files, transform):
        datasets.VisionDataset.__init__(self, str(folder), transform=transform)
        rows = np.concatenate([np.fromfile(folder / file, np.uint8) for file in files]).reshape(-1, 3073)
        self.data = np.ascontiguousarray(rows[:, 1:].reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1))
        self.targets = rows[:, 0].tolist()


class Pets(Dataset):
    """Photographs and masks. A mask is the trimap / 255 (`raw`), or 1 for the pet and its border and 0 for the background."""
    def __init__(self, folder, part, raw):
        lines = (folder / f"annotations/{part}.txt").read_text().splitlines()
        self.folder, self.raw = folder, raw
        self.names = [line.split()[0] for line in lines if line.strip() and not line.startswith("#")]
        self.image = Compose([Resize((128, 128)), ToTensor()])
        self.mask = Resize((128, 128), InterpolationMode.NEAREST)

    def __len__(self):
        return len(self.names)

    def __getitem__(self, i):
        image = self.image(Image.open(self.folder / f"images/{self.names[i]}.jpg").convert("RGB"))
        trimap = Image.open(self.folder / f"annotations/trimaps/{self.names[i]}.png")
        if self.raw:
            return image, self.image(trimap)
        return image, torch.from_numpy(np.asarray(self.mask(trimap)) != 2).float()[None]


def mnist(folder, seed):
    folder, transform = found(folder, "mnist", "MNIST/raw"), Compose([ToTensor(), Normalize((0.1307,), (0.3081,))])
    test = Grey(folder, "t10k", transform)
    return Grey(folder, "train", transform), test, test


def mnist160(folder, seed):
    """16 training images of each class, drawn by the seed."""
    train, val, test = mnist(folder, seed)
    order = torch.randperm(len(train), generator=torch.Generator().manual_seed(seed))
    labels = train.targets[order]
    return Subset(train, torch.cat([order[labels == label][:16] for label in range(10)]).tolist()), val, test


def cifar10(folder, train, test):
    folder = found(folder, "cifar-10-batches-bin")
    test = Colour(folder, ["test_batch.bin"], test)
    return Colour(folder, [f"data_batch_{i}.bin" for i in range(1, 6)], train), test, test


def cifar10_cropped(folder, seed):
    return cifar10(folder, Compose([Pad(4), RandomHorizontalFlip(), RandomCrop(32), ToTensor()]), ToTensor())


def cifar10_halved(folder, seed):
    transform = Compose([ToTensor(), Normalize((0.5,) * 3, (0.5,) * 3)])
    return cifar10(folder, transform, transform)


def fashion(folder, seed, side=None):
    """The notebooks split with seed 42, whatever the seed of the run."""
    folder = found(folder, "fashion-mnist", "FashionMNIST/raw")
    transform = Compose([Resize(side), ToTensor()]) if side else ToTensor()
    train, val = random_split(Grey(folder, "train", transform), [50_000, 10_000], torch.Generator().manual_seed(42))
    return train, val, Grey(folder, "t10k", transform)


def fashion96(folder, seed):
    return fashion(folder, seed, 96)


def fashion224(folder, seed):
    return fashion(folder, seed, 224)


def pets(folder, seed):
    folder = found(folder, "pets", "oxford-iiit-pet")
    test = Pets(folder, "test", False)
    return Pets(folder, "trainval", False), test, test


def pets_raw(folder, seed):
    """The notebook trains on masks of trimap / 255. They are tested against the binary ones."""
    _, val, test = pets(folder, seed)
    return Pets(test.folder, "trainval", True), val, test
