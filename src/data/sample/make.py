#!/usr/bin/env python3
"""Makes the embedded sample from Debian's `dataset-fashion-mnist` (Python's standard library is enough).

    python3 src/data/sample/make.py [FOLDER]        FOLDER: /usr/share/datasets/fashion-mnist

Takes the first 500 training images and the first 100 test images of each of the ten classes, keeps them in file order,
and writes them beside this script as IDX files, gzipped: the same four file names as the full set. No image of the
sample's validation half has been in the full set's training half.

The choice is fixed by the source files; the bytes also by the zlib that compresses them.
"""

import gzip
import struct
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent


def read(path):
    with gzip.open(path, "rb") as f:
        _, _, kind, rank = f.read(4)
        assert kind == 8, f"{path}: not unsigned bytes"
        dims = struct.unpack(f">{rank}I", f.read(4 * rank))
        return dims, f.read()


def write(path, dims, data):
    header = struct.pack(f">BBBB{len(dims)}I", 0, 0, 8, len(dims), *dims)
    path.write_bytes(gzip.compress(header + data, 9, mtime=0))
    print(f"{path.name}: {dims}, {path.stat().st_size} bytes")


def sample(source, split, each):
    (_, height, width), pixels = read(source / f"{split}-images-idx3-ubyte.gz")
    _, labels = read(source / f"{split}-labels-idx1-ubyte.gz")
    taken = [0] * 10
    chosen = []
    for i, label in enumerate(labels):
        if taken[label] < each:
            taken[label] += 1
            chosen.append(i)
    assert taken == [each] * 10
    size = height * width
    images = b"".join(pixels[i * size : (i + 1) * size] for i in chosen)
    write(HERE / f"{split}-images-idx3-ubyte.gz", (len(chosen), height, width), images)
    write(HERE / f"{split}-labels-idx1-ubyte.gz", (len(chosen),), bytes(labels[i] for i in chosen))


folder = Path(sys.argv[1] if len(sys.argv) > 1 else "/usr/share/datasets/fashion-mnist")
sample(folder, "train", 500)
sample(folder, "t10k", 100)
