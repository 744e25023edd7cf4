"use strict";
// The open layer: its numbers, and views of its input, output and weights.
(() => {
  const R = window.Receptive;
  let view = "maps";

  const facts = (layer) => {
    const whole = R.report.layers.reduce((sum, other) => sum + other.seconds, 0);
    const { size, jump, start } = layer.receptive_field;
    return R.el(
      "dl",
      { class: "facts" },
      R.fact("Input", R.shape(layer.input)),
      R.fact("Output", R.shape(layer.output)),
      R.fact("Parameters", R.thousands(layer.parameters)),
      R.fact("Operations", R.unit(layer.flops, "FLOP")),
      R.fact("Memory", layer.activation_bytes ? R.unit(layer.activation_bytes, "B") : "none: it shares its input's"),
      R.fact("Time", `${R.seconds(layer.seconds)}, ${R.percent(whole ? layer.seconds / whole : 0)}`),
      layer.flops > 0 && R.fact("Rate", R.unit(layer.flops / layer.seconds, "FLOP/s")),
      typeof layer.roof === "number" && R.fact(["Share of the ", R.term("roof")], R.percent(layer.roof)),
      R.fact("Receptive field", `${size[1]}\u00d7${size[0]} pixels`),
      R.fact(R.term("jump", "Jump"), R.pair(jump)),
      R.fact(R.term("start", "Start"), R.pair(start)),
    );
  };

  const tabs = (layer) => {
    const all = [
      {
        name: "maps",
        label: layer.output.length === 3 ? "Feature maps" : "Values",
        attrs: layer.output.length === 3 ? R.termAttrs("feature map") : {},
        fill: (panel) => R.maps(panel, layer),
      },
    ];
    if (layer.steps) {
      const steps = { path: layer.path, kind: layer.kind, describe: layer.describe, ...layer.steps };
      all.push({ name: "steps", label: "Steps", fill: (panel) => R.mountStepper(panel, steps) });
    }
    if (layer.filters) {
      const attrs = R.termAttrs("filter");
      all.push({ name: "filters", label: "Filters", attrs, fill: (panel) => R.filters(panel, layer) });
    }
    all.push({ name: "values", label: "Distribution", fill: (panel) => R.distribution(panel, layer) });
    return all;
  };

  // Shows layer `i` in `root`. go(i) opens another layer.
  R.layer = (root, i, go) => {
    const { layers } = R.report;
    const layer = layers[i];
    const step = (to, text, label) => {
      const button = R.el(
        "button",
        { type: "button", disabled: to < 0 || to >= layers.length, "aria-label": label },
        text,
      );
      button.addEventListener("click", () => {
        go(to);
        const again = root.querySelector(`button[aria-label="${label}"]`);
        if (again && !again.disabled) again.focus();
      });
      return button;
    };
    root.replaceChildren(
      R.el(
        "div",
        { class: "top" },
        R.el("h3", {}, layer.path || layer.kind),
        R.el(
          "div",
          { class: "choice" },
          R.el("span", { class: "label" }, `layer ${i + 1} of ${layers.length}`),
          step(i - 1, "\u2191 previous", "previous layer"),
          step(i + 1, "\u2193 next", "next layer"),
        ),
      ),
      R.el("p", { class: "code" }, layer.describe),
      facts(layer),
      R.tabs(tabs(layer), view, (name) => {
        view = name;
      }),
    );
  };
})();
