/**
 * The tabs of a narrow window: the one whose panel is in view is marked, and the node's has its number.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 */

import { setText } from "./dom.js";

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeTabs(root, model) {
  const links = [...root.querySelectorAll("a")];
  const panels = links.map((link) => document.querySelector(link.hash));
  const node = root.querySelector("#node-tab");
  addEventListener("scroll", () => mark(links, panels), { passive: true });
  return {
    draw() {
      const { node: selected } = model.selected;
      const name = selected === null ? "node" : model.log.context.nameText(selected);
      if (node !== null) setText(node, name.charAt(0).toUpperCase() + name.slice(1));
      if (model.changed.has("size")) mark(links, panels);
    },
  };
}

/** @param {HTMLAnchorElement[]} links @param {(Element | null)[]} panels */
function mark(links, panels) {
  const line = innerHeight * 0.35; // the panel that covers this line is the one in view
  const tops = panels.map((panel) => panel?.getBoundingClientRect().top ?? Infinity);
  const below = tops.findIndex((top) => top > line);
  const isEnd = innerHeight + scrollY >= document.documentElement.scrollHeight - 2;
  const at = isEnd ? links.length - 1 : Math.max(0, (below < 0 ? links.length : below) - 1);
  links.forEach((link, index) => {
    if (index === at) link.setAttribute("aria-current", "true");
    else link.removeAttribute("aria-current");
  });
}
