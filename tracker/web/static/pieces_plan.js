/**
 * The sizes of the pieces' picture. Pure.
 *
 * @typedef {import("./colours.js").Palette} Palette
 * @typedef {import("./pieces_cells.js").Grid} Grid
 *
 * @typedef {object} PiecesPlan  px of the page, if not said otherwise
 * @property {number} left  of the matrix
 * @property {number} top
 * @property {number} width  of the matrix
 * @property {number} pitch  from row to row
 * @property {number} bar  height of a row
 * @property {number} rows
 * @property {number} counts  left of the counts; 0: there is no room for them
 * @property {number} right  end of the percents
 * @property {number} copiesTop
 * @property {number} copies  height of the bars
 * @property {number} axis  baseline of the numbers
 * @property {number} height  of all of it
 * @property {number} room  height that there was
 * @property {number} ratio  px of the screen per px
 * @property {Grid} grid  px of the screen
 */

import { columnsOf, startsOf } from "./pieces_cells.js";

const LEAST_PITCH = 1;
const TOP = 4; // room for a bad piece in the first row, and for the hairline

/** By width of the page: label, its distance, counts, pitch, bar, bars of copies, axis. @param {Palette} palette */
function sizes(palette) {
  if (palette.label >= 16) return { label: 76, gap: 16, counts: 136, pitch: 22, bar: 18, copies: 42, axis: 28 };
  if (palette.text >= 15) return { label: 24, gap: 4, counts: 0, pitch: 16, bar: 13, copies: 34, axis: 22 };
  return { label: 46, gap: 12, counts: 102, pitch: 17, bar: 14, copies: 34, axis: 20 };
}

/**
 * @param {number} rows
 * @param {number} pieces
 * @param {number} width
 * @param {number} height  that there is; 0: as much as it needs
 * @param {number} ratio
 * @param {Palette} palette
 * @returns {PiecesPlan}
 */
export function planPieces(rows, pieces, width, height, ratio, palette) {
  const size = sizes(palette);
  const left = size.label + size.gap;
  const room = Math.max(40, width - left - (size.counts ? size.counts + size.gap : 0));
  const { columns, cell } = columnsOf(room * ratio, pieces);
  const rest = TOP + 9 + size.copies + size.axis;
  const most = height ? Math.min(size.pitch * 1.5, (height - rest) / Math.max(1, rows)) : rows > 40 ? 8 : size.pitch;
  const pitch = Math.max(LEAST_PITCH, Math.floor(most));
  const bar = pitch >= 12 ? Math.round(pitch * (size.bar / size.pitch)) : pitch >= 5 ? pitch - 1 : pitch;
  const matrix = Math.round((columns * cell) / ratio);
  const copiesTop = TOP + rows * pitch + 9 - (pitch - bar);
  return {
    left, top: TOP, width: matrix, pitch, bar, rows, ratio, room: height,
    counts: size.counts ? left + matrix + size.gap : 0, right: width,
    copiesTop, copies: size.copies, axis: copiesTop + size.copies + palette.label * 1.25,
    height: TOP + rows * pitch + 9 + size.copies + size.axis,
    grid: { pieces, columns, cell, bar: Math.max(1, Math.round(bar * ratio)), tall: bar >= 8, starts: startsOf(columns, pieces) },
  };
}

/** The middle of a column, in px of the page. @param {PiecesPlan} plan @param {number} column */
export function middleOf(plan, column) {
  return plan.left + ((column + 0.5) * plan.grid.cell) / plan.ratio;
}

/** The upper edge of a row. @param {PiecesPlan} plan @param {number} row */
export function topOf(plan, row) {
  return plan.top + row * plan.pitch;
}

/** A round distance between numbers on the axis. @param {number} pieces @param {number} room  px */
export function tickOf(pieces, room) {
  const least = (pieces * 60) / Math.max(60, room);
  for (let unit = 1; ; unit *= 10) for (const step of [unit, unit * 2, unit * 5]) if (step >= least) return step;
}
