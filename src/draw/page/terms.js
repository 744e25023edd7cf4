"use strict";
// Explains the terms of a page: one popup shows the meaning of a marked element while the mouse points at it or the
// keyboard has its focus, and after a tap. Marked elements have `data-term`. `meanings` comes from docs/GLOSSARY.md.
(() => {
  const R = window.Receptive;

  // The mark for an element that can have the focus already, such as a button.
  R.termAttrs = (name) => ({ "data-term": name });

  // A marked text. Its name is that of the glossary.
  R.term = (name, text = name) =>
    R.el("span", { class: "term", role: "button", tabindex: "0", ...R.termAttrs(name) }, text);

  const popup = R.el("div", { class: "meaning", id: "meaning", role: "tooltip", hidden: true });
  document.body.append(popup);
  let shown = null;

  const hide = () => {
    if (shown) shown.removeAttribute("aria-describedby");
    shown = null;
    popup.hidden = true;
  };

  // Above the element, or below it if there is no room above; never beyond the sides of the window.
  const place = () => {
    const box = shown.getBoundingClientRect();
    const right = document.documentElement.clientWidth - popup.offsetWidth - 8;
    const left = Math.max(8, Math.min(box.left, right));
    const above = box.top - popup.offsetHeight;
    const top = above >= 0 ? above : box.bottom;
    popup.style.transform = `translate(${left}px, ${top}px)`;
  };

  const show = (node) => {
    const meaning = R.meanings[node.dataset.term];
    if (node === shown || !meaning) return;
    hide();
    shown = node;
    popup.textContent = meaning;
    popup.hidden = false;
    // A popup of a button must not take the clicks of the buttons beside it.
    popup.style.pointerEvents = node.matches("button") ? "none" : "";
    node.setAttribute("aria-describedby", "meaning");
    place();
  };

  const marked = ({ target }) => target.closest?.("[data-term]");
  const outside = (event) => !marked(event) && !popup.contains(event.target);

  document.addEventListener("pointerover", (event) => {
    if (event.pointerType === "touch") return;
    const node = marked(event);
    if (node) show(node);
    else if (shown && outside(event) && !shown.matches(":focus-visible")) hide();
  });
  document.addEventListener("pointerdown", (event) => outside(event) && hide());
  document.addEventListener("click", (event) => marked(event) && show(marked(event)));
  document.addEventListener("focusin", (event) => {
    const node = marked(event);
    if (node && node.matches(":focus-visible")) show(node);
  });
  document.addEventListener("focusout", hide);
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape") hide();
    else if (event.key === "Enter" && marked(event)) show(marked(event));
  });

  // The popup moves with its element, and disappears with it.
  const follow = () => {
    if (shown && shown.isConnected) place();
    else hide();
  };
  document.addEventListener("scroll", follow, { capture: true, passive: true });
  addEventListener("resize", follow);
})();
