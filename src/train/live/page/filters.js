"use strict";
// The first layer's weights as small images, all on one scale.
(() => {
  const R = window.Receptive;

  R.liveFilters = (root, lead) => {
    let grid = null;
    let canvases = [];
    const paint = () => {
      if (!grid) return;
      const [, channels, rows, columns] = grid.dims;
      const plane = rows * columns;
      const color = R.diverging(1);
      canvases.forEach((canvas, o) => {
        const at = (channel, cell) => (grid.values[(o * channels + channel) * plane + cell] - 128) / 127;
        R.paint(canvas, rows, columns, (row, column) => {
          const cell = row * columns + column;
          if (channels === 3) return [0, 1, 2].map((c) => 127.5 + 127.5 * at(c, cell)).concat(255);
          let sum = 0;
          for (let channel = 0; channel < channels; channel++) sum += at(channel, cell);
          return color(sum / channels);
        });
      });
    };
    R.themed(paint);
    return (next) => {
      const { dims, path, filters, largest, step } = next;
      grid = { dims, values: Uint8Array.from(atob(next.levels), (letter) => letter.charCodeAt(0)) };
      const [shown, channels, rows, columns] = dims;
      if (canvases.length !== shown) {
        canvases = Array.from({ length: shown }, (_, o) => R.el("canvas", { role: "img", "aria-label": `filter ${o}` }));
        root.replaceChildren(...canvases);
      }
      paint();
      const part = shown < filters ? `${shown} of ${filters}` : `${filters}`;
      const how =
        channels === 3
          ? "as colours around grey"
          : channels === 1
            ? "blue below zero, vermilion above"
            : "mean over the channels, blue below zero, vermilion above";
      lead.textContent = `${path}: ${part} filters ${channels}\u00d7${rows}\u00d7${columns} after step ${R.thousands(step)}, ${how}; full colour is \u00b1${R.number(largest, 3)}.`;
    };
  };
})();
