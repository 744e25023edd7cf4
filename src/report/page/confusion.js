"use strict";
// The mistakes of a classifier; the masks of a segmenter.
(() => {
  const R = window.Receptive;

  // Each count as a share of its row, so that rare classes are as visible as common ones.
  const shares = (counts) =>
    counts.map((row) => {
      const n = row.reduce((sum, count) => sum + count, 0);
      return row.map((count) => (n ? count / n : 0));
    });

  // With few classes: a table with the counts.
  const table = (counts) => {
    const part = shares(counts);
    const cells = [];
    const cell = (i, j) => {
      const td = R.el(
        "td",
        { title: `${R.className(i)} predicted as ${R.className(j)}: ${R.thousands(counts[i][j])}` },
        counts[i][j] ? R.short(counts[i][j]) : "",
      );
      cells.push([td, i, j]);
      return td;
    };
    const head = counts.map((_, j) => R.el("th", { scope: "col" }, R.el("span", {}, R.className(j))));
    const body = counts.map((_, i) =>
      R.el(
        "tr",
        {},
        R.el("th", { scope: "row" }, R.className(i)),
        counts.map((__, j) => cell(i, j)),
      ),
    );
    R.themed(() => {
      for (const [td, i, j] of cells) {
        const t = Math.sqrt(part[i][j]);
        td.style.background = `color-mix(in srgb, var(${i === j ? "--accent" : "--positive"}) ${(100 * t).toFixed(1)}%, var(--wash))`;
        td.style.color = t > 0.6 ? "var(--paper)" : "var(--ink)";
      }
    });
    return R.el(
      "div",
      { class: "scroll" },
      R.el(
        "table",
        { class: "confusion", "aria-label": "Confusion matrix: rows are true classes, columns predicted ones" },
        R.el("thead", {}, R.el("tr", {}, R.el("td"), head)),
        R.el("tbody", {}, body),
      ),
    );
  };

  // With many classes: a plane of cells that show their count when pointed at.
  const plane = (counts) => {
    const part = shares(counts);
    const drawn = R.plane({
      label: "Confusion matrix: rows are true classes, columns predicted ones",
      rows: counts.length,
      columns: counts.length,
      color: () => {
        const [wash, accent, positive] = ["--wash", "--accent", "--positive"].map(R.color);
        return (i, j) => R.mix(wash, i === j ? accent : positive, Math.sqrt(part[i][j]));
      },
      tell: (i, j) =>
        `${R.className(i)} predicted as ${R.className(j)}: ${R.plural(counts[i][j], "image")}, ${R.percent(part[i][j])} of its class`,
    });
    drawn.root.style.maxWidth = "34rem";
    return R.el("div", {}, drawn.root, drawn.readout);
  };

  // Number of pairs that are listed for very many classes.
  const PAIRS = 30;

  // With very many classes the report holds only the cells that are not 0. The pairs that are confused most often are
  // listed.
  const pairs = ({ classes, cells }) => {
    const wrong = cells.filter(([label, taken]) => label !== taken).sort((a, b) => b[2] - a[2]);
    const rows = wrong
      .slice(0, PAIRS)
      .map(([label, taken, n]) => ({
        name: `${R.className(label)} predicted as ${R.className(taken)}`,
        value: n,
        text: R.thousands(n),
        tone: "positive",
      }));
    const title = `The most often confused pairs of ${R.thousands(classes)} classes`;
    return R.el("div", {}, R.el("h3", {}, title), R.bars(rows, title));
  };

  const mistake = (m, set) =>
    R.el(
      "li",
      {},
      R.el("img", { class: "picture pixels", src: m.image, alt: `image ${m.index} of ${set}` }),
      R.el("div", {}, R.className(m.truth), R.el("span", { class: "muted" }, ` ${R.percent(m.truth_probability)}`)),
      R.el("div", { class: "wrong" }, `\u2717 ${R.className(m.predicted)} ${R.percent(m.probability)}`),
      R.el("div", { class: "muted" }, `image ${m.index}`),
    );

  const mistakes = (judged) => {
    const list = R.el("ul", { class: "mistakes" });
    const kinds = {
      confident: "The most confident mistakes come first: a high probability for a wrong class.",
      worst: "The mistakes with the highest loss come first: a low probability for the true class.",
    };
    const note = R.el("p", { class: "note" });
    const show = (kind) => {
      note.textContent = `${kinds[kind]} Above: the true class. Below: the prediction.`;
      list.replaceChildren(...judged[kind].map((m) => mistake(m, judged.set)));
    };
    show("confident");
    return [
      R.choice(
        "Order:",
        [
          ["confident", "most confident"],
          ["worst", "worst"],
        ],
        "confident",
        show,
      ),
      note,
      list,
    ];
  };

  // The classes with the lowest recall, the lowest first.
  const byClass = (perClass) => {
    const known = perClass
      .map((share, i) => [share, i])
      .filter(([share]) => share !== null)
      .sort((a, b) => a[0] - b[0]);
    const rows = known
      .slice(0, 12)
      .map(([share, i]) => ({ name: R.className(i), value: share, text: R.percent(share) }));
    const title = known.length > rows.length ? "The classes with the lowest recall" : "Recall by class";
    const bars = R.el("div", {}, R.el("h3", {}, title), R.bars(rows, "Recall by class", 1));
    return R.figure(bars, R.term("recall", "Recall"), ": the share of each class's images that are predicted correctly.");
  };

  R.judged = (root) => {
    const { judged } = R.report;
    const some = `${R.thousands(judged.asked)} of ${R.thousands(judged.of)} images of ${judged.set}, drawn at random`;
    const asked = judged.asked < judged.of ? some : `all ${R.thousands(judged.of)} images of ${judged.set}`;
    const wrong = R.plural(judged.mistakes, "is a mistake", "are mistakes");
    const right = R.el("strong", {}, R.percent(judged.accuracy, 2));
    const { confusion } = judged;
    const sparse = !Array.isArray(confusion);
    const matrix = sparse ? pairs(confusion) : confusion.length <= 12 ? table(confusion) : plane(confusion);
    const caption = sparse
      ? "Images of the first class that are predicted as the second."
      : [
          R.el("strong", {}, R.term("confusion matrix", "Confusion matrix"), "."),
          " A row is a true class, a column a predicted class. The colour shows the share of the row: blue is right, vermilion is wrong.",
        ];
    root.append(
      R.el("p", {}, `Predictions for ${asked}: `, right, ` are right, ${wrong}.`),
      R.el("div", { class: "figures wide" }, R.figure(matrix, caption), byClass(judged.per_class)),
    );
    if (judged.mistakes) root.append(R.el("h3", {}, "Mistakes"), ...mistakes(judged));
  };

  R.masks = (root) => {
    for (const masked of R.report.masks) root.append(R.triptych(masked, `image ${masked.index}`));
  };
})();
