#!/usr/bin/env python3
"""Tests the pages in a headless Chromium: python tests/browser/run.py [--binary FILE] [--shots DIR] [NAME ...]

Each file *_page.py here tests one page with its function `test(program, folder, shots)`. NAME runs only the files whose
names begin with it.
Needs Python's selenium (pip install selenium), chromium and chromedriver.
"""

import argparse
import importlib
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))


class Program:
    """The `receptive` program."""

    def __init__(self, binary):
        self.binary = binary.resolve()

    def __call__(self, *arguments, timeout=600):
        """Runs the program; returns what it printed."""
        command = [str(self.binary), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout)
        if done.returncode != 0:
            raise AssertionError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr}")
        return done.stdout

    def start(self, *arguments, **options):
        """Starts the program and returns without waiting for it."""
        return subprocess.Popen([str(self.binary), *map(str, arguments)], text=True, **options)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=HERE.parents[1] / "target/release/receptive")
    parser.add_argument("--shots", type=Path, help="a folder for pictures of what was seen")
    parser.add_argument("names", nargs="*", help="pages, by the beginnings of their names [default: all]")
    options = parser.parse_args()
    if not options.binary.is_file():
        parser.error(f"there is no {options.binary}: cargo build --release, or --binary FILE")
    pages = [file.stem for file in sorted(HERE.glob("*_page.py"))]
    chosen = [page for page in pages if not options.names or page.startswith(tuple(options.names))]
    if not chosen:
        parser.error(f"no page begins like this; there are {', '.join(pages)}")
    for page in chosen:
        start = time.monotonic()
        with tempfile.TemporaryDirectory(prefix=f"{page}-") as folder:
            importlib.import_module(page).test(Program(options.binary), Path(folder), options.shots)
        print(f"{page}: {time.monotonic() - start:.1f} s")


if __name__ == "__main__":
    main()
