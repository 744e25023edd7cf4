"use strict";
// Steps of the layers that are no convolution: pooling, transposed convolution, linear, batch norm, softmax.
(() => {
  const R = window.Receptive;
  const S = R.stepper;

  const { sum } = S;
  const range = (n) => Array.from({ length: n }, (_, i) => i);

  // The frame that these layers share: controls, two maps, a sentence, and what `shown` holds.
  const frame = (L, cursor, pair, says, shown) =>
    R.el(
      "div",
      { class: "mode" },
      R.el("div", { class: "controls" }, cursor.controls, cursor.player.root),
      pair.length ? R.el("div", { class: "maps-pair" }, pair) : null,
      says,
      shown,
      S.held(L),
    );

  const speak = (says, cursor, words) => {
    says.setAttribute("aria-live", cursor.player.playing() ? "off" : "polite");
    says.textContent = words;
  };

  const sentence = () => R.el("p", { class: "says", "data-role": "says" });

  // Input rows or columns under each output of a pooling: [positions], those of the padding included.
  const windows = (L) => {
    const { attrs, kind, x, y } = L;
    if (kind.startsWith("Adaptive")) {
      const under = (axis, i) => {
        const [n, outputs] = [x.full[axis + 1], y.full[axis + 1]];
        const [from, to] = [Math.floor((i * n) / outputs), Math.ceil(((i + 1) * n) / outputs)];
        return range(to - from).map((k) => from + k);
      };
      return { under, padding: [[0, 0], [0, 0]] };
    }
    const kernel = S.pair(attrs.kernel_size, 1);
    const stride = attrs.stride === undefined || attrs.stride === null ? kernel : S.pair(attrs.stride, 1);
    const [padding, dilation] = [S.pair(attrs.padding, 0), S.pair(attrs.dilation, 1)];
    const under = (axis, i) => range(kernel[axis]).map((k) => i * stride[axis] - padding[axis] + k * dilation[axis]);
    // What ceil_mode reaches beyond the padding is drawn as padding, too.
    const beyond = (axis) => under(axis, y.full[axis + 1] - 1)[kernel[axis] - 1] - x.full[axis + 1] + 1;
    return { under, padding: [0, 1].map((axis) => [padding[axis], Math.max(padding[axis], beyond(axis))]), border: padding };
  };

  // Of equal values the first wins, row by row.
  const winnerOf = (cells) => {
    let best = null;
    for (const cell of cells) if (cell.x !== null && (best === null || cell.x > best.x)) best = cell;
    return best;
  };

  // What a mean is divided by: taps in the input, or in its padding where that counts, never those beyond.
  const divisorOf = (L, { border }, cells) => {
    const { attrs, x } = L;
    if (attrs.divisor_override) return attrs.divisor_override;
    if (!border || attrs.count_include_pad === false) return cells.filter((cell) => cell.x !== null).length;
    const counts = ({ p, q }) => p < x.full[1] + border[0] && q < x.full[2] + border[1];
    return cells.filter(counts).length;
  };

  S.pool = (root, L) => {
    const max = L.kind.includes("Max");
    const w = windows(L);
    const most = Math.max(R.largest(L.x.values), R.largest(L.y.values));
    const cursor = S.cursor(L.y, "channel", () => update());
    const nearest = (axis, p) => {
      const [from, to] = axis ? L.y.columns : L.y.rows;
      const distance = (i) => {
        const taps = w.under(axis, i);
        return Math.abs((taps[0] + taps[taps.length - 1]) / 2 - p);
      };
      return range(to - from)
        .map((i) => i + from)
        .reduce((best, i) => (distance(i) < distance(best) ? i : best), from);
    };
    const input = S.map({
      label: "input",
      part: L.x,
      margin: w.padding,
      picked: (p, q) => cursor.go(cursor.at.o, nearest(0, p), nearest(1, q)),
      moved: cursor.move,
    });
    const output = S.map({
      label: "output",
      part: L.y,
      picked: (i, j) => cursor.go(cursor.at.o, i, j),
      moved: cursor.move,
    });
    const says = sentence();
    const holder = R.el("div", { class: "grids" });
    const result = R.el("div", { class: "result" });
    let grid = null;
    let size = "";
    const update = () => {
      const { o, i, j } = cursor.at;
      const [rows, columns] = [w.under(0, i), w.under(1, j)];
      const cells = rows.flatMap((p, a) =>
        columns.map((q, b) => {
          const inside = p >= 0 && q >= 0 && p < L.x.full[1] && q < L.x.full[2];
          return { a, b, p, q, x: inside ? L.x.at(o, p, q) : null };
        }),
      );
      if (size !== `${rows.length},${columns.length}`) {
        size = `${rows.length},${columns.length}`;
        grid = S.grid("window", "x", rows.length, columns.length);
        holder.replaceChildren(grid.root);
      }
      const winner = winnerOf(cells);
      grid.show((a, b) => {
        const cell = cells[a * columns.length + b];
        if (cell.x === null) return { value: undefined, text: "", kind: "padding", attrs: { tap: `${a},${b}` } };
        const kind = max && cell === winner ? "winner" : "";
        return { value: cell.x, kind, attrs: { tap: `${a},${b}` } };
      }, most);
      const last = (taps) => taps[taps.length - 1] - taps[0] + 1;
      const gaps = rows.length * columns.length < last(rows) * last(columns);
      input.draw(L.x, o, most);
      output.draw(L.y, o, most);
      input.say(`input, channel ${o}`);
      output.say(`output, channel ${o}`);
      input.mark([
        { kind: "window", at: [rows[0], columns[0]], size: [last(rows), last(columns)] },
        ...(gaps ? cells.map(({ p, q }) => ({ kind: "tap", at: [p, q] })) : []),
        ...(max && winner ? [{ kind: "one", at: [winner.p, winner.q] }] : []),
      ]);
      output.mark([{ kind: "window", at: [i, j] }]);
      input.look([rows[0], rows[0] + last(rows)], [columns[0], columns[0] + last(columns)]);
      output.look([i, i + 1], [j, j + 1]);
      const real = cells.filter((cell) => cell.x !== null);
      const added = sum(real.map((cell) => cell.x));
      const divisor = max ? 1 : divisorOf(L, w, cells);
      const value = max ? (winner ? winner.x : -Infinity) : added / divisor;
      const given = L.y.at(o, i, j);
      const agreed = S.agree(value, given, sum(real.map((cell) => Math.abs(cell.x))) / Math.abs(divisor), cells.length);
      const ties = max && winner ? real.filter((cell) => cell.x === winner.x).length : 1;
      speak(
        says,
        cursor,
        max
          ? `Output (${i}, ${j}) of channel ${o} = the largest of ${R.plural(real.length, "value")}: ${agreed.computed}, from input (${winner ? `${winner.p}, ${winner.q}` : "none"})` +
              (ties > 1 ? `, the first of ${ties} that are equal.` : ".")
          : `Output (${i}, ${j}) of channel ${o} = sum of ${R.plural(real.length, "value")} / ${divisor} = ${agreed.computed}.`,
      );
      const line = max
        ? R.el("p", { class: "total" }, "largest ", S.value("total", value, agreed.digits))
        : R.el(
            "p",
            { class: "total" },
            S.value("sum", added),
            " / ",
            S.value("divisor", divisor),
            " = ",
            S.value("total", value, agreed.digits),
          );
      result.replaceChildren(line, S.verdict(agreed, value, given));
    };
    const note = max
      ? "The gradient goes to the winner alone. Padding counts as minus infinity and never wins."
      : "The gradient is shared out among the window in equal parts.";
    root.append(frame(L, cursor, [input.root, output.root], says, [holder, result, R.el("p", { class: "note" }, note)]));
    update();
  };

  // One output of a linear layer: a row of the weight times the input.
  S.linear = (root, L) => {
    const [, n] = L.w.dims;
    const at = { o: 0 };
    const cursor = S.cursor(L.y, "output", () => update());
    const says = sentence();
    const result = R.el("div", { class: "result" });
    const body = R.el("tbody", {});
    const columns = Math.min(n, Math.max(8, Math.ceil(Math.sqrt(n * 3))));
    const rows = Math.ceil(n / columns);
    const term = (k) => {
      const [x, weight] = [L.x.values[k], L.w.values[at.o * n + k]];
      return { k, x, weight, product: x * weight };
    };
    const plane = (label, key) =>
      R.plane({
        label,
        rows,
        columns,
        color: () => {
          const values = range(n).map((k) => term(k)[key]);
          const color = R.diverging(R.largest(values));
          return (r, c) => (r * columns + c < n ? color(values[r * columns + c]) : null);
        },
        tell: (r, c) => {
          const k = r * columns + c;
          if (k >= n) return "";
          const { x, weight, product } = term(k);
          return `${k}: x ${R.number(x, 6)} \u00d7 weight ${R.number(weight, 6)} = ${R.number(product, 6)}`;
        },
        readout,
      });
    const readout = R.el("p", { class: "readout", "aria-live": "polite" }, "Point at a number, or use the arrow keys.");
    const drawn = [
      ["input x", "x"],
      ["row of the weight", "weight"],
      ["products", "product"],
    ].map(([label, key]) => ({ label, plane: plane(label, key) }));
    const figures = drawn.map((entry) => R.el("figure", {}, R.el("figcaption", {}, entry.label), entry.plane.root));
    const table = R.el(
      "table",
      { class: "terms", "aria-label": "The largest products" },
      R.el(
        "thead",
        {},
        R.el("tr", {}, ["k", "x", "weight", "product"].map((name) => R.el("th", { class: "number" }, name))),
      ),
      body,
    );
    const row = ({ k, x, weight, product }) =>
      R.el(
        "tr",
        { "data-k": k },
        R.el("td", { class: "number" }, String(k)),
        [
          ["x", x],
          ["weight", weight],
          ["product", product],
        ].map(([role, value]) => R.el("td", { class: "number" }, S.value(role, value))),
      );
    const update = () => {
      at.o = cursor.at.o;
      const terms = range(n).map(term);
      const all = sum(terms.map((t) => t.product));
      const bias = L.b ? L.b[at.o] : null;
      const [value, given] = [all + (bias ?? 0), L.y.at(at.o, 0, 0)];
      const size = sum(terms.map((t) => Math.abs(t.product))) + Math.abs(bias ?? 0);
      const agreed = S.agree(value, given, size, n);
      drawn.slice(1).forEach((entry) => entry.plane.redraw());
      const largest = [...terms].sort((s, t) => Math.abs(t.product) - Math.abs(s.product)).slice(0, 12);
      body.replaceChildren(...largest.map(row));
      speak(
        says,
        cursor,
        `Output ${at.o} = sum of ${R.plural(n, "product")}${bias === null ? "" : ` + bias ${R.number(bias, 6)}`} = ${agreed.computed}.`,
      );
      const line = S.total(all, bias, value, agreed.digits);
      result.replaceChildren(line, S.verdict(agreed, value, given));
    };
    const heading = R.el("h4", {}, n > 12 ? "The 12 largest products" : "The products");
    root.append(
      frame(L, cursor, [], says, [
        R.el("div", { class: "maps-pair" }, figures),
        readout,
        result,
        heading,
        R.el("div", { class: "scroll" }, table),
      ]),
    );
    update();
  };

  // A chain of small results, each made from the one before: [{name, how, role, value}].
  const chain = (steps) =>
    R.el(
      "ol",
      { class: "chain" },
      steps.map(({ name, how, role, value, digits }) =>
        R.el("li", {}, R.el("span", { class: "name" }, name), S.value(role, value, digits), R.el("span", { class: "how" }, how)),
      ),
    );

  S.norm = (root, L) => {
    const [mean, variance] = [L.running_mean, L.running_var].map((packed) => R.unpack(packed).values);
    const eps = L.attrs.eps ?? 1e-5;
    const gamma = L.w && L.w.values;
    const mosts = [R.largest(L.x.values), R.largest(L.y.values)];
    const cursor = S.cursor(L.y, "channel", () => update());
    const picked = (i, j) => cursor.go(cursor.at.o, i, j);
    const [input, output] = [L.x, L.y].map((part) => S.map({ label: "", part, picked, moved: cursor.move }));
    const says = sentence();
    const result = R.el("div", { class: "result" });
    const update = () => {
      const { o, i, j } = cursor.at;
      [input, output].forEach((map, side) => {
        map.draw(side ? L.y : L.x, o, mosts[side]);
        map.say(`${side ? "output" : "input"}, channel ${o}`);
        map.mark([{ kind: "window", at: [i, j] }]);
        map.look([i, i + 1], [j, j + 1]);
      });
      const x = L.x.at(o, i, j);
      const deviation = Math.sqrt(variance[o] + eps);
      const hat = (x - mean[o]) / deviation;
      const scaled = gamma ? hat * gamma[o] : hat;
      const value = scaled + (L.b ? L.b[o] : 0);
      const given = L.y.at(o, i, j);
      const factor = (gamma ? Math.abs(gamma[o]) : 1) / deviation;
      const size = (Math.abs(x) + Math.abs(mean[o])) * factor + Math.abs(L.b ? L.b[o] : 0);
      const agreed = S.agree(value, given, size, 4);
      const where = S.place(L.y, i, j);
      speak(
        says,
        cursor,
        `Output ${where}channel ${o} = (${R.number(x, 6)} \u2212 mean) / deviation${gamma ? " \u00d7 gamma + beta" : ""} = ${agreed.computed}.`,
      );
      const steps = [
        { name: "x", how: "what comes in", role: "x", value: x },
        { name: "mean", how: "of this channel, kept while training", role: "mean", value: mean[o] },
        { name: "variance", how: "likewise", role: "variance", value: variance[o] },
        { name: "deviation", how: `\u221a(variance + ${R.number(eps)})`, role: "deviation", value: deviation },
        { name: "x\u0302", how: "(x \u2212 mean) / deviation", role: "x-hat", value: hat },
      ];
      if (gamma) steps.push({ name: "gamma", how: "the channel's weight", role: "gamma", value: gamma[o] });
      if (L.b) steps.push({ name: "beta", how: "the channel's bias", role: "beta", value: L.b[o] });
      const how = gamma ? "x\u0302 \u00d7 gamma + beta" : "x\u0302";
      steps.push({ name: "output", how, role: "total", value, digits: agreed.digits });
      result.replaceChildren(chain(steps), S.verdict(agreed, value, given));
    };
    const note = R.el(
      "p",
      { class: "note" },
      "In training the mean and the variance are those of the batch. The histograms before and after stand under Distribution.",
    );
    root.append(frame(L, cursor, [input.root, output.root], says, [result, note]));
    update();
  };

  S.softmax = (root, L) => {
    const log = L.kind === "LogSoftmax";
    const scores = Array.from(L.x.values);
    const most = Math.max(...scores);
    const exps = scores.map((x) => Math.exp(x - most));
    const all = sum(exps);
    const cursor = S.cursor(L.y, "class", () => update());
    const says = sentence();
    const result = R.el("div", { class: "result" });
    const row = (x, k) =>
      R.el(
        "tr",
        { "data-k": k },
        R.el("th", { scope: "row" }, String(k)),
        [
          ["x", x],
          ["shifted", x - most],
          ["exp", exps[k]],
          ["probability", exps[k] / all],
        ].map(([role, value]) => R.el("td", { class: "number" }, S.value(role, value))),
        R.el("td", { class: "bar" }, R.el("div", { style: `width: ${(100 * exps[k]) / all}%` })),
      );
    const rows = scores.map(row);
    rows.forEach((tr, k) => tr.addEventListener("pointerover", () => cursor.go(k, 0, 0)));
    const head = ["class", "x", "x \u2212 largest", "exp", "share", ""];
    const table = R.el(
      "table",
      { class: "terms classes", "aria-label": "Scores and their shares" },
      R.el("thead", {}, R.el("tr", {}, head.map((name, i) => R.el("th", { class: i ? "number" : null }, name)))),
      R.el("tbody", {}, rows),
    );
    const update = () => {
      const k = cursor.at.o;
      rows.forEach((tr, i) => tr.classList.toggle("on", i === k));
      const value = log ? scores[k] - most - Math.log(all) : exps[k] / all;
      const given = L.y.at(k, 0, 0);
      const agreed = S.agree(value, given, Math.abs(value) + (log ? Math.abs(scores[k]) + Math.abs(most) : 0), 8);
      const share = `exp(${R.number(scores[k], 6)} \u2212 ${R.number(most, 6)}) / ${R.number(all, 6)} = ${R.number(exps[k] / all, 6)}`;
      speak(says, cursor, `Class ${k}: ${share}${log ? `, and its logarithm is ${agreed.computed}` : ""}.`);
      const line = R.el("p", { class: "total" }, "sum of the exponentials ", S.value("sum", all), ", class ", String(k), " ", S.value("total", value, agreed.digits));
      result.replaceChildren(line, S.verdict(agreed, value, given));
    };
    const note = "The largest score is subtracted from all: that cancels out, and keeps exp from overflowing.";
    root.append(frame(L, cursor, [], says, [R.el("div", { class: "scroll tall" }, table), result, R.el("p", { class: "note" }, note)]));
    update();
  };
})();
