/**
 * What stands around the cells: names, counts, bad pieces, copies, the axis.
 *
 * @typedef {import("./canvas.js").Sheet} Sheet
 * @typedef {import("./colours.js").Palette} Palette
 * @typedef {import("./picture.js").PictureNode} PictureNode
 * @typedef {import("./pieces_plan.js").PiecesPlan} PiecesPlan
 * @typedef {import("./pieces_cells.js").Copies} Copies
 * @typedef {import("./pieces_cells.js").CellColours} CellColours
 */

import { setFont, widthOf } from "./canvas.js";
import { pixel } from "./colours.js";
import { grouped, percent, plural } from "./figures.js";
import { badOf, columnOf } from "./pieces_cells.js";
import { middleOf, tickOf, topOf } from "./pieces_plan.js";

const OVER = 3; // px that a bad piece stands above its row
const SILENT_SHARE = 0.45;

/**
 * @param {Palette} palette
 * @param {boolean} chosen
 * @param {boolean} silent
 * @returns {CellColours}
 */
export function cellColours(palette, chosen, silent) {
  const full = chosen ? palette.accent : palette.data;
  const strength = silent && !chosen ? SILENT_SHARE : 1;
  return {
    missing: pixel(palette.track),
    requested: pixel(palette.ink, palette.track, 0.55),
    received: pixel(palette.ink),
    ink: pixel(palette.ink),
    shares: [0.28, 0.52, 0.76, 1].map((share) => pixel(full, palette.track, share * strength)),
    gap: pixel(palette.paper),
    tones: [],
  };
}

/**
 * Bad pieces: taller than their row, and never narrower than 4 px.
 * @param {CanvasRenderingContext2D} ink
 * @param {PictureNode} node
 * @param {number} row
 * @param {PiecesPlan} plan
 * @param {Palette} palette
 */
export function paintBad(ink, node, row, plan, palette) {
  if (node.row === null || node.bad === 0) return;
  const width = Math.max(4, plan.grid.cell / plan.ratio);
  ink.fillStyle = palette.bad;
  for (const piece of badOf(node.row.pieces)) {
    const x = Math.round((middleOf(plan, columnOf(piece, plan.grid)) - width / 2) * plan.ratio) / plan.ratio;
    ink.fillRect(x, topOf(plan, row) - OVER, width, plan.bar + OVER);
  }
}

/** The rows whose names are written: all, or as many as fit. @param {number} rows @param {number} chosen  -1: none @param {PiecesPlan} plan @param {Palette} palette */
function namedRows(rows, chosen, plan, palette) {
  const every = Math.max(1, Math.ceil((palette.label * 1.15) / plan.pitch));
  /** @type {number[]} */
  const found = [];
  for (let row = 0; row < rows; row += 1) {
    if (row === chosen || (row % every === 0 && (chosen < 0 || every === 1 || Math.abs(row - chosen) >= every))) found.push(row);
  }
  return found;
}

/**
 * @param {CanvasRenderingContext2D} ink
 * @param {PictureNode[]} nodes
 * @param {number} chosen
 * @param {PiecesPlan} plan
 * @param {Palette} palette
 */
export function paintNames(ink, nodes, chosen, plan, palette) {
  for (const row of namedRows(nodes.length, chosen, plan, palette)) {
    const node = nodes[row];
    const base = topOf(plan, row) + plan.bar / 2 + palette.label * 0.36;
    const bold = row === chosen;
    const colour = bold ? palette.accent : node.status === "here" ? palette.ink2 : palette.ink3;
    setFont(ink, palette.label, bold);
    ink.fillStyle = colour;
    ink.textAlign = plan.counts ? "right" : "left";
    ink.fillText(node.place === "standard" && plan.counts ? node.name : node.label, plan.counts ? plan.left - (palette.label >= 16 ? 16 : 12) : 0, base);
    if (plan.counts) paintCounts(ink, node, base, colour, bold, plan, palette);
  }
}

/**
 * @param {CanvasRenderingContext2D} ink
 * @param {PictureNode} node
 * @param {number} base
 * @param {string} colour
 * @param {boolean} bold
 * @param {PiecesPlan} plan
 * @param {Palette} palette
 */
function paintCounts(ink, node, base, colour, bold, plan, palette) {
  const share = percent(node.share);
  const end = plan.right - widthOf(ink, share) - 6;
  ink.textAlign = "right";
  ink.fillText(share, plan.right, base);
  ink.textAlign = "left";
  const count = grouped(node.verified);
  const room = end - plan.counts - widthOf(ink, `${count} `);
  const more = node.bad > 0 ? `${node.bad} bad` : node.status === "here" ? (node.complete ? "seed" : "") : node.status;
  setFont(ink, palette.label, node.bad > 0 || bold);
  const fits = widthOf(ink, more) <= room;
  const shift = fits ? end - plan.counts - room : 0;
  if (node.bad > 0 || (more && fits)) {
    ink.fillStyle = node.bad > 0 ? palette.bad : palette.ink3;
    ink.fillText(more, plan.counts + shift, base);
  }
  if (node.bad > 0 && !fits) return; // the bad pieces are what matters
  setFont(ink, palette.label, bold);
  ink.fillStyle = colour;
  ink.fillText(count, plan.counts, base);
}

/**
 * Bars as high as the copies of the rarest piece of each column; the rarest of all in ink.
 * @param {ImageData} image
 * @param {Copies} copies
 * @param {PiecesPlan} plan
 * @param {Palette} palette
 */
export function writeCopies(image, copies, plan, palette) {
  const { columns, cell, starts } = plan.grid;
  const [track, usual, rare] = [pixel(palette.track), pixel(palette.data), pixel(palette.ink)];
  const special = copies.least < copies.most;
  /** @type {number[][]} columns by the line in which their bar begins */
  const begins = Array.from({ length: image.height }, () => []);
  const colours = new Uint32Array(columns);
  for (let column = 0; column < columns; column += 1) {
    let least = copies.counts[starts[column]];
    for (let piece = starts[column] + 1; piece < starts[column + 1]; piece += 1) least = Math.min(least, copies.counts[piece]);
    if (least > 0) begins[image.height - Math.max(1, Math.round((least / copies.most) * image.height))].push(column);
    colours[column] = special && least === copies.least ? rare : usual;
  }
  // Each line is the one above it and the bars that begin here.
  const pixels = new Uint32Array(image.data.buffer);
  const line = new Uint32Array(image.width).fill(track);
  for (let y = 0; y < image.height; y += 1) {
    for (const column of begins[y]) line.fill(colours[column], column * cell, (column + 1) * cell);
    pixels.set(line, y * image.width);
  }
}

/**
 * The sentence about the rarest piece.
 * @param {Copies} copies
 * @param {PictureNode[]} nodes
 */
export function rarestText(copies, nodes) {
  const { least, rarest, alike } = copies;
  if (rarest < 0) return "";
  const many = least === 0 ? "no copy" : plural(least, "copy").replace("copys", "copies");
  if (copies.most === 0) return "no piece has a copy";
  if (least === copies.most) return `every piece has ${many}`;
  if (alike > 1) return `${grouped(alike)} pieces have ${many}`;
  const holder = least === 1 ? nodes.find((node) => node.status === "here" && node.row?.pieces[rarest] === VERIFIED_CODE) : undefined;
  return `${rarest} is rarest: ${many}${holder ? `, ${holder.name}` : ""}`;
}

const VERIFIED_CODE = "v".charCodeAt(0);

/**
 * Numbers below the copies: the selected piece, the rarest with its sentence, and as many others as fit.
 * @param {Sheet} sheet
 * @param {Copies} copies
 * @param {string} sentence
 * @param {number | null} selected
 * @param {PiecesPlan} plan
 * @param {Palette} palette
 */
export function paintAxis(sheet, copies, sentence, selected, plan, palette) {
  const { ink } = sheet;
  /** @type {[number, number][]} */
  const taken = [];
  const put = (/** @type {string} */ text, /** @type {number} */ at, /** @type {number} */ shift, /** @type {string} */ colour, /** @type {boolean} */ bold) => {
    setFont(ink, palette.label, bold);
    const width = widthOf(ink, text);
    const x = Math.max(plan.left - 4, Math.min(plan.left + plan.width - width, at - width * shift));
    if (taken.some(([from, to]) => x < to + 8 && x + width > from - 8)) return false;
    taken.push([x, x + width]);
    ink.textAlign = "left";
    ink.fillStyle = colour;
    ink.fillText(text, x, plan.axis);
    return true;
  };
  if (selected !== null && selected < plan.grid.pieces) put(grouped(selected), middleOf(plan, columnOf(selected, plan.grid)), 0.5, palette.accent, true);
  paintRarest(ink, copies, sentence, plan, palette, put, taken);
  const last = plan.grid.pieces - 1;
  put("0", plan.left, 0, palette.ink3, false);
  if (last > 0) put(grouped(last), plan.left + plan.width, 1, palette.ink3, false);
  const tick = tickOf(plan.grid.pieces, plan.width);
  for (let piece = tick; piece < last; piece += tick) put(grouped(piece), middleOf(plan, columnOf(piece, plan.grid)), 0.5, palette.ink3, false);
}

/**
 * @param {CanvasRenderingContext2D} ink
 * @param {Copies} copies
 * @param {string} sentence
 * @param {PiecesPlan} plan
 * @param {Palette} palette
 * @param {(text: string, at: number, shift: number, colour: string, bold: boolean) => boolean} put
 * @param {[number, number][]} taken
 */
function paintRarest(ink, copies, sentence, plan, palette, put, taken) {
  if (sentence === "" || copies.rarest < 0) return;
  if (copies.least === copies.most) {
    put(sentence, plan.left + plan.width / 2, 0.5, palette.ink3, false);
    return;
  }
  const x = middleOf(plan, columnOf(copies.rarest, plan.grid));
  const half = palette.label / 3;
  const top = plan.copiesTop + plan.copies + 2;
  ink.fillStyle = palette.ink;
  ink.beginPath();
  ink.moveTo(x, top);
  ink.lineTo(x + half, top + half * 1.5);
  ink.lineTo(x - half, top + half * 1.5);
  ink.fill();
  taken.push([x - half, x + half]);
  const away = half + 10;
  for (const text of [sentence, sentence.replace(" is rarest", ""), sentence.replace(/ is rarest|, node.*/g, "")]) {
    if (put(text, x - away, 1, palette.ink, false) || put(text, x + away, 0, palette.ink, false)) return;
  }
  // Only the number of the selected piece can be in the way: the sentence goes to its other side.
  const [from, to] = taken[0];
  if (!put(sentence, to + 10, 0, palette.ink, false)) put(sentence, from - 10, 1, palette.ink, false);
}
