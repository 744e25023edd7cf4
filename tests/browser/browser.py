"""A headless Chromium for the pages, and the checks that every page must pass.

    with Browser(width=390, dark=True) as page:
        page.open(Path("inspect-lenet5.html"))
        page.check()

Uses the system's Chromium and chromedriver. No page loads anything from outside this machine.
"""

import shutil
import tempfile
import time
from pathlib import Path

from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

__all__ = ["Browser", "By", "Keys", "Wrong", "same", "terms"]

FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--force-device-scale-factor=1",
]

# Finds elements that extend beyond the page's right edge and are not inside an element that scrolls or clips.
STICKS_OUT = """
const wide = document.documentElement.clientWidth;
const scrolls = (node) => {
  for (let at = node.parentElement; at && at !== document.body; at = at.parentElement) {
    const style = getComputedStyle(at);
    if (/auto|scroll|hidden|clip/.test(style.overflowX)) return true;
  }
  return false;
};
const visible = (node) => node.getClientRects().length > 0 && !node.closest(".skip, .hidden");
return [...document.body.querySelectorAll("*")]
  .filter((node) => visible(node) && node.getBoundingClientRect().right > wide + 1 && !scrolls(node))
  .slice(0, 5)
  .map((node) => node.tagName + "." + node.getAttribute("class") + " ends at " + node.getBoundingClientRect().right);
"""


class Wrong(AssertionError):
    """A page does not show what it should."""


class Browser:
    """One window of a given width, light or dark."""

    def __init__(self, width=1280, height=900, dark=False, reduced=True):
        self.width, self.height, self.dark, self.reduced = width, height, dark, reduced
        self.profile = tempfile.mkdtemp(prefix="receptive-browser-")
        self.driver = None

    def __enter__(self):
        options = Options()
        for flag in [*FLAGS, f"--user-data-dir={self.profile}", f"--window-size={max(self.width, 600)},{self.height}"]:
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        options.binary_location = shutil.which("chromium") or shutil.which("chromium-browser") or ""
        self.driver = webdriver.Chrome(options=options, service=Service(shutil.which("chromedriver")))
        metrics = {"width": self.width, "height": self.height, "deviceScaleFactor": 1, "mobile": self.width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)
        features = [
            {"name": "prefers-color-scheme", "value": "dark" if self.dark else "light"},
            {"name": "prefers-reduced-motion", "value": "reduce" if self.reduced else "no-preference"},
        ]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
        return self

    def __exit__(self, *_):
        self.driver.quit()
        shutil.rmtree(self.profile, ignore_errors=True)

    @property
    def name(self):
        """A name for the files of screenshots, such as `390-dark`."""
        return f"{self.width}-{'dark' if self.dark else 'light'}"

    def open(self, place, ready="return document.documentElement.dataset.ready === 'true'"):
        """Opens a file or a URL; returns the seconds until the page was ready."""
        url = place.resolve().as_uri() if isinstance(place, Path) else place
        start = time.monotonic()
        self.driver.get(url)
        self.until(lambda: self.run(ready), "the page is ready")
        return time.monotonic() - start

    def run(self, script, *arguments):
        """Runs a script in the page."""
        return self.driver.execute_script(script, *arguments)

    def find(self, selector):
        """The first element that matches a selector."""
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        """All elements that match a selector."""
        return self.driver.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        """The text of the first element that matches a selector."""
        return self.run("return document.querySelector(arguments[0]).textContent", selector)

    def click(self, element):
        """Scrolls to an element, which may be part of an SVG, and clicks it."""
        self.run("arguments[0].scrollIntoView({block: 'center', behavior: 'instant'})", element)
        element.click()

    def press(self, *keys):
        """Sends keys to the element that has the focus."""
        self.driver.switch_to.active_element.send_keys(*keys)

    def until(self, holds, what, seconds=20):
        """Waits until `holds()` is true; raises Wrong after `seconds`."""
        end = time.monotonic() + seconds
        while not holds():
            if time.monotonic() > end:
                raise Wrong(f"not within {seconds} s: {what}")
            time.sleep(0.02)

    def check(self):
        """Checks that the console has no errors, no element extends beyond the page, and every control has a name."""
        severe = [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
        same("errors in the console", severe, [])
        same("elements that stick out", self.run(STICKS_OUT), [])
        wide = "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
        scroll, client = self.run(wide)
        if scroll > client:
            raise Wrong(f"the page scrolls sideways: {scroll} > {client}")
        nameless = """return [...document.querySelectorAll("button, [role=button], img, canvas[role], svg[role]")]
          .filter((node) => !node.textContent.trim() && !node.getAttribute("aria-label") && node.getAttribute("alt") === null)
          .map((node) => node.outerHTML.slice(0, 80))"""
        same("elements without a name", self.run(nameless), [])

    def shot(self, folder, name, full=False):
        """Writes a screenshot of the visible part, or of the whole page, into a folder. Without a folder it does nothing."""
        if folder is None:
            return
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{name}-{self.name}.png"
        if not full:
            self.driver.save_screenshot(str(file))
            return
        height = min(int(self.run("return document.documentElement.scrollHeight")), 16000)
        metrics = {"width": self.width, "deviceScaleFactor": 1, "mobile": self.width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "height": height})
        time.sleep(0.3)
        self.driver.save_screenshot(str(file))
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {**metrics, "height": self.height})


def same(what, got, expected):
    """Raises Wrong if the two values differ."""
    if got != expected:
        raise Wrong(f"{what}: {got!r}, expected {expected!r}")


def terms(page):
    """Every marked term has a meaning. It is shown at a click and at the keyboard's focus, without moving the page, and Escape
    hides it."""
    unknown = """return [...document.querySelectorAll("[data-term]")].map((node) => node.dataset.term)
      .filter((term) => !Receptive.meanings[term])"""
    same("terms without a meaning", page.run(unknown), [])
    seen = "const popup = document.getElementById('meaning'); return popup.hidden ? '' : popup.textContent"
    meaning = "return Receptive.meanings[arguments[0].dataset.term]"
    height = "return document.documentElement.scrollHeight"
    first, second = page.all(".term")[:2]
    before = page.run(height)
    page.click(first)
    same("the meaning at a click", page.run(seen), page.run(meaning, first))
    page.check()
    same("the height of the page", page.run(height), before)
    page.press(Keys.ESCAPE)
    same("the meaning after Escape", page.run(seen), "")
    page.press(Keys.TAB)
    same("the term in focus", page.run("return document.activeElement.dataset.term"), second.get_attribute("data-term"))
    same("the meaning at the focus", page.run(seen), page.run(meaning, second))
    page.check()
    page.run("document.activeElement.blur()")
    same("the meaning without the focus", page.run(seen), "")
