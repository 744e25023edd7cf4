"use strict";
// The distribution of a layer's values, and its filters.
(() => {
  const R = window.Receptive;

  const spread = (values) =>
    `mean ${R.number(values.mean)}, standard deviation ${R.number(values.std)}, from ${R.number(values.min)} to ${R.number(values.max)}, ${R.percent(values.zeros)} exactly zero${values.mean === null ? "; some are NaN or infinite" : ""}`;

  const one = (title, values, histogram, range) =>
    R.figure(
      R.el(
        "div",
        {},
        R.el("h4", {}, title),
        R.histogram(histogram, { label: `Histogram: ${title}; ${spread(values)}`, range }),
      ),
      spread(values) + ".",
    );

  // gamma and beta, one column per channel. Layer normalisation has them for each element.
  const affine = (root, layer) => {
    const each = layer.affine.weight.dims.length === 1 ? "channel" : "element";
    const [weight, bias] = [layer.affine.weight, layer.affine.bias].map((packed) => R.unpack(packed).values);
    const rows = [
      ["weight (gamma)", weight],
      ["bias (beta)", bias],
    ];
    const most = Math.max(R.largest(weight), R.largest(bias));
    const plane = R.plane({
      label: `Weight and bias of ${layer.path}, a column for each ${each}`,
      rows: 2,
      columns: weight.length,
      color: () => {
        const color = R.diverging(most);
        return (r, c) => color(rows[r][1][c]);
      },
      tell: (r, c) => `${each} ${c}: ${rows[r][0]} ${R.number(rows[r][1][c])}`,
    });
    plane.canvas.style.height = "3.5rem";
    root.append(
      R.el("h4", {}, `What each ${each} is multiplied by (above) and what is added (below)`),
      plane.root,
      plane.readout,
    );
  };

  R.distribution = (root, layer) => {
    const figures = R.el("div", { class: "figures" });
    if (layer.before) {
      const [a, b] = [layer.before.histogram, layer.histogram];
      const range = [a.from, b.from, a.to, b.to];
      figures.append(
        one("before: the layer's input", layer.before.values, layer.before.histogram, range),
        one("after: the layer's output", layer.values, layer.histogram, range),
      );
    } else figures.append(one("output", layer.values, layer.histogram));
    root.append(figures);
    if (layer.affine) affine(root, layer);
    root.append(
      R.el(
        "p",
        { class: "note" },
        "A bar's height is the square root of its count, so that small counts are visible next to large ones. ReLU produces a bar at zero; a normalisation shifts and scales each channel.",
      ),
    );
  };

  // Each filter of three channels as one colour picture. Its own largest weight has the strongest colour.
  const colored = (values, at, area) => {
    const most = R.largest(values.subarray(at, at + 3 * area)) || 1;
    return (p) => [...[0, 1, 2].map((c) => 127.5 + 127.5 * (values[at + c * area + p] / most || 0)), 255];
  };

  // Kernels side by side, separated by lines: one row per filter, one column per input channel. If the layer reads a
  // colour image, each filter is one colour picture.
  R.filters = (root, layer) => {
    const { shown, of } = layer.filters;
    const {
      dims: [filters, channels, h, w],
      values,
    } = R.unpack(shown);
    // The filters of a linear layer are in the report only if it reads the image.
    const color3 = of[1] === 3 && (layer.kind === "Linear" || R.readsImage(layer));
    const single = color3 || channels === 1;
    const across = single ? Math.min(filters, Math.max(4, Math.ceil(Math.sqrt(filters * 1.6)))) : channels;
    const down = single ? Math.ceil(filters / across) : filters;
    const area = h * w;
    const most = R.largest(values);
    const find = (row, column) => {
      const [i, j, p, q] = [Math.floor(row / (h + 1)), Math.floor(column / (w + 1)), row % (h + 1), column % (w + 1)];
      const [filter, channel] = single ? [i * across + j, 0] : [i, j];
      return p < h && q < w && filter < filters ? { filter, channel, p, q } : null;
    };
    const plane = R.plane({
      label: `Filters of ${layer.path}`,
      rows: down * (h + 1) - 1,
      columns: across * (w + 1) - 1,
      color: () => {
        const color = R.diverging(most);
        return (row, column) => {
          const cell = find(row, column);
          if (!cell) return null;
          const at = (cell.filter * channels + cell.channel) * area;
          const place = cell.p * w + cell.q;
          return color3 ? colored(values, at, area)(place) : color(values[at + place]);
        };
      },
      tell: (row, column) => {
        const cell = find(row, column);
        if (!cell) return "between two kernels";
        const weight = (c) => R.number(values[(cell.filter * channels + c) * area + cell.p * w + cell.q], 6);
        const place = `filter ${cell.filter}, row ${cell.p}, column ${cell.q}`;
        return color3
          ? `${place}: red ${weight(0)}, green ${weight(1)}, blue ${weight(2)}`
          : `${place}, input channel ${cell.channel}: ${weight(cell.channel)}`;
      },
    });
    plane.root.style.maxWidth = `${Math.min(40, Math.max(14, (across * (w + 1)) / 1.6))}rem`;
    const few = filters < of[0] || channels < of[1];
    const whole = `${R.plural(of[0], "filter")} of ${R.plural(of[1], "input channel")}, ${h}\u00d7${w}`;
    const shownText = few ? `The first ${filters} filters and ${channels} channels of ${whole}.` : `${whole}.`;
    const how = color3
      ? "Red, green and blue weights as one colour: grey is zero, each filter on its own scale."
      : single
        ? "Blue weights are negative, vermilion positive, on one scale."
        : "A row is a filter, a column an input channel; blue weights are negative, vermilion positive, on one scale.";
    root.append(plane.root, plane.readout, R.el("p", { class: "note" }, `${shownText} ${how}`));
  };
})();
