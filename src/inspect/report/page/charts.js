"use strict";
// Lines, histograms and bars.
(() => {
  const R = window.Receptive;

  // Round numbers across a range.
  R.ticks = (low, high, count) => {
    const raw = (high - low) / Math.max(count, 1) || 1;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
    const out = [];
    for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-6; t += step) {
      out.push(Math.abs(t) < step * 1e-9 ? 0 : t);
    }
    return out;
  };

  // Curves over whole numbers. series: [{name, color, dash, points: [[x, y], ...]}]; options: label, format, low.
  R.lines = (series, options) => {
    const root = R.el("div");
    const all = series.flatMap((s) => s.points);
    const xs = all.map((p) => p[0]);
    const ys = all.map((p) => p[1]);
    const [x0, x1] = [Math.min(...xs), Math.max(...xs)];
    const low = Math.min(options.low ?? Infinity, ...ys);
    const high = Math.max(options.high ?? -Infinity, ...ys, low + 1e-9);
    const format = options.format || ((v) => R.number(v, 3));
    return R.fitted(root, (width) => {
      const [height, left, right, top, bottom] = [210, 46, 12, 10, 26];
      const x = (v) => left + ((v - x0) / (x1 - x0 || 1)) * (width - left - right);
      const y = (v) => height - bottom - ((v - low) / (high - low)) * (height - top - bottom);
      const chart = R.svg("svg", { width, height, role: "img", "aria-label": options.label });
      for (const t of R.ticks(low, high, 4)) {
        chart.append(
          R.svg("line", { class: "hair", x1: left, x2: width - right, y1: y(t), y2: y(t) }),
          R.svg("text", { class: "muted", x: left - 8, y: y(t) + 4, "text-anchor": "end" }, format(t)),
        );
      }
      for (const t of R.ticks(x0, x1, Math.min(8, width / 70)).filter(Number.isInteger)) {
        chart.append(
          R.svg("text", { class: "muted", x: x(t), y: height - 6, "text-anchor": "middle" }, R.thousands(t)),
        );
      }
      for (const s of series) {
        const path = s.points.map(([px, py], i) => `${i ? "L" : "M"}${x(px).toFixed(1)} ${y(py).toFixed(1)}`);
        const style = `stroke: var(${s.color})`;
        chart.append(
          R.svg("path", { d: path.join(""), fill: "none", style, "stroke-width": 2, "stroke-dasharray": s.dash }),
        );
        for (const [px, py] of s.points.length > 60 ? [] : s.points) {
          const dot = R.svg("circle", { cx: x(px), cy: y(py), r: 2.6, style: `fill: var(${s.color})` });
          dot.append(R.svg("title", {}, `${s.name}, ${options.x || "epoch"} ${px}: ${format(py)}`));
          chart.append(dot);
        }
      }
      root.replaceChildren(chart);
    });
  };

  // Coloured names for lines.
  R.legend = (entries) =>
    R.el(
      "p",
      { class: "legend" },
      entries.map(([name, color]) => R.el("span", {}, R.el("i", { style: `background: var(${color})` }), name)),
    );

  // Counts over equal intervals: {from, to, counts}. Options: label, range: [from, to] to share an axis.
  R.histogram = (histogram, options) => {
    const root = R.el("div");
    const { from, to, counts } = histogram;
    const [low, high] = options.range || [from, to];
    const most = Math.max(...counts, 1);
    const total = counts.reduce((sum, n) => sum + n, 0) || 1;
    return R.fitted(root, (width) => {
      const [height, bottom] = [options.height || 130, 22];
      const x = (v) => 4 + ((v - low) / (high - low || 1)) * (width - 8);
      const step = (to - from) / counts.length;
      const chart = R.svg("svg", { width, height, role: "img", "aria-label": options.label });
      counts.forEach((n, i) => {
        // Roots, so that bars of few values are seen beside a bar of many.
        const h = Math.sqrt(n / most) * (height - bottom - 4);
        const [a, b] = [from + i * step, from + (i + 1) * step];
        const wide = Math.max(x(b) - x(a) - 1, 1);
        const color = (a + b) / 2 < 0 ? "--negative" : "--positive";
        const bar = R.svg("rect", {
          x: x(a),
          y: height - bottom - h,
          width: wide,
          height: h,
          style: `fill: var(${color})`,
        });
        bar.append(
          R.svg("title", {}, `${R.number(a, 3)} to ${R.number(b, 3)}: ${R.thousands(n)} (${R.percent(n / total)})`),
        );
        chart.append(bar);
      });
      chart.append(R.svg("line", { class: "hair", x1: 4, x2: width - 4, y1: height - bottom, y2: height - bottom }));
      const marks = R.ticks(low, high, Math.max(2, width / 90));
      for (const t of marks) {
        chart.append(
          R.svg("text", { class: "muted", x: x(t), y: height - 6, "text-anchor": "middle" }, R.number(t, 3)),
        );
      }
      root.replaceChildren(chart);
    });
  };

  // A name, a bar and a number a row. rows: [{name, value, text, strong}]; a full bar is `full`, or the largest value; bars of
  // negative values go left from zero.
  R.bars = (rows, label, full = 0) => {
    const values = rows.map((row) => row.value);
    const low = Math.min(0, ...values);
    const span = Math.max(full, ...values) - low || 1;
    const place = (value) =>
      `left: ${(100 * (Math.min(value, 0) - low)) / span}%; width: ${(100 * Math.abs(value)) / span}%`;
    return R.el(
      "div",
      { class: "bars", role: "list", "aria-label": label },
      rows.map((row) => {
        const fill = R.el("div", { class: `fill ${row.tone || ""}` });
        fill.style.cssText = place(row.value);
        return R.el(
          "div",
          { role: "listitem", style: "display: contents" },
          R.el("span", { class: row.strong ? "true" : null, title: row.name }, row.name),
          R.el("div", { class: "track", "aria-hidden": "true" }, fill),
          R.el("span", { class: "number" }, row.text),
        );
      }),
    );
  };
})();
