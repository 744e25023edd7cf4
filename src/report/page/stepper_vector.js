"use strict";
// Layers whose input is a vector: linear and softmax.
(() => {
  const R = window.Receptive;
  const S = R.stepper;
  const { sum, range } = S;
  // Number of products of a linear layer that are listed, the largest first.
  const LISTED = 12;

  // n numbers as rows of cells. values() returns the current numbers, tell(k) the words for one.
  const strip = (label, n, values, tell, readout) => {
    const columns = Math.min(n, Math.max(8, Math.ceil(Math.sqrt(n * 3))));
    const place = (r, c) => r * columns + c;
    const plane = R.plane({
      label,
      rows: Math.ceil(n / columns),
      columns,
      color: () => {
        const now = values();
        const color = R.diverging(R.largest(now));
        return (r, c) => (place(r, c) < n ? color(now[place(r, c)]) : null);
      },
      tell: (r, c) => (place(r, c) < n ? tell(place(r, c)) : ""),
      readout,
    });
    return { root: R.el("figure", {}, R.el("figcaption", {}, label), plane.root), redraw: plane.redraw };
  };

  const termRow = ({ k, x, weight, product }) =>
    R.el(
      "tr",
      { "data-k": k },
      R.el("td", { class: "number" }, String(k)),
      Object.entries({ x, weight, product }).map(([role, value]) =>
        R.el("td", { class: "number" }, S.value(role, value)),
      ),
    );

  // One output of a linear layer: one row of the weight times the input.
  S.linear = (root, L) => {
    const [, n] = L.w.dims;
    const cursor = S.cursor(L.y, "output", () => update());
    const says = S.says(cursor.player);
    const result = R.el("div", { class: "result" });
    const body = R.el("tbody", {});
    const term = (k) => {
      const [x, weight] = [L.x.values[k], L.w.values[cursor.at.o * n + k]];
      return { k, x, weight, product: x * weight };
    };
    const tell = (k) => {
      const { x, weight, product } = term(k);
      return `${k}: x ${R.number(x, 6)} \u00d7 weight ${R.number(weight, 6)} = ${R.number(product, 6)}`;
    };
    const readout = R.el("p", { class: "readout", "aria-live": "polite" }, "Point at a number, or use the arrow keys.");
    const drawn = Object.entries({ "input x": "x", "row of the weight": "weight", products: "product" }).map(
      ([label, key]) => strip(label, n, () => range(n).map((k) => term(k)[key]), tell, readout),
    );
    const update = () => {
      const { o } = cursor.at;
      const terms = range(n).map(term);
      const all = sum(terms.map((t) => t.product));
      const bias = L.b ? L.b[o] : null;
      const [value, given] = [all + (bias ?? 0), L.y.at(o, 0, 0)];
      const size = sum(terms.map((t) => Math.abs(t.product))) + Math.abs(bias ?? 0);
      const agreed = S.agree(value, given, size, n);
      drawn.slice(1).forEach((plane) => plane.redraw());
      const largest = [...terms].sort((s, t) => Math.abs(t.product) - Math.abs(s.product));
      body.replaceChildren(...largest.slice(0, LISTED).map(termRow));
      const added = bias === null ? "" : ` + bias ${R.number(bias, 6)}`;
      says.say(`Output ${o} = sum of ${R.plural(n, "product")}${added} = ${agreed.computed}.`);
      result.replaceChildren(S.total(all, bias, value, agreed.digits), S.verdict(agreed, value, given));
    };
    const heads = ["k", "x", "weight", "product"].map((name) => [name, true]);
    const table = S.table("The largest products", heads, body);
    const heading = R.el("h4", {}, n > LISTED ? `The ${LISTED} largest products` : "The products");
    const planes = drawn.map((plane) => plane.root);
    root.append(
      S.frame(L, cursor, planes, readout, says.root, result, heading, R.el("div", { class: "scroll" }, table)),
    );
    update();
  };

  const scoreRow = (k, entry, share) =>
    R.el(
      "tr",
      { "data-k": k },
      R.el("th", { scope: "row" }, String(k)),
      Object.entries(entry).map(([role, value]) => R.el("td", { class: "number" }, S.value(role, value))),
      R.el("td", { class: "bar" }, R.el("div", { style: `width: ${100 * share}%` })),
    );

  S.softmax = (root, L) => {
    const log = L.kind === "LogSoftmax";
    const scores = Array.from(L.x.values);
    const [, most] = R.extent(scores) || [0, 0];
    const exps = scores.map((x) => Math.exp(x - most));
    const all = sum(exps);
    const cursor = S.cursor(L.y, "class", () => update());
    const says = S.says(cursor.player);
    const result = R.el("div", { class: "result" });
    const rows = scores.map((x, k) => {
      const share = exps[k] / all;
      return scoreRow(k, { x, shifted: x - most, exp: exps[k], probability: share }, share);
    });
    rows.forEach((row, k) => row.addEventListener("pointerover", () => cursor.go(k, 0, 0)));
    const heads = ["class", "x", "x \u2212 largest", "exp", "share", ""].map((name, i) => [name, i > 0]);
    const table = S.table("Scores and their shares", heads, R.el("tbody", {}, rows));
    const update = () => {
      const k = cursor.at.o;
      rows.forEach((row, i) => row.classList.toggle("on", i === k));
      const value = log ? scores[k] - most - Math.log(all) : exps[k] / all;
      const given = L.y.at(k, 0, 0);
      const size = Math.abs(value) + (log ? Math.abs(scores[k]) + Math.abs(most) : 0);
      const agreed = S.agree(value, given, size, 8);
      const [x, largest, total, share] = [scores[k], most, all, exps[k] / all].map((v) => R.number(v, 6));
      const logarithm = log ? `, and its logarithm is ${agreed.computed}` : "";
      says.say(`Class ${k}: exp(${x} \u2212 ${largest}) / ${total} = ${share}${logarithm}.`);
      const one = S.value("total", value, agreed.digits);
      const line = R.el("p", { class: "total" }, "sum of the exponentials ", S.value("sum", all), `, class ${k} `, one);
      result.replaceChildren(line, S.verdict(agreed, value, given));
    };
    const note = "The largest score is subtracted from every score. This does not change the result, and exp cannot overflow.";
    const scroll = R.el("div", { class: "scroll tall" }, table);
    root.append(S.frame(L, cursor, [], says.root, scroll, result, R.el("p", { class: "note" }, note)));
    update();
  };
})();
