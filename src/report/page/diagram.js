"use strict";
// The network from top to bottom, one row per layer. A box's width shows the image's size at that layer, and its height
// the number of channels (both on a logarithmic scale). Lines at the left are outputs that skip layers.
(() => {
  const R = window.Receptive;
  const HEIGHT = 30;
  const LANE = 8;

  // Per metric: name, label, function that gives the text, attributes of the button.
  const METRICS = [
    ["seconds", "time", (v) => R.seconds(v)],
    ["flops", "FLOPs", (v) => R.short(v), R.termAttrs("FLOPs")],
    ["parameters", "parameters", (v) => R.short(v)],
    ["activation_bytes", "memory", (v) => R.short(v)],
    ["roof", "% of roof", (v) => R.percent(v), R.termAttrs("roof")],
  ];

  // The image, then the report's rows. `from` holds indices into this list.
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

  // Skipping edges as [from, to, lane]. Edges that overlap are in different lanes, and short edges are near the boxes.
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
    return `${f.path}, ${f.kind}, output ${R.shape(f.output)}, ${R.plural(f.parameters, "parameter")}, ${R.unit(f.flops, "FLOP")}, ${R.unit(f.activation_bytes, "byte")}, ${R.seconds(f.seconds)}`;
  };

  // The last letters of a path, which tell layers apart.
  const fit = (path, letters) => (path.length <= letters ? path : "\u2026" + path.slice(path.length - letters + 1));

  // The positions of everything, for a diagram of this width.
  const layout = (all, edges, metric, width) => {
    const wide = width < 400 ? 56 : 92;
    const gutter = 12 + LANE * Math.min(1 + Math.max(-1, ...edges.map((e) => e[2])), 9);
    const bar = width < 400 ? 62 : 84;
    const shape = width < 380 ? 0 : 84;
    const text = gutter + wide + 12;
    const most = {
      width: R.report.image.dims[2],
      channels: R.extent(all.map((n) => n.dims[0] || 1))[1],
      metric: Math.max(metric[0] === "roof" ? 1 : 0, ...R.report.layers.map((layer) => layer[metric[0]])) || 1,
    };
    return {
      metric,
      width,
      gutter,
      bar,
      shape,
      text,
      most,
      center: gutter + wide / 2,
      letters: Math.floor((width - text - shape - bar - 8) / 7.3),
      y: (i) => i * HEIGHT + HEIGHT / 2,
      size: all.map((node) => (node.join ? [14, 14] : glyphSize(node, most, wide))),
    };
  };

  const glyph = (node, i, g) => {
    const [y, [w, h]] = [g.y(i), g.size[i]];
    if (node.join) {
      return [
        R.svg("circle", { class: "join", cx: g.center, cy: y, r: 7 }),
        R.svg("text", { x: g.center, y: y + 4, "text-anchor": "middle" }, joinSign(node.join)),
        R.svg("text", { class: "muted", x: g.text, y: y + 4 }, joinName(node.join)),
      ];
    }
    const kind = node.facts ? R.family(node.facts) : "other";
    const label = node.facts ? fit(node.facts.path || node.facts.kind, g.letters) : "image";
    return [
      R.svg("rect", { class: `kind-${kind}`, x: g.center - w / 2, y: y - h / 2, width: w, height: h, rx: 1 }),
      R.svg("text", { class: node.facts ? "path" : "muted", x: g.text, y: y + 4 }, label),
    ];
  };

  const row = (node, i, g, open) => {
    const { layer } = node;
    const [y, [name, , format]] = [g.y(i), g.metric];
    const shape = { class: "muted", x: g.width - g.bar - 10, y: y + 4, "text-anchor": "end" };
    const parts = [
      R.svg("rect", { class: "back", x: 1, y: i * HEIGHT + 1, width: g.width - 2, height: HEIGHT - 2 }),
      glyph(node, i, g),
      g.shape > 0 && R.svg("text", shape, R.shape(node.dims)),
    ];
    if (layer === null) return R.svg("g", {}, parts);
    const value = node.facts[name];
    const state = { "data-layer": layer, "aria-label": describe(node), "aria-pressed": String(layer === open) };
    return R.svg(
      "g",
      { class: "row", role: "button", tabindex: "-1", ...state },
      parts,
      R.svg("rect", { class: "mark", x: 0, y: i * HEIGHT, width: 3, height: HEIGHT }),
      R.svg("rect", { class: "bar", x: g.width - g.bar, y: y - 8, width: (g.bar * value) / g.most.metric, height: 16 }),
      R.svg("text", { x: g.width - 4, y: y + 4, "text-anchor": "end" }, value ? format(value) : "\u2013"),
      R.svg("title", {}, describe(node)),
    );
  };

  // A line from a row straight down to the next one.
  const link = (i, g) =>
    R.svg("path", {
      class: "edge",
      d: `M${g.center} ${g.y(i - 1) + g.size[i - 1][1] / 2}V${g.y(i) - g.size[i][1] / 2}`,
    });

  // A line around the rows in between, with an arrow at its end.
  const skip = ([from, to, lane], g) => {
    const x = Math.max(4, g.gutter - 8 - LANE * lane);
    const [x0, x1] = [g.center - g.size[from][0] / 2, g.center - g.size[to][0] / 2];
    const [y0, y1] = [g.y(from) + 3, g.y(to) - 3];
    const corners = `H${x + 5}Q${x} ${y0} ${x} ${y0 + 5}V${y1 - 5}Q${x} ${y1} ${x + 5} ${y1}H${x1}`;
    return R.svg("path", { class: "edge", d: `M${x0} ${y0}${corners}m-4 -3l4 3l-4 3` });
  };

  const draw = (all, edges, g, open) =>
    R.svg(
      "svg",
      {
        width: g.width,
        height: all.length * HEIGHT,
        role: "group",
        "aria-label": "Layers, from the image to the output",
      },
      all.map((node, i) => row(node, i, g, open)),
      all.map((node, i) => node.from.includes(i - 1) && link(i, g)),
      edges.map((edge) => skip(edge, g)),
    );

  const legend = () => {
    const used = new Set(R.report.layers.map((layer) => R.family(layer)));
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

  // Mounts the diagram. choose(i) is called when a layer is chosen. Returns {open(i)}, which marks a layer.
  R.diagram = (root, choose) => {
    const all = nodes();
    const edges = lanes(all);
    const metrics = METRICS.filter(([key]) => R.report.layers.some((layer) => layer[key]));
    const rows = R.el("div", { class: "rows" });
    let [metric, open, width] = [metrics[0], null, 0];
    const redraw = () => {
      if (!width) return;
      const focused = rows.contains(document.activeElement);
      rows.replaceChildren(draw(all, edges, layout(all, edges, metric, width), open));
      const current = rows.querySelector(`[data-layer="${open ?? 0}"]`);
      current.setAttribute("tabindex", "0");
      if (focused) current.focus({ preventScroll: true });
    };
    const pick = (key) => {
      metric = metrics.find((m) => m[0] === key);
      redraw();
    };
    const chosen = (event) => {
      const at = event.target.closest(".row");
      if (!at || (event.type === "keydown" && event.key !== "Enter" && event.key !== " ")) return;
      event.preventDefault();
      choose(Number(at.dataset.layer));
    };
    rows.addEventListener("click", chosen);
    rows.addEventListener("keydown", chosen);
    const options = metrics.map(([key, text, , attrs]) => [key, text, attrs]);
    root.append(R.choice("Bars:", options, metric[0], pick), rows, legend());
    R.fitted(rows, (w) => {
      width = w;
      redraw();
    });
    R.roving(rows, ".row");
    return {
      open: (layer) => {
        open = layer;
        for (const other of rows.querySelectorAll(".row")) {
          other.setAttribute("aria-pressed", String(Number(other.dataset.layer) === layer));
        }
        const at = rows.querySelector(`[data-layer="${layer}"]`);
        if (!at) return;
        const top = at.getBBox().y;
        if (top < rows.scrollTop) rows.scrollTop = top - HEIGHT;
        if (top + 2 * HEIGHT > rows.scrollTop + rows.clientHeight)
          rows.scrollTop = top + 2 * HEIGHT - rows.clientHeight;
      },
    };
  };
})();
