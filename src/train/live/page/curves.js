"use strict";
// Charts of the loss and score of every step, smoothed, and of every epoch's validation.
(() => {
  const R = window.Receptive;

  // A point is [steps, loss, score]: means over that many steps. The points follow each other from step `start` on.
  const across = (curve) => {
    let step = curve.start;
    return curve.points.map(([steps, loss, score]) => {
      step += steps;
      return { x: step - (steps - 1) / 2, steps, loss, score };
    });
  };

  // Exponential moving average over about `window` steps, corrected for its start at 0.
  const smoothed = (points, key, window) => {
    let mean = 0;
    let weight = 0;
    return points.map((point) => {
      // A value that is not finite breaks the line. The mean continues without it.
      if (!R.finite(point[key])) return [point.x, null];
      const keep = Math.exp(-point.steps / window);
      mean = keep * mean + (1 - keep) * point[key];
      weight = keep * weight + (1 - keep);
      return [point.x, mean / weight];
    });
  };

  // A drawing that is redrawn when its numbers or its width change.
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
      const last = (points) => options.format(points.length ? points[points.length - 1][1] : null);
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
    return { root: R.el("figure", {}, R.el("h3", {}, options.heading), root, legend), update };
  };

  // What the scale must include: all smoothed values, and nearly all values of single steps.
  const highest = (data) => {
    const raw = data.raw.map((p) => p[1]).filter(R.finite).sort((a, b) => a - b);
    const most = raw.length ? raw[Math.floor((raw.length - 1) * 0.98)] : 0;
    const [, high] = R.extent([most, ...data.smooth.map((p) => p[1]), ...data.val.map((p) => p[1])]);
    return high;
  };

  const drawing = (data, width, options) => {
    const up = R.axis(0, options.high ?? highest(data));
    const marks = up.ticks(4).map((tick) => ({ ...tick, text: options.format(tick.value, tick) }));
    const left = Math.max(46, 12 + 7 * Math.max(...marks.map((mark) => mark.text.length)));
    const [height, right, top, bottom] = [220, 12, 10, 26];
    const across = R.axisOver([...data.raw, ...data.val].map((p) => p[0]));
    const along = (share) => left + share * (width - left - right);
    const above = (share) => height - bottom - share * (height - top - bottom);
    const x = (v) => along(across.share(v));
    const y = (v) => above(up.share(v));
    const label = `${options.title} by step`;
    const svg = R.svg("svg", { width, height, role: "img", "aria-label": label, "data-points": data.raw.length });
    for (const { share, text } of marks) {
      const at = above(share);
      svg.append(
        R.svg("line", { class: "hair", x1: left, x2: width - right, y1: at, y2: at }),
        R.svg("text", { class: "muted", x: left - 8, y: at + 4, "text-anchor": "end" }, text),
      );
    }
    for (const { value, share } of across.ticks(Math.min(6, width / 90))) {
      if (!Number.isInteger(value)) continue;
      const place = { class: "muted", x: along(share), y: height - 6, "text-anchor": "middle" };
      svg.append(R.svg("text", place, R.thousands(value)));
    }
    const line = (points, color, wide, kind) => {
      const d = R.path(points, x, y);
      const path = R.svg("path", { class: kind, d, fill: "none", "stroke-width": wide, "stroke-linejoin": "round" });
      path.style.stroke = `var(${color})`;
      svg.append(path);
    };
    line(data.raw, "--accent", 1, "raw");
    line(data.smooth, "--accent", 2, "smooth");
    line(data.val, "--positive", 2, "val");
    for (const [points, color] of [
      [data.raw, "--accent"],
      [data.val, "--positive"],
    ]) {
      const d = R.crosses(points, x, top);
      if (!d) continue;
      const path = R.svg("path", { class: "crosses", d, fill: "none", "stroke-width": 2 });
      path.style.stroke = `var(${color})`;
      path.append(R.svg("title", {}, R.CROSSES));
      svg.append(path);
    }
    data.val.slice(-60).forEach(([px, py], i, all) => {
      if (!R.finite(py) || (data.val.length > 60 && i < all.length - 1)) return;
      const dot = R.svg("circle", { cx: x(px), cy: y(py), r: 2.6 });
      dot.style.fill = "var(--positive)";
      dot.append(R.svg("title", {}, `validation after step ${R.thousands(px)}: ${options.format(py)}`));
      svg.append(dot);
    });
    return svg;
  };

  // `score`: accuracy or Dice. update({curve, phases, epochSteps, steps}): epochSteps is per epoch, steps is the total.
  R.liveCurves = (root, lead, score) => {
    const percent = score === "accuracy";
    const charts = [
      ["loss", "Loss", R.term("loss", "Loss"), undefined, (v, tick) => (tick ? R.tick(v, tick) : R.number(v))],
      [
        "score",
        percent ? "Accuracy" : score,
        percent ? R.term("accuracy", "Accuracy") : R.term("Dice"),
        1,
        (v, tick) => (percent ? R.percent(v, tick ? 0 : 1) : R.fixed(v, tick ? 1 : 3)),
      ],
    ].map(([key, title, heading, high, format]) => ({ key, ...chart({ title, heading, high, format }) }));
    root.replaceChildren(...charts.map((one) => one.root));
    const update = ({ curve, phases, epochSteps, steps }) => {
      const points = across(curve);
      const seen = points.reduce((sum, point) => sum + point.steps, 0);
      const window = Math.max(10, Math.round(seen / 40));
      let lost = false;
      for (const { key, update } of charts) {
        // The last epoch may be shorter than the others.
        const end = (p) => Math.min((p.epoch + 1) * epochSteps, steps);
        const val = phases.filter((p) => p.phase === "val").map((p) => [end(p), p[key]]);
        lost = lost || [...points, ...phases].some((one) => !R.finite(one[key]));
        update({ raw: points.map((point) => [point.x, point[key]]), smooth: smoothed(points, key, window), val });
      }
      const mean = curve.width > 1 ? `means of ${R.thousands(curve.width)} steps` : "single steps";
      lead.textContent = `Training: ${mean} (pale), and smoothed over about ${R.thousands(window)} steps. Validation: after each epoch.${lost ? ` ${R.CROSSES}` : ""}`;
    };
    return { update };
  };
})();
