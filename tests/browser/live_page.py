"""Tests the page of `receptive train --live`: it watches, pauses, resumes and stops a run, and shows when a run is gone."""

import json
import re
import signal
import socket
import subprocess
import time
import urllib.parse
import urllib.request

from browser import Browser, Wrong, same, terms

SETTINGS = ["--data", "sample", "--epochs", "400", "--health", "20"]


class Run:
    """A training run that serves its page."""

    def __init__(self, program, *arguments):
        self.process = program.start(*arguments, "--live", stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for line in self.process.stdout:
            if line.startswith("live: "):
                self.url = line.split()[1]
                return
        raise AssertionError(self.process.stderr.read())

    def end(self):
        """Waits until the run ends; returns its exit code and the text of stderr."""
        _, said = self.process.communicate(timeout=60)
        return self.process.returncode, said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()


def step(page):
    """The number of steps that the page shows."""
    shown = page.text("[data-fact=step]")
    return int(re.match(r"[\d,]+", shown).group().replace(",", ""))


def points(page):
    """The number of points of the loss curve."""
    return int(page.run("return document.querySelector('#curves svg').dataset.points"))


def state(page):
    return page.run("return document.body.dataset.state")


def becomes(page, *names, seconds=20):
    page.until(lambda: state(page) in names, f"the state is {' or '.join(names)}, not {state(page)}", seconds)


def whole(page):
    """Waits until the page shows layers, predictions, filters and a validated epoch."""
    page.until(lambda: page.all("#layers tbody tr"), "layers are listed")
    page.until(lambda: page.all("#predictions .fill"), "predictions are shown")
    page.until(lambda: page.all("#filters canvas"), "filters are shown")
    page.until(lambda: page.all("#curves path.val[d^=M]"), "an epoch was validated")


def follow(program, folder, shots):
    with Run(program, "train", "lenet5", *SETTINGS, "--out", folder / "run") as run, Browser() as page:
        page.open(run.url)
        becomes(page, "running")
        whole(page)
        same("title", page.text("h1"), "lenet5 on sample")
        same("filters", len(page.all("#filters canvas")), 6)
        same("images", len(page.all("#predictions li")), 8)
        rows = [row.text.split()[0] for row in page.all("#layers tbody tr")]
        same("layers", rows, ["conv1", "relu1", "conv2", "relu2", "fc1", "relu3", "fc2", "relu4", "fc3"])
        before, seen = points(page), step(page)
        page.until(lambda: points(page) != before and step(page) > seen, "the curve grows")
        page.until(lambda: page.text("[data-fact=rate]").strip() != "\u2013", "the images per second are known")
        page.check()
        page.shot(shots, "live-running", full=True)

        # Pauses by keyboard.
        page.find("#pause").send_keys(" ")
        becomes(page, "paused")
        same("button", page.text("#pause"), "Resume")
        paused = step(page)
        time.sleep(1)
        same("steps of a paused run", step(page), paused)
        page.check()
        for width, dark in [(1280, True), (390, False), (390, True), (360, False)]:
            with Browser(width=width, dark=dark) as other:
                other.open(run.url)
                becomes(other, "paused")
                whole(other)
                terms(other)
                other.check()
                other.shot(shots, "live-paused", full=True)
        page.click(page.find("#pause"))
        becomes(page, "running")
        page.until(lambda: step(page) > paused, "it goes on")

        # A page that is closed and opened again shows everything.
        page.driver.get("about:blank")
        page.open(run.url)
        whole(page)
        page.click(page.find("#stop"))
        becomes(page, "stopped")
        same("controls", [b.is_enabled() for b in page.all("#pause, #stop")], [False, False])
        note = page.text("#note")
        # The page shows only the folder's name; the terminal shows the whole path.
        if "receptive train --resume run" not in note or str(folder) in note:
            raise Wrong(f"how to go on: {note!r}")
        code, said = run.end()
        same("exit code", code, 0)
        if "stopped; go on with" not in said:
            raise Wrong(said)
        page.check()
        page.shot(shots, "live-stopped", full=True)


def lost(program, folder):
    """After a run is killed, the page says that it is lost, and both buttons are disabled."""
    with Run(program, "train", "--resume", folder / "run") as run, Browser() as page:
        page.open(run.url)
        becomes(page, "running")
        page.until(lambda: page.all("#curves path.val[d^=M]"), "the epochs before are there")
        run.process.send_signal(signal.SIGSTOP)
        run.process.kill()
        becomes(page, "lost", seconds=30)
        same("controls", [b.is_enabled() for b in page.all("#pause, #stop")], [False, False])


def other_origins(program, folder):
    """A page of another site that knows the address can neither read the run nor stop it."""
    with Run(program, "train", "mlp2", "--data", "sample", "--epochs", "5000", "--out", folder / "other") as run:
        with Browser() as page:
            page.driver.get("data:text/html,<title>another origin</title>")
            tried = page.driver.execute_async_script(
                """const [url, done] = arguments;
                const tries = ["", "events", "live.js"].map((name) => fetch(url + name).then(() => "read", () => "refused"));
                for (const mode of ["cors", "no-cors"]) {
                  tries.push(fetch(url + "stop", { method: "POST", mode }).then((r) => r.type === "opaque" ? "sent" : "read", () => "refused"));
                }
                tries.push(new Promise((hear) => {
                  const events = new EventSource(url + "events");
                  events.onopen = () => hear("read");
                  events.onerror = () => hear("refused");
                }));
                Promise.all(tries).then(done);""",
                run.url,
            )
            if "read" in tried:
                raise Wrong(f"another origin was let in: {tried}")
            page.open(run.url)
            becomes(page, "running")
        same("exit code of a run that goes on", run.process.poll(), None)


def agrees(program, folder):
    """The last figures on the page equal those of the run's metrics.jsonl."""
    out = folder / "short"
    settings = ["lenet5", "--data", "sample", "--threads", "1", "--epochs", "6"]
    # Starts the browser first, because the run does not wait for it.
    with Browser() as page, Run(program, "train", *settings, "--out", out) as run:
        page.open(run.url)
        becomes(page, "finished", seconds=60)
        same("exit code", run.end()[0], 0)
        lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
        best = [line for line in lines if line.get("phase") == "val"][-1]
        same("accuracy", page.text("[data-fact=val]").strip(), f"{100 * best['accuracy']:.2f}\u00a0%")
        shown = page.text("#curves .legend span:last-child")
        same("loss", float(shown.split()[-1]), float(f"{best['loss']:.4g}"))
        same("epochs", page.text("[data-fact=epoch]"), "6 of 6")
        same("steps", step(page), 6 * 79)
        same("validations", validated_after(page), [79 * epoch for epoch in range(1, 7)])


def validated_after(page):
    """The steps at which the loss curve shows a validation."""
    shown = page.run("return [...document.querySelectorAll('#curves figure:first-child title')].map((t) => t.textContent)")
    return [int(re.search(r"step ([\d,]+)", title).group(1).replace(",", "")) for title in shown]


def cut_short(program, folder):
    """If --max-steps ends an epoch early, its validation is shown at the last step."""
    settings = ["minivgg", "--data", "sample", "--threads", "1", "--max-steps", "100"]
    with Browser() as page, Run(program, "train", *settings, "--out", folder / "cut") as run:
        page.open(run.url)
        becomes(page, "finished", seconds=60)
        same("validations", validated_after(page), [79, 100])


def crowded(program, folder):
    """With more tabs than the browser opens connections, the visible tab works. If the run has too many clients, a new tab
    says so and connects later."""
    with Run(program, "train", "lenet5", *SETTINGS, "--out", folder / "crowd") as run, Browser() as page:
        page.open(run.url)
        for _ in range(7):
            page.driver.switch_to.new_window("tab")
            page.open(run.url)
        becomes(page, "running")
        page.click(page.find("#pause"))
        becomes(page, "paused")
        page.driver.switch_to.window(page.driver.window_handles[0])
        becomes(page, "paused")
        seen = step(page)
        page.click(page.find("#pause"))
        page.until(lambda: step(page) > seen, "a tab that is seen again follows")
        page.check()
        # The run notices that this client is gone at the next event that it cannot send. Then 300 clients take all places.
        page.driver.get("about:blank")
        time.sleep(1)
        crowd = [followed(run) for _ in range(300)]
        page.driver.get(run.url)
        becomes(page, "full")
        for client in crowd:
            client.close()
        becomes(page, "running")


def followed(run):
    """A client that has requested the run's events."""
    address = urllib.parse.urlsplit(run.url)
    client = socket.create_connection((address.hostname, address.port))
    client.sendall(f"GET {address.path}events HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
    return client


def test(program, folder, shots):
    follow(program, folder, shots)
    lost(program, folder)
    other_origins(program, folder)
    agrees(program, folder)
    cut_short(program, folder)
    crowded(program, folder)
    same("the page is not served any more", reachable(program, folder), False)


def reachable(program, folder):
    with Run(program, "train", "mlp2", "--data", "sample", "--epochs", "1", "--out", folder / "last") as run:
        run.end()
        try:
            urllib.request.urlopen(run.url, timeout=5)
        except OSError:
            return False
        return True
