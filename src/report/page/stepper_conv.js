"use strict";
// One output of a convolution: the window on the input, the kernel, the products and their sum.
(() => {
  const R = window.Receptive;
  const S = R.stepper;

  // The sizes of a convolution.
  const geometry = ({ w, x, y, attrs }) => {
    const [, cg, kh, kw] = w.dims;
    const [stride, dilation] = [S.pair(attrs.stride, 1), S.pair(attrs.dilation, 1)];
    const kernel = [kh, kw];
    const groups = attrs.groups ?? 1;
    const [padding, og] = [S.padding(attrs.padding, kernel, dilation), y.full[0] / groups];
    return {
      kernel,
      stride,
      dilation,
      padding,
      groups,
      cg,
      og,
      taps: kh * kw,
      k: cg * kh * kw,
      extent: [0, 1].map((axis) => dilation[axis] * (kernel[axis] - 1) + 1),
      first: (o) => Math.floor(o / og) * cg,
      weight: (o, c, a, b) => w.values[((o * cg + c) * kh + a) * kw + b],
      // The input position that tap k of output i reads. It may be outside the input.
      reach: (axis, i, k) => i * stride[axis] + k * dilation[axis] - padding[axis][0],
      // The output whose tap k reads input position p, or -1.
      reader: (axis, p, k) => {
        const from = p + padding[axis][0] - k * dilation[axis];
        return from >= 0 && from % stride[axis] === 0 ? from / stride[axis] : -1;
      },
      // The output whose window has its middle nearest to p.
      nearest: (axis, p) =>
        Math.round((p + padding[axis][0] - (dilation[axis] * (kernel[axis] - 1)) / 2) / stride[axis]),
      inside: (p, q) => p >= 0 && q >= 0 && p < x.full[1] && q < x.full[2],
    };
  };

  // The terms of output (o, i, j), in the order of the weight's row.
  const terms = ({ x }, g, { o, i, j }) => {
    const all = [];
    for (let c = 0; c < g.cg; c++)
      for (let a = 0; a < g.kernel[0]; a++)
        for (let b = 0; b < g.kernel[1]; b++) {
          const [p, q] = [g.reach(0, i, a), g.reach(1, j, b)];
          const padding = !g.inside(p, q);
          const value = padding ? 0 : x.at(g.first(o) + c, p, q);
          const weight = g.weight(o, c, a, b);
          all.push({ c, a, b, p, q, padding, x: value, weight, product: value * weight });
        }
    return all;
  };

  const { sum } = S;

  // The sum of the products for each input channel.
  S.sums = (all, g) =>
    Array.from({ length: g.cg }, (_, c) => sum(all.slice(c * g.taps, (c + 1) * g.taps).map((term) => term.product)));

  // Sums of parts, one per cell. Pointing at a cell chooses its part.
  S.parts = (label, n, values, tell, choose) => {
    const columns = Math.min(n, n > 256 ? 64 : 32);
    const rows = Math.ceil(n / columns);
    const plane = R.plane({
      label,
      rows,
      columns,
      color: () => {
        const color = R.diverging(R.largest(values()));
        return (r, c) => (r * columns + c < n ? color(values()[r * columns + c]) : null);
      },
      tell: (r, c) => (r * columns + c < n ? tell(r * columns + c) : ""),
      moved: (r, c) => r * columns + c < n && choose(r * columns + c),
      readout: R.el("p", { class: "tapped" }),
    });
    plane.root.style.maxWidth = `${Math.max(columns * 1.6, 3)}rem`;
    const root = R.el("div", { class: "parts" }, R.el("h4", {}, label), plane.root, plane.readout);
    return { root, redraw: plane.redraw, choose: (i) => plane.move(Math.floor(i / columns), i % columns) };
  };

  // The window view: patch x kernel = products for one input channel, and the sums of all channels.
  const windowView = (L, g, over, choose) => {
    const [kh, kw] = g.kernel;
    const patch = S.grid("input under the window", "x", kh, kw, over);
    const kernel = S.grid("kernel", "weight", kh, kw, over);
    const products = S.grid("products", "product", kh, kw, over);
    let [sums, state] = [[0], null];
    const parts =
      g.cg > 1
        ? S.parts(
            "Sum of the products of each input channel",
            g.cg,
            () => sums,
            (c) => `input channel ${g.first(state.at.o) + c}: ${R.number(sums[c], 6)}`,
            choose,
          )
        : null;
    const fill = () => {
      const here = state.all.slice(state.channel * g.taps, (state.channel + 1) * g.taps);
      const channel = g.first(state.at.o) + state.channel;
      const cell = (key) => (a, b) => {
        const term = here[a * kw + b];
        return { value: term[key], kind: term.padding ? "padding" : "", attrs: { tap: `${a},${b}`, channel } };
      };
      patch.show(cell("x"), state.most);
      kernel.show(cell("weight"), state.mostWeight);
      products.show(cell("product"), R.largest(here.map((term) => term.product)));
    };
    const tapped = R.el("p", { class: "tapped" });
    const tell = (a, b) => {
      if (a === null) return "Point at a number to see where it comes from.";
      const term = state.all[state.channel * g.taps + a * kw + b];
      const from = term.padding ? "padding" : `input (${term.p}, ${term.q})`;
      const product = `${R.number(term.x, 6)} \u00d7 ${R.number(term.weight, 6)} = ${R.number(term.product, 6)}`;
      return `Tap (${a}, ${b}) reads ${from}: ${product}.`;
    };
    const mark = (a, b) => {
      [patch, kernel, products].forEach((grid) => grid.mark(a, b));
      tapped.textContent = tell(a, b);
    };
    return {
      root: R.el("div", { class: "view" }, S.equation(patch, kernel, products), tapped, parts && parts.root),
      mark,
      update: (next) => {
        state = next;
        sums = S.sums(next.all, g);
        fill();
        mark(null);
        if (!parts) return;
        parts.redraw();
        parts.choose(next.channel);
      },
    };
  };

  // The sum, the bias and the result, as numbers and in words.
  const total = (L, g, state) => {
    const { o, i, j } = state.at;
    const all = sum(state.all.map((term) => term.product));
    const bias = L.b ? L.b[o] : null;
    const result = all + (bias ?? 0);
    const size = sum(state.all.map((term) => Math.abs(term.product))) + Math.abs(bias ?? 0);
    const agreed = S.agree(result, L.y.at(o, i, j), size, g.k);
    const padded = state.all.filter((term) => term.padding).length;
    const words =
      `Output ${S.place(L.y, i, j)}channel ${o} = sum of ${R.plural(g.k, "product")}` +
      (padded ? `, ${R.thousands(padded)} of them with padding,` : "") +
      (bias === null ? "" : ` + bias ${R.number(bias, 6)}`) +
      ` = ${agreed.computed}.`;
    const line = S.total(all, bias, result, agreed.digits);
    return { words, line, verdict: S.verdict(agreed, result, L.y.at(o, i, j)) };
  };

  const forward = (L, g) => {
    const most = R.largest(L.x.values);
    const mostWeight = R.largest(L.w.values);
    const mostOut = R.largest(L.y.values);
    let [state, view, channel] = [null, "window", 0];
    const cursor = S.cursor(L.y, "output channel", () => update());
    const choose = (c) => {
      if (c === channel) return;
      channel = c;
      update();
    };
    const pick = S.select("input channel", S.channels(g.cg), 0, choose);
    const input = S.map({
      label: "input",
      part: L.x,
      margin: g.padding,
      picked: (p, q) => cursor.go(cursor.at.o, g.nearest(0, p), g.nearest(1, q)),
      moved: cursor.move,
    });
    const output = S.map({
      label: "output",
      part: L.y,
      picked: (i, j) => cursor.go(cursor.at.o, i, j),
      moved: cursor.move,
    });
    const over = (a, b) => {
      views.window.mark(a, b);
      marks(a, b);
    };
    const views = { window: windowView(L, g, over, choose), columns: S.columns(L, g), tile: S.tile(L, g) };
    const choice = R.choice(
      "as",
      [
        ["window", "window"],
        ["columns", "im2col: row \u00d7 column", R.termAttrs("im2col")],
        ["tile", "tile of the GEMM", R.termAttrs("tile")],
      ],
      view,
      (next) => {
        view = next;
        update();
      },
    );
    const says = S.says(cursor.player);
    const result = R.el("div", { class: "result" });
    const holder = R.el("div", {});

    const marks = (a, b) => {
      const { i, j } = cursor.at;
      const [top, left] = [g.reach(0, i, 0), g.reach(1, j, 0)];
      const taps = [];
      if (g.dilation[0] > 1 || g.dilation[1] > 1)
        for (let r = 0; r < g.kernel[0]; r++)
          for (let c = 0; c < g.kernel[1]; c++) taps.push({ kind: "tap", at: [g.reach(0, i, r), g.reach(1, j, c)] });
      const one = a === null ? [] : [{ kind: "one", at: [g.reach(0, i, a), g.reach(1, j, b)] }];
      input.mark([{ kind: "window", at: [top, left], size: g.extent }, ...taps, ...one]);
      input.look([top, top + g.extent[0]], [left, left + g.extent[1]]);
      output.mark([{ kind: "window", at: [i, j] }]);
      output.look([i, i + 1], [j, j + 1]);
    };
    const update = () => {
      const at = { ...cursor.at };
      state = { at, channel, all: terms(L, g, at), most, mostWeight };
      pick.set(channel);
      input.draw(L.x, g.first(at.o) + channel, most);
      input.say(`input, channel ${g.first(at.o) + channel}`);
      output.draw(L.y, at.o, mostOut);
      output.say(`output, channel ${at.o}`);
      marks(null);
      views[view].update(state);
      if (holder.firstChild !== views[view].root) holder.replaceChildren(views[view].root);
      const { words, line, verdict } = total(L, g, state);
      says.say(words);
      result.replaceChildren(line, verdict);
    };
    const controls = { controls: [cursor.controls, pick.root], player: cursor.player };
    return {
      root: S.frame(L, controls, [input.root, output.root], says.root, choice, holder, result),
      update,
      stop: cursor.player.stop,
    };
  };

  S.conv = (root, L) => {
    const names = [
      ["forward", "output"],
      ["input", "gradient to input"],
      ["weight", "gradient to weight"],
    ];
    S.modes(root, names, { forward, input: S.gradInput, weight: S.gradWeight }, L, geometry(L));
  };
})();
