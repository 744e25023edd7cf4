"use strict";
// Which pixels a prediction is based on: Grad-CAM, saliency and occlusion, drawn over the image.
(() => {
  const R = window.Receptive;

  const heat = (map, label, opacity, smooth) => {
    const {
      dims: [rows, columns],
      values,
      exact,
    } = R.unpack(map);
    const { side } = map;
    const squares = side === 1 ? "" : `mean of ${side}\u00d7${side} from `;
    const [, height, width] = R.report.image.dims;
    const most = R.largest(values);
    const plane = R.plane({
      label,
      rows,
      columns,
      smooth,
      below: R.report.image.picture,
      color: () => {
        const color = R.overlay(most);
        return (r, c) => color(values[r * columns + c]);
      },
      tell: (r, c) => {
        const value = R.number(values[r * columns + c], exact ? 4 : 3);
        return `${squares}row ${r * side}, column ${c * side}: ${exact ? "" : "about "}${value}`;
      },
      hint:
        most > 0
          ? `strongest${side === 1 ? "" : " mean"}: ${R.number(most)}`
          : "zero everywhere: nothing here raises the score",
    });
    plane.root.style.aspectRatio = `${width} / ${height}`;
    plane.canvas.style.height = "100%";
    plane.canvas.style.opacity = opacity;
    return plane;
  };

  const figure = (plane, term, text) =>
    R.el("figure", {}, plane.root, plane.readout, R.el("figcaption", {}, R.el("strong", {}, term, "."), text));

  const methods = (entry) => [
    entry.gradcam && [
      R.term("Grad-CAM"),
      ` Where the channels of ${entry.gradcam.layer} that raise the score are active (Selvaraju et al. 2017).`,
      entry.gradcam.map,
      true,
    ],
    [R.term("saliency", "Saliency"), " How much the score changes with each pixel (Simonyan et al. 2014).", entry.saliency, false],
    entry.occlusion && [
      R.term("occlusion", "Occlusion"),
      ` How much the score falls when ${entry.occlusion.size}\u00d7${entry.occlusion.size} pixels are covered; blue: it rises (Zeiler, Fergus 2014).`,
      entry.occlusion.map,
      false,
    ],
  ];

  R.heat = (root) => {
    const { attribution } = R.report;
    const figures = R.el("div", { class: "figures" });
    const score = R.el("p", { class: "note", "aria-live": "polite" });
    let [chosen, opacity, canvases] = [0, 0.8, []];
    const draw = () => {
      const entry = attribution[chosen];
      const shown = methods(entry)
        .filter(Boolean)
        .map(([term, text, map, smooth]) => {
          const plane = heat(map, `${term.textContent}. ${entry.name}`, opacity, smooth);
          return { plane, node: figure(plane, term, text) };
        });
      canvases = shown.map(({ plane }) => plane.canvas);
      figures.replaceChildren(...shown.map(({ node }) => node));
      const what =
        entry.name === "mask"
          ? ["The sum of the ", R.term("logit", "logits"), " over the predicted mask"]
          : [`Score of ${entry.name} before `, R.term("softmax")];
      score.replaceChildren(...what, `: ${R.number(entry.score, 5)}`);
    };
    const slider = R.el("input", {
      type: "range",
      min: "0",
      max: "1",
      step: "0.05",
      value: String(opacity),
      id: "opacity",
    });
    slider.addEventListener("input", () => {
      opacity = Number(slider.value);
      canvases.forEach((canvas) => (canvas.style.opacity = opacity));
    });
    const choice =
      attribution.length > 1 &&
      R.choice(
        "Class:",
        attribution.map((entry, i) => [i, entry.name]),
        0,
        (i) => {
          chosen = i;
          draw();
        },
      );
    const controls = R.el("div", { class: "choice" }, choice, R.el("label", { for: "opacity" }, "Opacity"), slider);
    root.append(controls, score, figures);
    draw();
  };
})();
