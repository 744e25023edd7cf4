"use strict";
// Builds the page.
(() => {
  const R = window.Receptive;
  const main = document.getElementById("main");
  const contents = document.getElementById("contents");

  const link = (id, title) => contents.append(R.el("li", {}, R.el("a", { href: `#${id}` }, title)));

  const section = ({ id, title, short, term, lead, mount }) => {
    link(id, short || title);
    const heading = R.el("h2", { id: `${id}-title` }, term || title);
    const root = R.el("section", { id, "aria-labelledby": `${id}-title` }, heading, R.el("p", { class: "lead" }, lead));
    main.append(root);
    mount(root);
  };

  const layerOfHash = () => {
    const [, coded] = location.hash.split(/^#layer=/);
    if (coded === undefined) return -1;
    try {
      const path = decodeURIComponent(coded);
      return R.report.layers.findIndex((layer) => layer.path === path);
    } catch {
      // A percent sign that is not part of an encoding occurs in no layer's name.
      return -1;
    }
  };

  const network = (root) => {
    const panel = R.el("div", { class: "panel", role: "region", "aria-label": "The open layer" });
    const drawn = R.el("div", { class: "diagram" });
    root.append(R.el("div", { class: "network" }, drawn, panel));
    let open = -1;
    const show = (i) => {
      open = i;
      diagram.open(i);
      R.layer(panel, i, go);
    };
    // Store the layer in the address, so that a link can point to it.
    const go = (i) => {
      if (i === open) return;
      show(i);
      history.replaceState(null, "", `#layer=${encodeURIComponent(R.report.layers[i].path)}`);
    };
    const choose = (i) => {
      go(i);
      if (panel.getBoundingClientRect().top > innerHeight * 0.75) panel.scrollIntoView({ block: "start" });
    };
    const diagram = R.diagram(drawn, choose);
    addEventListener("hashchange", () => {
      const i = layerOfHash();
      if (i >= 0 && i !== open) show(i);
    });
    const first = R.report.layers.findIndex((layer) => R.family(layer) === "conv");
    show(Math.max(layerOfHash(), first, 0));
    if (layerOfHash() >= 0) requestAnimationFrame(() => root.scrollIntoView());
  };

  // Marks the section that is being read.
  const follow = () => {
    const anchors = [...contents.querySelectorAll("a")];
    const targets = anchors.map((anchor) => document.getElementById(anchor.hash.slice(1)));
    const bar = contents.parentElement;
    let marked = -1;
    const mark = () => {
      const line = innerHeight * 0.3;
      const above = targets.filter((target) => target.getBoundingClientRect().top <= line).length;
      const atEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
      const current = atEnd ? targets.length - 1 : Math.max(above - 1, 0);
      if (current === marked) return;
      marked = current;
      anchors.forEach((anchor, i) => {
        if (i === current) anchor.setAttribute("aria-current", "true");
        else anchor.removeAttribute("aria-current");
      });
      // On a phone the table of contents is wider than the screen.
      bar.scrollLeft = anchors[current].offsetLeft - (bar.clientWidth - anchors[current].offsetWidth) / 2;
    };
    addEventListener("scroll", mark, { passive: true });
    addEventListener("resize", mark);
    mark();
  };

  // Sections in reading order. `when` tells whether the report has data for the section.
  const sections = (report) => [
    {
      id: "network",
      title: "Network",
      when: report.layers.length,
      lead: "The image enters at the top, and the output leaves at the bottom. A box's width shows the image's width at that layer; its height shows the number of channels. Choose a layer to look inside.",
      mount: network,
    },
    {
      id: "field",
      title: "Receptive field",
      term: R.term("receptive field", "Receptive field"),
      when: report.layers.length,
      lead: "The part of the image that one place of a layer's output depends on. It grows with every window, and faster after every stride. Orange marks it; padding lies outside the frame. Point at the image to choose a place.",
      mount: R.field,
    },
    {
      id: "evidence",
      title: "What the prediction depends on",
      short: "Evidence",
      term: R.term("attribution", "What the answer rests on"),
      when: report.attribution.length,
      lead: "Three methods that show which pixels matter. Vermilion pixels raise the score, blue pixels lower it. Saliency has no sign: it shows only how much a pixel matters.",
      mount: R.heat,
    },
    {
      id: "training",
      title: "Training",
      when: report.training,
      lead: "The training run that produced these weights.",
      mount: R.health,
    },
    {
      id: "mistakes",
      title: "Mistakes",
      when: report.judged,
      lead: "The images that the network predicts wrongly, and the classes that it confuses.",
      mount: R.judged,
    },
    {
      id: "masks",
      title: "Masks",
      term: R.term("mask", "Masks"),
      when: report.masks.length,
      lead: "Validation images, drawn at random: the image, its true mask and the predicted mask.",
      mount: R.masks,
    },
  ];

  const start = () => {
    const header = R.el("header", { id: "overview" });
    link("overview", "Overview");
    main.replaceChildren(header);
    R.overview(header);
    sections(R.report)
      .filter(({ when }) => when)
      .forEach(section);
    const made = `Made by receptive ${R.report.receptive}. This page contains everything that it shows, and loads nothing from the network.`;
    main.append(R.el("section", {}, R.el("p", { class: "note" }, made)));
    follow();
    document.documentElement.dataset.ready = "true";
  };

  start();
})();
