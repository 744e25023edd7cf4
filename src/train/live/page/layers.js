"use strict";
// Table of the layers' health: norm of the gradient, size of the updates, dead units.
(() => {
  const R = window.Receptive;

  // A number with a bar of length `share`. A warning has another colour.
  const cell = (text, share, warn) => {
    const fill = R.el("span", { class: warn ? "fill warn" : "fill" });
    fill.style.width = `${100 * Math.max(0, Math.min(1, share || 0))}%`;
    return R.el("td", { class: "number" }, text, R.el("span", { class: "track", "aria-hidden": "true" }, fill));
  };

  const none = () => R.el("td", { class: "number" }, "\u2013");

  // Position on a scale of powers of ten.
  const power = (value, low, high) => (value > 0 ? (Math.log10(value) - low) / (high - low) : 0);

  R.liveLayers = (root, lead, every) => {
    lead.textContent = every
      ? `Sampled every ${R.plural(every, "step")}; there is no sample yet.`
      : "This run takes no samples (--health 0).";
    const titles = [
      "layer",
      "kind",
      R.term("gradient norm"),
      R.term("update-to-weight ratio", "update / weight"),
      R.term("dead ReLU unit", "dead ReLUs"),
    ].map((title, i) => R.el("th", { scope: "col", class: i > 1 ? "number" : i === 1 ? "kind" : null }, title));
    const body = R.el("tbody");
    const table = R.el("table", {}, R.el("thead", {}, R.el("tr", {}, titles)), body);
    return (sample) => {
      const layers = sample.layers.filter((layer) => layer.gradient_norm !== null || layer.dead !== null);
      const most = R.largest(layers.map((layer) => layer.gradient_norm));
      const row = ({ path, kind, gradient_norm: gradient, update_ratio: ratio, dead }) =>
        R.el(
          "tr",
          {},
          R.el("td", {}, path),
          R.el("td", { class: "kind" }, kind),
          gradient === null ? none() : cell(R.number(gradient, 3), most ? gradient / most : 0, false),
          ratio === null ? none() : cell(R.number(ratio, 2), power(ratio, -6, -1), ratio > 1e-2),
          dead === null ? none() : cell(R.percent(dead, 0), dead, dead >= 0.5),
        );
      // The header stays, because a reader may be at one of its terms.
      body.replaceChildren(...layers.map(row));
      if (!table.isConnected) root.replaceChildren(table);
      lead.textContent = `After step ${R.thousands(sample.step + 1)}, sampled every ${R.plural(every, "step")}. An update of about a thousandth of the weights is usual. A bar is vermilion if the update is a hundredth or more, or if half or more of the layer's ReLUs are dead.`;
    };
  };
})();
