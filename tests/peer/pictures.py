#!/usr/bin/env python3
"""Compares decoded pictures with Pillow's convert('RGB'): writes a matrix of JPEGs, PNGs and GIFs, then the engine reads it.

    python3 tests/peer/pictures.py [--keep DIR] [--committed]    needs pillow, numpy, safetensors, and cjpeg (libjpeg-turbo-progs)

The test `pictures_are_as_pillow_reads_them` of tests/data does the comparison. It reads the folder that $RECEPTIVE_PICTURES
names. `--committed` writes the small folder that is committed next to that test.
"""

import argparse
import io
import os
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
SAMPLINGS = ["1x1,1x1,1x1", "2x1,1x1,1x1", "2x2,1x1,1x1", "1x2,1x1,1x1", "4x1,1x1,1x1", "4x2,1x1,1x1",
             "2x2,2x1,2x1", "2x2,1x2,1x2", "2x1,2x1,1x1", "1x2,1x1,1x2", "3x1,1x1,1x1", "2x4,1x1,1x1", "1x4,1x1,1x1"]


def photo(w, h, channels=3, seed=0):
    """A smooth picture with an edge and a little noise, like a photograph."""
    rng = np.random.default_rng(seed + 97 * w + h)
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    planes = [127 + 90 * np.sin((k + 1.3) * x / max(w, 8) * 4 + k) * np.cos(y / max(h, 8) * (3 + k)) for k in range(channels)]
    picture = np.stack(planes, -1) + rng.normal(0, 3, (h, w, channels))
    picture[(x - w / 2) ** 2 + (y - h / 2) ** 2 < (min(w, h) / 4) ** 2] *= 0.6
    return picture.clip(0, 255).astype(np.uint8)


def cjpeg(pixels, sampling, restart, progressive, grey=False):
    header = b"P5" if grey else b"P6"
    data = header + b"\n%d %d\n255\n" % pixels.shape[1::-1] + pixels.tobytes()
    flags = ["-quality", "92", "-sample", sampling] + (["-restart", f"{restart}B"] if restart else [])
    flags += ["-progressive"] if progressive else ["-baseline"]
    flags += ["-grayscale"] if grey else []
    return subprocess.run(["cjpeg", *flags], input=data, capture_output=True, check=True).stdout


def pillow(image, **options):
    out = io.BytesIO()
    image.save(out, "JPEG", quality=92, **options)
    return out.getvalue()


def ycck(pixels, **options):
    """CMYK coded as YCCK: the first three planes become Y, Cb and Cr, and the Adobe marker says so."""
    cmy = Image.fromarray(255 - pixels[..., :3]).convert("YCbCr")
    planes = np.concatenate([255 - np.asarray(cmy), pixels[..., 3:]], -1)
    data = bytearray(pillow(Image.fromarray(planes, "CMYK"), **options))
    data[data.index(b"Adobe") + 11] = 2
    return bytes(data)


def component_ids(data, ids):
    """A JPEG without JFIF and Adobe markers, with `ids` as the numbers of its components."""
    out, at = bytearray(data[:2]), 2
    while data[at + 1] != 0xDA:
        size = 2 + int.from_bytes(data[at + 2:at + 4], "big")
        segment = bytearray(data[at:at + size])
        if segment[1] in (0xC0, 0xC1, 0xC2):
            segment[10::3] = ids
        if segment[1] not in (0xE0, 0xEE):
            out += segment
        at += size
    out += data[at:]
    start = len(data[:2])
    at = out.index(b"\xff\xda", start)
    while at >= 0:
        for i in range(out[at + 4]):
            known = out[at + 5 + 2 * i]
            if known in (1, 2, 3):
                out[at + 5 + 2 * i] = ids[known - 1]
            elif known in b"RGB":
                out[at + 5 + 2 * i] = ids[b"RGB".index(known)]
        at = out.find(b"\xff\xda", at + 4)
    return bytes(out)


def chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def exif(orientation, order="<"):
    """An EXIF block with the orientation and nothing else."""
    first = b"II*\0" if order == "<" else b"MM\0*"
    return first + struct.pack(order + "IHHHIHHI", 8, 1, 0x112, 3, 1, orientation, 0, 0)


def matrix():
    """Names and bytes of the files."""
    for w, h in [(1, 1), (7, 5), (16, 16), (17, 33), (64, 64), (131, 40)]:
        pixels = photo(w, h)
        for sampling in SAMPLINGS:
            for restart in (0, 1, 3):
                for progressive in (False, True):
                    kind = "444" if sampling == SAMPLINGS[0] else "sub"
                    name = f"{kind}-{sampling.replace(',', '_')}-{w}x{h}-r{restart}-{'p' if progressive else 'b'}.jpg"
                    try:
                        yield name, cjpeg(pixels, sampling, restart, progressive)
                    except subprocess.CalledProcessError:
                        pass  # libjpeg cannot write this combination.
        for restart in (0, 2):
            for progressive in (False, True):
                tag = f"{w}x{h}-r{restart}-{'p' if progressive else 'b'}"
                options = {"progressive": progressive, "restart_marker_blocks": restart}
                yield f"grey-{tag}.jpg", cjpeg(pixels[..., 0], "1x1", restart, progressive, True)
                yield f"grey-2x2-{tag}.jpg", cjpeg(pixels[..., 0], "2x2", restart, progressive, True)
                rgb = pillow(Image.fromarray(pixels), keep_rgb=True, subsampling=0, **options)
                yield f"444-rgb-{tag}.jpg", rgb
                yield f"444-rgb-ids-{tag}.jpg", component_ids(rgb, b"RGB")
                plain = pillow(Image.fromarray(pixels), subsampling=0, **options)
                yield f"444-no-markers-{tag}.jpg", component_ids(plain, b"\1\2\3")
                yield f"444-odd-ids-{tag}.jpg", component_ids(plain, b"\0\1\2")
                four = photo(w, h, 4)
                yield f"444-cmyk-{tag}.jpg", pillow(Image.fromarray(four, "CMYK"), subsampling=0, **options)
                yield f"444-ycck-{tag}.jpg", ycck(four, subsampling=0, **options)
                yield f"sub-cmyk-{tag}.jpg", pillow(Image.fromarray(four, "CMYK"), subsampling=2, **options)
                yield f"sub-ycck-{tag}.jpg", ycck(four, subsampling=2, **options)
    yield from others()


def others():
    """Orientations, trailers, and the kinds of PNG and GIF."""
    pixels = photo(24, 16)
    for orientation in range(1, 9):
        for order in "<>":
            block = exif(orientation, order)
            name = f"exif{orientation}{'l' if order == '<' else 'b'}"
            yield f"444-{name}.jpg", pillow(Image.fromarray(pixels), subsampling=0, exif=b"Exif\0\0" + block)
            png = io.BytesIO()
            Image.fromarray(pixels).save(png, "PNG", exif=block)
            yield f"{name}.png", png.getvalue()
    for name, block in [("short", b"II*\0\x08\0\0\0"), ("far", b"II*\0\xff\xff\xff\x7f"), ("wrong", exif(99)), ("none", b"")]:
        yield f"444-exif-{name}.jpg", pillow(Image.fromarray(pixels), subsampling=0, exif=b"Exif\0\0" + block)
    whole = cjpeg(pixels, "1x1,1x1,1x1", 0, False)
    for name, after in [("film", b"\0\0\0\x18ftypmp42" + b"\xff\xd8\xff\xda\0\xff\xd9" * 3), ("scan", b"\xff\xda"),
                        ("zeros", bytes(5000)), ("second", whole), ("cut-second", whole[:-100])]:
        yield f"444-then-{name}.jpg", whole + after
    thumbnail = b"\xff\xe1" + struct.pack(">H", 2 + len(whole)) + whole
    yield "444-thumbnail.jpg", whole[:2] + thumbnail + whole[2:]
    yield "444-fill-bytes.jpg", whole[:2] + b"\xff\xff\xff" + whole[2:]
    big = photo(640, 400)
    yield "444-large.jpg", cjpeg(big, "1x1,1x1,1x1", 0, False)
    yield "sub-large.jpg", cjpeg(big, "2x2,1x1,1x1", 0, True)

    def save(image, form="PNG", **options):
        out = io.BytesIO()
        image.save(out, form, **options)
        return out.getvalue()

    rgb, grey = Image.fromarray(pixels), Image.fromarray(pixels[..., 0])
    yield "rgb.png", save(rgb)
    yield "grey.png", save(grey)
    yield "one-bit.png", save(grey.convert("1"))
    yield "palette.png", save(rgb.quantize(13))
    yield "palette-4.png", save(rgb.quantize(3), bits=2)
    yield "then-bytes.png", save(rgb) + b"\x89PNG\r\n\x1a\n" + bytes(100)
    yield "no-iend.png", save(rgb)[:-12]
    yield "half-iend.png", save(rgb)[:-5]
    # 16 bits per channel. For grey, Pillow clips the values and the engine scales them. For RGB both scale, so only RGB is
    # compared.
    deep = (photo(9, 7).astype(np.uint32) * 257).astype(">u2")
    rows = b"".join(b"\0" + row.tobytes() for row in deep)
    yield "rgb16.png", b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 9, 7, 16, 2, 0, 0, 0)) + chunk(
        b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    yield "frames.png", save(rgb, save_all=True, append_images=[ImageOps.invert(rgb)])
    yield "palette.gif", save(rgb.quantize(30), "GIF")
    yield "frames.gif", save(rgb.quantize(30), "GIF", save_all=True, append_images=[ImageOps.invert(rgb).quantize(30)])
    yield "interlaced.gif", save(rgb.quantize(30), "GIF", interlace=1)


def write(folder, files):
    """Writes the files, and the pixels that Pillow reads from them. Returns the number of files."""
    expected = {}
    for name, data in files:
        try:
            image = Image.open(io.BytesIO(data))
            image.load()
        except OSError as why:
            sys.exit(f"Pillow does not open {name}: {why}")
        (folder / name).write_bytes(data)
        expected[name] = np.ascontiguousarray(np.asarray(ImageOps.exif_transpose(image).convert("RGB")).transpose(2, 0, 1))
    save_file(expected, folder / "expected.safetensors")
    return len(expected)


def small():
    """A few files of each kind, for the tests that run without this script."""
    wanted = ["17x33-r3-p", "17x33-r0-b", "17x33-r2-p"]
    for name, data in matrix():
        keep = name.startswith(("444-exif", "exif", "444-then", "444-thumb", "444-fill")) or name.endswith((".png", ".gif"))
        if keep or any(part in name for part in wanted):
            yield name, data


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", type=Path, help="write the matrix here and keep it")
    parser.add_argument("--committed", action="store_true", help="write tests/data/pictures/, and compare nothing")
    options = parser.parse_args()
    if options.committed:
        folder = HERE.parent / "data" / "pictures"
        folder.mkdir(exist_ok=True)
        print(write(folder, small()), "files in", folder)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = options.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        print(write(folder, matrix()), "files")
        command = ["cargo", "test", "--release", "--test", "data", "--", "--nocapture", "as_pillow_reads_them"]
        sys.exit(subprocess.run(command, cwd=HERE.parent.parent, env={**os.environ, "RECEPTIVE_PICTURES": str(folder.resolve())}).returncode)


if __name__ == "__main__":
    main()
