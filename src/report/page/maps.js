"use strict";
// Feature maps: small maps of all channels, a large map of one channel, and the receptive field of a place in it.
(() => {
  const R = window.Receptive;

  // A layer without places: its values in rows, so that they can be pointed at as well.
  const asPlane = (maps) => {
    const { dims, values } = R.unpack(maps.shown);
    if (dims.length === 3) return { channels: dims[0], rows: dims[1], columns: dims[2], values, vector: false };
    const n = values.length;
    const columns = n <= 16 ? n : Math.ceil(Math.sqrt(n * 2));
    return { channels: 1, rows: Math.ceil(n / columns), columns, values, vector: true };
  };

  // The part of the image that the place at a cell depends on.
  const seen = (layer, plane, row, column) =>
    plane.vector
      ? R.seenByValue(layer, row * plane.columns + column)
      : R.seen(layer.receptive_field, row, column, layer.maps.side);

  const tell = (layer, plane, channel, row, column) => {
    const { maps } = layer;
    const { exact } = R.unpack(maps.shown);
    const at = (channel * plane.rows + row) * plane.columns + column;
    if (at >= plane.values.length) return "";
    const value = `${exact ? "" : "about "}${R.number(plane.values[at], exact ? 6 : 3)}`;
    const sees = R.seenText(seen(layer, plane, row, column));
    if (plane.vector) return `${R.valueName(layer, at)}: ${value}; ${sees}`;
    const place =
      maps.side === 1
        ? `row ${row}, column ${column}`
        : `mean of ${maps.side}\u00d7${maps.side} outputs from row ${row * maps.side}, column ${column * maps.side}`;
    return `channel ${channel}, ${place}: ${value}; ${sees}`;
  };

  const caption = (layer, plane) => {
    const { maps } = layer;
    const parts = [];
    if (plane.vector) {
      if (maps.of > plane.values.length)
        parts.push(`The first ${R.thousands(plane.values.length)} of ${R.thousands(maps.of)} values.`);
    } else {
      parts.push(
        plane.channels < maps.of
          ? `The first ${plane.channels} of ${R.thousands(maps.of)} channels.`
          : `All ${R.plural(maps.of, "channel")}.`,
      );
      if (maps.side > 1) parts.push(`Each cell is the mean of ${maps.side}\u00d7${maps.side} outputs.`);
    }
    parts.push("One colour scale for the whole layer: blue below zero, vermilion above.");
    return parts.join(" ");
  };

  // The small maps, as buttons. pick(channel) is called when one is chosen.
  const thumbnails = (plane, most, pick) => {
    const grid = R.el("div", { class: "maps", role: "group", "aria-label": "Channels" });
    const area = plane.rows * plane.columns;
    const buttons = Array.from({ length: plane.channels }, (_, channel) => {
      const canvas = R.el("canvas", { "aria-hidden": "true" });
      R.themed(() => {
        const color = R.diverging(most);
        R.paint(canvas, plane.rows, plane.columns, (r, c) =>
          color(plane.values[channel * area + r * plane.columns + c]),
        );
      });
      const button = R.el(
        "button",
        { type: "button", "aria-label": `channel ${channel}`, tabindex: "-1" },
        canvas,
        R.el("span", { "aria-hidden": "true" }, String(channel)),
      );
      button.addEventListener("click", () => pick(channel));
      grid.append(button);
      return button;
    });
    R.roving(grid, "button");
    return {
      grid,
      press: (channel) => buttons.forEach((b, i) => b.setAttribute("aria-pressed", String(i === channel))),
    };
  };

  // The most bars. With more classes, those with the largest values are shown.
  const BARS = 120;

  // If there are as many values as classes, they are the classes' scores.
  const byClass = (values) => {
    const rows = Array.from(values, (value, i) => ({
      name: R.className(i),
      value,
      text: R.number(value),
      tone: value < 0 ? "negative" : "positive",
      strong: i === R.report.image.label,
    }));
    if (rows.length <= BARS) return R.bars(rows, "Values by class");
    const largest = rows.sort((a, b) => b.value - a.value).slice(0, BARS);
    return R.figure(R.bars(largest, "The largest values"), `The ${BARS} largest of ${R.thousands(rows.length)} values.`);
  };

  R.maps = (root, layer) => {
    const plane = asPlane(layer.maps);
    const most = R.largest(plane.values);
    const area = plane.rows * plane.columns;
    let channel = 0;
    const view = R.imageView("The image, with the receptive field of the chosen place");
    const large = R.plane({
      label: `Output of ${layer.path}`,
      rows: plane.rows,
      columns: plane.columns,
      color: () => {
        const color = R.diverging(most);
        return (r, c) => {
          const at = channel * area + r * plane.columns + c;
          return at < plane.values.length ? color(plane.values[at]) : null;
        };
      },
      tell: (r, c) => tell(layer, plane, channel, r, c),
      moved: (r, c) => view.show(seen(layer, plane, r, c)),
      hint: "Point at a place, or use the arrow keys, to see its value and its receptive field.",
    });
    const pair = R.el("div", { class: "pair" }, R.el("div", {}, large.root), R.el("div", {}, view.root));
    root.append(pair, large.readout);
    if (!plane.vector && plane.channels > 1) {
      const small = thumbnails(plane, most, (chosen) => {
        channel = chosen;
        small.press(chosen);
        large.redraw();
        if (large.at()) large.move(...large.at());
      });
      small.press(0);
      root.append(small.grid);
    }
    if (plane.vector && plane.values.length === R.report.classes.length) root.append(byClass(plane.values));
    root.append(R.el("p", { class: "note" }, caption(layer, plane)));
  };
})();
