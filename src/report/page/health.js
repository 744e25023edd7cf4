"use strict";
// The course of a training run: curves, and the health of each layer.
(() => {
  const R = window.Receptive;

  const curves = (phases) => {
    const of = (phase, value) => phases.filter((p) => p.phase === phase).map((p) => [p.epoch + 1, value(p)]);
    const both = (value) => [
      { name: "training", color: "--negative", points: of("train", value) },
      { name: "validation", color: "--positive", points: of("val", value), dash: "5 3" },
    ];
    const masks = phases[0].dice !== null;
    const score = masks ? (p) => p.dice : (p) => p.accuracy;
    const name = masks ? "Dice" : "accuracy";
    return [
      R.legend([
        ["training", "--negative"],
        ["validation (dashed)", "--positive"],
      ]),
      R.el(
        "div",
        { class: "figures" },
        R.figure(
          R.lines(
            both((p) => p.loss),
            { label: "Loss by epoch", low: 0 },
          ),
          R.el("strong", {}, R.term("loss", "Loss")),
          " by ",
          R.term("epoch"),
          ". If the validation loss rises while the training loss falls, the network overfits.",
        ),
        R.figure(
          R.lines(both(score), {
              label: `${name} by epoch`,
              format: masks ? undefined : (v, tick) => R.percent(v, tick ? Math.max(0, tick.decimals - 2) : 1),
            }),
          R.el("strong", {}, masks ? R.term("Dice") : R.term("accuracy", "Accuracy")),
          " by epoch. The weights of the best validation epoch are kept.",
        ),
      ),
    ];
  };

  const log = (value) => (value > 0 ? Math.log10(value) : null);

  // Per metric: name, label, function that gives the number for a layer's sample, kind of drawing, text, attributes of
  // the button.
  const METRICS = [
    [
      "update_ratio",
      "update / weight",
      (l) => l.update_ratio,
      "ratio",
      "The size of a step divided by the size of the weights that it changes. About 0.001 is usual (the page's own colour); vermilion is larger, blue is smaller.",
      R.termAttrs("update-to-weight ratio"),
    ],
    [
      "gradient_norm",
      "gradient norm",
      (l) => l.gradient_norm,
      "log",
      "It should be similar in all layers. If it gets paler towards the input, it vanishes; if it gets darker over time, it explodes.",
      R.termAttrs("gradient norm"),
    ],
    [
      "dead",
      "dead ReLU units",
      (l) => l.dead,
      "share",
      "The share of units that are zero for every image: they receive no gradient.",
      R.termAttrs("dead ReLU unit"),
    ],
    [
      "zeros",
      "zeros",
      (l) => l.output.zeros,
      "share",
      "The share of outputs that are exactly zero, mostly because of ReLU.",
    ],
    [
      "std",
      "spread",
      (l) => l.output.std,
      "log",
      "The standard deviation of the outputs: it should neither shrink nor grow with depth.",
    ],
  ];

  const painter = (kind, values) => {
    const [paper, accent] = ["--paper", "--accent"].map(R.color);
    const toward = (t, end) => R.mix(paper, end, Math.max(0, Math.min(1, t)));
    if (kind === "share") return (v) => toward(v, R.color("--positive"));
    if (kind === "ratio") {
      const color = R.diverging(2);
      return (v) => (log(v) === null ? color(-2) : color(log(v) + 3));
    }
    const [low, high] = R.extent(values.map(log)) || [0, 1];
    return (v) => (log(v) === null ? null : toward(0.08 + (0.92 * (log(v) - low)) / (high - low || 1), accent));
  };

  // A metric as a plane: one row per layer, one column per sample.
  const overview = (samples, [, label, value, kind, text]) => {
    const known = samples[0].layers
      .map((_, i) => i)
      .filter((i) => samples.some((s) => typeof value(s.layers[i]) === "number"));
    if (!known.length) return R.el("p", { class: "note" }, "No layer of this run has this number.");
    const cell = (row, column) => value(samples[column].layers[known[row]]);
    const values = known.flatMap((_, row) => samples.map((__, column) => cell(row, column)));
    const plane = R.plane({
      label: `${label}, a row a layer, a column a sample`,
      rows: known.length,
      columns: samples.length,
      color: () => {
        const color = painter(kind, values);
        return (r, c) => (typeof cell(r, c) === "number" ? color(cell(r, c)) : null);
      },
      tell: (r, c) =>
        `${samples[c].layers[known[r]].path}, step ${R.thousands(samples[c].step)}: ${label} ${R.number(cell(r, c), 3)}`,
    });
    plane.root.style.height = `${known.length * 18 + 2}px`;
    plane.canvas.style.height = "100%";
    const names = R.el(
      "div",
      { class: "names", "aria-hidden": "true" },
      known.map((i) => R.el("div", {}, samples[0].layers[i].path)),
    );
    return R.el(
      "div",
      {},
      R.el("div", { class: "scroll tall" }, R.el("div", { class: "named" }, names, plane.root)),
      plane.readout,
      R.el("p", { class: "note" }, text),
    );
  };

  // Counts of one layer's samples in bins that all samples share. A sample without a finite value has no counts.
  const rebin = (histograms, bins) => {
    const axis = R.axisOver(histograms.flatMap((h) => [h.from, h.to]));
    const shared = histograms.map(({ from, to, counts }) => {
      const out = new Float64Array(bins);
      if (!R.finite(from) || !R.finite(to)) return out;
      counts.forEach((n, i) => {
        const [start, end] = [i, i + 1].map((at) => axis.share(R.between(from, to, at / counts.length)) * bins);
        // Each bin gets the part of the interval that is in it. An interval without width is in a single bin.
        const first = Math.min(Math.floor(start), bins - 1);
        for (let bin = first; bin < bins && (bin < end || bin === first); bin++) {
          const inside = end > start ? (Math.min(end, bin + 1) - Math.max(start, bin)) / (end - start) : 1;
          out[bin] += n * Math.max(inside, 0);
        }
      });
      return out;
    });
    return { edge: (bin) => R.between(axis.low, axis.high, bin / bins), shared };
  };

  const course = (samples, i) => {
    const BINS = 32;
    const histograms = samples.map((sample) => sample.layers[i].histogram);
    const { edge, shared } = rebin(histograms, BINS);
    const share = (bin, column) => shared[column][bin] / (shared[column].reduce((a, b) => a + b, 0) || 1);
    const plane = R.plane({
      label: `Outputs of ${samples[0].layers[i].path} over time`,
      rows: BINS,
      columns: samples.length,
      color: () => {
        const [paper, accent] = ["--paper", "--accent"].map(R.color);
        return (r, c) => R.mix(paper, accent, Math.sqrt(share(BINS - 1 - r, c)));
      },
      tell: (r, c) => {
        const bin = BINS - 1 - r;
        return `step ${R.thousands(samples[c].step)}: ${R.percent(share(bin, c))} of the outputs from ${R.number(edge(bin), 3)} to ${R.number(edge(bin + 1), 3)}`;
      },
    });
    plane.root.style.height = "14rem";
    plane.canvas.style.height = "100%";
    return [plane.root, plane.readout];
  };

  const layers = (training) => {
    const samples = training.health;
    const view = R.el("div");
    const show = (name) =>
      view.replaceChildren(
        overview(
          samples,
          METRICS.find((metric) => metric[0] === name),
        ),
      );
    const over = R.el("div");
    const select = R.el(
      "select",
      { id: "health-layer" },
      samples[0].layers.map((layer, i) => R.el("option", { value: i }, layer.path)),
    );
    select.addEventListener("change", () => over.replaceChildren(...course(samples, Number(select.value))));
    show("update_ratio");
    over.replaceChildren(...course(samples, 0));
    const some =
      samples.length < training.health_samples
        ? `${samples.length} of ${training.health_samples} samples`
        : R.plural(samples.length, "sample");
    return [
      R.el("h3", {}, "Layer by layer"),
      R.el(
        "p",
        { class: "lead" },
        `${some}, from step ${R.thousands(samples[0].step)} at the left to step ${R.thousands(samples[samples.length - 1].step)} at the right.`,
      ),
      R.choice(
        "Show:",
        METRICS.map(([name, label, , , , attrs]) => [name, label, attrs]),
        "update_ratio",
        show,
      ),
      view,
      R.el("h3", {}, "Outputs over time"),
      R.el("div", { class: "choice" }, R.el("label", { for: "health-layer" }, "Layer"), select),
      over,
      R.el(
        "p",
        { class: "note" },
        "A column is a histogram of the layer's outputs, with the largest values at the top; darker means more outputs. Here you first see a layer that drifts, collapses to one value or explodes.",
      ),
    ];
  };

  R.health = (root) => {
    const { training } = R.report;
    if (training.phases.length) root.append(...curves(training.phases));
    else root.append(R.el("p", { class: "note" }, "This run has not finished an epoch yet."));
    if (training.health.length) root.append(...layers(training));
    else
      root.append(
        R.el(
          "p",
          { class: "note" },
          "This run recorded no statistics of its layers. To record them: receptive train --health",
        ),
      );
  };
})();
