"use strict";
// A channel of a layer with its padding, and marks on it: windows, taps, places.
(() => {
  const R = window.Receptive;
  const S = R.stepper;
  // The most cells along a side. Of a larger plane, only the cells around the marked place are shown.
  const MOST = 40;

  // Hatching lines through the cells of a border that is `margin` wide: [[above, below], [left, right]]. Large cells
  // have three.
  const hatch = ([h, w], [[above, below], [left, right]]) => {
    const strokes = [];
    const large = Math.max(h, w) <= 20;
    for (let r = -above; r < h + below; r++)
      for (let c = -left; c < w + right; c++) {
        if (r >= 0 && r < h && c >= 0 && c < w) continue;
        strokes.push(`M${c} ${r + 1}l1 -1`);
        if (large) strokes.push(`M${c} ${r + 0.5}l.5 -.5M${c + 0.5} ${r + 1}l.5 -.5`);
      }
    return strokes.join("");
  };

  // The values of a channel as a picture.
  const picture = (part, channel, most) => {
    const [rows, columns] = [part.rows[1] - part.rows[0], part.columns[1] - part.columns[0]];
    const canvas = document.createElement("canvas");
    const [values, color] = [part.plane(channel), R.diverging(most)];
    R.paint(canvas, rows, columns, (r, c) => color(values[r * columns + c]));
    return canvas.toDataURL();
  };

  // part: what is drawn. margin: its padding, where it reaches the border. picked(row, column) is called for the
  // pointer, moved(rows, columns) for the arrow keys.
  S.map = ({
    label,
    part,
    margin = [
      [0, 0],
      [0, 0],
    ],
    picked,
    moved,
  }) => {
    const [, H, W] = part.full;
    const edges = [
      [part.rows[0] === 0 ? margin[0][0] : 0, part.rows[1] === H ? margin[0][1] : 0],
      [part.columns[0] === 0 ? margin[1][0] : 0, part.columns[1] === W ? margin[1][1] : 0],
    ];
    // The first and the last row and column that can be shown.
    const whole = [
      [part.rows[0] - edges[0][0], part.rows[1] + edges[0][1]],
      [part.columns[0] - edges[1][0], part.columns[1] + edges[1][1]],
    ];
    const image = R.svg("image", {
      class: "pixels",
      x: part.columns[0],
      y: part.rows[0],
      width: part.columns[1] - part.columns[0],
      height: part.rows[1] - part.rows[0],
      preserveAspectRatio: "none",
    });
    const padding = R.svg("path", { class: "padding", d: hatch([H, W], edges) });
    const frame = R.svg("rect", {
      class: "frame",
      x: part.columns[0],
      y: part.rows[0],
      width: part.columns[1] - part.columns[0],
      height: part.rows[1] - part.rows[0],
    });
    const marks = R.svg("g", {});
    const svg = R.svg(
      "svg",
      { class: "map", role: "img", tabindex: "0", "aria-label": label, "data-role": "map" },
      image,
      padding,
      frame,
      marks,
    );
    const caption = R.el("figcaption", {}, label);
    let view = [0, 0, 1, 1];

    const pointed = (event) => {
      const box = svg.getBoundingClientRect();
      if (!box.width || !box.height) return;
      const scale = Math.min(box.width / view[2], box.height / view[3]);
      const [left, top] = [(box.width - scale * view[2]) / 2, (box.height - scale * view[3]) / 2];
      const r = Math.floor((event.clientY - box.top - top) / scale + view[1]);
      const c = Math.floor((event.clientX - box.left - left) / scale + view[0]);
      const inside = r >= whole[0][0] && r < whole[0][1] && c >= whole[1][0] && c < whole[1][1];
      if (inside) picked(r, c);
    };
    if (picked) {
      svg.addEventListener("pointermove", (event) => event.pointerType === "mouse" && pointed(event));
      svg.addEventListener("pointerdown", pointed);
    }
    svg.addEventListener("keydown", (event) => {
      const step = R.arrow(event);
      if (!step || !moved) return;
      event.preventDefault();
      moved(...step);
    });

    let drawn = null;
    const paint = () => drawn && image.setAttribute("href", picture(...drawn));
    R.themed(paint);

    return {
      root: R.el("figure", {}, caption, svg),
      svg,
      say: (text) => {
        caption.textContent = text;
        svg.setAttribute("aria-label", text);
      },
      // Draws a channel of a part that has the map's size. `most` is the value with the strongest colour.
      draw: (of, channel, most) => {
        const next = [of, channel, most];
        if (drawn && next.every((value, i) => value === drawn[i])) return;
        drawn = next;
        paint();
      },
      // Scrolls so that rows `top` to `bottom` and columns `left` to `right` are visible.
      look: ([top, bottom], [left, right]) => {
        const along = ([first, last], [from, to]) => {
          const size = Math.min(last - first, Math.max(MOST, to - from + 4));
          const start = Math.round((from + to - size) / 2);
          return [Math.max(first, Math.min(last - size, start)), size];
        };
        const [y, height] = along(whole[0], [top, bottom]);
        const [x, width] = along(whole[1], [left, right]);
        if (view.join() !== [x, y, width, height].join()) {
          view = [x, y, width, height];
          svg.setAttribute("viewBox", view.join(" "));
        }
      },
      // [{kind, at: [row, column], size: [rows, columns]}]
      mark: (items) => {
        const rect = (kind, at, [height, width]) => R.svg("rect", { class: kind, x: at[1], y: at[0], width, height });
        // Under each outline draw a wider one in the colour of the paper, so that it is visible on every colour.
        marks.replaceChildren(
          ...items.flatMap(({ kind, at, size = [1, 1] }) => [rect("halo", at, size), rect(kind, at, size)]),
        );
      },
    };
  };

  // Marks for places [row, column]: one mark around all if they leave no gaps, otherwise one mark per place.
  S.around = (places) => {
    if (!places.length) return [];
    const along = (axis) => {
      const all = places.map((place) => place[axis]);
      const [from, to] = [Math.min(...all), Math.max(...all) + 1];
      return [from, to - from];
    };
    const [[top, height], [left, width]] = [along(0), along(1)];
    if (places.length === height * width) return [{ kind: "window", at: [top, left], size: [height, width] }];
    return places.map((at) => ({ kind: "tap", at }));
  };

  // A part at the same position as another one, with its own values.
  S.like = (part, channels, values) => {
    const [h, w] = [part.rows[1] - part.rows[0], part.columns[1] - part.columns[0]];
    return {
      ...part,
      channels,
      values,
      at: (channel, r, c) =>
        part.has(r, c) ? values[(channel * h + r - part.rows[0]) * w + c - part.columns[0]] : NaN,
      plane: (channel) => values.subarray(channel * h * w, (channel + 1) * h * w),
    };
  };

  // The chosen channel, row and column of a part, with controls that change them. `name` is the channel's name.
  // changed() is called after every change, by hand or while playing.
  S.cursor = (y, name, changed) => {
    const middle = ([from, to]) => Math.floor((from + to - 1) / 2);
    const at = { o: 0, i: middle(y.rows), j: middle(y.columns) };
    const clamp = (value, [from, to]) => Math.max(from, Math.min(to - 1, value));
    const go = (o, i, j) => {
      const next = [clamp(o, [0, y.channels]), clamp(i, y.rows), clamp(j, y.columns)];
      if (next[0] === at.o && next[1] === at.i && next[2] === at.j) return;
      [at.o, at.i, at.j] = next;
      channel.set(at.o);
      row.set(at.i);
      column.set(at.j);
      changed();
    };
    const channel =
      y.channels > 64
        ? S.dial(name, 0, y.channels - 1, 0, (o) => go(o, at.i, at.j))
        : S.select(name, S.channels(y.channels), 0, (o) => go(o, at.i, at.j));
    const row = S.dial("row", y.rows[0], y.rows[1] - 1, at.i, (i) => go(at.o, i, at.j));
    const column = S.dial("column", y.columns[0], y.columns[1] - 1, at.j, (j) => go(at.o, at.i, j));
    const next = () => {
      const width = y.columns[1] - y.columns[0];
      const size = (y.rows[1] - y.rows[0]) * width;
      const flat = (at.i - y.rows[0]) * width + at.j - y.columns[0] + 1;
      const wrapped = flat % size;
      const o = flat < size ? at.o : (at.o + 1) % y.channels;
      go(o, y.rows[0] + Math.floor(wrapped / width), y.columns[0] + (wrapped % width));
    };
    const player = S.player(next);
    return {
      at,
      go,
      move: (rows, columns) => go(at.o, at.i + rows, at.j + columns),
      controls: [channel.root, row.root, column.root],
      player,
    };
  };
})();
