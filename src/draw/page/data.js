"use strict";
// Access to the report, and functions that format its numbers.
(() => {
  const R = (window.Receptive = window.Receptive || {});

  R.report = JSON.parse(document.getElementById("report").textContent);

  const bytes = (text) => {
    const raw = atob(text);
    const out = new Uint8Array(raw.length);
    for (let i = 0; i < raw.length; i++) out[i] = raw.charCodeAt(i);
    return out;
  };

  const read = (packed) => {
    if (packed.f32 !== undefined) {
      return { dims: packed.dims, values: new Float32Array(bytes(packed.f32).buffer), exact: true };
    }
    // If some numbers are not finite, the highest level stands for them.
    const none = packed.none ?? 256;
    const step = (packed.max - packed.min) / (none - 1);
    const values = Float32Array.from(bytes(packed.u8), (level) => (level === none ? NaN : packed.min + level * step));
    return { dims: packed.dims, values, exact: false };
  };

  // A packed array as {dims, values, exact}. Each array is unpacked only once.
  const unpacked = new WeakMap();
  R.unpack = (packed) => {
    if (!unpacked.has(packed)) unpacked.set(packed, read(packed));
    return unpacked.get(packed);
  };

  const minus = (text) => text.replace(/-/g, "\u2212");

  // A number with about four digits, or with the number of digits given.
  R.number = (value, digits = 4) => {
    if (value === null || value === undefined || Number.isNaN(value)) return "\u2013";
    if (value === 0) return "0";
    if (!Number.isFinite(value)) return value < 0 ? "\u2212\u221e" : "\u221e";
    const size = Math.abs(value);
    if (size >= 1e6 || size < 1e-4) {
      const [mantissa, exponent] = value.toExponential(Math.max(digits - 2, 1)).split("e");
      return minus(`${mantissa}e${Number(exponent)}`);
    }
    return minus(String(Number(value.toPrecision(digits))));
  };

  // A number with decimals, or a dash if it is not finite.
  R.fixed = (value, decimals) => (Number.isFinite(value) ? minus(value.toFixed(decimals)) : "\u2013");

  R.thousands = (n) => (Number.isFinite(n) && Math.abs(n) < 1e21 ? String(n) : R.number(n)).replace(/\B(?=(\d{3})+$)/g, ",");

  // 61.7 k, 1.23 G: three digits and a decimal prefix.
  R.short = (n) => {
    const prefixes = ["", "k", "M", "G", "T", "P"];
    if (!(Math.abs(n) < 1e21)) return R.number(n, 3);
    let value = n;
    let i = 0;
    while (value >= 999.5 && i < prefixes.length - 1) {
      value /= 1000;
      i++;
    }
    const digits = i === 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2;
    return value.toFixed(digits) + (i ? "\u00a0" + prefixes[i] : "");
  };

  R.unit = (n, unit) => {
    const text = R.short(n);
    return text + (text.includes("\u00a0") ? "" : "\u00a0") + unit;
  };

  R.seconds = (s) => {
    if (!(Math.abs(s) < 1e9)) return `${R.number(s, 3)}\u00a0s`;
    const [value, unit] = s >= 1 ? [s, "s"] : s >= 1e-3 ? [s * 1e3, "ms"] : [s * 1e6, "\u00b5s"];
    return `${value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2)}\u00a0${unit}`;
  };

  R.percent = (share, digits = 1) => `${Number.isFinite(share) ? R.fixed(100 * share, digits) : "\u2013"}\u00a0%`;

  // Numbers for rows and columns; a single number if both are equal.
  R.pair = ([rows, columns]) => (rows === columns ? R.number(rows) : `${R.number(rows)}, ${R.number(columns)}`);

  R.shape = (dims) => (dims.length ? dims.join("\u00d7") : "1");

  // The end of a range, as in "rows 3 to 7".
  R.span = (start, size) => (size === 1 ? `${minus(String(start))}` : minus(`${start} to ${start + size - 1}`));

  R.plural = (n, one, many = one + "s") => `${R.thousands(n)} ${n === 1 ? one : many}`;

  R.className = (index) => R.report.classes[index] ?? String(index);

  const rowOf = (layer) => R.report.rows.find((row) => R.report.layers[row.layer] === layer);

  // Rows and columns of a row's places. A vector has those of the maps that it was flattened from.
  const placesOf = (row) => {
    if (row.output.length === 3) return row.output.slice(1);
    return row.from[0] === null ? R.report.image.dims.slice(1) : placesOf(R.report.rows[row.from[0]]);
  };
  R.places = (layer) => placesOf(rowOf(layer));

  // Whether the layer reads the image directly.
  R.readsImage = (layer) => rowOf(layer).from[0] === null;

  // The group of layers that share a colour.
  R.family = ({ kind, activation }) => {
    if (activation) return "act";
    if (kind.startsWith("Conv")) return "conv";
    if (/Norm|Response/.test(kind)) return "norm";
    if (/Pool|Upsample/.test(kind)) return "pool";
    if (kind === "Linear") return "linear";
    return "other";
  };
})();
