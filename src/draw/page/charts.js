"use strict";
// Lines, histograms and bars.
(() => {
  const R = window.Receptive;

  // Curves over whole numbers. series: [{name, color, dash, points: [[x, y], ...]}], where y is null if it is not
  // finite. Options: label, format(value, tick), low, high.
  R.lines = (series, options) => {
    const root = R.el("div");
    const all = series.flatMap((s) => s.points);
    const [xs, ys] = [0, 1].map((i) => all.map((p) => p[i]));
    const across = R.axisOver(xs);
    const up = R.axisOver(ys, options.low, options.high);
    const format = options.format || R.tick;
    const marks = up.ticks(4).map((tick) => ({ ...tick, text: format(tick.value, tick) }));
    const left = Math.max(46, 12 + 7 * Math.max(...marks.map((mark) => mark.text.length)));
    return R.fitted(root, (width) => {
      const [height, right, top, bottom] = [210, 12, 10, 26];
      const along = (share) => left + share * (width - left - right);
      const above = (share) => height - bottom - share * (height - top - bottom);
      const x = (v) => along(across.share(v));
      const y = (v) => above(up.share(v));
      const chart = R.svg("svg", { width, height, role: "img", "aria-label": options.label });
      for (const { share, text } of marks) {
        const at = above(share);
        chart.append(
          R.svg("line", { class: "hair", x1: left, x2: width - right, y1: at, y2: at }),
          R.svg("text", { class: "muted", x: left - 8, y: at + 4, "text-anchor": "end" }, text),
        );
      }
      for (const t of across.ticks(Math.min(8, width / 70)).filter((tick) => Number.isInteger(tick.value))) {
        chart.append(
          R.svg(
            "text",
            { class: "muted", x: along(t.share), y: height - 6, "text-anchor": "middle" },
            R.thousands(t.value),
          ),
        );
      }
      let lost = false;
      for (const s of series) {
        const style = `stroke: var(${s.color})`;
        const d = R.path(s.points, x, y);
        chart.append(R.svg("path", { d, fill: "none", style, "stroke-width": 2, "stroke-dasharray": s.dash }));
        const crosses = R.crosses(s.points, x, top);
        if (crosses) chart.append(R.svg("path", { class: "crosses", d: crosses, fill: "none", style, "stroke-width": 2 }));
        lost = lost || crosses !== "";
        for (const [px, py] of s.points.length > 60 ? [] : s.points.filter((p) => R.finite(p[1]))) {
          const dot = R.svg("circle", { cx: x(px), cy: y(py), r: 2.6, style: `fill: var(${s.color})` });
          dot.append(R.svg("title", {}, `${s.name}, ${options.x || "epoch"} ${px}: ${format(py)}`));
          chart.append(dot);
        }
      }
      root.replaceChildren(chart, ...(lost ? [R.el("p", { class: "note" }, R.CROSSES)] : []));
    });
  };

  // A legend: the names of lines in their colours.
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
    if (!R.finite(from) || !R.finite(to)) return R.el("p", { class: "note" }, "No value is finite.");
    const axis = R.axisOver(options.range || [], options.range ? undefined : from, options.range ? undefined : to);
    const most = (R.extent(counts) || [0, 1])[1] || 1;
    const total = counts.reduce((sum, n) => sum + n, 0) || 1;
    return R.fitted(root, (width) => {
      const [height, bottom] = [options.height || 130, 22];
      const along = (share) => 4 + share * (width - 8);
      const x = (v) => along(axis.share(v));
      const chart = R.svg("svg", { width, height, role: "img", "aria-label": options.label });
      counts.forEach((n, i) => {
        // Square roots, so that bars of few values are visible beside a bar of many.
        const h = Math.sqrt(n / most) * (height - bottom - 4);
        const [a, b] = [i, i + 1].map((n) => R.between(from, to, n / counts.length));
        const wide = Math.max(x(b) - x(a) - 1, 1);
        const color = a / 2 + b / 2 < 0 ? "--negative" : "--positive";
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
      for (const tick of axis.ticks(Math.max(2, width / 90))) {
        chart.append(
          R.svg(
            "text",
            { class: "muted", x: along(tick.share), y: height - 6, "text-anchor": "middle" },
            R.tick(tick.value, tick),
          ),
        );
      }
      root.replaceChildren(chart);
    });
  };

  // One row per entry with a name, a bar and a number. rows: [{name, value, text, strong}]. The longest bar has the
  // value `full`, or the largest value. Bars of negative values go left from zero.
  R.bars = (rows, label, full = 0) => {
    // Divide by the largest first: then differences cannot overflow. A value that is not finite has no bar.
    const all = R.largest([full, ...rows.map((row) => row.value)]) || 1;
    const part = (value) => (R.finite(value) ? value / all : 0);
    const [low, high] = R.extent([0, part(full), ...rows.map((row) => part(row.value))]);
    const span = high - low || 1;
    const place = (value) =>
      `left: ${(100 * (Math.min(value, 0) - low)) / span}%; width: ${(100 * Math.abs(value)) / span}%`;
    return R.el(
      "div",
      { class: "bars", role: "list", "aria-label": label },
      rows.map((row) => {
        const fill = R.el("div", { class: `fill ${row.tone || ""}` });
        fill.style.cssText = place(part(row.value));
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
