"use strict";
// The network from top to bottom: a row a layer. A box is as wide as the image is there and as high as it has channels (both
// on a logarithmic scale); lines at the left are outputs that skip layers.
(() => {
  const R = window.Receptive;
  const HEIGHT = 30;
  const LANE = 8;

  const METRICS = [
    ["seconds", "time", (v) => R.seconds(v)],
    ["flops", "FLOPs", (v) => R.short(v)],
    ["parameters", "parameters", (v) => R.short(v)],
    ["bytes", "bytes", (v) => R.short(v)],
  ];

  // The image, then the report's rows; `from` counts in this list.
  const nodes = () => {
    const { rows, layers, image } = R.report;
    const own = rows.map((row) => ({
      layer: row.layer === undefined ? null : row.layer,
      facts: row.layer === undefined ? null : layers[row.layer],
      join: row.join,
      dims: row.output,
      from: row.from.map((from) => (from === null ? 0 : from + 1)),
    }));
    return [{ layer: null, facts: null, join: null, dims: image.dims, from: [] }, ...own];
  };

  // Skipping edges as [from, to, lane]: edges that overlap lie in different lanes, short ones near the boxes.
  const lanes = (all) => {
    const edges = all.flatMap((node, to) => node.from.filter((from) => from !== to - 1).map((from) => [from, to]));
    const taken = [];
    const byLength = [...edges].sort((a, b) => a[1] - a[0] - (b[1] - b[0]));
    return byLength.map(([from, to]) => {
      let lane = taken.findIndex((spans) => spans.every(([a, b]) => to <= a || from >= b));
      if (lane < 0) lane = taken.push([]) - 1;
      taken[lane].push([from, to]);
      return [from, to, lane];
    });
  };

  const scale = (n, most) => Math.log2(1 + n) / Math.log2(1 + Math.max(most, 1));

  const glyphSize = (node, most, wide) => {
    const [c, , w] = node.dims.length === 3 ? node.dims : [node.dims[0] || 1, 1, 0];
    return [Math.max(4, wide * scale(w, most.width)), 5 + 17 * scale(c, most.channels)];
  };

  const joinSign = (join) => (join === "add" ? "+" : join === "cat" ? "\u2016" : join === "mul" ? "\u00d7" : "\u2022");
  const joinName = (join) => ({ add: "sum", cat: "concatenation", mul: "product" })[join] || join;

  const describe = (node) => {
    if (node.join) return `${joinName(node.join)}, output ${R.shape(node.dims)}`;
    const f = node.facts;
    return `${f.path}, ${f.kind}, output ${R.shape(f.output)}, ${R.plural(f.parameters, "parameter")}, ${R.unit(f.flops, "FLOP")}, ${R.unit(f.bytes, "byte")}, ${R.seconds(f.seconds)}`;
  };

  // The end of a path that fits into so many letters: it tells layers apart.
  const fit = (path, letters) => (path.length <= letters ? path : "\u2026" + path.slice(path.length - letters + 1));

  const draw = (all, edges, metric, width, open, openLayer) => {
    const wide = width < 420 ? 56 : 92;
    const gutter = 12 + LANE * Math.min(1 + Math.max(-1, ...edges.map((e) => e[2])), 9);
    const [name, format] = METRICS.filter((m) => m[0] === metric).map((m) => [m[0], m[2]])[0];
    const bar = width < 420 ? 62 : 84;
    const shape = width < 380 ? 0 : 84;
    const center = gutter + wide / 2;
    const text = gutter + wide + 12;
    const letters = Math.floor((width - text - shape - bar - 8) / 7.3);
    const most = {
      width: R.report.image.dims[2],
      channels: Math.max(...all.map((n) => n.dims[0] || 1)),
      metric: Math.max(...R.report.layers.map((layer) => layer[name])) || 1,
    };
    const y = (i) => i * HEIGHT + HEIGHT / 2;
    const size = all.map((node) => (node.join ? [14, 14] : glyphSize(node, most, wide)));
    const chart = R.svg("svg", {
      width,
      height: all.length * HEIGHT,
      role: "group",
      "aria-label": "Layers, from the image to the output",
    });
    all.forEach((node, i) => {
      const layer = node.layer;
      const row = R.svg("g", {
        class: layer === null ? null : "row",
        role: layer === null ? null : "button",
        tabindex: layer === null ? null : "-1",
        "data-layer": layer,
        "aria-label": layer === null ? null : describe(node),
        "aria-pressed": layer === null ? null : String(layer === open),
      });
      row.append(R.svg("rect", { class: "back", x: 1, y: i * HEIGHT + 1, width: width - 2, height: HEIGHT - 2 }));
      if (layer !== null) row.append(R.svg("rect", { class: "mark", x: 0, y: i * HEIGHT, width: 3, height: HEIGHT }));
      const [w, h] = size[i];
      if (node.join) {
        row.append(
          R.svg("circle", { class: "join", cx: center, cy: y(i), r: 7 }),
          R.svg("text", { x: center, y: y(i) + 4, "text-anchor": "middle" }, joinSign(node.join)),
          R.svg("text", { class: "muted", x: text, y: y(i) + 4 }, joinName(node.join)),
        );
      } else {
        const kind = node.facts ? R.family(node.facts.kind) : "other";
        row.append(
          R.svg("rect", { class: `kind-${kind}`, x: center - w / 2, y: y(i) - h / 2, width: w, height: h, rx: 1 }),
        );
        const label = node.facts ? fit(node.facts.path || node.facts.kind, letters) : "image";
        row.append(R.svg("text", { class: node.facts ? "path" : "muted", x: text, y: y(i) + 4 }, label));
      }
      if (shape) {
        row.append(
          R.svg("text", { class: "muted", x: width - bar - 10, y: y(i) + 4, "text-anchor": "end" }, R.shape(node.dims)),
        );
      }
      if (node.facts) {
        const value = node.facts[name];
        row.append(
          R.svg("rect", { class: "bar", x: width - bar, y: y(i) - 8, width: (bar * value) / most.metric, height: 16 }),
          R.svg("text", { x: width - 4, y: y(i) + 4, "text-anchor": "end" }, value ? format(value) : "\u2013"),
          R.svg("title", {}, describe(node)),
        );
        row.addEventListener("click", () => openLayer(layer));
        row.addEventListener("keydown", (event) => {
          if (event.key !== "Enter" && event.key !== " ") return;
          event.preventDefault();
          openLayer(layer);
        });
      }
      chart.append(row);
    });
    all.forEach((node, i) => {
      if (node.from.includes(i - 1)) {
        const d = `M${center} ${y(i - 1) + size[i - 1][1] / 2}V${y(i) - size[i][1] / 2}`;
        chart.append(R.svg("path", { class: "edge", d }));
      }
    });
    for (const [from, to, lane] of edges) {
      const x = Math.max(4, gutter - 8 - LANE * lane);
      const [x0, x1] = [center - size[from][0] / 2, center - size[to][0] / 2];
      const [y0, y1] = [y(from) + 3, y(to) - 3];
      const d = `M${x0} ${y0}H${x + 5}Q${x} ${y0} ${x} ${y0 + 5}V${y1 - 5}Q${x} ${y1} ${x + 5} ${y1}H${x1}m-4 -3l4 3l-4 3`;
      chart.append(R.svg("path", { class: "edge", d }));
    }
    return chart;
  };

  const legend = () => {
    const used = new Set(R.report.layers.map((layer) => R.family(layer.kind)));
    const names = {
      conv: "convolution",
      norm: "normalisation",
      act: "activation",
      pool: "pooling, resizing",
      linear: "linear",
      other: "other",
    };
    const entries = Object.entries(names).filter(([kind]) => used.has(kind));
    return R.el(
      "p",
      { class: "legend" },
      entries.map(([kind, name]) => R.el("span", {}, R.el("i", { class: `kind-${kind}` }), name)),
    );
  };

  // Mounts the diagram; openLayer(i) is called for the layer chosen. Returns {open(i)}, which marks a layer.
  R.diagram = (root, openLayer) => {
    const all = nodes();
    const edges = lanes(all);
    const rows = R.el("div", { class: "rows" });
    let [metric, open, width] = ["seconds", null, 0];
    const redraw = () => {
      if (!width) return;
      const focused = rows.contains(document.activeElement);
      rows.replaceChildren(draw(all, edges, metric, width, open, openLayer));
      const current = rows.querySelector(`[data-layer="${open ?? 0}"]`);
      if (current) {
        current.setAttribute("tabindex", "0");
        if (focused) current.focus({ preventScroll: true });
      }
    };
    root.append(
      R.choice(
        "Bars:",
        METRICS.map(([key, label]) => [key, label]),
        metric,
        (key) => {
          metric = key;
          redraw();
        },
      ),
      rows,
      legend(),
    );
    R.fitted(rows, (w) => {
      width = w;
      redraw();
    });
    R.roving(rows, ".row");
    return {
      open: (layer) => {
        open = layer;
        rows
          .querySelectorAll(".row")
          .forEach((row) => row.setAttribute("aria-pressed", String(Number(row.dataset.layer) === layer)));
        const row = rows.querySelector(`[data-layer="${layer}"]`);
        if (!row) return;
        const [top, bottom] = [row.getBBox().y, row.getBBox().y + HEIGHT];
        if (top < rows.scrollTop) rows.scrollTop = top - HEIGHT;
        if (bottom > rows.scrollTop + rows.clientHeight) rows.scrollTop = bottom - rows.clientHeight + HEIGHT;
      },
    };
  };
})();
