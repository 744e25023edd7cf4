"use strict";
// The head of the page: the network, the image, and the prediction.
(() => {
  const R = window.Receptive;

  const weights = () => {
    const w = R.report.weights;
    if (w.from === "run") return `best weights of ${w.name}`;
    if (w.from === "file") return `weights of ${w.name}`;
    if (w.from === "given") return "the model's own weights";
    return `random initial weights (seed ${w.seed})`;
  };

  const machine = () => {
    const { cpu, device, threads } = R.report.machine;
    const where = device === "cpu" ? `${cpu || "an unknown processor"}, ${R.plural(threads, "thread")}` : device;
    return R.el("p", { class: "note" }, `Times were measured on ${where}: layer by layer, medians of several passes.`);
  };

  const score = () => {
    const { judged, training } = R.report;
    if (judged) return [[R.term("accuracy", "Accuracy"), ` on ${judged.set}`], R.percent(judged.accuracy, 2)];
    const phases = training ? training.phases.filter((p) => p.phase === "val") : [];
    if (!phases.length) return null;
    const best = (of) => (R.extent(phases.map(of)) || [])[1];
    if (phases[0].dice !== null) return [["Best validation ", R.term("Dice")], R.number(best((p) => p.dice), 4)];
    return [["Best validation ", R.term("accuracy")], R.percent(best((p) => p.accuracy), 2)];
  };

  const facts = () => {
    const { parameters, flops, activation_bytes, layers } = R.report;
    const seconds = layers.reduce((sum, layer) => sum + layer.seconds, 0);
    const known = score();
    return R.el(
      "dl",
      { class: "facts large" },
      known && R.fact(known[0], known[1]),
      R.fact([R.term("parameter", "Parameters"), `, ${R.plural(layers.length, "layer")}`], R.thousands(parameters)),
      R.fact(R.term("FLOPs", "Operations per image"), R.unit(flops, "FLOP")),
      R.fact(R.term("activation", "Outputs of all layers"), R.unit(activation_bytes, "B")),
      R.fact([R.term("forward pass", "Forward pass"), ", one image"], R.seconds(seconds)),
    );
  };

  const picture = () => {
    const { image } = R.report;
    const alt = `The input: ${image.what}`;
    return R.el("img", { class: "picture pixels", alt, src: image.picture });
  };

  const classes = () => {
    const { probabilities, image } = R.report;
    const order = probabilities.map((p, i) => [p, i]).sort((a, b) => b[0] - a[0]);
    const shown = order.slice(0, 8);
    const rows = shown.map(([p, i]) => ({
      name: R.className(i),
      value: p,
      text: R.percent(p, 2),
      strong: i === image.label,
    }));
    const [best] = order[0].slice(1);
    let verdict = `The prediction is ${R.className(best)}`;
    if (image.label !== null) {
      verdict += best === image.label ? ", which is right." : `; the true class is ${R.className(image.label)}.`;
    } else verdict += ".";
    const rest = order.length - shown.length;
    return R.el(
      "div",
      {},
      R.el("h3", { id: "verdict" }, verdict),
      R.el("div", { style: "margin-top: 0.75rem" }, R.bars(rows, "The most likely classes", 1)),
      rest > 0 &&
        R.el(
          "p",
          { class: "note", style: "margin-top: 0.5rem" },
          `${R.plural(rest, "other class", "other classes")} share the rest.`,
        ),
    );
  };

  // Image, true mask and predicted mask of a segmenter. `term` gives the names of the scores.
  R.triptych = (masked, name, term = (score) => score) => {
    const view = (src, text, ...more) =>
      R.figure(R.el("img", { class: "picture pixels", alt: `${text} of ${name}`, src }), text, more);
    const score = (named, value) => [", ", named, ` ${R.number(value, 3)}`];
    return R.el(
      "div",
      { class: "figures small" },
      view(masked.image, "input"),
      masked.truth && view(masked.truth, "true mask"),
      view(
        masked.predicted,
        `predicted mask: ${R.percent(masked.share)} of the pixels`,
        masked.dice === null ? null : [score(term("Dice"), masked.dice), score(term("IoU"), masked.iou)],
      ),
    );
  };

  R.overview = (root) => {
    const { model, image, weights: w, mask } = R.report;
    root.append(
      R.el("h1", {}, model),
      R.el("p", { class: "lead" }, `${weights()}; ${R.report.data ? `data: ${R.report.data}; ` : ""}input: ${image.what}.`),
    );
    if (w.from === "drawn") {
      root.append(
        R.el(
          "p",
          { class: "lead" },
          R.el("strong", {}, "This network is not trained: "),
          "its weights are random. The layers show how the network is built and what random filters do; the prediction is a guess.",
        ),
      );
    }
    root.append(facts(), machine());
    if (mask) root.append(R.triptych(mask, image.what, R.term));
    else root.append(R.el("div", { class: "answer" }, R.figure(picture(), image.what), classes()));
    root.append(
      R.el(
        "details",
        {},
        R.el("summary", {}, "The network as PyTorch prints it"),
        R.el("pre", { tabindex: "0" }, R.report.describe),
      ),
    );
  };
})();
