"use strict";
// The positions of numbers along a side of a drawing, and the round numbers beside it. It works for any numbers, in
// bounded time: all equal, so far apart that their difference overflows, NaN, infinite, or null (JSON writes numbers
// that are not finite as null).
(() => {
  const R = window.Receptive;

  // Smaller numbers count as 0: a power of ten below this is not exact.
  const TINY = 1e-300;
  // The least length of an axis, as a fraction of the largest number on it. On a shorter axis the ticks would need many
  // digits.
  const LEAST = 2e-3;
  // A line with more points than this keeps at most four per column of pixels.
  const MOST_POINTS = 2000;

  R.finite = Number.isFinite;

  // The smallest and the largest of the finite numbers, or null.
  R.extent = (values) => {
    let [low, high] = [Infinity, -Infinity];
    for (const value of values) {
      if (!R.finite(value)) continue;
      if (value < low) low = value;
      if (value > high) high = value;
    }
    return low <= high ? [low, high] : null;
  };

  // The number at the fraction `t` of the way between two numbers. Their difference may overflow.
  R.between = (from, to, t) => from * (1 - t) + to * t;

  // An axis from `low` to `high`: {low, high, share(value), ticks(count)}. A share is 0 at the lower end and 1 at the
  // upper end. A value outside is at the nearer end, and NaN is at the upper end. A tick is {value, share, digits,
  // decimals}: digits and decimals are enough to tell it from its neighbours. Ends that are too close are moved apart.
  // Without ends the axis is 0 to 1.
  R.axis = (low, high) => {
    let ends = R.extent([low, high]) || [0, 1];
    const largest = Math.max(-ends[0], ends[1], ends[0], -ends[1]);
    // Work in units of a power of ten, so that nothing overflows.
    const order = largest < TINY ? 0 : Math.floor(Math.log10(largest));
    const unit = 10 ** order;
    ends = largest < TINY ? [0, 1] : ends.map((end) => end / unit);
    const short = (largest / unit) * LEAST - (ends[1] - ends[0]);
    if (short > 0) ends = [ends[0] - short / 2, ends[1] + short / 2];
    const [from, to] = ends;
    const place = (value) => Math.max(0, Math.min(1, (value - from) / (to - from)));
    const share = (value) => (typeof value === "number" && !Number.isNaN(value) ? place(value / unit) : 1);
    const ticks = (count) => {
      const most = Math.max(1, Math.min(100, R.finite(count) ? Math.floor(count) : 1));
      const raw = (to - from) / most;
      const exponent = Math.floor(Math.log10(raw));
      const step = [1, 2, 5, 10].map((m) => m * 10 ** exponent).find((s) => s >= raw * 0.999);
      const stepOrder = Math.floor(Math.log10(step) + 1e-9);
      const first = Math.ceil(from / step - 1e-9);
      const out = [];
      // A step is at least the axis's length divided by `most`, so only a few ticks fit.
      for (let i = 0; i <= most + 1; i++) {
        const at = (first + i) * step;
        if (at > to + step * 1e-6) break;
        const value = Math.abs(at) < step * 1e-9 ? 0 : at * unit;
        // The value is beyond the largest number of the type.
        if (!R.finite(value)) continue;
        const digits = Math.max(1, Math.floor(Math.log10(Math.max(Math.abs(at), step)) + 1e-9) - stepOrder + 1);
        const decimals = Math.max(0, Math.min(9, -(stepOrder + order)));
        out.push({ value, share: place(at), digits, decimals });
      }
      return out;
    };
    const back = (end) => Math.max(-Number.MAX_VALUE, Math.min(Number.MAX_VALUE, end * unit));
    return { low: short > 0 ? back(from) : low, high: short > 0 ? back(to) : high, share, ticks };
  };

  // The axis for these numbers and, if given, fixed ends.
  R.axisOver = (values, low, high) => {
    const [least, most] = R.extent(values) || [undefined, undefined];
    const known = R.extent([low, high, least, most]);
    return known ? R.axis(low ?? known[0], high ?? known[1]) : R.axis(0, 1);
  };

  // The number of a tick, or another number on its axis, with the digits that it needs. (R.number omits one digit
  // beside a power of ten.)
  R.tick = (value, tick) => R.number(value, Math.max(3, (tick?.digits ?? 0) + 1));

  // Points [x, y] of a drawing. If a column of pixels has very many, keep the first, the lowest, the highest and the
  // last.
  const thinned = (points) => {
    if (points.length <= MOST_POINTS) return points;
    const out = [];
    const close = (column) => {
      const kept = [column.first, column.low, column.high, column.last].sort((a, b) => a - b);
      kept.forEach((at, i) => i && kept[i - 1] === at ? undefined : out.push(points[at]));
    };
    let column = null;
    points.forEach(([x, y], at) => {
      const pixel = Math.floor(x);
      if (!column || column.pixel !== pixel) {
        if (column) close(column);
        column = { pixel, first: at, low: at, high: at, last: at };
      }
      if (y < points[column.low][1]) column.low = at;
      if (y > points[column.high][1]) column.high = at;
      column.last = at;
    });
    close(column);
    return out;
  };

  // A line through [x, y], as the `d` of a path, broken where y is not finite. x() and y() convert numbers to
  // positions.
  R.path = (points, x, y) => {
    const parts = [];
    let part = [];
    const end = () => {
      if (part.length) parts.push(part);
      part = [];
    };
    for (const [px, py] of points) {
      if (R.finite(py)) part.push([x(px), y(py)]);
      else end();
    }
    end();
    const drawn = (places) => places.map(([a, b], i) => `${i ? "L" : "M"}${a.toFixed(1)} ${b.toFixed(1)}`).join("");
    return parts.map((places) => drawn(thinned(places))).join("");
  };

  // Crosses at height `top` for points whose y is not finite, as the `d` of a path; "" if there are none.
  R.crosses = (points, x, top) => {
    const out = [];
    let last = -Infinity;
    for (const [px, py] of points) {
      const at = x(px);
      if (R.finite(py) || at < last + 1) continue;
      last = at;
      out.push(`M${(at - 4).toFixed(1)} ${top - 4}l8 8m0-8l-8 8`);
    }
    return out.join("");
  };

  // The explanation of the crosses.
  R.CROSSES = "\u00d7 at the top: the value is NaN or infinite.";
})();
