#!/usr/bin/env python3
"""Makes the pictures of docs/tour.md: python tools/tour.py [--binary FILE] [--out docs/tour]

Trains lenet5 on the embedded sample, opens its page and a live page in a headless Chromium, and takes screenshots of the
parts that the tour explains. Needs the same programs as tests/browser.
"""

import argparse
import base64
import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests/browser"))

from browser import Browser  # noqa: E402
from run import Program  # noqa: E402

WIDTH, HEIGHT = 1440, 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", type=Path, default=ROOT / "target/release/receptive")
    parser.add_argument("--out", type=Path, default=ROOT / "docs/tour")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    out, program = options.out.resolve(), Program(options.binary)
    with tempfile.TemporaryDirectory(prefix="tour-") as folder:
        # The page shows the run's path. It must be the path that a reader of the tour has.
        os.chdir(folder)
        run, page = Path("runs/lenet5-sample-1"), Path("page.html")
        program("train", "lenet5", "--data", "sample", "--out", run)
        program("inspect", run, "--index", 6, "--out", page)
        with Browser(width=WIDTH, height=HEIGHT) as browser:
            browser.open(page)
            look_inside(browser, out)
        with Browser(width=WIDTH, height=HEIGHT, dark=True) as browser:
            live(browser, program, out)


def part(browser, first, last, file):
    """Takes a screenshot from the first to the last element, with a margin."""
    box = """const [first, last] = [...arguments].map((node) => node.getBoundingClientRect());
      const top = first.top + scrollY - MARGIN, left = Math.min(first.left, last.left) - MARGIN;
      return {x: left, y: top, width: Math.max(first.right, last.right) + MARGIN - left,
              height: last.bottom + scrollY + MARGIN - top, scale: SCALE}"""
    clip = browser.run(box.replace("MARGIN", "20").replace("SCALE", "1.5"), first, last)
    taken = {"clip": clip, "captureBeyondViewport": True}
    file.write_bytes(base64.b64decode(browser.driver.execute_cdp_cmd("Page.captureScreenshot", taken)["data"]))


def look_inside(browser, out):
    def section(name, file):
        part(browser, browser.find(f"#{name}"), browser.find(f"#{name}"), out / file)

    section("overview", "overview.png")
    conv2 = next(row for row in browser.all(".diagram [data-layer] .path") if row.text == "conv2")
    browser.click(conv2)
    browser.click(next(tab for tab in browser.all(".panel [role=tab]") if tab.text == "Steps"))
    section("network", "steps.png")
    browser.click(browser.all("#field tbody tr")[3])
    section("field", "field.png")
    section("evidence", "evidence.png")
    section("training", "training.png")


def live(browser, program, out):
    command = ["train", "lenet5", "--data", "sample", "--epochs", 400, "--health", 20, "--live", "--out", "runs/live"]
    process = program.start(*command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        browser.open(next(line.split()[1] for line in process.stdout if line.startswith("live: ")))
        epochs = "return (document.querySelector('#curves path.val').getAttribute('d') ?? '').split('L').length"
        browser.until(lambda: browser.run(epochs) > 6, "some epochs were validated")
        browser.until(lambda: browser.all("#predictions .fill") and browser.all("#layers tbody tr"), "all parts are there")
        part(browser, browser.find("h1"), browser.find("#predictions"), out / "live.png")
    finally:
        process.kill()
        process.communicate()


if __name__ == "__main__":
    main()
