"use strict";
// Numbers as colours: blue below zero, the colour of the paper at zero, vermilion above.
(() => {
  const R = window.Receptive;
  const probe = document.createElement("canvas").getContext("2d");

  // A CSS colour variable as [r, g, b].
  R.color = (name) => {
    probe.fillStyle = getComputedStyle(document.documentElement).getPropertyValue(name).trim();
    const hex = probe.fillStyle;
    return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  };

  // Calls `draw` again when the reader's system changes between light and dark.
  const dark = matchMedia("(prefers-color-scheme: dark)");
  R.themed = (draw) => {
    draw();
    dark.addEventListener("change", draw);
  };

  // The colour for NaN.
  const NO_NUMBER = [128, 128, 128, 255];

  // The largest absolute value of the finite numbers.
  R.largest = (values) => {
    let most = 0;
    for (const value of values) {
      const size = Math.abs(value);
      if (size > most && size < Infinity) most = size;
    }
    return most;
  };

  // The colour at the fraction `t` of the way between two colours, as [r, g, b, a].
  R.mix = (from, to, t) => {
    const part = (i) => from[i] + (to[i] - from[i]) * t;
    return [part(0), part(1), part(2), 255];
  };

  // A colour scale over -most..most: (value) => [r, g, b, a]. Infinite values have the strongest colours, NaN is grey.
  R.diverging = (most) => {
    const [paper, positive, negative] = ["--paper", "--positive", "--negative"].map(R.color);
    return (value) => {
      if (Number.isNaN(value)) return NO_NUMBER;
      const t = most > 0 ? Math.max(-1, Math.min(1, value / most)) : 0;
      return R.mix(paper, t < 0 ? negative : positive, Math.abs(t));
    };
  };

  // The same scale for drawing over a picture: weaker values are more transparent.
  R.overlay = (most) => {
    const [positive, negative] = ["--positive", "--negative"].map(R.color);
    return (value) => {
      if (Number.isNaN(value)) return NO_NUMBER;
      const t = most > 0 ? Math.max(-1, Math.min(1, value / most)) : 0;
      return [...(t < 0 ? negative : positive), 255 * Math.abs(t)];
    };
  };

  // Paints rows x columns of colours into a canvas, one pixel each. Pixels without a number stay empty.
  R.paint = (canvas, rows, columns, color) => {
    canvas.width = columns;
    canvas.height = rows;
    const context = canvas.getContext("2d");
    const image = context.createImageData(columns, rows);
    for (let row = 0, at = 0; row < rows; row++) {
      for (let column = 0; column < columns; column++, at += 4) {
        const rgba = color(row, column);
        if (rgba) image.data.set(rgba, at);
      }
    }
    context.putImageData(image, 0, 0);
  };

  // A plane of cells with a cursor, moved by pointer or arrow keys. Options: label, rows, columns, color() -> (row,
  // column) => rgba, tell(row, column) -> text, moved(row, column) or moved(null), below (a picture under the plane),
  // smooth, readout.
  R.plane = (options) => {
    const { rows, columns } = options;
    const canvas = R.el("canvas", { tabindex: "0", role: "img", "aria-label": options.label });
    if (options.smooth) canvas.style.imageRendering = "auto";
    const cursor = R.el("div", { class: "cursor", hidden: true });
    const below = options.below && R.el("img", { class: "below pixels", alt: "", src: options.below });
    const root = R.el("div", { class: "plane" }, below, canvas, cursor);
    const readout = options.readout || R.el("p", { class: "readout", "aria-live": "polite" });
    const hint = options.hint || "Point at a cell, or use the arrow keys.";
    let at = null;
    const move = (row, column) => {
      at = [row, column];
      cursor.hidden = false;
      cursor.style.left = `${(100 * column) / columns}%`;
      cursor.style.top = `${(100 * row) / rows}%`;
      cursor.style.width = `${100 / columns}%`;
      cursor.style.height = `${100 / rows}%`;
      readout.textContent = options.tell(row, column);
      if (options.moved) options.moved(row, column);
    };
    const clamp = (value, n) => Math.max(0, Math.min(n - 1, value));
    const pointed = (event) => {
      const box = canvas.getBoundingClientRect();
      if (!box.width || !box.height) return;
      const row = clamp(Math.floor(((event.clientY - box.top) / box.height) * rows), rows);
      const column = clamp(Math.floor(((event.clientX - box.left) / box.width) * columns), columns);
      if (!at || at[0] !== row || at[1] !== column) move(row, column);
    };
    canvas.addEventListener("pointermove", pointed);
    canvas.addEventListener("pointerdown", pointed);
    canvas.addEventListener("keydown", (event) => {
      const step = R.arrow(event);
      if (!step) return;
      event.preventDefault();
      const [row, column] = at || [Math.floor(rows / 2) - step[0], Math.floor(columns / 2) - step[1]];
      move(clamp(row + step[0], rows), clamp(column + step[1], columns));
    });
    if (!options.readout) readout.textContent = hint;
    const redraw = () => R.paint(canvas, rows, columns, options.color());
    R.themed(redraw);
    return { root, readout, canvas, move, redraw, at: () => at };
  };

  // The report's image in a frame that leaves room for the padding. show(field) draws a rectangle on it.
  R.imageView = (label) => {
    const [, height, width] = R.report.image.dims;
    const margin = Math.max(2, Math.round(Math.max(height, width) * 0.09));
    const box = [-margin, -margin, width + 2 * margin, height + 2 * margin];
    const picture = R.svg("image", { class: "pixels", width, height, href: R.report.image.picture });
    const seen = R.svg("rect", { class: "edge", width: 0, height: 0 });
    const frame = R.svg("rect", { class: "frame", width, height });
    const root = R.svg(
      "svg",
      { class: "field-view", viewBox: box.join(" "), role: "img", "aria-label": label },
      picture,
      frame,
      seen,
    );
    const show = (field) => {
      seen.setAttribute("x", field ? field.start[1] : 0);
      seen.setAttribute("y", field ? field.start[0] : 0);
      seen.setAttribute("width", field ? field.size[1] : 0);
      seen.setAttribute("height", field ? field.size[0] : 0);
      seen.style.display = field ? "" : "none";
    };
    show(null);
    return { root, show };
  };

  // The pixels that the output at `row`, `column` depends on. With `side`, those of a square of `side` x `side`
  // outputs.
  R.seen = (field, row, column, side = 1) => ({
    start: [0, 1].map((axis) => field.start[axis] + field.jump[axis] * [row, column][axis] * side),
    size: [0, 1].map((axis) => field.size[axis] + field.jump[axis] * (side - 1)),
  });

  // The position of value `at` of a vector before it was flattened: [channel, row, column].
  const before = (layer, at) => {
    const [rows, columns] = R.places(layer);
    const place = at % (rows * columns);
    return [Math.floor(at / (rows * columns)), Math.floor(place / columns), place % columns];
  };

  R.seenByValue = (layer, at) => {
    const [, row, column] = before(layer, at);
    return R.seen(layer.receptive_field, row, column);
  };

  // "value 31", and its position before flattening, if this changes what it depends on.
  R.valueName = (layer, at) => {
    if (!layer.receptive_field.jump.some(Boolean)) return `value ${at}`;
    const [channel, row, column] = before(layer, at);
    return `value ${at} (channel ${channel}, row ${row}, column ${column})`;
  };

  R.seenText = (seen) =>
    `sees rows ${R.span(seen.start[0], seen.size[0])} and columns ${R.span(seen.start[1], seen.size[1])} of the image`;
})();
