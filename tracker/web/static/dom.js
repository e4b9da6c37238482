/** Elements of the page, made without HTML texts. */

const SVG = "http://www.w3.org/2000/svg";

/** The element of a panel that index.html names by data-part. @param {ParentNode} root @param {string} name */
export function part(root, name) {
  const found = root.querySelector(`[data-part="${name}"]`);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no part ${name}`);
  return found;
}

/** The canvas of a panel. @param {ParentNode} root @returns {HTMLCanvasElement} */
export function canvasIn(root) {
  const found = part(root, "canvas");
  if (!(found instanceof HTMLCanvasElement)) throw new Error("the part named canvas is none");
  return found;
}

/** @typedef {Node | string | null} Child  null: none */

/**
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | null>} [attributes]  `class`, `text`, and attributes; true: present, false and null: absent
 * @param {Child[]} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  fill(made, attributes, children);
  return made;
}

/**
 * An element of a drawing.
 * @template {keyof SVGElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Record<string, string | number | boolean | null>} [attributes]
 * @param {Child[]} children
 * @returns {SVGElementTagNameMap[Tag]}
 */
export function drawing(tag, attributes = {}, ...children) {
  const made = /** @type {SVGElementTagNameMap[Tag]} */ (document.createElementNS(SVG, tag));
  fill(made, attributes, children);
  return made;
}

/**
 * @param {Element} made
 * @param {Record<string, string | number | boolean | null>} attributes
 * @param {Child[]} children
 */
function fill(made, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name === "text") made.textContent = String(value);
    else if (value !== null && value !== false) made.setAttribute(name, value === true ? "" : String(value));
  }
  made.append(...children.filter((child) => child !== null));
}

/**
 * Change a text only if it is another one, so that a screen reader and a selection are left alone. The text's node
 * stays: for a new one the browser computes styles again, at the latest when a canvas writes its next text.
 * @param {Element} where
 * @param {string} text
 */
export function setText(where, text) {
  const { firstChild } = where;
  if (firstChild instanceof Text && firstChild === where.lastChild) {
    if (firstChild.data !== text) firstChild.data = text;
  } else if (where.textContent !== text) where.textContent = text;
}

/** The signs of Story and of the peer table, as paths in a square of 12. */
const GLYPHS = {
  wait: [["M.8 6h2M5 6h2M9.2 6h2", ""]],
  lost: [["M2.5 2.5l7 7M9.5 2.5l-7 7", ""]],
  bad: [["M6 1l5 5-5 5-5-5z", "solid"]],
  silent: [["M10.5 6a4.5 4.5 0 1 1-9 0a4.5 4.5 0 1 1 9 0", "ring"]],
  verified: [["M1.8 6.6l2.9 2.9 5.6-6.4", ""]],
  slot: [["M1 6h9.4M7 2.8L10.4 6 7 9.2", ""]],
  choked: [["M.8 6h8.4M9.6 2.6v6.8", ""]],
  none: [["M3.4 6h5.2", ""]],
  node: [["M10 6a4 4 0 1 1-8 0a4 4 0 1 1 8 0", ""]],
  gone: [["M3.4 3.4l5.2 5.2M8.6 3.4L3.4 8.6", "thin"]],
  gap: [["M1 11L5 1M5 11L9 1M9 11l2-5", "thin"]],
  again: [["M10 3.2A4.6 4.6 0 1 0 10.6 7M10.4.8v2.8H7.6", ""]],
};

/** A sign. @param {keyof typeof GLYPHS} name @returns {SVGSVGElement} */
export function glyph(name) {
  const paths = GLYPHS[name].map(([d, shape]) => drawing("path", { d, class: shape || null }));
  return drawing("svg", { class: "glyph", viewBox: "0 0 12 12", "aria-hidden": "true" }, ...paths);
}
