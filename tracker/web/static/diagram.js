/**
 * Draws the rows of a sequence diagram: a lifeline a node, thin arrows for requests, thick ones for bytes.
 *
 * @typedef {import("./diagram_rows.js").Row} Row
 * @typedef {import("./diagram_rows.js").Cost} Cost
 * @typedef {import("./exchange.js").Place} Place
 *
 * @typedef {object} Layout
 * @property {Map<Place, number>} x  px of each lifeline
 * @property {number} width
 * @property {number} font  px
 * @property {number} pitch  px from row to row
 * @property {number} top  px of the first row
 * @property {Place} chosen  the lifeline in accent
 * @property {(place: Place) => string} nameOf
 */

import { textWidth } from "./canvas.js";
import { drawing } from "./dom.js";

const HALF = 0.42; // of a row: how far an arrow with an unknown end slants
const NARROW = 340; // px, a width without room for "is lost" beside the time: the cross and the colour say it
const WHISKER = 3.2; // px, half of its height

/**
 * Where the lifelines are: times and labels on the left of the first, labels on the right of the last. The arrows
 * have what the labels leave them, and a fifth of the width at least.
 * @param {Place[]} places
 * @param {number} width
 * @param {number} font
 * @param {(place: Place) => string} nameOf
 * @param {Row[]} rows
 * @param {(index: number) => string} timeText
 * @returns {Layout}
 */
export function layoutOf(places, width, font, nameOf, rows, timeText) {
  const widest = (/** @type {string[]} */ texts) => Math.max(0, ...texts.map((text) => textWidth(text, font)));
  const labelsAt = (/** @type {Place | undefined} */ place) =>
    rows.filter(({ at }) => at === place).map((row) => labelText(row, width));
  const times = widest(rows.map((_, index) => timeText(index)));
  const left = Math.min(width * 0.5, Math.max(font * 10, times + widest(labelsAt(places[0])) + font * 1.5));
  const after = places.length > 1 ? widest(labelsAt(places.at(-1))) + font : 0;
  const right = Math.max(left + width * 0.2, Math.min(width - font * 2, width - after));
  const step = places.length > 1 ? (right - left) / (places.length - 1) : 0;
  const x = new Map(places.map((place, index) => [place, left + index * step]));
  const pitch = font < 16 ? 19 : 23;
  return { x, width, font, pitch, top: pitch / 2 + 2, chosen: places[0], nameOf };
}

/**
 * @param {Row[]} rows
 * @param {Cost[]} costs
 * @param {Layout} layout
 * @param {(index: number) => string} timeText
 */
export function drawDiagram(rows, costs, layout, timeText) {
  const { width, font, pitch, top } = layout;
  const height = top + rows.length * pitch;
  const names = drawing("svg", { class: "names", width, height: font * 1.5, "aria-hidden": "true" }, ...nameTexts(layout));
  const svg = drawing("svg", { width, height, viewBox: `0 0 ${width} ${height}`, role: "presentation" });
  const tint = drawing("rect", { class: "row-now", x: -8, width: width + 16, height: pitch + 0.3, visibility: "hidden" });
  svg.append(tint, ...lifelines(layout, height));
  for (const { from, to } of costs) {
    const x = layout.x.get(rows[from].at) ?? 0;
    svg.append(drawing("path", { class: "cost", d: `M${x} ${y(layout, from)}V${y(layout, to)}` }));
  }
  rows.forEach((row, index) => svg.append(drawRow(rows, row, index, layout, timeText(index), font)));
  return { names, svg, tint };
}

/** @param {Layout} layout @param {number} index */
export function y({ top, pitch }, index) {
  return top + index * pitch;
}

/** @param {Layout} layout @param {number} height */
function lifelines({ x, chosen }, height) {
  return [...x].map(([place, at]) =>
    drawing("path", { class: place === chosen ? "life chosen" : "life", d: `M${at} 0V${height - 2}` }),
  );
}

/** The names above the lifelines, which stay while the rows scroll. @param {Layout} layout */
function nameTexts({ x, font, chosen, nameOf }) {
  return [...x].map(([place, at]) =>
    drawing("text", {
      class: place === chosen ? "name chosen" : "name", x: at, y: font, "text-anchor": "middle", text: nameOf(place),
    }),
  );
}

/**
 * @param {Row[]} rows
 * @param {Row} row
 * @param {number} index
 * @param {Layout} layout
 * @param {string} time
 * @param {number} font
 */
function drawRow(rows, row, index, layout, time, font) {
  const group = drawing("g", { class: "row", "data-row": index });
  const { x, width } = layout;
  const level = y(layout, index);
  const at = x.get(row.at) ?? 0;
  const base = level + font * 0.35;
  const hit = { class: "hit", x: 0, y: level - layout.pitch / 2, width, height: layout.pitch };
  group.append(drawing("rect", hit));
  group.append(drawing("text", { class: "time", x: 0, y: base, text: time }));
  group.append(...arrowOf(rows, row, index, layout));
  group.append(labelOf(row, at, base, layout));
  group.append(markOf(row, at, level));
  return group;
}

/** @param {Row} row @param {number} at @param {number} base @param {Layout} layout */
function labelOf(row, at, base, { x, width }) {
  const { message, kind } = row;
  const places = [...x.values()];
  const text = labelText(row, width);
  const style = message.bad || kind === "lost" ? "text bad" : "text";
  const isFirst = at === places[0];
  const isLast = at === places.at(-1) && !isFirst;
  if (isFirst) return drawing("text", { class: style, x: at - 9, y: base, "text-anchor": "end", text });
  const anchor = !isLast && at > width / 2 ? "end" : "start";
  return drawing("text", { class: `${style} over`, x: at + (anchor === "end" ? -9 : 9), y: base, "text-anchor": anchor, text });
}

/** What stands beside a row. @param {Row} row @param {number} width */
function labelText({ message, kind }, width) {
  const count = message.count > 1 ? ` × ${message.count}` : "";
  return (width < NARROW ? message.label.replace(/ is (lost|here)$/, "") : textOf(message, kind)) + count;
}

/** "DATA 812 is lost", "DATA 811 is here". @param {Row["message"]} message @param {Row["kind"]} kind */
function textOf({ label, dumped, large }, kind) {
  if (dumped && kind === "lost") return `${label} is lost`;
  return dumped && large && kind === "arrive" ? `${label} is here` : label;
}

/** The sign on the lifeline. @param {Row} row @param {number} at @param {number} level */
function markOf({ message, kind }, at, level) {
  if (kind === "arrive") {
    const cap = `M${at - 2.6} ${level - WHISKER}h5.2M${at} ${level - WHISKER}v${2 * WHISKER}M${at - 2.6} ${level + WHISKER}h5.2`;
    return drawing("path", { class: "whisker", d: cap });
  }
  if (message.again) return drawing("circle", { class: "ring", cx: at, cy: level, r: 3.4 });
  return drawing("circle", { class: message.bad || kind === "lost" ? "dot bad" : "dot", cx: at, cy: level, r: 2.6 });
}

/** @param {Row[]} rows @param {Row} row @param {number} index @param {Layout} layout @returns {SVGElement[]} */
function arrowOf(rows, { message, kind, at, other }, index, layout) {
  if (kind === "here" || kind === "arrive") return [];
  const from = layout.x.get(message.from) ?? 0;
  const to = layout.x.get(message.to) ?? 0;
  const level = y(layout, index);
  const slant = HALF * layout.pitch;
  if (kind === "lost") return lostArrow(from, to, level, slant);
  if (kind === "send") return arrow(message.large, from, level, to, y(layout, other), "");
  if (kind === "level") return arrow(message.large, from, level, to, level, " within");
  const leaves = at === message.from;
  return arrow(message.large, from, leaves ? level : level - slant, to, leaves ? level + slant : level, "");
}

/** @param {number} from @param {number} to @param {number} level @param {number} slant */
function lostArrow(from, to, level, slant) {
  const end = from + (to - from) * 0.53;
  return [
    drawing("path", { class: "lost", d: `M${from} ${level - slant}L${end} ${level}` }),
    drawing("path", { class: "cross", d: `M${end - 4} ${level - 4}l8 8m0 -8l-8 8` }),
  ];
}

/**
 * @param {boolean} large
 * @param {number} x1
 * @param {number} y1
 * @param {number} x2
 * @param {number} y2
 * @param {string} more  classes
 */
function arrow(large, x1, y1, x2, y2, more) {
  const long = Math.hypot(x2 - x1, y2 - y1) || 1;
  const [ux, uy] = [(x2 - x1) / long, (y2 - y1) / long];
  const [tipX, tipY] = [x2 - ux * 3, y2 - uy * 3];
  const [headX, headY] = [tipX - ux * 7, tipY - uy * 7];
  const half = large ? 3.6 : 3;
  const head = `M${tipX} ${tipY}L${headX - uy * half} ${headY + ux * half}L${headX + uy * half} ${headY - ux * half}z`;
  const style = large ? "large" : "small";
  return [
    drawing("path", { class: style + more, d: `M${x1 + ux * 3} ${y1 + uy * 3}L${headX} ${headY}` }),
    drawing("path", { class: `${style} head`, d: head }),
  ];
}
