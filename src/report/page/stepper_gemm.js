"use strict";
// One output of a convolution as an element of a matrix product, and as part of a tile of that product.
(() => {
  const R = window.Receptive;
  const S = R.stepper;

  // A matrix as a rectangle with a marked strip or cell. All sizes are in the units of the drawing.
  const matrix = (x, y, width, height, name, size, marks) => [
    R.svg("rect", { class: "matrix", x, y, width, height }),
    marks.map(([kind, left, top, w, h]) =>
      R.svg("rect", { class: kind, x: x + left, y: y + top, width: Math.max(w, 2), height: Math.max(h, 2) }),
    ),
    R.svg("text", { x: x + width / 2, y: y - 8, "text-anchor": "middle" }, name),
    R.svg("text", { class: "muted", x: x + width / 2, y: y + height + 16, "text-anchor": "middle" }, size),
  ];

  // weight [M, K] times columns [K, N] is output [M, N]. Sides are drawn on a logarithmic scale, so that none is too
  // small.
  const product = ([m, k, n], row, column) => {
    const side = (v) => 16 + Math.log2(1 + v) * 9;
    const [M, K, N] = [m, k, n].map(side);
    const [gap, top] = [26, 24];
    const middle = top + Math.max(M, K) / 2;
    const left = [8, 8 + K + gap, 8 + K + gap + N + gap];
    const [width, height] = [left[2] + N + 8, top + Math.max(M, K) + 26];
    const label = `Row ${row} of the ${m} by ${k} weight matrix times column ${column} of the ${k} by ${n} column matrix`;
    const svg = R.svg(
      "svg",
      { class: "product", viewBox: `0 0 ${width} ${height}`, role: "img", "aria-label": label },
      matrix(left[0], middle - M / 2, K, M, "weight", `${m}\u00d7${k}`, [["strip", 0, (row / m) * M, K, M / m]]),
      matrix(left[1], middle - K / 2, N, K, "columns", `${k}\u00d7${n}`, [["strip", (column / n) * N, 0, N / n, K]]),
      matrix(left[2], middle - M / 2, N, M, "output", `${m}\u00d7${n}`, [
        ["one", (column / n) * N, (row / m) * M, N / n, M / m],
      ]),
      R.svg("text", { x: left[1] - gap / 2, y: middle + 4, "text-anchor": "middle" }, "\u00d7"),
      R.svg("text", { x: left[2] - gap / 2, y: middle + 4, "text-anchor": "middle" }, "="),
    );
    svg.style.maxWidth = `${width * 1.25}px`;
    return svg;
  };

  // M, K, N of one group, and the position of an output.
  const inProduct = (L, g, { o, i, j }) => ({
    sizes: [g.og, g.k, L.y.full[1] * L.y.full[2]],
    group: Math.floor(o / g.og),
    row: o % g.og,
    column: i * L.y.full[2] + j,
  });

  // The column, the row and their products one below the other, for the chosen input channel.
  S.columns = (L, g) => {
    const drawing = R.el("div", {});
    const lead = R.el("p", { class: "note" });
    const body = R.el("tbody", {});
    const heads = ["k", "channel", R.term("tap"), "reads", "x", "weight", "product", "sum so far"];
    const table = S.table(
      "Column and row",
      heads.map((name, i) => [name, i > 3]),
      body,
    );
    const number = (role, value) =>
      R.el("td", { class: "number", "data-role": role, "data-value": String(value) }, R.number(value, 6));
    const rows = (state) => {
      let so = 0;
      const [from, to] = [state.channel * g.taps, (state.channel + 1) * g.taps];
      return state.all.slice(0, to).flatMap((term, k) => {
        so += term.product;
        if (k < from) return [];
        return R.el(
          "tr",
          { class: term.padding ? "padding" : null },
          R.el("td", { class: "number" }, String(k)),
          R.el("td", { class: "number" }, String(g.first(state.at.o) + term.c)),
          R.el("td", {}, `(${term.a}, ${term.b})`),
          R.el("td", {}, term.padding ? "padding" : `(${term.p}, ${term.q})`),
          number("column-x", term.x),
          number("column-weight", term.weight),
          number("column-product", term.product),
          number("column-sum", so),
        );
      });
    };
    return {
      root: R.el("div", { class: "view" }, lead, drawing, R.el("div", { class: "scroll tall" }, table)),
      update: (state) => {
        const at = inProduct(L, g, state.at);
        const group = g.groups > 1 ? ` of group ${at.group}` : "";
        lead.textContent =
          `Unrolled, the window is column ${at.column} of the columns${group}: ${R.plural(g.k, "number")}. ` +
          `The kernels of output channel ${state.at.o} are row ${at.row} of the weights. Row times column is the sum.` +
          (g.cg > 1 ? ` Below: the ${g.taps} terms of input channel ${g.first(state.at.o) + state.channel}.` : "");
        drawing.replaceChildren(product(at.sizes, at.row, at.column));
        body.replaceChildren(...rows(state));
      },
    };
  };

  // Where a tile begins and ends along its rows and columns, as in GemmTiling of tiling.rs.
  const tileRows = (cut, m, i) => {
    const rows = cut.tile[0];
    let start = i - (i % rows);
    if (start < m - (m % rows)) return [start, start + rows];
    for (const few of cut.rest) {
      if (i < start + few) return [start, start + few];
      start += few;
    }
    return [start, m];
  };
  const tileColumns = (cut, n, j) => {
    const start = j - (j % cut.tile[1]);
    return [start, Math.min(n, start + cut.tile[1])];
  };

  // Rows and columns of the tile that contains the output.
  const tileOf = (cut, [m, , n], row, column) => {
    if (!cut.turned) return { rows: tileRows(cut, m, row), columns: tileColumns(cut, n, column) };
    return { rows: tileColumns(cut, m, row), columns: tileRows(cut, n, column) };
  };

  // The tile, cell by cell. The output's cell is marked.
  const drawTile = (root, { rows, columns }, row, column) => {
    const [h, w] = [rows[1] - rows[0], columns[1] - columns[0]];
    const cells = [];
    for (let r = 0; r < h; r++)
      for (let c = 0; c < w; c++) {
        const here = rows[0] + r === row && columns[0] + c === column;
        cells.push(
          R.svg("rect", { class: here ? "one" : "cell", x: c + 0.06, y: r + 0.06, width: 0.88, height: 0.88 }),
        );
      }
    const label = `Tile of ${h} by ${w} outputs, row ${row - rows[0]} and column ${column - columns[0]} of it marked`;
    const viewBox = `0 0 ${w} ${h}`;
    const svg = R.svg(
      "svg",
      { class: "tile", viewBox, preserveAspectRatio: "xMinYMin", role: "img", "aria-label": label },
      cells,
    );
    svg.style.maxWidth = `${Math.max(w * 0.9, 3)}rem`;
    root.replaceChildren(svg);
  };

  const blocksOf = (cut, all) => {
    const blocks = [];
    for (let k = 0; k < all.length; k += cut.depth) {
      const terms = all.slice(k, k + cut.depth);
      blocks.push({ from: k, to: k + terms.length, sum: terms.reduce((total, term) => total + term.product, 0) });
    }
    return blocks;
  };

  const blockRows = (blocks) => {
    let so = 0;
    return blocks.map(({ from, to, sum }) => {
      so += sum;
      return R.el(
        "tr",
        {},
        R.el("td", {}, R.span(from, to - from)),
        R.el("td", { class: "number", "data-role": "block", "data-value": String(sum) }, R.number(sum, 6)),
        R.el("td", { class: "number" }, R.number(so, 6)),
      );
    });
  };

  // The tile of the packed GEMM, and the blocks of K over which it sums.
  S.tile = (L, g) => {
    const cut = L.gemm;
    if (!cut) {
      const text = "A product this narrow is computed as dot products, without tiles.";
      return { root: R.el("p", { class: "note" }, text), update: () => {} };
    }
    const lead = R.el("p", { class: "note", "data-role": "tile" });
    const drawing = R.el("div", {});
    const body = R.el("tbody", {});
    const heads = ["block of k", "sum of the block", "sum so far"];
    const table = S.table(
      "Blocks of K",
      heads.map((name, i) => [name, i > 0]),
      body,
    );
    return {
      root: R.el("div", { class: "view" }, lead, drawing, R.el("div", { class: "scroll tall" }, table)),
      update: (state) => {
        const { sizes, row, column } = inProduct(L, g, state.at);
        const tile = tileOf(cut, sizes, row, column);
        const blocks = blocksOf(cut, state.all);
        Object.assign(lead.dataset, { rows: tile.rows.join(), columns: tile.columns.join() });
        const [mr, nr] = cut.tile;
        lead.textContent =
          `The packed GEMM computes not one output at a time, but a tile: here output channels ${R.span(tile.rows[0], tile.rows[1] - tile.rows[0])} ` +
          `of pixels ${R.span(tile.columns[0], tile.columns[1] - tile.columns[0])}, whose sums stay in registers (${mr}\u00d7${nr} at most` +
          `${cut.turned ? ", on the transposed product" : ""}). It adds ${R.plural(cut.depth, "product")} to each sum before it continues` +
          `${cut.packed ? ", from columns packed into panels as wide as the tile" : "; with so few rows, the columns are read without packing"}: ` +
          `${R.plural(blocks.length, "block")} of K. The implicit GEMM of convolution multiplies like this, too, but never writes the columns.`;
        drawTile(drawing, tile, row, column);
        body.replaceChildren(...blockRows(blocks));
      },
    };
  };
})();
