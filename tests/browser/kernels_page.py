"""Tests the page of `receptive bench kernels`: it agrees with `--json`, and each row opens to its source with counts. The
simulated GPU counts; it is built if it is not there yet."""

import json
import os
import subprocess

from browser import Browser, same

SIMULATOR = "target/sim/count"


def test(program, folder, shots):
    subprocess.run(["tests/sim/build.sh", SIMULATOR], env={**os.environ, "COUNT": "1"}, check=True)
    os.environ["LD_LIBRARY_PATH"] = os.path.abspath(SIMULATOR)
    page = folder / "kernels.html"
    table = json.loads(program("bench", "kernels", "minivgg", "--gpu", "a100", "--json", "--html", page))
    del os.environ["LD_LIBRARY_PATH"]
    for width, dark in [(1280, False), (1280, True), (390, False), (390, True)]:
        with Browser(width=width, dark=dark) as browser:
            browser.open(page, ready="return document.readyState === 'complete'")
            same("kernels", [row.text for row in browser.all("summary .name")], [row["kernel"] for row in table["rows"]])
            same("step", browser.text(".facts dd"), f"{1e3 * table['seconds']:.3f} ms")
            browser.check()
            first = browser.find("summary")
            browser.click(first)
            same("open rows", len(browser.all("details[open]")), 1)
            same("a longest limit", len(browser.all("details[open] .bar.most")), 1)
            counted = browser.all("details[open] tr.counted")
            same("counted lines in the source", len(counted) > 3, True)
            same("their lines have code", all(row.text.strip() for row in counted), True)
            browser.check()
            browser.shot(shots, "kernels-minivgg")
