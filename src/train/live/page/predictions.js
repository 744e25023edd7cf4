"use strict";
// A few validation images, always the same ones, with the network's current predictions.
(() => {
  const R = window.Receptive;

  const picture = (src, alt) => R.el("img", { class: "picture pixels", src, alt });

  // A classifier's most likely classes, beside the image.
  const answer = (shown) => {
    const truth = R.className(shown.class);
    const bars = R.el("div");
    const root = R.el(
      "li",
      {},
      picture(shown.image, truth),
      R.el("p", { class: "truth" }, R.el("span", {}, "it is "), truth),
      bars,
    );
    const update = (classes) => {
      const rows = classes.map(([index, probability]) => ({
        name: R.className(index),
        value: probability || 0,
        text: R.percent(probability || 0),
        strong: index === shown.class,
        tone: index === shown.class ? "" : "positive",
      }));
      bars.replaceChildren(R.bars(rows, `Most likely classes of validation image ${shown.sample}`, 1));
    };
    return { root, update };
  };

  // A segmenter's mask, beside the true one.
  const mask = (shown) => {
    const said = picture(null, "the predicted mask");
    const column = (image, name) => R.el("div", {}, image, name);
    const root = R.el(
      "li",
      { class: "masks" },
      column(picture(shown.image, `validation image ${shown.sample}`), "image"),
      column(picture(shown.mask, "the true mask"), "true mask"),
      column(said, "predicted"),
    );
    return { root, update: (src) => said.setAttribute("src", src) };
  };

  R.livePredictions = (root, lead) => {
    let entries = [];
    const pictures = (all) => {
      entries = all.pictures.map((shown) => (shown.mask ? mask(shown) : answer(shown)));
      root.replaceChildren(...entries.map((entry) => entry.root));
    };
    const predictions = (now) => {
      const said = now.masks.length ? now.masks : now.classes;
      entries.forEach((entry, i) => said[i] && entry.update(said[i]));
      const what = now.masks.length ? "white is the predicted object" : "the true class is bold";
      lead.textContent = `Always the same images, predicted in evaluation mode after step ${R.thousands(now.step)}; ${what}.`;
    };
    return { pictures, predictions };
  };
})();
