"use strict";
// Shared parts of the layers' steps: numbers, grids, tables, controls.
(() => {
  const R = window.Receptive;
  const S = R.stepper;

  // A number, labelled with its role so that a test can read it.
  S.value = (role, value, digits = 6, attrs = {}) =>
    R.el("span", { class: "value", "data-role": role, "data-value": String(value), ...attrs }, R.number(value, digits));

  // "computed here ..., by the layer ...", and whether they agree.
  S.verdict = (agreed, computed, given) =>
    R.el(
      "p",
      { class: "verdict", "data-role": "verdict", "data-right": String(agreed.right), "data-digits": agreed.digits },
      "Computed here in double precision: ",
      R.el("strong", { "data-role": "result", "data-value": String(computed) }, agreed.computed),
      ". The layer's result, in single precision: ",
      R.el("strong", { "data-role": "given", "data-value": String(given) }, agreed.given),
      agreed.right
        ? agreed.digits === 6
          ? ". They agree in every digit shown."
          : `. The further digits differ because of rounding, by ${R.number(agreed.difference, 2)}.`
        : `. They should agree, but differ by ${R.number(agreed.difference, 3)}.`,
    );

  // "sum ... + bias ... = ...".
  S.total = (sum, bias, value, digits) =>
    R.el(
      "p",
      { class: "total" },
      "sum ",
      S.value("sum", sum),
      bias === null ? null : [" + bias ", S.value("bias", bias), " = ", S.value("total", value, digits)],
    );

  // Views of a layer, one of which is open: modes[name](L, g) => {root, update, stop}. A view is made when it is first
  // opened.
  S.modes = (root, names, modes, ...given) => {
    const made = {};
    const holder = R.el("div", {});
    let open = null;
    const show = (name) => {
      if (open) open.stop();
      made[name] = made[name] || modes[name](...given);
      open = made[name];
      holder.replaceChildren(open.root);
      open.update();
    };
    root.append(R.choice("show", names, names[0][0], show), holder);
    show(names[0][0]);
  };

  // Two grids and their result. They are stacked if there is no room side by side.
  S.equation = (first, second, result) =>
    R.el(
      "div",
      { class: "grids" },
      first.root,
      R.el("div", { class: "signed" }, R.el("span", { class: "sign", "aria-hidden": "true" }, "\u00d7"), second.root),
      R.el("div", { class: "signed" }, R.el("span", { class: "sign", "aria-hidden": "true" }, "="), result.root),
    );

  // The colour behind a number: its strength is the number's share of the largest, weak enough to read the number.
  S.tint = (value, most) => {
    if (!(most > 0) || !Number.isFinite(value)) return "";
    const share = Math.round(60 * Math.min(1, Math.abs(value) / most));
    return `color-mix(in srgb, var(${value < 0 ? "--negative" : "--positive"}) ${share}%, var(--paper))`;
  };

  // A number short enough for a cell. `most` is the largest of the numbers beside it.
  S.brief = (value, most) => {
    const order = Math.floor(Math.log10(most > 0 ? most : 1));
    const decimals = (order < -1 ? 1 : 2) - order;
    if (value === 0 || !Number.isFinite(value)) return R.number(value);
    if (decimals > 4 || decimals < -1) return R.number(value, 2);
    return value
      .toFixed(Math.max(0, decimals))
      .replace(/^-(?=.*[1-9])/, "\u2212")
      .replace("-", "");
  };

  // Rows x columns of numbers on colours. show(tell, most): tell(r, c) => {value, text, kind, attrs}. `most` is the
  // largest value, which has the strongest colour. over(r, c) is called when the pointer enters a cell, over(null) when
  // it leaves.
  S.grid = (label, role, rows, columns, over) => {
    const cells = Array.from({ length: rows }, () =>
      Array.from({ length: columns }, () => R.el("td", { "data-role": role })),
    );
    const table = R.el(
      "table",
      { class: "grid", "aria-label": label },
      R.el(
        "tbody",
        {},
        cells.map((row) => R.el("tr", {}, row)),
      ),
    );
    table.style.setProperty("--columns", columns);
    if (columns > 7) table.classList.add("fine");
    if (over) {
      table.addEventListener("pointerover", (event) => {
        const cell = event.target.closest("td");
        if (cell) over(cell.parentNode.rowIndex, cell.cellIndex);
      });
      table.addEventListener("pointerleave", () => over(null));
    }
    const show = (tell, most) => {
      cells.forEach((row, r) =>
        row.forEach((td, c) => {
          const { value, text, kind, attrs } = tell(r, c);
          td.className = kind || "";
          td.textContent = text !== undefined ? text : S.brief(value, most);
          td.title = value === undefined ? "" : R.number(value, 6);
          td.dataset.value = String(value);
          Object.assign(td.dataset, attrs);
          td.style.backgroundColor = S.tint(value, most);
        }),
      );
    };
    const mark = (r, c) =>
      cells.forEach((row, i) => row.forEach((td, j) => td.classList.toggle("on", i === r && j === c)));
    return { root: R.el("figure", {}, R.el("figcaption", {}, label), table), table, show, mark };
  };

  // Chooses a number of a range: two buttons and a slider.
  S.dial = (name, min, max, value, changed) => {
    const input = R.el("input", { type: "range", min, max, value, "aria-label": name });
    const output = R.el("output", { "aria-live": "off" }, `${name} ${value}`);
    const step = (by, sign, word) =>
      R.el(
        "button",
        { type: "button", "aria-label": `${word} ${name}`, onclick: () => go(Number(input.value) + by) },
        sign,
      );
    let now = value;
    const set = (to) => {
      now = to;
      input.value = to;
      output.textContent = `${name} ${to}`;
    };
    const go = (to) => {
      const next = Math.max(min, Math.min(max, to));
      if (next === now) return;
      set(next);
      changed(next);
    };
    input.addEventListener("input", () => go(Number(input.value)));
    const root = R.el("div", { class: "dial" }, output, step(-1, "\u2212", "previous"), input, step(1, "+", "next"));
    root.hidden = min === max;
    return { root, set };
  };

  S.select = (name, options, value, changed) => {
    const select = R.el(
      "select",
      { "data-role": name.replace(/\W+/g, "-") },
      options.map(([key, text]) => R.el("option", { value: key, selected: key === value }, text)),
    );
    select.addEventListener("change", () => changed(Number(select.value)));
    const root = R.el("label", { class: "pick" }, `${name} `, select);
    root.hidden = options.length < 2;
    return { root, set: (to) => (select.value = to) };
  };

  S.channels = (n) => S.range(n).map((channel) => [channel, String(channel)]);

  // Moves through the places automatically, unless the reader's system asks for reduced motion.
  S.player = (next) => {
    const still = matchMedia("(prefers-reduced-motion: reduce)");
    let timer = 0;
    const button = R.el("button", { type: "button", class: "play" });
    const stop = () => {
      clearInterval(timer);
      timer = 0;
      button.textContent = "\u25b6 play";
    };
    const tick = () => {
      if (!button.isConnected || still.matches) stop();
      else if (!document.hidden && button.offsetParent) next();
    };
    button.addEventListener("click", () => {
      if (timer) return stop();
      button.textContent = "\u275a\u275a pause";
      timer = setInterval(tick, 350);
      return undefined;
    });
    const allow = () => {
      button.hidden = still.matches;
      if (still.matches) stop();
    };
    still.addEventListener("change", allow);
    stop();
    allow();
    return { root: button, stop, playing: () => timer !== 0 };
  };

  // Describes the part of a layer that this page holds, if it is not the whole layer.
  S.held = ({ y }) => {
    const [channels, h, w] = y.full;
    const of = [];
    const part = (name, [from, to], all) => {
      if (to - from < all)
        of.push(`${name}${to - from > 1 ? "s" : ""} ${R.span(from, to - from)} of ${R.thousands(all)}`);
    };
    part(y.vector ? "output" : "channel", [0, y.channels], channels);
    part("row", y.rows, h);
    part("column", y.columns, w);
    if (!of.length) return null;
    return R.el(
      "p",
      { class: "note" },
      `The page contains ${of.join(", ")} of this layer's output, and all inputs that they read.`,
    );
  };

  // The position of an output, in words.
  S.place = (y, i, j) => (y.vector ? "" : `(${i}, ${j}) of `);

  // The sentence that describes what is shown. Screen readers read it aloud, unless it changes automatically.
  S.says = (player) => {
    const root = R.el("p", { class: "says", "data-role": "says" });
    const say = (words) => {
      root.setAttribute("aria-live", player.playing() ? "off" : "polite");
      root.textContent = words;
    };
    return { root, say };
  };

  // A table of numbers: [[name, whether its column is of numbers], ...]
  S.table = (label, columns, body) =>
    R.el(
      "table",
      { class: "terms", "aria-label": label },
      R.el(
        "thead",
        {},
        R.el(
          "tr",
          {},
          columns.map(([name, number]) => R.el("th", { class: number ? "number" : null }, name)),
        ),
      ),
      body,
    );

  // The frame of every layer's steps: controls, maps side by side, and the rest below.
  S.frame = (L, { controls, player }, maps, ...rest) =>
    R.el(
      "div",
      { class: "mode" },
      R.el("div", { class: "controls" }, controls, player.root),
      maps.length ? R.el("div", { class: "maps-pair" }, maps) : null,
      rest,
      S.held(L),
    );
})();
