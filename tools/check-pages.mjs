// Calls the pages' scripts with arbitrary numbers, in a stub of a document. Every axis, curve, histogram, bar, colour
// and number must be finite and made in bounded time. Needs no browser.
//
//   node tools/check-pages.mjs
import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import vm from "node:vm";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const shared = (name) => join(root, "src/draw/page", name);
const inspect = (name) => join(root, "src/report/page", name);
const live = (name) => join(root, "src/train/live/page", name);

// A stub of a document's node that records what it is given.
class Node {
  constructor(tag) {
    Object.assign(this, { tag, attrs: {}, nodes: [], dataset: {}, clientWidth: 480, listeners: {} });
    Object.assign(this, { offsetWidth: 200, offsetHeight: 50 });
    this.style = { setProperty() {} };
    this.classList = { add() {}, toggle() {} };
  }
  setAttribute(name, value) {
    this.attrs[name] = value;
    if (name.startsWith("data-")) this.dataset[name.slice(5)] = value;
  }
  removeAttribute(name) {
    delete this.attrs[name];
  }
  contains(node) {
    return [...this.all()].includes(node);
  }
  closest() {
    return this.dataset.term ? this : null;
  }
  matches(selector) {
    return selector === this.tag || (selector === ":focus-visible" && this === document.activeElement);
  }
  getBoundingClientRect() {
    return { left: 10, top: 20, bottom: 40 };
  }
  append(...nodes) {
    for (const node of nodes) this.nodes.push(node);
  }
  replaceChildren(...nodes) {
    this.nodes = nodes;
  }
  addEventListener(name, hear) {
    this.listeners[name] = hear;
  }
  getContext() {
    const painted = (columns, rows) => ({ data: new Uint8ClampedArray(4 * columns * rows) });
    return { createImageData: painted, putImageData() {}, fillStyle: "#123456" };
  }
  // This node and all nodes below it.
  *all() {
    yield this;
    for (const node of this.nodes) {
      if (node instanceof Node) yield* node.all();
    }
  }
  text() {
    return this.nodes.map((node) => (node instanceof Node ? node.text() : String(node))).join("") + (this.textContent ?? "");
  }
}
const document = {
  createElement: (tag) => new Node(tag),
  createElementNS: (_, tag) => new Node(tag),
  getElementById: () => ({ textContent: JSON.stringify({ classes: ["a", "b"], training: null }) }),
  documentElement: new Node("html"),
  body: new Node("body"),
  listeners: {},
  addEventListener(name, hear) {
    this.listeners[name] = hear;
  },
};
const world = {
  console,
  document,
  addEventListener() {},
  Node,
  atob: (text) => Buffer.from(text, "base64").toString("latin1"),
  matchMedia: () => ({ addEventListener() {} }),
  getComputedStyle: () => ({ getPropertyValue: () => "#123456" }),
  ResizeObserver: class {
    constructor(hear) {
      this.hear = hear;
    }
    observe() {
      this.hear();
    }
  },
};
world.window = world;
vm.createContext(world);
const scripts = [
  ...["data.js", "dom.js", "terms.js", "draw.js", "axis.js", "charts.js"].map(shared),
  ...["overview.js", "maps.js", "confusion.js", "health.js"].map(inspect),
  ...["curves.js", "layers.js"].map(live),
];
for (const file of scripts) vm.runInContext(readFileSync(file, "utf8"), world, { filename: file });
const R = world.Receptive;

let checks = 0;
const need = (right, what, given) => {
  checks += 1;
  if (!right) throw new Error(`${what}, given ${JSON.stringify(given, (_, v) => (typeof v === "number" && !Number.isFinite(v) ? String(v) : v))?.slice(0, 300)}`);
};

// Doubles with random bits, and more often doubles that are hard for axes. The pages' numbers come from JSON, where
// null stands for a number that is not finite.
let seed = 20240607;
const random = () => {
  seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
  return seed;
};
const special = [0, -0, 1, -1, 0.5, 1e35, 1e35 * (1 + 2 ** -52), 1e308, Number.MAX_VALUE, -Number.MAX_VALUE, 5e-324, -5e-324,
  2.2250738585072014e-308, 1e-300, 2 ** 53, 1 + 2 ** -52, NaN, Infinity, -Infinity, null, 123456, 0.9981, 0.9983];
const anyNumber = () => {
  const kind = random() % 4;
  if (kind === 0) return new Float64Array(new Uint32Array([random(), random()]).buffer)[0];
  if (kind === 1) return (random() / 2 ** 31 - 1) * 10 ** ((random() % 12) - 6);
  return special[random() % special.length];
};
const anyNumbers = (most) => {
  const n = random() % (most + 1);
  const same = random() % 4 === 0 ? anyNumber() : undefined;
  return Array.from({ length: n }, () => (same === undefined ? anyNumber() : same));
};

// No text or attribute contains NaN, Infinity, undefined or null, and no drawing is large.
const drawn = (node, most, given) => {
  let nodes = 0;
  for (const one of node.all()) {
    nodes += 1;
    const { title, "aria-label": label, ...attrs } = one.attrs;
    const texts = [...Object.values(attrs), one.style.cssText ?? "", one.style.width ?? ""].map(String);
    need(!texts.some((text) => /NaN|Infinity|undefined|null/.test(text)), `a <${one.tag}> with ${texts}`, given);
    need((attrs.d ?? "").length < 200_000, "a long path", given);
  }
  need(!/NaN(?! or)|Infinity|undefined|null/.test(node.text()), node.text(), given);
  need(nodes <= most, `${nodes} elements`, given);
};

const axis = (values) => {
  const made = R.axisOver(values);
  for (const count of [1, 4, 7.3, 60, 1e9, NaN, -3]) {
    const ticks = made.ticks(count);
    need(ticks.length <= 102 && ticks.length >= (count >= 5 && count <= 60 ? 2 : count === 4 ? 1 : 0), `${ticks.length} of ${count} ticks`, values);
    need(ticks.every((t) => t.share >= 0 && t.share <= 1 && R.finite(t.value)), JSON.stringify(ticks), values);
    need(ticks.every((t) => t.digits >= 1 && t.digits <= 8 && t.decimals >= 0), JSON.stringify(ticks), values);
    const texts = ticks.map((t) => R.tick(t.value, t));
    need(texts.every((text) => text.length <= 14), texts.join(" "), values);
    need(count > 60 || new Set(texts).size === texts.length || made.high < 1e-290, texts.join(" "), values);
  }
  for (const value of values) need(made.share(value) >= 0 && made.share(value) <= 1, `the share of ${value}`, values);
};

const number = (value) => {
  const texts = [R.number(value), R.short(value ?? NaN), R.unit(value ?? NaN, "B"), R.seconds(value ?? NaN), R.percent(value), R.fixed(value, 3),
    R.thousands(value ?? NaN)];
  need(texts.every((text) => !/NaN|Infinity|undefined|null/.test(text)), texts.join(" "), value);
  need(Math.abs(value) >= 1e18 || texts.every((text) => text.length < 40), texts.join(" "), value);
};

const histogram = () => {
  const [from, to] = [anyNumber(), anyNumber()].sort((a, b) => a - b);
  return { from, to: R.finite(from) && R.finite(to) ? Math.max(from, to) : to, counts: Array.from({ length: 32 }, () => random() % 100) };
};

const layer = () => ({
  path: "conv1",
  kind: "Conv2d",
  gradient_norm: anyNumber(),
  update_ratio: anyNumber(),
  dead: random() / 2 ** 32,
  output: { zeros: 0.5, std: anyNumber() },
  histogram: histogram(),
});

const start = Date.now();
axis([]);
special.forEach((one) => special.forEach((two) => axis([one, two])));
special.forEach(number);
for (let round = 0; round < 1000; round++) {
  axis(anyNumbers(6));
  number(anyNumber());
}
for (let round = 0; round < 150; round++) {
  const points = () => anyNumbers(12).map((y, i) => [i + 1, y]);
  const series = ["one", "two"].map((name) => ({ name, color: "--accent", points: points() }));
  drawn(R.lines(series, { label: "curves", low: round % 2 ? 0 : undefined }), 200, series);
  const one = histogram();
  drawn(R.histogram(one, { label: "histogram", range: round % 3 ? undefined : anyNumbers(4) }), 120, one);
  const rows = anyNumbers(9).map((value) => ({ name: "row", value, text: R.number(value) }));
  drawn(R.bars(rows, "bars", round % 2), 100, rows);
  const values = anyNumbers(9);
  for (const color of [R.diverging(R.largest(values)), R.overlay(R.largest(values))]) {
    need(values.every((v) => color(v).every((c) => c >= 0 && c <= 255)), "a colour", values);
  }
  const phases = anyNumbers(6).map((loss, epoch) => ({ phase: epoch % 2 ? "val" : "train", epoch, loss, accuracy: anyNumber(), score: anyNumber(), dice: null }));
  const page = new Node("div");
  R.report = { classes: [], training: { phases, health: Array.from({ length: 3 }, (_, step) => ({ step, layers: [layer()] })), health_samples: 3 } };
  R.health(page);
  drawn(page, 600, R.report);
  const [curves, lead] = [new Node("div"), new Node("p")];
  const curve = { start: 0, width: 1, points: anyNumbers(12).map((loss) => [1, loss, anyNumber()]) };
  R.liveCurves(curves, lead, round % 2 ? "accuracy" : "Dice").update({ curve, phases, epochSteps: 5, steps: 10 });
  drawn(curves, 300, curve);
  const layers = new Node("div");
  R.liveLayers(layers, lead, 10)({ step: 1, layers: [layer(), layer()] });
  drawn(layers, 100, "layers");
}

// The exact texts of some results.
const same = (got, wanted) => need(JSON.stringify(got) === JSON.stringify(wanted), `${JSON.stringify(got)}, not ${JSON.stringify(wanted)}`);
same(R.axis(0.13, 0.99).ticks(6).map((t) => R.number(t.value)), ["0.2", "0.4", "0.6", "0.8"]);
same([NaN, Infinity, -Infinity, null, 1e35, -0].map((v) => R.number(v)), ["\u2013", "\u221e", "\u2212\u221e", "\u2013", "1.00e35", "0"]);
same(R.path([[0, 1], [1, 2], [2, null], [3, 1], [4, NaN]], (x) => x, (y) => y), "M0.0 1.0L1.0 2.0M3.0 1.0");
need(R.crosses([[10, 1], [20, null], [30, NaN]], (x) => x, 10).match(/M/g).length === 2, "crosses");
const packed = (more) => Array.from(R.unpack({ dims: [3], u8: Buffer.from([0, 254, 255]).toString("base64"), min: 1, max: 3, ...more }).values);
same([packed({}), packed({ none: 255 })].map((values) => values.map((v) => R.number(v, 3))), [["1", "2.99", "3"], ["1", "3", "\u2013"]]);

// A term shows its meaning while the mouse points at it or the keyboard has its focus, and after a tap.
R.meanings = { jump: "The meaning." };
const [popup] = document.body.nodes;
const [term, unknown, other] = [R.term("jump", "Jump"), R.term("no term"), R.el("p")];
const at = (name, target, more) => document.listeners[name]({ target, ...more });
const shows = (text) => same([popup.hidden ? "" : popup.textContent, term.attrs["aria-describedby"] ?? ""], [text, text && "meaning"]);
same([term.dataset.term, term.text(), term.attrs.tabindex], ["jump", "Jump", "0"]);
popup.hidden = true;
for (const node of [other, unknown]) at("pointerover", node, { pointerType: "mouse" });
at("pointerover", term, { pointerType: "touch" });
shows("");
at("pointerover", term, { pointerType: "mouse" });
shows("The meaning.");
same(popup.style.transform, "translate(10px, 40px)");
at("pointerover", popup, { pointerType: "mouse" });
shows("The meaning.");
at("pointerover", other, { pointerType: "mouse" });
shows("");
at("click", term);
shows("The meaning.");
at("pointerdown", other);
shows("");
document.activeElement = term;
at("focusin", term);
at("pointerover", other, { pointerType: "mouse" });
shows("The meaning.");
at("keydown", term, { key: "Escape" });
shows("");
at("keydown", term, { key: "Enter" });
shows("The meaning.");
at("focusout", term);
shows("");

// Millions of points: bounded drawings, and no call with a million arguments.
const many = Array.from({ length: 2_000_000 }, (_, i) => [i, i === 777_777 ? 9 : Math.sin(i)]);
const large = R.lines([{ name: "many", color: "--accent", points: many }], { label: "many" });
drawn(large, 60, "two million points");
const highest = R.path(many, (x) => x / 4000, (y) => y);
need(highest.includes(" 9.0") && highest.length < 60_000, "the highest of many points is kept");
const wide = Array.from({ length: 50_000 }, (_, i) => ({ name: "class", value: i, text: "" }));
need([...R.bars(wide.slice(0, 100), "bars").all()].length < 700, "bars");

console.log(`${checks} checks of the pages' scripts in ${Date.now() - start} ms`);
