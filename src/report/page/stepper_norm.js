"use strict";
// Batch normalisation of one value: mean, standard deviation, scale, shift.
(() => {
  const R = window.Receptive;
  const S = R.stepper;

  // A chain of small results, each computed from earlier ones: [{name, how, role, value}].
  const chain = (steps) =>
    R.el(
      "ol",
      { class: "chain" },
      steps.map(({ name, how, role, value, digits }) =>
        R.el(
          "li",
          {},
          R.el("span", { class: "name" }, name),
          S.value(role, value, digits),
          R.el("span", { class: "how" }, how),
        ),
      ),
    );

  // All numbers that the value at a place is computed from.
  const normalise = (L, [means, variances, eps], { o, i, j }) => {
    const [x, mean, variance] = [L.x.at(o, i, j), means[o], variances[o]];
    const [gamma, beta] = [L.w ? L.w.values[o] : null, L.b ? L.b[o] : null];
    const deviation = Math.sqrt(variance + eps);
    const hat = (x - mean) / deviation;
    const value = hat * (gamma ?? 1) + (beta ?? 0);
    const size = ((Math.abs(x) + Math.abs(mean)) / deviation) * Math.abs(gamma ?? 1) + Math.abs(beta ?? 0);
    const agreed = S.agree(value, L.y.at(o, i, j), size, 4);
    const steps = [
      { name: "x", how: "the input", role: "x", value: x },
      { name: "mean", how: "of this channel, kept while training", role: "mean", value: mean },
      { name: "variance", how: "of this channel, kept while training", role: "variance", value: variance },
      { name: "deviation", how: `\u221a(variance + ${R.number(eps)})`, role: "deviation", value: deviation },
      { name: "x\u0302", how: "(x \u2212 mean) / deviation", role: "x-hat", value: hat },
      gamma !== null && { name: "gamma", how: "the channel's weight", role: "gamma", value: gamma },
      beta !== null && { name: "beta", how: "the channel's bias", role: "beta", value: beta },
      {
        name: "output",
        how: `x\u0302${gamma === null ? "" : " \u00d7 gamma"}${beta === null ? "" : " + beta"}`,
        role: "total",
        value,
        digits: agreed.digits,
      },
    ].filter(Boolean);
    return { x, value, agreed, steps, affine: gamma !== null };
  };

  S.norm = (root, L) => {
    const kept = [L.running_mean, L.running_var].map((packed) => R.unpack(packed).values);
    const settings = [...kept, L.attrs.eps ?? 1e-5];
    const mosts = [R.largest(L.x.values), R.largest(L.y.values)];
    const cursor = S.cursor(L.y, "channel", () => update());
    const picked = (i, j) => cursor.go(cursor.at.o, i, j);
    const maps = [L.x, L.y].map((part) => S.map({ label: "", part, picked, moved: cursor.move }));
    const says = S.says(cursor.player);
    const result = R.el("div", { class: "result" });
    const update = () => {
      const { o, i, j } = cursor.at;
      maps.forEach((map, side) => {
        map.draw(side ? L.y : L.x, o, mosts[side]);
        map.say(`${side ? "output" : "input"}, channel ${o}`);
        map.mark([{ kind: "window", at: [i, j] }]);
        map.look([i, i + 1], [j, j + 1]);
      });
      const { x, value, agreed, steps, affine } = normalise(L, settings, cursor.at);
      says.say(
        `Output ${S.place(L.y, i, j)}channel ${o} = (${R.number(x, 6)} \u2212 mean) / deviation` +
          `${affine ? " \u00d7 gamma + beta" : ""} = ${agreed.computed}.`,
      );
      result.replaceChildren(chain(steps), S.verdict(agreed, value, L.y.at(o, i, j)));
    };
    const note =
      "In training, the mean and the variance are those of the batch. The histograms before and after the layer are under Distribution.";
    const roots = L.y.vector ? [] : maps.map((map) => map.root);
    root.append(S.frame(L, cursor, roots, says.root, result, R.el("p", { class: "note" }, note)));
    update();
  };
})();
