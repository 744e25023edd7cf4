"use strict";
// A transposed convolution from both sides: the inputs that reach one output, and the outputs that one input
// contributes to.
(() => {
  const R = window.Receptive;
  const S = R.stepper;

  const { sum } = S;

  const geometry = ({ w, x, y, attrs }) => {
    const [, held, kh, kw] = w.dims;
    const groups = attrs.groups ?? 1;
    const [stride, dilation, kernel] = [S.pair(attrs.stride, 1), S.pair(attrs.dilation, 1), [kh, kw]];
    const padding = S.pair(attrs.padding, 0);
    return {
      kernel,
      stride,
      padding,
      ig: x.full[0] / groups,
      og: y.full[0] / groups,
      weight: (c, o, a, b) => w.values[((c * held + o) * kh + a) * kw + b],
      // The output position that tap k of input i goes to.
      reach: (axis, i, k) => i * stride[axis] + k * dilation[axis] - padding[axis],
      // The input whose tap k goes to output p, or -1.
      source: (axis, p, k) => {
        const from = p + padding[axis] - k * dilation[axis];
        return from >= 0 && from % stride[axis] === 0 ? from / stride[axis] : -1;
      },
      extent: [0, 1].map((axis) => dilation[axis] * (kernel[axis] - 1) + 1),
      gaps: dilation[0] > 1 || dilation[1] > 1,
    };
  };

  // The inputs that reach output (o, p, q).
  const reaching = (L, g, o, p, q) => {
    const terms = [];
    const first = Math.floor(o / g.og) * g.ig;
    for (let c = first; c < first + g.ig; c++)
      for (let a = 0; a < g.kernel[0]; a++)
        for (let b = 0; b < g.kernel[1]; b++) {
          const [i, j] = [g.source(0, p, a), g.source(1, q, b)];
          if (i < 0 || j < 0 || i >= L.x.full[1] || j >= L.x.full[2]) continue;
          const [x, weight] = [L.x.at(c, i, j), g.weight(c, o % g.og, a, b)];
          terms.push({ c, a, b, i, j, x, weight, product: x * weight });
        }
    return terms;
  };

  // The two maps, and between them the grids for one input and one output channel.
  const common = (L, g, name, part, changed) => {
    const [kh, kw] = g.kernel;
    const cursor = S.cursor(part, name, changed);
    const input = S.map({ label: "input", part: L.x, picked: (i, j) => heard.input(i, j), moved: cursor.move });
    const output = S.map({ label: "output", part: L.y, picked: (p, q) => heard.output(p, q), moved: cursor.move });
    const heard = { input: () => {}, output: () => {} };
    const grids = [
      S.grid("input that reaches through each tap", "x", kh, kw),
      S.grid("kernel", "weight", kh, kw),
      S.grid("products", "product", kh, kw),
    ];
    const says = S.says(cursor.player);
    const result = R.el("div", { class: "result" });
    const mosts = [R.largest(L.x.values), R.largest(L.w.values), R.largest(L.y.values)];
    const root = (more) => {
      const controls = { controls: [cursor.controls, more], player: cursor.player };
      return S.frame(L, controls, [input.root, output.root], says.root, S.equation(...grids), result);
    };
    return { cursor, input, output, heard, grids, result, mosts, root, speak: says.say };
  };

  const gather = (L, g) => {
    let channel = 0;
    const ui = common(L, g, "output channel", L.y, () => update());
    const { cursor, input, output, grids, mosts } = ui;
    ui.heard.output = (p, q) => cursor.go(cursor.at.o, p, q);
    ui.heard.input = (i, j) =>
      cursor.go(
        cursor.at.o,
        g.reach(0, i, 0) + Math.floor(g.extent[0] / 2),
        g.reach(1, j, 0) + Math.floor(g.extent[1] / 2),
      );
    const pick = S.select("input channel", S.channels(g.ig), 0, (c) => {
      channel = c;
      update();
    });
    const update = () => {
      const { o, i: p, j: q } = cursor.at;
      const terms = reaching(L, g, o, p, q);
      const c = Math.floor(o / g.og) * g.ig + channel;
      const here = terms.filter((term) => term.c === c);
      pick.set(channel);
      const cell = (key) => (a, b) => {
        const term = here.find((t) => t.a === a && t.b === b);
        const attrs = { tap: `${a},${b}`, channel: c };
        return term ? { value: term[key], attrs } : { value: undefined, text: "", kind: "padding", attrs };
      };
      ["x", "weight", "product"].forEach((key, i) =>
        grids[i].show(cell(key), i < 2 ? mosts[i] : R.largest(here.map((term) => term.product))),
      );
      input.draw(L.x, c, mosts[0]);
      output.draw(L.y, o, mosts[2]);
      input.say(`input, channel ${c}`);
      output.say(`output, channel ${o}`);
      input.mark(S.around(here.map(({ i, j }) => [i, j])));
      const [rows, columns] = [here.map((t) => t.i), here.map((t) => t.j)];
      if (here.length)
        input.look([Math.min(...rows), Math.max(...rows) + 1], [Math.min(...columns), Math.max(...columns) + 1]);
      else input.look(L.x.rows, L.x.columns);
      output.mark([{ kind: "window", at: [p, q] }]);
      output.look([p, p + 1], [q, q + 1]);
      const all = sum(terms.map((term) => term.product));
      const bias = L.b ? L.b[o] : null;
      const [value, given] = [all + (bias ?? 0), L.y.at(o, p, q)];
      const size = sum(terms.map((term) => Math.abs(term.product))) + Math.abs(bias ?? 0);
      const agreed = S.agree(value, given, size, terms.length);
      ui.speak(
        `Output (${p}, ${q}) of channel ${o} is reached by ${R.plural(terms.length, "product")} of input and weight` +
          `${bias === null ? "" : `; with bias ${R.number(bias, 6)}`}: ${agreed.computed}.`,
      );
      const line = S.total(all, bias, value, agreed.digits);
      ui.result.replaceChildren(line, S.verdict(agreed, value, given));
    };
    return { root: ui.root(pick.root), update, stop: cursor.player.stop };
  };

  const scatter = (L, g) => {
    let out = 0;
    // Channels of the input that reach an output channel in this part.
    const channels = Math.min(L.x.channels, Math.ceil(L.y.channels / g.og) * g.ig);
    const ui = common(L, g, "input channel", { ...L.x, channels }, () => update());
    const { cursor, input, output, grids, mosts } = ui;
    ui.heard.input = (i, j) => cursor.go(cursor.at.o, i, j);
    ui.heard.output = (p, q) =>
      cursor.go(
        cursor.at.o,
        Math.floor((p + g.padding[0]) / g.stride[0]),
        Math.floor((q + g.padding[1]) / g.stride[1]),
      );
    const pick = S.select("output channel", S.channels(L.y.channels), 0, (o) => {
      out = o;
      update();
    });
    const update = () => {
      const { o: c, i, j } = cursor.at;
      const first = Math.floor(c / g.ig) * g.og;
      if (out < first || out >= first + g.og) out = first;
      pick.set(out);
      const x = L.x.at(c, i, j);
      const cut = (a, b) => {
        const [p, q] = [g.reach(0, i, a), g.reach(1, j, b)];
        return p < 0 || q < 0 || p >= L.y.full[1] || q >= L.y.full[2];
      };
      const weight = (a, b) => g.weight(c, out - first, a, b);
      const shows = [() => x, weight, (a, b) => x * weight(a, b)];
      shows.forEach((show, k) =>
        grids[k].show(
          (a, b) => ({
            value: show(a, b),
            kind: cut(a, b) ? "padding" : "",
            attrs: { tap: `${a},${b}`, channel: out },
          }),
          k < 2 ? mosts[k] : Math.abs(x) * mosts[1],
        ),
      );
      const [top, left] = [g.reach(0, i, 0), g.reach(1, j, 0)];
      input.draw(L.x, c, mosts[0]);
      output.draw(L.y, out, mosts[2]);
      input.say(`input, channel ${c}`);
      output.say(`output, channel ${out}`);
      input.mark([{ kind: "window", at: [i, j] }]);
      input.look([i, i + 1], [j, j + 1]);
      const taps = [];
      if (g.gaps)
        for (let a = 0; a < g.kernel[0]; a++)
          for (let b = 0; b < g.kernel[1]; b++) taps.push({ kind: "tap", at: [g.reach(0, i, a), g.reach(1, j, b)] });
      output.mark([{ kind: "window", at: [top, left], size: g.extent }, ...taps]);
      output.look([top, top + g.extent[0]], [left, left + g.extent[1]]);
      const n = g.kernel[0] * g.kernel[1];
      ui.speak(
        `Input (${i}, ${j}) of channel ${c}, ${R.number(x, 6)}, is multiplied by ${R.plural(n, "weight")} and added to the outputs ` +
          `from (${top}, ${left}) to (${top + g.extent[0] - 1}, ${left + g.extent[1] - 1}) of channel ${out}.`.replace(
            /-/g,
            "\u2212",
          ),
      );
      ui.result.replaceChildren(
        R.el("p", { class: "note" }, "Hatched products fall outside the output. Windows that overlap add up."),
      );
    };
    return { root: ui.root(pick.root), update, stop: cursor.player.stop };
  };

  S.transposed = (root, L) => {
    const names = [
      ["gather", "what reaches an output"],
      ["scatter", "where an input goes"],
    ];
    S.modes(root, names, { gather, scatter }, L, geometry(L));
  };
})();
