"use strict";
// Loss and score of every step, smoothed, and of every epoch's validation.
(() => {
  const R = window.Receptive;

  // Points are [steps, loss, score]: means over that many steps, one after the other from step `start` on.
  const across = (curve) => {
    let step = curve.start;
    return curve.points.map(([steps, loss, score]) => {
      step += steps;
      return { x: step - (steps - 1) / 2, steps, loss, score };
    });
  };

  // An exponential mean over about `window` steps, without the pull of a beginning at 0.
  const smoothed = (points, key, window) => {
    let mean = 0;
    let weight = 0;
    return points.map((point) => {
      const keep = Math.exp(-point.steps / window);
      mean = keep * mean + (1 - keep) * point[key];
      weight = keep * weight + (1 - keep);
      return [point.x, mean / weight];
    });
  };

  // A drawing that is made anew when its numbers or its width change.
  const chart = (options) => {
    const root = R.el("div", { class: "chart" });
    const legend = R.el("p", { class: "legend" });
    let width = 0;
    let data = null;
    const draw = () => {
      if (width && data) root.replaceChildren(drawing(data, width, options));
    };
    R.fitted(root, (now) => {
      width = now;
      draw();
    });
    const update = (next) => {
      data = next;
      draw();
      const last = (points) => (points.length ? options.format(points[points.length - 1][1]) : "\u2013");
      const entry = (name, color, points) => {
        const mark = R.el("i");
        mark.style.background = `var(${color})`;
        return R.el("span", {}, mark, `${name} ${last(points)}`);
      };
      legend.replaceChildren(
        entry("training", "--accent", next.smooth),
        entry("validation", "--positive", next.val),
      );
    };
    return { root: R.el("figure", {}, R.el("h3", {}, options.title), root, legend), update };
  };

  // What a scale must reach: everything smooth, and of the single steps all but a few.
  const highest = (data) => {
    const raw = data.raw.map((p) => p[1]).sort((a, b) => a - b);
    const most = raw.length ? raw[Math.floor((raw.length - 1) * 0.98)] : 0;
    return Math.max(most, ...data.smooth.map((p) => p[1]), ...data.val.map((p) => p[1]));
  };

  const drawing = (data, width, options) => {
    const [height, left, right, top, bottom] = [220, 46, 12, 10, 26];
    const xs = [...data.raw, ...data.val].map((p) => p[0]);
    const [x0, x1] = xs.length ? [Math.min(...xs), Math.max(...xs)] : [0, 1];
    const high = options.high ?? Math.max(highest(data), 1e-9);
    const x = (v) => left + ((v - x0) / (x1 - x0 || 1)) * (width - left - right);
    const y = (v) => height - bottom - (Math.min(v, high) / high) * (height - top - bottom);
    const label = `${options.title} by step`;
    const svg = R.svg("svg", { width, height, role: "img", "aria-label": label, "data-points": data.raw.length });
    for (const t of R.ticks(0, high, 4)) {
      svg.append(
        R.svg("line", { class: "hair", x1: left, x2: width - right, y1: y(t), y2: y(t) }),
        R.svg("text", { class: "muted", x: left - 8, y: y(t) + 4, "text-anchor": "end" }, options.format(t, true)),
      );
    }
    for (const t of R.ticks(x0, x1, Math.min(6, width / 90)).filter(Number.isInteger)) {
      svg.append(R.svg("text", { class: "muted", x: x(t), y: height - 6, "text-anchor": "middle" }, R.thousands(t)));
    }
    const line = (points, color, wide, kind) => {
      const d = points.map(([px, py], i) => `${i ? "L" : "M"}${x(px).toFixed(1)} ${y(py).toFixed(1)}`).join("");
      const path = R.svg("path", { class: kind, d, fill: "none", "stroke-width": wide, "stroke-linejoin": "round" });
      path.style.stroke = `var(${color})`;
      svg.append(path);
    };
    line(data.raw, "--accent", 1, "raw");
    line(data.smooth, "--accent", 2, "smooth");
    line(data.val, "--positive", 2, "val");
    data.val.slice(-60).forEach(([px, py], i, all) => {
      if (data.val.length > 60 && i < all.length - 1) return;
      const dot = R.svg("circle", { cx: x(px), cy: y(py), r: 2.6 });
      dot.style.fill = "var(--positive)";
      dot.append(R.svg("title", {}, `validation after step ${R.thousands(px)}: ${options.format(py)}`));
      svg.append(dot);
    });
    return svg;
  };

  // `score`: accuracy or Dice. update({curve, phases, epochSteps, steps}): steps of an epoch, and in all.
  R.liveCurves = (root, lead, score) => {
    const percent = score === "accuracy";
    const charts = [
      ["loss", "Loss", undefined, (v, tick) => R.number(v, tick ? 3 : 4)],
      ["score", percent ? "Accuracy" : score, 1, (v, tick) => (percent ? R.percent(v, tick ? 0 : 1) : v.toFixed(tick ? 1 : 3))],
    ].map(([key, title, high, format]) => ({ key, ...chart({ title, high, format }) }));
    root.replaceChildren(...charts.map((one) => one.root));
    const update = ({ curve, phases, epochSteps, steps }) => {
      const points = across(curve);
      const seen = points.reduce((sum, point) => sum + point.steps, 0);
      const window = Math.max(10, Math.round(seen / 40));
      for (const { key, update } of charts) {
        // The last epoch may be a part of one.
        const end = (p) => Math.min((p.epoch + 1) * epochSteps, steps);
        const val = phases.filter((p) => p.phase === "val").map((p) => [end(p), p[key]]);
        update({ raw: points.map((point) => [point.x, point[key]]), smooth: smoothed(points, key, window), val });
      }
      const mean = curve.width > 1 ? `means of ${R.thousands(curve.width)} steps` : "single steps";
      lead.textContent = `Training: ${mean} (pale), and smoothed over about ${R.thousands(window)} steps. Validation: after each epoch.`;
    };
    return { update };
  };
})();
