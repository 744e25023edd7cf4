"use strict";
// The receptive field of every layer, drawn on the image.
(() => {
  const R = window.Receptive;

  // Names for the places of a layer's output. In a vector a place is named by its first value.
  const name = (layer, [row, column]) => {
    if (layer.output.length === 3) return `row ${row}, column ${column}`;
    if (!layer.receptive_field.jump.some(Boolean)) return "every value";
    return R.valueName(layer, row * R.places(layer)[1] + column);
  };

  const tell = (layer, unit) =>
    `${name(layer, unit)} of ${layer.path} ${R.seenText(R.seen(layer.receptive_field, ...unit))}.`;

  const table = (choose) => {
    const number = (text) => R.el("td", { class: "number" }, text);
    const rows = R.report.layers.map((layer, i) => {
      const { size, jump, start } = layer.receptive_field;
      const row = R.el(
        "tr",
        { tabindex: "-1", "aria-selected": "false" },
        R.el("td", {}, layer.path || layer.kind),
        number(`${size[1]}\u00d7${size[0]}`),
        number(R.pair(jump)),
        number(R.pair(start)),
      );
      row.addEventListener("click", () => choose(i));
      row.addEventListener("focus", () => choose(i));
      return row;
    });
    const head = ["layer", "size", R.term("jump"), R.term("start")].map((name, i) =>
      R.el("th", { class: i ? "number" : null, scope: "col" }, name),
    );
    const body = R.el("tbody", {}, rows);
    R.roving(body, "tr");
    const root = R.el(
      "div",
      { class: "scroll" },
      R.el(
        "table",
        { role: "grid", style: "width: 100%", "aria-label": "Receptive fields" },
        R.el("thead", {}, R.el("tr", {}, head)),
        body,
      ),
    );
    return { root, rows };
  };

  R.field = (root) => {
    const { layers } = R.report;
    const [, height, width] = R.report.image.dims;
    const view = R.imageView("The image with the receptive field of the chosen place");
    const readout = R.el("p", { class: "readout", "aria-live": "polite" });
    let [chosen, unit] = [0, [0, 0]];
    const clamp = (value, axis) => Math.max(0, Math.min(R.places(layers[chosen])[axis] - 1, value));
    const move = (row, column) => {
      unit = [clamp(row, 0), clamp(column, 1)];
      view.show(R.seen(layers[chosen].receptive_field, ...unit));
      readout.textContent = tell(layers[chosen], unit);
    };
    // The place whose receptive field has its middle nearest to a pixel.
    const nearest = (pixel, axis) => {
      const { size, jump, start } = layers[chosen].receptive_field;
      return jump[axis] ? Math.round((pixel - start[axis] - size[axis] / 2) / jump[axis]) : 0;
    };
    const list = table((i) => {
      chosen = i;
      list.rows.forEach((row, at) => row.setAttribute("aria-selected", String(at === i)));
      move(nearest(height / 2, 0), nearest(width / 2, 1));
    });
    view.root.setAttribute("tabindex", "0");
    view.root.addEventListener("pointermove", (event) => {
      const point = new DOMPoint(event.clientX, event.clientY).matrixTransform(view.root.getScreenCTM().inverse());
      move(nearest(point.y, 0), nearest(point.x, 1));
    });
    view.root.addEventListener("keydown", (event) => {
      const step = R.arrow(event);
      if (!step) return;
      event.preventDefault();
      move(unit[0] + step[0], unit[1] + step[1]);
    });
    root.append(R.el("div", { class: "split fields" }, R.el("div", {}, view.root, readout), list.root));
    // Start in the middle of the network, where the field is neither a single pixel nor the whole image.
    const start = layers.findIndex((layer) => layer.receptive_field.size[0] * 3 > height);
    const first = start < 0 ? layers.length - 1 : start;
    list.rows[first].click();
    list.rows.forEach((row, i) => row.setAttribute("tabindex", i === first ? "0" : "-1"));
  };
})();
