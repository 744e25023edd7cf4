"use strict";
// Pooling: the window, and the input that won or the divisor of the sum.
(() => {
  const R = window.Receptive;
  const S = R.stepper;
  const { sum, range } = S;

  // Input rows or columns under each output, including the padding, and how much of the padding to draw. `counted` is
  // the padding that counts in a mean.
  const windows = ({ attrs, kind, x, y }) => {
    const [inputs, outputs] = [x.full.slice(1), y.full.slice(1)];
    if (kind.startsWith("Adaptive")) {
      const under = (axis, i) => {
        const from = Math.floor((i * inputs[axis]) / outputs[axis]);
        return range(Math.ceil(((i + 1) * inputs[axis]) / outputs[axis]) - from).map((k) => from + k);
      };
      return { under, margin: S.padding(0), counted: null };
    }
    const kernel = S.pair(attrs.kernel_size, 1);
    const stride = attrs.stride === undefined || attrs.stride === null ? kernel : S.pair(attrs.stride, 1);
    const [padding, dilation] = [S.pair(attrs.padding, 0), S.pair(attrs.dilation, 1)];
    const under = (axis, i) => range(kernel[axis]).map((k) => i * stride[axis] - padding[axis] + k * dilation[axis]);
    // Pixels that ceil_mode reaches beyond the padding are drawn as padding, too.
    const beyond = (axis) => under(axis, outputs[axis] - 1)[kernel[axis] - 1] - inputs[axis] + 1;
    const margin = [0, 1].map((axis) => [padding[axis], Math.max(padding[axis], beyond(axis))]);
    return { under, margin, counted: [0, 1].map((axis) => inputs[axis] + padding[axis]) };
  };

  // The window of an output: its places, row by row, each with its value, or null in the padding.
  const cellsOf = (L, w, { o, i, j }) => {
    const [rows, columns] = [w.under(0, i), w.under(1, j)];
    const inside = (p, q) => p >= 0 && q >= 0 && p < L.x.full[1] && q < L.x.full[2];
    return rows.flatMap((p) => columns.map((q) => ({ p, q, x: inside(p, q) ? L.x.at(o, p, q) : null })));
  };

  // Among equal values the first wins, row by row.
  const winnerOf = (real) => real.reduce((best, cell) => (best === null || cell.x > best.x ? cell : best), null);

  // The divisor of a mean: the taps in the input, and those in its padding if it counts. Taps beyond the padding never
  // count.
  const divisorOf = ({ attrs }, { counted }, cells, real) => {
    if (attrs.divisor_override) return attrs.divisor_override;
    if (!counted || attrs.count_include_pad === false) return real.length;
    return cells.filter(({ p, q }) => p < counted[0] && q < counted[1]).length;
  };

  const largest = (L, at, real) => {
    const winner = winnerOf(real);
    const value = winner ? winner.x : -Infinity;
    const agreed = S.agree(value, L.y.at(at.o, at.i, at.j), 0, 0);
    const ties = real.filter((cell) => cell.x === value).length;
    const from = winner ? `input (${winner.p}, ${winner.q})` : "none";
    const words =
      `Output (${at.i}, ${at.j}) of channel ${at.o} = the largest of ${R.plural(real.length, "value")}: ${agreed.computed}, ` +
      `from ${from}${ties > 1 ? `, the first of ${ties} that are equal` : ""}.`;
    const line = R.el("p", { class: "total" }, "largest ", S.value("total", value, agreed.digits));
    return { winner, value, agreed, words, line };
  };

  const mean = (L, at, real, divisor) => {
    const all = sum(real.map((cell) => cell.x));
    const value = all / divisor;
    const size = sum(real.map((cell) => Math.abs(cell.x))) / Math.abs(divisor);
    const agreed = S.agree(value, L.y.at(at.o, at.i, at.j), size, real.length);
    const words =
      `Output (${at.i}, ${at.j}) of channel ${at.o} = sum of ${R.plural(real.length, "value")} / ${divisor} = ` +
      `${agreed.computed}.`;
    const total = S.value("total", value, agreed.digits);
    const line = R.el("p", { class: "total" }, S.value("sum", all), " / ", S.value("divisor", divisor), " = ", total);
    return { winner: null, value, agreed, words, line };
  };

  // Draws both maps with the window, the gaps in it, and the winner.
  const draw = (L, [input, output], most, w, { o, i, j }, cells, winner) => {
    const [rows, columns] = [w.under(0, i), w.under(1, j)];
    const length = (taps) => taps[taps.length - 1] - taps[0] + 1;
    const gaps = cells.length < length(rows) * length(columns);
    input.draw(L.x, o, most);
    output.draw(L.y, o, most);
    input.say(`input, channel ${o}`);
    output.say(`output, channel ${o}`);
    input.mark([
      { kind: "window", at: [rows[0], columns[0]], size: [length(rows), length(columns)] },
      ...(gaps ? cells.map(({ p, q }) => ({ kind: "tap", at: [p, q] })) : []),
      ...(winner ? [{ kind: "one", at: [winner.p, winner.q] }] : []),
    ]);
    output.mark([{ kind: "window", at: [i, j] }]);
    input.look([rows[0], rows[0] + length(rows)], [columns[0], columns[0] + length(columns)]);
    output.look([i, i + 1], [j, j + 1]);
  };

  // The window as numbers. The windows of an adaptive pooling differ in size.
  const windowGrid = (most) => {
    const root = R.el("div", { class: "grids" });
    let [grid, size] = [null, ""];
    const show = (cells, columns, winner) => {
      const next = `${cells.length},${columns}`;
      if (next !== size) {
        size = next;
        grid = S.grid("window", "x", cells.length / columns, columns);
        root.replaceChildren(grid.root);
      }
      grid.show((a, b) => {
        const [cell, attrs] = [cells[a * columns + b], { tap: `${a},${b}` }];
        if (cell.x === null) return { value: undefined, text: "", kind: "padding", attrs };
        return { value: cell.x, kind: cell === winner ? "winner" : "", attrs };
      }, most);
    };
    return { root, show };
  };

  S.pool = (root, L) => {
    const max = L.kind.includes("Max");
    const w = windows(L);
    const most = Math.max(R.largest(L.x.values), R.largest(L.y.values));
    const cursor = S.cursor(L.y, "channel", () => update());
    // The output whose window has its middle nearest to p.
    const nearest = (axis, p) => {
      const [from, to] = axis ? L.y.columns : L.y.rows;
      const distance = (i) => {
        const taps = w.under(axis, i);
        return Math.abs((taps[0] + taps[taps.length - 1]) / 2 - p);
      };
      const outputs = range(to - from).map((i) => i + from);
      return outputs.reduce((best, i) => (distance(i) < distance(best) ? i : best), from);
    };
    const point = { input: (p, q) => [nearest(0, p), nearest(1, q)], output: (i, j) => [i, j] };
    const map = (label, part, margin) =>
      S.map({
        label,
        part,
        margin,
        picked: (r, c) => cursor.go(cursor.at.o, ...point[label](r, c)),
        moved: cursor.move,
      });
    const maps = [map("input", L.x, w.margin), map("output", L.y)];
    const says = S.says(cursor.player);
    const grid = windowGrid(most);
    const result = R.el("div", { class: "result" });
    const update = () => {
      const cells = cellsOf(L, w, cursor.at);
      const real = cells.filter((cell) => cell.x !== null);
      const pooled = max ? largest(L, cursor.at, real) : mean(L, cursor.at, real, divisorOf(L, w, cells, real));
      const { winner, value, agreed, words, line } = pooled;
      grid.show(cells, w.under(1, cursor.at.j).length, winner);
      draw(L, maps, most, w, cursor.at, cells, winner);
      says.say(words);
      result.replaceChildren(line, S.verdict(agreed, value, L.y.at(cursor.at.o, cursor.at.i, cursor.at.j)));
    };
    const note = max
      ? "Only the largest value receives the gradient. Padding counts as minus infinity, so it is never the largest."
      : "The gradient is divided equally among the values of the window.";
    const roots = maps.map((each) => each.root);
    root.append(S.frame(L, cursor, roots, says.root, grid.root, result, R.el("p", { class: "note" }, note)));
    update();
  };
})();
