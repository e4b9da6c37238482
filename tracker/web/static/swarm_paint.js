/**
 * How the swarm's nodes and links look on a canvas.
 *
 * @typedef {import("./canvas.js").Sheet} Sheet
 * @typedef {import("./colours.js").Palette} Palette
 * @typedef {import("./picture.js").PictureNode} PictureNode
 * @typedef {import("./picture.js").PictureLink} PictureLink
 * @typedef {import("./places.js").Curve} Curve
 * @typedef {import("./places.js").Place} Place
 *
 * @typedef {object} LinkLook
 * @property {string} colour
 * @property {number} width  px
 * @property {number} run  px that the dashes have run
 */

import { cross, diamond, setFont, widthOf } from "./canvas.js";
import { percent, secondsText } from "./figures.js";
import { elsewhereText } from "./picture.js";
import { pointAt } from "./places.js";

/**
 * A link that carries bytes: a line and a head at the receiver.
 * @param {CanvasRenderingContext2D} ink
 * @param {Curve} curve  without the parts under the nodes
 * @param {LinkLook} look
 * @param {number} scale
 */
export function paintActive(ink, curve, look, scale) {
  const length = Math.max(4.5 * scale, look.width * 1.6);
  const half = Math.max(2.8 * scale, look.width * 1.05);
  const [ux, uy] = direction(curve);
  const [bx, by] = [curve.x1 - ux * length, curve.y1 - uy * length];
  ink.strokeStyle = ink.fillStyle = look.colour;
  ink.lineWidth = look.width;
  ink.lineCap = "butt";
  ink.beginPath();
  ink.moveTo(curve.x0, curve.y0);
  ink.quadraticCurveTo(curve.cx, curve.cy, bx + ux * 0.5, by + uy * 0.5);
  ink.stroke();
  ink.beginPath();
  ink.moveTo(curve.x1, curve.y1);
  ink.lineTo(bx - uy * half, by + ux * half);
  ink.lineTo(bx + uy * half, by - ux * half);
  ink.closePath();
  ink.fill();
}

/** The direction of travel at the end of a curve, of length 1. @param {Curve} curve */
function direction(curve) {
  const [dx, dy] = [curve.x1 - curve.cx, curve.y1 - curve.cy];
  const length = Math.hypot(dx, dy) || 1;
  return [dx / length, dy / length];
}

/**
 * A link that waits: dashes with the place in a badge, or dashes that end in a bar at the asker.
 * @param {CanvasRenderingContext2D} ink
 * @param {Curve} curve
 * @param {PictureLink} link
 * @param {LinkLook} look
 * @param {number} scale
 */
export function paintWaiting(ink, curve, link, look, scale) {
  ink.strokeStyle = look.colour;
  ink.lineWidth = look.width;
  ink.setLineDash([4 * scale, 4 * scale]);
  ink.lineDashOffset = -look.run;
  ink.beginPath();
  ink.moveTo(curve.x0, curve.y0);
  ink.quadraticCurveTo(curve.cx, curve.cy, curve.x1, curve.y1);
  ink.stroke();
  ink.setLineDash([]);
  if (link.kind === "choked") {
    const [ux, uy] = direction(curve);
    ink.lineWidth = 2 * scale;
    ink.beginPath();
    ink.moveTo(curve.x1 - uy * 5 * scale, curve.y1 + ux * 5 * scale);
    ink.lineTo(curve.x1 + uy * 5 * scale, curve.y1 - ux * 5 * scale);
    ink.stroke();
  }
}

/**
 * A place on a link, near its middle, where no other badge is; it is added to `taken`.
 * @param {Curve} curve
 * @param {{x: number, y: number}[]} taken
 * @param {number} apart  px
 */
export function badgePlace(curve, taken, apart) {
  const places = [0.5, 0.42, 0.58, 0.34, 0.66, 0.26, 0.74].map((t) => pointAt(curve, t));
  const free = places.find(({ x, y }) => taken.every((other) => Math.hypot(other.x - x, other.y - y) > apart)) ?? places[0];
  taken.push(free);
  return free;
}

/**
 * The place in the queue, on its link.
 * @param {CanvasRenderingContext2D} ink
 * @param {{x: number, y: number}} at
 * @param {number} place
 * @param {string} colour
 * @param {Palette} palette
 */
export function paintBadge(ink, { x, y }, place, colour, palette) {
  ink.beginPath();
  ink.arc(x, y, palette.label * 0.68, 0, 2 * Math.PI);
  ink.fillStyle = palette.paper;
  ink.fill();
  ink.strokeStyle = colour;
  ink.lineWidth = 1.5 * palette.strokes;
  ink.stroke();
  setFont(ink, palette.label, true);
  ink.fillStyle = colour;
  ink.textAlign = "center";
  ink.fillText(String(place), x, y + palette.label * 0.36);
}

/**
 * The sign of a node with its arc and number.
 * @param {CanvasRenderingContext2D} ink
 * @param {PictureNode} node
 * @param {Place} place
 * @param {number} radius
 * @param {boolean} chosen
 * @param {Palette} palette
 */
export function paintNode(ink, node, place, radius, chosen, palette) {
  const { x, y } = place;
  const stroke = Math.min(3.5 * palette.strokes, radius * 0.4);
  if (node.status === "gone") paintGone(ink, x, y, radius, chosen, palette);
  else if (node.status === "silent") paintSilent(ink, x, y, radius, chosen, palette);
  else if (node.elsewhere) paintElsewhere(ink, x, y, radius * 0.8, chosen, palette);
  else if (chosen) paintChosen(ink, node, x, y, radius, palette);
  else if (node.place === "standard") paintStandard(ink, node, x, y, radius * 1.22, stroke, palette);
  else if (node.complete) paintComplete(ink, x, y, radius, palette.data);
  else paintLeecher(ink, node, x, y, radius, stroke, palette);
  if (radius >= palette.label * 0.62) paintNumber(ink, node, x, y, chosen, palette);
}

/** @param {CanvasRenderingContext2D} ink @param {number} x @param {number} y @param {number} radius @param {string} colour */
function paintComplete(ink, x, y, radius, colour) {
  const half = radius * 0.92;
  ink.fillStyle = colour;
  ink.beginPath();
  ink.roundRect(x - half, y - half, 2 * half, 2 * half, radius * 0.2);
  ink.fill();
}

/**
 * @param {CanvasRenderingContext2D} ink
 * @param {PictureNode} node
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 * @param {number} stroke
 * @param {Palette} palette
 */
function paintLeecher(ink, node, x, y, radius, stroke, palette) {
  ink.beginPath();
  ink.arc(x, y, radius, 0, 2 * Math.PI);
  ink.fillStyle = palette.paper;
  ink.fill();
  ink.lineWidth = stroke;
  ink.strokeStyle = palette.line;
  ink.stroke();
  paintArc(ink, x, y, radius, node.share, palette.data);
}

/** @param {CanvasRenderingContext2D} ink @param {number} x @param {number} y @param {number} radius @param {number} share @param {string} colour */
function paintArc(ink, x, y, radius, share, colour) {
  if (share <= 0) return;
  ink.beginPath();
  ink.arc(x, y, radius, -Math.PI / 2, -Math.PI / 2 + share * 2 * Math.PI);
  ink.strokeStyle = colour;
  ink.stroke();
}

/**
 * @param {CanvasRenderingContext2D} ink
 * @param {PictureNode} node
 * @param {number} x
 * @param {number} y
 * @param {number} radius
 * @param {Palette} palette
 */
function paintChosen(ink, node, x, y, radius, palette) {
  const around = radius * 1.31;
  ink.beginPath();
  ink.arc(x, y, radius * 1.48, 0, 2 * Math.PI);
  ink.fillStyle = palette.paper;
  ink.fill();
  if (node.place === "standard") {
    diamond(ink, x, y, radius * 1.1);
    ink.fillStyle = palette.accent;
    ink.fill();
  } else if (node.complete) paintComplete(ink, x, y, radius * 0.9, palette.accent);
  else {
    ink.beginPath();
    ink.arc(x, y, radius, 0, 2 * Math.PI);
    ink.fillStyle = palette.accent;
    ink.fill();
  }
  ink.lineWidth = Math.min(3 * palette.strokes, radius * 0.3);
  ink.beginPath();
  ink.arc(x, y, around, 0, 2 * Math.PI);
  ink.strokeStyle = palette.line;
  ink.stroke();
  paintArc(ink, x, y, around, node.share, palette.accent);
}

/**
 * @param {CanvasRenderingContext2D} ink
 * @param {PictureNode} node
 * @param {number} x
 * @param {number} y
 * @param {number} reach
 * @param {number} stroke
 * @param {Palette} palette
 */
function paintStandard(ink, node, x, y, reach, stroke, palette) {
  diamond(ink, x, y, reach);
  ink.fillStyle = node.complete ? palette.data : palette.paper;
  ink.fill();
  ink.lineWidth = stroke;
  ink.strokeStyle = palette.line;
  ink.stroke();
  if (node.share <= 0) return;
  const around = 4 * Math.SQRT2 * reach;
  diamond(ink, x, y, reach);
  ink.setLineDash([node.share * around, around]);
  ink.strokeStyle = palette.data;
  ink.stroke();
  ink.setLineDash([]);
}

/** @param {CanvasRenderingContext2D} ink @param {number} x @param {number} y @param {number} radius @param {boolean} chosen @param {Palette} palette */
function paintSilent(ink, x, y, radius, chosen, palette) {
  ink.beginPath();
  ink.arc(x, y, radius, 0, 2 * Math.PI);
  ink.fillStyle = palette.paper;
  ink.fill();
  ink.lineWidth = 1.5 * palette.strokes;
  ink.strokeStyle = chosen ? palette.accent : palette.ink3;
  ink.setLineDash([3 * palette.strokes, 3.2 * palette.strokes]);
  ink.stroke();
  ink.setLineDash([]);
}

/** A node without this file: smaller and pale. @param {CanvasRenderingContext2D} ink @param {number} x @param {number} y @param {number} radius @param {boolean} chosen @param {Palette} palette */
function paintElsewhere(ink, x, y, radius, chosen, palette) {
  ink.beginPath();
  ink.arc(x, y, radius, 0, 2 * Math.PI);
  ink.fillStyle = palette.paper;
  ink.fill();
  ink.lineWidth = 1.2 * palette.strokes;
  ink.strokeStyle = chosen ? palette.accent : palette.line;
  ink.stroke();
}

/** @param {CanvasRenderingContext2D} ink @param {number} x @param {number} y @param {number} radius @param {boolean} chosen @param {Palette} palette */
function paintGone(ink, x, y, radius, chosen, palette) {
  ink.lineWidth = 1.6 * palette.strokes;
  ink.lineCap = "round";
  ink.strokeStyle = chosen ? palette.accent : palette.ink3;
  cross(ink, x, y - radius * 0.2, Math.min(4 * palette.strokes, radius));
}

/** @param {CanvasRenderingContext2D} ink @param {PictureNode} node @param {number} x @param {number} y @param {boolean} chosen @param {Palette} palette */
function paintNumber(ink, node, x, y, chosen, palette) {
  const away = node.status !== "here" || node.elsewhere;
  setFont(ink, palette.label, !away);
  ink.textAlign = "center";
  const filled = node.complete || (chosen && !away);
  ink.fillStyle = away ? (chosen ? palette.accent : palette.ink3) : filled ? palette.paper : palette.ink;
  ink.fillText(node.label, x, y + palette.label * (node.status === "gone" ? 1 : 0.36));
}

/**
 * What stands beside a node.
 * @param {PictureNode} node
 * @param {boolean} short  a narrow picture
 */
export function labelOf(node, short) {
  if (node.status === "silent") return short ? "silent" : `silent ${secondsText(node.quiet)}`;
  if (node.status === "gone") return "gone";
  if (node.elsewhere) return elsewhereText(node);
  if (node.place === "standard") return node.share > 0 ? `${node.name}, ${percent(node.share)}` : node.name;
  return node.place === "seed" || node.row === null ? "" : percent(node.share);
}

/**
 * Where the text beside a node begins: outwards from the middle of the swarm, else above or below the node.
 * @param {number} measured  width of the text
 * @param {Place} place
 * @param {number} distance  from the node's middle
 * @param {number} label  height of the text
 * @param {{width: number, height: number}} sheet
 */
function labelPlace(measured, place, distance, label, sheet) {
  const [ax, ay] = [Math.cos(place.angle), Math.sin(place.angle)];
  const upright = place.kind === "standard" || Math.abs(ax) < 0.3;
  const across = (/** @type {number} */ x) => Math.max(1, Math.min(sheet.width - measured - 1, x));
  const along = (/** @type {number} */ y) => Math.max(label, Math.min(sheet.height - label * 0.3, y));
  const x = across(place.x + ax * distance - (ax > 0 ? 0 : measured));
  const free = ax > 0 ? x >= place.x + ax * distance - 2 : x + measured <= place.x + ax * distance + 2;
  if (!upright && free) return { x, y: along(place.y + ay * distance + label * (0.36 + 0.12 * ay)) };
  const shift = upright ? measured / 2 - Math.sign(ax) * (Math.abs(ax) < 0.05 ? 0 : label * 0.4) : measured / 2;
  return { x: across(place.x - shift), y: along(place.y + (ay > 0.05 ? distance + label * 0.75 : -distance - label * 0.05)) };
}

/** Texts beside nodes. One that would run into an earlier one is not written. */
export class Labels {
  /** @param {Sheet} sheet @param {Palette} palette */
  constructor(sheet, palette) {
    this.sheet = sheet;
    this.palette = palette;
    /** @type {{x: number, y: number, end: number}[]} */
    this.taken = [];
  }

  /** @param {string} text @param {Place} place @param {number} distance  from the node's middle @param {string} colour @param {boolean} bold */
  put(text, place, distance, colour, bold) {
    const { ink } = this.sheet;
    const { label, paper } = this.palette;
    setFont(ink, label, bold);
    const measured = widthOf(ink, text);
    const { x, y } = labelPlace(measured, place, distance, label, this.sheet);
    if (this.taken.some((each) => Math.abs(each.y - y) < label * 0.95 && x < each.end + 2 && x + measured > each.x - 2)) return;
    this.taken.push({ x, y, end: x + measured });
    ink.textAlign = "left";
    ink.lineJoin = "round";
    ink.lineWidth = 4;
    ink.strokeStyle = paper;
    ink.strokeText(text, x, y);
    ink.fillStyle = colour;
    ink.fillText(text, x, y);
  }
}
