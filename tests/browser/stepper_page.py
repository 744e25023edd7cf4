"""Tests the stepper of the page of `receptive inspect` with buttons, sliders, keys and pointer. It opens the layers of lenet5
and of networks with strides, groups and transposed convolutions. For lenet5, every number that the stepper shows is computed
again here from the weights and the layer's input. For all networks, the results must equal the layer's own output."""

import base64
import json
import math
import re
from array import array
from itertools import accumulate, product

from browser import Browser, Keys, Wrong, same

# The allowed error: the page and this test compute in f64, and add up in the same order or nearly the same order.
NEAR = 1e-12


def test(program, folder, shots):
    run = folder / "run"
    program("train", "lenet5", "--data", "sample", "--epochs", 1, "--out", run)
    page = folder / "page.html"
    program("inspect", run, "--out", page)
    layers = {layer["path"]: Layer(layer) for layer in report(page)["layers"] if layer["steps"]}
    weights_are_the_files(run / "best.safetensors", layers)
    with Browser(height=1400) as browser:
        browser.open(page)
        convolution(browser, layers["conv1"], shots)
        convolution(browser, layers["conv2"], shots)
        pooling(browser, layers["pool1"], shots)
        for path in ["conv1", "conv2", "pool1"]:
            sweep(browser, layers[path])
        linear(browser, layers["fc1"])
        linear(browser, layers["fc3"])
        browser.check()
    for width, dark in [(1280, True), (390, False), (360, True)]:
        with Browser(width=width, height=1400, dark=dark) as browser:
            browser.open(page)
            for path in layers:
                everything(browser, path, shots)
            browser.check()
    motion(page)
    others(program, folder, shots)


def report(page):
    """The JSON report that a page contains."""
    text = page.read_text().split('id="report">')[1].split("</script>")[0]
    return json.loads(text)


def numbers(packed):
    return array("f", base64.b64decode(packed["f32"])) if packed else None


class Layer:
    """The part of a page's report about one layer."""

    def __init__(self, layer):
        steps = layer["steps"]
        self.path, self.kind, self.attrs, self.full = layer["path"], layer["kind"], steps["attrs"], steps["full"]
        self.x_dims, self.x = steps["input"]["dims"], numbers(steps["input"])
        self.y_dims, self.y = steps["output"]["dims"], numbers(steps["output"])
        self.w_dims, self.w = (steps["weight"] or {}).get("dims"), numbers(steps["weight"])
        self.b = numbers(steps["bias"])
        self.gemm = steps["gemm"]

    def x_at(self, c, p, q):
        """One input value of a layer whose whole input is in the page; None in the padding."""
        _, h, w = self.x_dims
        return self.x[(c * h + p) * w + q] if 0 <= p < h and 0 <= q < w else None

    def y_at(self, o, i, j):
        _, h, w = self.y_dims
        return self.y[(o * h + i) * w + j]


def weights_are_the_files(file, layers):
    """The page contains exactly the weights of the run's file."""
    raw = file.read_bytes()
    size = int.from_bytes(raw[:8], "little")
    header = json.loads(raw[8 : 8 + size])
    for path, layer in layers.items():
        for name, values in [("weight", layer.w), ("bias", layer.b)]:
            if values is None:
                continue
            start, end = header[f"{path}.{name}"]["data_offsets"]
            stored = array("f", raw[8 + size + start : 8 + size + end])
            same(f"{path}.{name}", values, stored[: len(values)])


def near(what, got, expected, scale=1.0):
    if not abs(got - expected) <= NEAR * (scale + abs(expected)):
        raise Wrong(f"{what}: {got!r}, expected {expected!r}")


def open_layer(browser, path):
    """Opens a layer by its address, then its tab "Steps"."""
    browser.run("location.hash = `layer=${encodeURIComponent(arguments[0])}`", path)
    browser.until(lambda: browser.text(".panel h3") == path, f"{path} is open")
    press(browser, "Steps")


def press(browser, text):
    """Presses the button with this text."""
    for button in browser.all(".panel button"):
        if button.text == text:
            browser.click(button)
            return
    raise Wrong(f"no button {text!r}")


def values(browser, role):
    """[(value, text, data)] of all visible elements with this role."""
    script = """return [...document.querySelectorAll(`.stepper [data-role="${arguments[0]}"]`)]
      .filter((node) => node.getClientRects().length)
      .map((node) => [Number(node.dataset.value), node.textContent, { ...node.dataset }])"""
    return browser.run(script, role)


def value(browser, role):
    """The value of the only element with this role. Its text must show the same number."""
    found = values(browser, role)
    same(f"elements of {role}", len(found), 1)
    number, text, _ = found[0]
    legible(role, text, number)
    return number


def legible(role, text, number, digits=6):
    """Checks that the text is the number rounded to `digits` digits."""
    if not abs(float(text.replace("\u2212", "-")) - number) <= 5.0001 * 10.0**-digits * abs(number):
        raise Wrong(f"{role}: the text {text!r} is not {number!r}")


def cells(browser, role):
    """The values of a grid by kernel position (tap). The text of each must be its rounded value."""
    grid = {}
    for number, text, data in values(browser, role):
        grid[tuple(map(int, data["tap"].split(",")))] = number
        if text:
            read = float(text.replace("\u2212", "-"))
            step = 10.0 ** -len(text.split(".")[1]) if "." in text and "e" not in text else 10.0 ** math.floor(math.log10(abs(read) or 1))
            if not abs(read - number) <= 0.5001 * step + 0.06 * abs(number) * ("e" in text):
                raise Wrong(f"{role}: the text {text!r} is not {number!r}")
    return grid


def dial(browser, name):
    """The value of a slider."""
    return int(browser.find(f'.stepper input[aria-label="{name}"]').get_attribute("value"))


def turn(browser, name, to):
    """Sets a slider and sends the event `input`, as when a reader moves it."""
    script = "const s = arguments[0]; s.value = arguments[1]; s.dispatchEvent(new Event('input', { bubbles: true }))"
    browser.run(script, browser.find(f'.stepper input[aria-label="{name}"]'), to)
    same(name, dial(browser, name), to)


def choose(browser, name, index):
    """Chooses an entry of a list, such as a channel."""
    script = "const s = arguments[0]; s.value = arguments[1]; s.dispatchEvent(new Event('change', { bubbles: true }))"
    browser.run(script, browser.find(f'.stepper select[data-role="{name}"]'), index)


def verdict(browser, layer, place):
    """Checks the result against the layer's own output, in all digits that the page says agree."""
    element = browser.find('.stepper [data-role="verdict"]')
    same("the verdict", element.get_attribute("data-right"), "true")
    digits = int(element.get_attribute("data-digits"))
    if digits < 4:
        raise Wrong(f"only {digits} digits agree at {layer.path} {place}")
    result, given = values(browser, "result")[0], values(browser, "given")[0]
    for role, (number, text, _) in [("result", result), ("given", given)]:
        legible(role, text, number, digits)
    same("what the layer gave", given[0], layer.y_at(*place))
    near("the total", value(browser, "total"), result[0])


class Conv:
    """A convolution with stride 1, dilation 1 and one group, as in lenet5."""

    def __init__(self, layer):
        self.layer = layer
        self.o, self.c, self.k, _ = layer.w_dims
        self.pad = layer.attrs.get("padding", 0)
        _, self.h, self.w = layer.y_dims

    def weight(self, o, c, a, b):
        return self.layer.w[((o * self.c + c) * self.k + a) * self.k + b]

    def terms(self, o, i, j):
        """The terms of one output: (c, a, b) -> (x, weight). x is None in the padding."""
        k, pad = self.k, self.pad
        places = [(c, a, b) for c in range(self.c) for a in range(k) for b in range(k)]
        return {(c, a, b): (self.layer.x_at(c, i + a - pad, j + b - pad), self.weight(o, c, a, b)) for c, a, b in places}


def convolution(browser, layer, shots):
    conv = Conv(layer)
    open_layer(browser, layer.path)
    browser.shot(shots, f"stepper-{layer.path}")
    for o, c, i, j in [(0, 0, 0, 0), (3, 0, 4, 7), (conv.o - 1, conv.c - 1, conv.h - 1, conv.w - 1)]:
        choose(browser, "output-channel", o)
        if conv.c > 1:
            choose(browser, "input-channel", c)
        turn(browser, "row", i)
        turn(browser, "column", j)
        output(browser, conv, (o, i, j), c)
    moves(browser, conv)
    columns(browser, conv)
    tile(browser, conv, shots)
    press(browser, "window")
    grad_input(browser, conv, shots)
    grad_weight(browser, conv, shots)


def output(browser, conv, place, channel):
    """Checks the patch, kernel, products, sum, bias and result of one output."""
    o, i, j = place
    terms = conv.terms(o, i, j)
    patch, kernel, products = [cells(browser, role) for role in ("x", "weight", "product")]
    for (c, a, b), (x, weight) in terms.items():
        if c != channel:
            continue
        same(f"x {(a, b)}", patch[a, b], x or 0.0)
        same(f"weight {(a, b)}", kernel[a, b], weight)
        near(f"product {(a, b)}", products[a, b], (x or 0.0) * weight)
    total = math.fsum((x or 0.0) * weight for x, weight in terms.values())
    near("sum", value(browser, "sum"), total)
    same("bias", value(browser, "bias"), conv.layer.b[o])
    near("total", value(browser, "total"), total + conv.layer.b[o])
    verdict(browser, conv.layer, place)
    says = browser.text('.stepper [data-role="says"]')
    padded = sum(x is None for x, _ in terms.values())
    for part in [f"Output ({i}, {j}) of channel {o} = sum of {len(terms)} products", f"{padded} of them with padding" if padded else "bias"]:
        if part not in says:
            raise Wrong(f"{says!r} lacks {part!r}")


def moves(browser, conv):
    """A button, an arrow key on the map and the pointer each move to another output, and the numbers change with it."""
    turn(browser, "row", 2)
    turn(browser, "column", 3)
    browser.click(browser.find('.stepper button[aria-label="next row"]'))
    same("after a button", (dial(browser, "row"), dial(browser, "column")), (3, 3))
    maps = browser.all(".stepper .map")
    browser.run("arguments[0].focus()", maps[1])
    browser.press(Keys.ARROW_LEFT, Keys.ARROW_UP)
    same("after arrow keys", (dial(browser, "row"), dial(browser, "column")), (2, 2))
    point = """const box = arguments[0].getBoundingClientRect(), [x, y, w, h] = arguments[0].getAttribute("viewBox").split(" ").map(Number);
      const scale = Math.min(box.width / w, box.height / h);
      const clientX = box.left + (box.width - scale * w) / 2 + (arguments[2] + 0.5 - x) * scale;
      const clientY = box.top + (box.height - scale * h) / 2 + (arguments[1] + 0.5 - y) * scale;
      arguments[0].dispatchEvent(new PointerEvent("pointermove", { clientX, clientY, pointerType: "mouse", bubbles: true }))"""
    browser.run(point, maps[1], 5, 1)
    same("after pointing at the output", (dial(browser, "row"), dial(browser, "column")), (5, 1))
    half = conv.k // 2 - conv.pad
    browser.run(point, maps[0], 4 + half, 6 + half)
    same("after pointing at the input", (dial(browser, "row"), dial(browser, "column")), (4, 6))
    o = int(browser.find('.stepper select[data-role="output-channel"]').get_attribute("value"))
    verdict(browser, conv.layer, (o, 4, 6))


def columns(browser, conv):
    """The im2col column and row list the taps in the order of the weight. The last running sum equals the sum."""
    press(browser, "im2col: row \u00d7 column")
    choose(browser, "output-channel", 1)
    c = conv.c - 1
    if conv.c > 1:
        choose(browser, "input-channel", c)
    terms = list(conv.terms(1, 4, 6).values())
    part = terms[c * conv.k**2 : (c + 1) * conv.k**2]
    same("column", [v for v, _, _ in values(browser, "column-x")], [x or 0.0 for x, _ in part])
    same("row", [v for v, _, _ in values(browser, "column-weight")], [weight for _, weight in part])
    near("the last sum", values(browser, "column-sum")[-1][0], math.fsum((x or 0.0) * weight for x, weight in terms))
    near("the sum", value(browser, "sum"), values(browser, "column-sum")[-1][0])


def tile_edges(cut, m, n):
    """The beginnings of the tiles of an `m` by `n` product along rows and along columns, and the end of the last tile."""
    (tall, wide), (long, short) = cut["tile"], (n, m) if cut["turned"] else (m, n)
    rows = [*range(0, long - long % tall, tall), *accumulate(cut["rest"], initial=long - long % tall)]
    same("the end of the last tile", rows[-1], long)
    columns = [*range(0, short, wide), short]
    return (columns, rows) if cut["turned"] else (rows, columns)


def tile(browser, conv, shots):
    """The tile shown contains the output, and its blocks of K add up to the sum."""
    press(browser, "tile of the GEMM")
    cut = conv.layer.gemm
    edges = tile_edges(cut, conv.o, conv.h * conv.w)
    # Along each side: the first output, the two at the start of the last tile (which may be smaller), and the last output.
    places = [sorted({0, max(along[-2] - 1, 0), along[-2], along[-1] - 1}) for along in edges]
    for o, pixel in [*product(*places), (1, 4 * conv.w + 6)]:
        choose(browser, "output-channel", o)
        turn(browser, "row", pixel // conv.w)
        turn(browser, "column", pixel % conv.w)
        data = values(browser, "tile")[0][2]
        for key, at, along in [("rows", o, edges[0]), ("columns", pixel, edges[1])]:
            around = next(pair for pair in zip(along, along[1:]) if pair[0] <= at < pair[1])
            same(f"{key} of the tile of channel {o}, pixel {pixel}", data[key], "{},{}".format(*around))
    terms = [(x or 0.0) * weight for x, weight in conv.terms(1, 4, 6).values()]
    blocks = [terms[k : k + cut["depth"]] for k in range(0, len(terms), cut["depth"])]
    shown = values(browser, "block")
    same("blocks", len(shown), len(blocks))
    for (got, _, _), block in zip(shown, blocks):
        near("block", got, math.fsum(block))
    browser.shot(shots, f"stepper-{conv.layer.path}-tile")


def grad_input(browser, conv, shots):
    """Checks dx of an input in a corner and of one in the middle, with dy = 1."""
    press(browser, "gradient to input")
    k, pad = conv.k, conv.pad
    for p, q in [(0, 0), (6, 5)]:
        turn(browser, "row", p)
        turn(browser, "column", q)
        choose(browser, "output-channel", 2)
        c = int(browser.find('.stepper select[data-role="input-channel"]').get_attribute("value")) if conv.c > 1 else 0
        read = [(a, b) for a in range(k) for b in range(k) if 0 <= p + pad - a < conv.h and 0 <= q + pad - b < conv.w]
        kernel = {tap: number for tap, number in cells(browser, "grad-weight").items() if number is not None}
        same("taps that read the input", sorted(kernel), read)
        for a, b in read:
            same("weight", kernel[a, b], conv.weight(2, c, a, b))
        total = math.fsum(conv.weight(o, c, a, b) for o in range(conv.o) for a, b in read)
        near("gradient", value(browser, "gradient"), total)
    browser.shot(shots, f"stepper-{conv.layer.path}-gradient-to-input")


def grad_weight(browser, conv, shots):
    """Checks dw of every tap of one kernel, with dy = 1."""
    press(browser, "gradient to weight")
    choose(browser, "output-channel", 1)
    shown = cells(browser, "grad")
    for (a, b), got in shown.items():
        reads = [conv.layer.x_at(0, i + a - conv.pad, j + b - conv.pad) for i in range(conv.h) for j in range(conv.w)]
        near(f"dw {(a, b)}", got, math.fsum(x for x in reads if x is not None), scale=len(reads))
    turn(browser, "kernel row", 0)
    turn(browser, "kernel column", 1)
    near("gradient", value(browser, "gradient"), shown[0, 1])
    browser.shot(shots, f"stepper-{conv.layer.path}-gradient-to-weight")
    press(browser, "output")


def pooling(browser, layer, shots):
    """2x2 windows. Max pooling chooses the first of the largest values; average pooling shows the sum and the divisor."""
    open_layer(browser, layer.path)
    for c, i, j in [(0, 0, 0), (5, 3, 9), (2, layer.y_dims[1] - 1, layer.y_dims[2] - 1)]:
        choose(browser, "channel", c)
        turn(browser, "row", i)
        turn(browser, "column", j)
        window = {(a, b): layer.x_at(c, 2 * i + a, 2 * j + b) for a in range(2) for b in range(2)}
        same("window", cells(browser, "x"), window)
        if layer.kind == "MaxPool2d":
            winner = "return document.querySelector('.stepper .winner').dataset.tap"
            same("winner", browser.run(winner), ",".join(map(str, max(window, key=window.get))))
            same("largest", value(browser, "total"), max(window.values()))
        else:
            near("sum", value(browser, "sum"), math.fsum(window.values()))
            same("divisor", value(browser, "divisor"), 4)
        verdict(browser, layer, (c, i, j))
    browser.shot(shots, f"stepper-{layer.path}")


def linear(browser, layer):
    open_layer(browser, layer.path)
    outputs, n = layer.w_dims
    for o in [0, 2, outputs - 1]:
        if outputs > 64:
            turn(browser, "output", o)
        else:
            choose(browser, "output", o)
        products = [x * weight for x, weight in zip(layer.x, layer.w[o * n : (o + 1) * n])]
        near("sum", value(browser, "sum"), math.fsum(products), scale=math.fsum(map(abs, products)))
        same("bias", value(browser, "bias"), layer.b[o])
        element = browser.find('.stepper [data-role="verdict"]')
        same("the verdict", element.get_attribute("data-right"), "true")
        same("what the layer gave", values(browser, "given")[0][0], layer.y[o])
        shown = [v for v, _, _ in values(browser, "product")]
        same("largest products", shown, sorted(products, key=abs, reverse=True)[:12])


def sweep(browser, layer):
    """Every output of one channel equals the layer's own output."""
    open_layer(browser, layer.path)
    script = """const [row, column] = ["row", "column"].map((name) => document.querySelector(`.stepper input[aria-label="${name}"]`));
      const turn = (dial, to) => { dial.value = to; dial.dispatchEvent(new Event("input", { bubbles: true })) };
      const wrong = [];
      for (let i = Number(row.min); i <= Number(row.max); i++) {
        turn(row, i);
        for (let j = Number(column.min); j <= Number(column.max); j++) {
          turn(column, j);
          const verdict = document.querySelector('.stepper [data-role="verdict"]');
          if (verdict.dataset.right !== "true" || Number(verdict.dataset.digits) < 3) wrong.push([i, j, verdict.textContent]);
        }
      }
      return [wrong, Number(row.max) + 1, Number(column.max) + 1]"""
    wrong, rows, columns = browser.run(script)
    same(f"outputs of {layer.path}", [rows, columns], layer.y_dims[1:])
    same(f"outputs of {layer.path} that are not the layer's", wrong[:3], [])


def everything(browser, path, shots):
    """Every mode and view of a layer opens, agrees with the layer's own output, and stays within the page."""
    open_layer(browser, path)
    labels = "return [...document.querySelectorAll('.stepper > .choice button')].map((button) => button.textContent)"
    for mode in browser.run(labels) or [None]:
        if mode:
            press(browser, mode)
        views = "return [...document.querySelectorAll('.stepper .mode .choice button')].map((button) => button.textContent)"
        for view in browser.run(views) or [None]:
            if view:
                press(browser, view)
            name = re.sub(r"\W+", "-", "-".join(filter(None, ["stepper", path, mode, view])))
            browser.shot(shots if browser.width < 1280 else None, name)
            for element in browser.all('.stepper [data-role="verdict"]'):
                same(f"{path} {mode} {view}", element.get_attribute("data-right"), "true")
            browser.check()


def motion(page):
    """The play button moves from output to output. It is hidden if the reader's system asks for reduced motion."""
    with Browser(reduced=True) as browser:
        browser.open(page)
        open_layer(browser, "conv1")
        same("a button to play", [b.is_displayed() for b in browser.all(".stepper .play")], [False])
    with Browser(reduced=False) as browser:
        browser.open(page)
        open_layer(browser, "conv1")
        turn(browser, "column", 26)
        row, button = dial(browser, "row"), browser.find(".stepper .play")
        browser.click(button)
        browser.until(lambda: (dial(browser, "row"), dial(browser, "column")) == (row + 1, 1), "the window goes on in the next row")
        same("while playing", browser.find('.stepper [data-role="says"]').get_attribute("aria-live"), "off")
        browser.click(button)
        at = dial(browser, "column")
        browser.run("return new Promise((done) => setTimeout(done, 800))")
        same("after a pause", dial(browser, "column"), at)


def others(program, folder, shots):
    """Batch norm, strides, transposed convolutions, parts of large layers: every result equals the layer's own output."""
    for model in ["resnet-cifar", "unet", "googlenet"]:
        page = folder / f"{model}.html"
        width = ["--width", 8] if model == "unet" else []
        program("inspect", model, "--data-dir", folder, "--out", page, *width)
        kinds = set()
        with Browser(height=1400) as browser:
            browser.open(page)
            for layer in report(page)["layers"]:
                if not layer["steps"] or (layer["kind"], str(layer["steps"]["attrs"])) in kinds:
                    continue
                kinds.add((layer["kind"], str(layer["steps"]["attrs"])))
                everything(browser, layer["path"], shots)
