"""Tests the page of `receptive inspect` at several widths, light and dark, by pointer and keyboard. Compares its numbers with
the output of `--json`."""

import json
import re

from browser import Browser, Keys, Wrong, same, terms

NBSP = "\u00a0"
WINDOWS = [(1280, False), (1280, True), (390, False), (390, True), (360, False)]


def test(program, folder, shots):
    run = folder / "run"
    program("train", "lenet5", "--data", "sample", "--epochs", 2, "--out", run)
    page = folder / "page.html"
    numbers = json.loads(program("inspect", run, "--json", "--out", page))
    for width, dark in WINDOWS:
        with Browser(width=width, dark=dark) as browser:
            seconds = browser.open(page)
            print(f"  {browser.name}: open in {seconds:.2f} s")
            browser.check()
            overview(browser, numbers)
            terms(browser)
            layers(browser, numbers, shots if width != 360 else None)
            browser.shot(shots, "inspect-lenet5", full=True)
            browser.check()
    with Browser() as browser:
        browser.open(page)
        bars(browser, numbers)
        keyboard(browser, numbers)
        maps(browser, numbers)
        flattened(browser, numbers, shots)
        fields(browser, numbers)
        evidence(browser, numbers)
        mistakes(browser, numbers)
        browser.check()
    for place in ["100%", "layer=100%", "layer=no-such-layer"]:
        # Each uses a new window, because a page that is open is not loaded again when only the part after `#` changes.
        with Browser() as browser:
            browser.open(f"{page.resolve().as_uri()}#{place}")
            same("layers in the diagram", len(browser.all(".diagram .row")), len(numbers["layers"]))
            browser.check()
    others(program, folder, shots)


def number(text):
    """The first number in a text of the page."""
    found = re.search(r"[\u2212-]?[\d.,]+(e[\u2212-]?\d+)?", text)
    if not found:
        raise Wrong(f"no number in {text!r}")
    return float(found.group().rstrip(".").replace("\u2212", "-").replace(",", ""))


def close(what, got, expected, relative=1e-3):
    if not abs(got - expected) <= relative * abs(expected) + 1e-12:
        raise Wrong(f"{what}: {got}, expected {expected}")


def overview(browser, numbers):
    best = numbers["prediction"][0]
    if not browser.text("#verdict").startswith(f"The prediction is {best['class']}"):
        raise Wrong(browser.text("#verdict"))
    text = browser.text("#overview")
    for expected in [f"{numbers['parameters']:,}", f"{100 * best['probability']:.2f}{NBSP}%", numbers["image"]["what"]]:
        if expected not in text:
            raise Wrong(f"the overview lacks {expected!r}")


def facts(browser):
    """The figures that the page shows for the open layer, by name."""
    script = """return Object.fromEntries([...document.querySelectorAll(".panel .facts > div")]
      .map((pair) => [...pair.children].map((part) => part.textContent)))"""
    return browser.run(script)


def check_layer(browser, layer):
    same("the open layer", browser.text(".panel h3"), layer["path"])
    shown = facts(browser)
    shape = lambda dims: "\u00d7".join(map(str, dims))
    same("output", shown["Output"], shape(layer["output"]))
    same("input", shown["Input"], shape(layer["input"]))
    same("parameters", shown["Parameters"], f"{layer['parameters']:,}")
    same("receptive field", shown["Receptive field"], f"{shape(layer['receptive_field']['size'])} pixels")
    same("description", browser.text(".panel p.code"), layer["describe"])


def layers(browser, numbers, shots):
    """Every layer opens when it is clicked, and each of its tabs can be chosen."""
    rows = len(browser.all(".diagram .row"))
    same("layers in the diagram", rows, len(numbers["layers"]))
    for i, layer in enumerate(numbers["layers"]):
        # Chromedriver clicks the middle of an element. The middle of a row's group belongs to the next row, so click the name.
        browser.click(browser.find(f'.diagram [data-layer="{i}"] .path'))
        check_layer(browser, layer)
        for tab in browser.all(".panel [role=tab]"):
            browser.click(tab)
            same("the chosen tab", tab.get_attribute("aria-selected"), "true")
            if layer["path"] in ("conv1", "pool1", "fc3") or i == 0:
                name = re.sub(r"\W+", "-", f"inspect-{layer['path']}-{tab.text}".lower())
                browser.shot(shots, name)
        browser.click(browser.all(".panel [role=tab]")[0])
        browser.check()


def bars(browser, numbers):
    """The bars can show parameters, FLOPs or memory. Numbers below 999 must be written out in full."""
    for name, key in [("parameters", "parameters"), ("FLOPs", "flops"), ("memory", "activation_bytes")]:
        button = next(button for button in browser.all(".diagram .choice button") if button.text == name)
        browser.click(button)
        last = "return [...document.querySelectorAll('.diagram .row')].map((row) => [...row.querySelectorAll('text')].pop().textContent)"
        for shown, layer in zip(browser.run(last), numbers["layers"]):
            if 0 < layer[key] < 999:
                same(f"{name} of {layer['path']}", shown, str(layer[key]))
    browser.click(browser.find(".diagram .choice button"))


def keyboard(browser, numbers):
    """Uses only keys: arrows move down two layers, Enter opens, arrows move along the tabs, Home goes to the first layer."""
    browser.run("document.querySelector('.diagram [data-layer=\"0\"]').focus()")
    browser.press(Keys.ARROW_DOWN)
    browser.press(Keys.ARROW_DOWN)
    browser.press(Keys.ENTER)
    check_layer(browser, numbers["layers"][2])
    same("focus stays on the row", browser.run("return document.activeElement.dataset.layer"), "2")
    browser.press(Keys.HOME)
    browser.press(" ")
    check_layer(browser, numbers["layers"][0])
    browser.run("document.querySelector('.panel [role=tab]').focus()")
    tabs = len(browser.all(".panel [role=tab]"))
    for i in range(1, tabs + 1):
        browser.press(Keys.ARROW_RIGHT)
        selected = "return [...document.querySelectorAll('.panel [role=tab]')].findIndex((t) => t === document.activeElement)"
        same("the tab in focus", browser.run(selected), i % tabs)
    script = """return ["ArrowLeft", "ArrowRight"].filter((key) => !document.querySelector(arguments[0])
      .dispatchEvent(new KeyboardEvent("keydown", { key, altKey: true, bubbles: true, cancelable: true })))"""
    for part in [".panel [role=tab][aria-selected=true]", ".panel .plane canvas", "#field .field-view", ".diagram [data-layer='1']"]:
        same(f"arrows with Alt that {part} keeps from the browser", browser.run(script, part), [])
    browser.find('.panel button[aria-label="next layer"]').click()
    check_layer(browser, numbers["layers"][1])


def maps(browser, numbers):
    """The receptive field of a place of a feature map is start + jump * place, with the figures of --json."""
    i = next(i for i, layer in enumerate(numbers["layers"]) if layer["kind"] == "Conv2d" and i > 0)
    layer = numbers["layers"][i]
    browser.click(browser.find(f'.diagram [data-layer="{i}"] .path'))
    canvas = browser.find(".panel .plane canvas")
    browser.run("arguments[0].focus()", canvas)
    for _ in range(40):
        browser.press(Keys.ARROW_UP)
        browser.press(Keys.ARROW_LEFT)
    browser.press(Keys.ARROW_DOWN)
    text = browser.text(".panel .readout")
    field = layer["receptive_field"]
    row = field["start"][0] + field["jump"][0]
    rows = f"rows {row} to {row + field['size'][0] - 1}".replace("-", "\u2212")
    if "row 1, column 0" not in text or rows not in text:
        raise Wrong(f"{text!r} lacks {rows!r}")
    same("the rectangle", rectangle(browser, ".panel"), [field["start"][1], row, field["size"][1], field["size"][0]])
    buttons = browser.all(".panel .maps button")
    same("maps", len(buttons), layer["output"][0])
    browser.click(buttons[-1])
    same("the chosen map", buttons[-1].get_attribute("aria-pressed"), "true")


def rectangle(browser, part):
    """Left, top, width and height of the receptive field that is drawn on the image."""
    script = """const edge = document.querySelector(`${arguments[0]} .field-view .edge`);
      return ["x", "y", "width", "height"].map((name) => Number(edge.getAttribute(name)))"""
    return browser.run(script, part)


def flattened(browser, numbers, shots):
    """A value of a flattened vector has the receptive field of its place in the maps."""
    i = next(i for i, layer in enumerate(numbers["layers"]) if layer["kind"] == "Flatten")
    _, h, w = numbers["layers"][i - 1]["output"] if i else numbers["image"]["dims"]
    field = numbers["layers"][i]["receptive_field"]

    def check(text, part):
        at, channel, row, column = map(int, re.search(r"value (\d+) \(channel (\d+), row (\d+), column (\d+)\)", text).groups())
        same(f"the place of value {at}", at, (channel * h + row) * w + column)
        first = [start + jump * place for start, jump, place in zip(field["start"], field["jump"], (row, column))]
        spans = [str(start) if size == 1 else f"{start} to {start + size - 1}" for start, size in zip(first, field["size"])]
        sees = "sees rows {} and columns {} of the image".format(*spans).replace("-", "\u2212")
        if sees not in text:
            raise Wrong(f"{text!r} lacks {sees!r}")
        same("the rectangle", rectangle(browser, part), [*reversed(first), *reversed(field["size"])])
        return at

    browser.click(browser.find(f'.diagram [data-layer="{i}"] .path'))
    canvas = browser.find(".panel .plane canvas")
    columns = browser.run("arguments[0].focus(); return arguments[0].width", canvas)
    browser.press(*[Keys.ARROW_UP] * 40, *[Keys.ARROW_LEFT] * 40)
    for key, at in [(None, 0), (Keys.ARROW_DOWN, columns), (Keys.ARROW_RIGHT, columns + 1), (Keys.ARROW_DOWN, 2 * columns + 1)]:
        if key:
            browser.press(key)
        same("the chosen value", check(browser.text(".panel .readout"), ".panel"), at)
    browser.shot(shots, f"inspect-{numbers['model']}-flatten")
    browser.click(browser.all("#field tbody tr")[i])
    check(browser.text("#field .readout"), "#field")
    browser.run("document.querySelector('#field .field-view').focus()")
    browser.press(*[Keys.ARROW_DOWN] * h, *[Keys.ARROW_RIGHT] * w)
    same("the last place", check(browser.text("#field .readout"), "#field"), h * w - 1)
    browser.shot(shots, f"inspect-{numbers['model']}-flatten-field")


def fields(browser, numbers):
    rows = browser.all("#field tbody tr")
    same("rows of the table", len(rows), len(numbers["layers"]))
    for row, layer in zip(rows, numbers["layers"]):
        browser.click(row)
        cells = [cell.text for cell in row.find_elements("css selector", "td")]
        field = layer["receptive_field"]
        same("cells", cells[:2], [layer["path"], "\u00d7".join(map(str, field["size"]))])
        close("jump", number(cells[2]), field["jump"][0])
        close("start", number(cells[3]), field["start"][0])


def evidence(browser, numbers):
    """Compares the score and values of all three maps, for each class."""
    entries = numbers["attribution"]
    for i, entry in enumerate(entries):
        browser.click(browser.all('#evidence [role=group] button')[i])
        close("score", number(browser.text("#evidence > .note").split(":")[1]), entry["score"], 1e-4)
        maps = [entry["gradcam"], entry["saliency"], entry["occlusion"]]
        for canvas, readout, values in zip(browser.all("#evidence canvas"), browser.all("#evidence .readout"), maps):
            rows, columns = values["dims"]
            same("resolution", browser.run("return [arguments[0].height, arguments[0].width]", canvas), [rows, columns])
            browser.run("arguments[0].focus()", canvas)
            browser.press(Keys.ARROW_DOWN)
            row, column, value = re.match(r"row (\d+), column (\d+): (.*)", readout.text).groups()
            at = int(row) * columns + int(column)
            close("value", number(value), values["values"][at], 1e-3)


def mistakes(browser, numbers):
    judged = numbers["judged"]
    if f"{100 * judged['accuracy']:.2f}{NBSP}%" not in browser.text("#mistakes"):
        raise Wrong("the accuracy is not there")
    cells = "return [...document.querySelectorAll('.confusion tbody tr')].map((tr) => [...tr.querySelectorAll('td')].map((td) => Number(td.textContent || 0)))"
    same("the confusion matrix", browser.run(cells), judged["confusion"])
    for i, kind in enumerate(["confident", "worst"]):
        browser.click(browser.all("#mistakes .choice button")[i])
        text = [item.text for item in browser.all("#mistakes .mistakes li")]
        for item, index in zip(text, judged[kind]):
            if f"image {index}" not in item:
                raise Wrong(f"{item!r} is not image {index}")


def others(program, folder, shots):
    """Untrained networks. In the linear classifier the vector is the image itself. In a residual network and a segmenter
    every fifth layer opens, and nothing extends beyond the page."""
    page = folder / "softmax.html"
    numbers = json.loads(program("inspect", "softmax", "--data-dir", folder, "--json", "--out", page))
    with Browser() as browser:
        browser.open(page)
        flattened(browser, numbers, shots)
        browser.check()
    for model in ["resnet-cifar", "unet"]:
        page = folder / f"{model}.html"
        width = ["--width", 8] if model == "unet" else []
        numbers = json.loads(program("inspect", model, "--data-dir", folder, "--json", "--out", page, *width))
        for size, dark in [(1280, True), (390, False)]:
            with Browser(width=size, dark=dark) as browser:
                browser.open(page)
                browser.check()
                for i in range(0, len(numbers["layers"]), 5):
                    browser.click(browser.find(f'.diagram [data-layer="{i}"] .path'))
                    check_layer(browser, numbers["layers"][i])
                browser.shot(shots, f"inspect-{model}", full=True)
                browser.check()
