"use strict";
// The gradients of a convolution if dy is 1 at every output that the page holds: the products that add up to one of
// them.
(() => {
  const R = window.Receptive;
  const S = R.stepper;

  const { sum } = S;

  // Describes in words how the upstream gradient is chosen.
  const upstream = (L) =>
    L.y.values.length === L.y.full.reduce((n, size) => n * size, 1)
      ? "dy, the gradient that arrives at the output, is 1 everywhere here."
      : "dy, the gradient that arrives at the output, is 1 at every output this page holds and 0 elsewhere.";

  // The output channels in this part that read input channel c.
  const readers = (L, g, c) => {
    const group = Math.floor(c / g.cg);
    return [group * g.og, Math.min((group + 1) * g.og, L.y.channels)];
  };

  // The products that add up to dx[c, p, q]: [{o, a, b, i, j, weight, product}].
  const toInput = (L, g, c, p, q) => {
    const terms = [];
    const [from, to] = readers(L, g, c);
    for (let o = from; o < to; o++)
      for (let a = 0; a < g.kernel[0]; a++)
        for (let b = 0; b < g.kernel[1]; b++) {
          const [i, j] = [g.reader(0, p, a), g.reader(1, q, b)];
          if (!L.y.has(i, j)) continue;
          const weight = g.weight(o, c % g.cg, a, b);
          terms.push({ o, a, b, i, j, weight, product: weight });
        }
    return terms;
  };

  // The gradient of one whole input channel in this part.
  const inputChannel = (L, g, c) => {
    const [h, w] = [L.x.rows[1] - L.x.rows[0], L.x.columns[1] - L.x.columns[0]];
    const out = new Float64Array(h * w);
    const [from, to] = readers(L, g, c);
    for (let a = 0; a < g.kernel[0]; a++)
      for (let b = 0; b < g.kernel[1]; b++) {
        let weight = 0;
        for (let o = from; o < to; o++) weight += g.weight(o, c % g.cg, a, b);
        for (let i = L.y.rows[0]; i < L.y.rows[1]; i++)
          for (let j = L.y.columns[0]; j < L.y.columns[1]; j++) {
            const [p, q] = [g.reach(0, i, a), g.reach(1, j, b)];
            if (L.x.has(p, q)) out[(p - L.x.rows[0]) * w + q - L.x.columns[0]] += weight;
          }
      }
    return out;
  };

  const total = (value) => R.el("p", { class: "total" }, "sum ", S.value("gradient", value));

  S.gradInput = (L, g) => {
    const [kh, kw] = g.kernel;
    const held = new Map();
    // Channels of the input that an output in this part reads.
    const channels = Math.min(L.x.channels, Math.ceil(L.y.channels / g.og) * g.cg);
    const dx = (c) => {
      if (!held.has(c)) held.set(c, S.like(L.x, 1, inputChannel(L, g, c)));
      return held.get(c);
    };
    const cursor = S.cursor({ ...L.x, channels }, "input channel", () => update());
    const input = S.map({
      label: "gradient to the input",
      part: L.x,
      margin: g.padding,
      picked: (p, q) => cursor.go(cursor.at.o, p, q),
      moved: cursor.move,
    });
    const output = S.map({ label: "dy", part: L.y, moved: cursor.move });
    const ones = S.like(
      L.y,
      1,
      new Float64Array((L.y.rows[1] - L.y.rows[0]) * (L.y.columns[1] - L.y.columns[0])).fill(1),
    );
    let out = 0;
    let terms = [];
    const find = (a, b) => terms.find((term) => term.o === out && term.a === a && term.b === b);
    const over = (a, b) => {
      [upstreamGrid, kernel, products].forEach((grid) => grid.mark(a, b));
      marks(a === null ? null : find(a, b));
    };
    const upstreamGrid = S.grid("dy of the outputs that read it", "dy", kh, kw, over);
    const kernel = S.grid("kernel: read with this weight", "grad-weight", kh, kw, over);
    const products = S.grid("products", "grad-product", kh, kw, over);
    const says = S.says(cursor.player);
    const result = R.el("div", {});
    const pick = S.select("output channel", S.channels(L.y.channels), 0, (o) => {
      out = o;
      update();
    });
    const mostWeight = R.largest(L.w.values);
    const marks = (one) => {
      const { i: p, j: q } = cursor.at;
      const places = terms.filter((term) => term.o === out).map(({ i, j }) => [i, j]);
      output.mark([...S.around(places), ...(one ? [{ kind: "one", at: [one.i, one.j] }] : [])]);
      input.mark([{ kind: "window", at: [p, q] }]);
      input.look([p, p + 1], [q, q + 1]);
      const middle = [g.nearest(0, p), g.nearest(1, q)];
      output.look([middle[0], middle[0] + 1], [middle[1], middle[1] + 1]);
    };
    const update = () => {
      const { o: c, i: p, j: q } = cursor.at;
      const [from, to] = readers(L, g, c);
      if (out < from || out >= to) out = from;
      pick.set(out);
      terms = toInput(L, g, c, p, q);
      const values = dx(c);
      input.draw(values, 0, R.largest(values.values));
      input.say(`gradient, input channel ${c}`);
      output.draw(ones, 0, 2);
      output.say(`dy, output channel ${out}`);
      const cell = (key) => (a, b) => {
        const term = find(a, b);
        const attrs = { tap: `${a},${b}`, output: term ? `${term.i},${term.j}` : "" };
        if (term && key === "dy") return { value: 1, text: "1", attrs };
        if (term) return { value: term[key], attrs };
        return { value: undefined, text: "", kind: "padding", attrs };
      };
      upstreamGrid.show(cell("dy"), 2);
      kernel.show(cell("weight"), mostWeight);
      products.show(cell("product"), mostWeight);
      marks(null);
      const value = sum(terms.map((term) => term.product));
      const of = R.plural(terms.length, "product");
      says.say(
        `Input (${p}, ${q}) of channel ${c} was read by ${R.plural(new Set(terms.map((t) => `${t.i},${t.j}`)).size, "place")} of the output: ` +
          `its gradient is the sum of ${of} dy \u00d7 weight = ${R.number(value, 6)}.`,
      );
      const here = sum(terms.filter((term) => term.o === out).map((term) => term.product));
      const others =
        to - from > 1 ? `Output channel ${out} adds ${R.number(here, 6)}; all ${to - from} together` : "All of them";
      result.replaceChildren(R.el("p", { class: "note" }, `${others}:`), total(value));
    };
    const grids = S.equation(upstreamGrid, kernel, products);
    const empty =
      "An empty cell is a weight that is never multiplied by this input: the stride skips it, or there is no output.";
    const notes = R.el("p", { class: "note" }, empty);
    return {
      root: S.frame(
        L,
        cursor,
        [input.root, output.root],
        says.root,
        pick.root,
        grids,
        notes,
        result,
        R.el("p", { class: "note" }, upstream(L)),
      ),
      update,
      stop: cursor.player.stop,
    };
  };

  // The outputs that use weight (a, b) and whose input is not in the padding: [{i, j, p, q, x}].
  const toWeight = (L, g, o, c, a, b) => {
    const terms = [];
    for (let i = L.y.rows[0]; i < L.y.rows[1]; i++)
      for (let j = L.y.columns[0]; j < L.y.columns[1]; j++) {
        const [p, q] = [g.reach(0, i, a), g.reach(1, j, b)];
        if (g.inside(p, q)) terms.push({ i, j, p, q, x: L.x.at(g.first(o) + c, p, q) });
      }
    return terms;
  };

  S.gradWeight = (L, g) => {
    const [kh, kw] = g.kernel;
    const at = { o: 0, c: 0, a: Math.floor(kh / 2), b: Math.floor(kw / 2) };
    const choose = (a, b) => {
      if (a === null || (a === at.a && b === at.b)) return;
      [at.a, at.b] = [a, b];
      row.set(a);
      column.set(b);
      update();
    };
    const outputs = S.select("output channel", S.channels(L.y.channels), 0, (o) => {
      at.o = o;
      update();
    });
    const inputs = S.select("input channel", S.channels(g.cg), 0, (c) => {
      at.c = c;
      update();
    });
    const row = S.dial("kernel row", 0, kh - 1, at.a, (a) => choose(a, at.b));
    const column = S.dial("kernel column", 0, kw - 1, at.b, (b) => choose(at.a, b));
    const player = S.player(() => {
      const next = (at.a * kw + at.b + 1) % (kh * kw);
      choose(Math.floor(next / kw), next % kw);
    });
    const kernel = S.grid("gradient to the kernel", "grad", kh, kw, choose);
    const input = S.map({ label: "input", part: L.x, margin: g.padding });
    const output = S.map({ label: "products", part: L.y, picked: (i, j) => point(i, j) });
    const says = S.says(player);
    const readout = R.el("p", { class: "readout", "aria-live": "polite" });
    const result = R.el("div", {});
    const most = R.largest(L.x.values);
    let terms = [];
    const marks = (one) => {
      const spot = one ? [{ kind: "one", at: [one.p, one.q] }] : [];
      input.mark([...S.around(terms.map(({ p, q }) => [p, q])), ...spot]);
      output.mark(one ? [{ kind: "window", at: [one.i, one.j] }] : []);
      input.look(L.x.rows, L.x.columns);
      output.look(L.y.rows, L.y.columns);
    };
    const point = (i, j) => {
      const term = terms.find((t) => t.i === i && t.j === j);
      marks(term);
      readout.textContent = term
        ? `Output (${i}, ${j}): dy 1 \u00d7 x(${term.p}, ${term.q}) ${R.number(term.x, 6)}.`
        : `Output (${i}, ${j}) multiplies this weight by padding: it adds nothing.`;
    };
    const update = () => {
      const { o, c, a, b } = at;
      const channel = g.first(o) + c;
      const gradient = (r, s) => sum(toWeight(L, g, o, c, r, s).map((term) => term.x));
      const all = Array.from({ length: kh }, (_, r) => Array.from({ length: kw }, (__, s) => gradient(r, s)));
      kernel.show((r, s) => ({ value: all[r][s], attrs: { tap: `${r},${s}` } }), R.largest(all.flat()));
      kernel.mark(a, b);
      terms = toWeight(L, g, o, c, a, b);
      const width = L.y.columns[1] - L.y.columns[0];
      const products = new Float64Array(width * (L.y.rows[1] - L.y.rows[0]));
      terms.forEach((term) => (products[(term.i - L.y.rows[0]) * width + term.j - L.y.columns[0]] = term.x));
      input.draw(L.x, channel, most);
      input.say(`input, channel ${channel}`);
      output.draw(S.like(L.y, 1, products), 0, most);
      output.say("products x \u00d7 dy");
      marks(null);
      readout.textContent = "Point at a product to see its factors.";
      const missed = products.length - terms.length;
      const value = all[a][b];
      says.say(
        `Weight (${a}, ${b}) between input channel ${channel} and output channel ${o} was used by ${R.plural(products.length, "output")}` +
          (missed ? `, ${R.thousands(missed)} of them on padding` : "") +
          `: its gradient is the sum of ${R.plural(terms.length, "product")} x \u00d7 dy = ${R.number(value, 6)}.`,
      );
      result.replaceChildren(total(value));
    };
    const cursor = { controls: [outputs.root, inputs.root, row.root, column.root], player };
    return {
      root: S.frame(
        L,
        cursor,
        [input.root, output.root],
        says.root,
        kernel.root,
        readout,
        result,
        R.el("p", { class: "note" }, upstream(L)),
      ),
      update,
      stop: player.stop,
    };
  };
})();
