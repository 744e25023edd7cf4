"use strict";
// Elements, and keyboard navigation between them.
(() => {
  const R = window.Receptive;

  const fill = (node, attrs, children) => {
    for (const [name, value] of Object.entries(attrs)) {
      if (value === null || value === undefined || value === false) continue;
      if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
      else node.setAttribute(name, value === true ? "" : value);
    }
    node.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined && child !== false));
    return node;
  };

  R.el = (tag, attrs = {}, ...children) => fill(document.createElement(tag), attrs, children);

  R.svg = (tag, attrs = {}, ...children) =>
    fill(document.createElementNS("http://www.w3.org/2000/svg", tag), attrs, children);

  // A name and its value, as an entry of a list.
  R.fact = (name, value) => R.el("div", {}, R.el("dt", {}, name), R.el("dd", {}, value));

  R.figure = (content, ...caption) => R.el("figure", {}, content, R.el("figcaption", {}, ...caption));

  // Calls draw(width) now and whenever the width changes.
  R.fitted = (root, draw) => {
    let last = 0;
    const observer = new ResizeObserver(() => {
      const width = Math.floor(root.clientWidth);
      if (width > 0 && width !== last) {
        last = width;
        draw(width);
      }
    });
    observer.observe(root);
    return root;
  };

  // The number of items in the first row of a grid.
  const columns = (items) => {
    const top = items[0].getBoundingClientRect().top;
    const below = items.findIndex((item) => Math.abs(item.getBoundingClientRect().top - top) > 2);
    return below < 0 ? items.length : below;
  };

  const modified = (event) => event.ctrlKey || event.altKey || event.metaKey;

  // The step of an arrow key, [rows, columns]. With a modifier key, the browser handles it.
  R.arrow = (event) =>
    modified(event)
      ? undefined
      : { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];

  // Makes many items a single stop of the tab key. Arrows, Home and End move among them.
  R.roving = (root, selector) => {
    const items = () => [...root.querySelectorAll(selector)];
    const enter = (item) => {
      items().forEach((other) => other.setAttribute("tabindex", other === item ? "0" : "-1"));
    };
    const first = items();
    if (first.length) enter(first.find((item) => item.getAttribute("tabindex") === "0") || first[0]);
    root.addEventListener("focusin", (event) => {
      const item = event.target.closest(selector);
      if (item) enter(item);
    });
    root.addEventListener("keydown", (event) => {
      const all = items();
      const at = all.indexOf(event.target.closest(selector));
      if (at < 0 || modified(event)) return;
      const [down, right] = R.arrow(event) || [0, 0];
      let to = at + down * columns(all) + right;
      if (event.key === "Home") to = 0;
      if (event.key === "End") to = all.length - 1;
      if (to === at || !all[to]) return;
      event.preventDefault();
      enter(all[to]);
      all[to].focus();
    });
    return enter;
  };

  // Buttons, one of which is on: options are [value, text, attributes]. `pick` is called with the value.
  R.choice = (label, options, value, pick) => {
    const group = R.el("div", { class: "choice", role: "group", "aria-label": label });
    group.append(R.el("span", { class: "label", "aria-hidden": "true" }, label));
    const buttons = options.map(([key, text, attrs]) => {
      const button = R.el("button", { type: "button", "aria-pressed": String(key === value), ...attrs }, text);
      button.addEventListener("click", () => {
        buttons.forEach((other) => other.setAttribute("aria-pressed", String(other === button)));
        pick(key);
      });
      return button;
    });
    group.append(...buttons);
    return group;
  };

  let ids = 0;
  R.id = (prefix) => `${prefix}-${++ids}`;

  // Tabs: [{name, label, attrs, fill(panel)}]. A panel is filled when it is first opened.
  R.tabs = (tabs, open, opened) => {
    const list = R.el("div", { class: "tabs", role: "tablist", "aria-label": "Views of the layer" });
    const root = R.el("div", {}, list);
    const entries = tabs.map((tab) => {
      const [id, panelId] = [R.id("tab"), R.id("panel")];
      const attrs = { type: "button", role: "tab", id, "aria-controls": panelId, ...tab.attrs };
      const button = R.el("button", attrs, tab.label);
      const panel = R.el("div", { class: "tabpanel", role: "tabpanel", id: panelId, "aria-labelledby": id });
      list.append(button);
      root.append(panel);
      return { tab, button, panel, filled: false };
    });
    const select = (entry) => {
      for (const other of entries) {
        const on = other === entry;
        other.button.setAttribute("aria-selected", String(on));
        other.button.setAttribute("tabindex", on ? "0" : "-1");
        other.panel.hidden = !on;
      }
      if (!entry.filled) {
        entry.filled = true;
        entry.tab.fill(entry.panel);
      }
      opened(entry.tab.name);
    };
    entries.forEach((entry) => entry.button.addEventListener("click", () => select(entry)));
    list.addEventListener("keydown", (event) => {
      const at = entries.findIndex((entry) => entry.button === event.target);
      const [, right] = R.arrow(event) || [0, 0];
      if (at < 0 || !right) return;
      event.preventDefault();
      const next = entries[(at + right + entries.length) % entries.length];
      select(next);
      next.button.focus();
    });
    select(entries.find((entry) => entry.tab.name === open) || entries[0]);
    return root;
  };
})();
