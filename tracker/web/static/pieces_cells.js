/**
 * One row of the matrix as pixels, and the copies of every piece. Pure.
 *
 * @typedef {object} CellColours  as pixels
 * @property {number} missing
 * @property {number} requested  rows below 8 px
 * @property {number} received
 * @property {number} ink
 * @property {number[]} shares  four tones for 1 to 4 quarters of verified pieces
 * @property {number} gap  between wide cells
 * @property {Uint32Array[]} tones  by the number of pieces of a column, and of verified ones in it; made on demand
 *
 * @typedef {object} Grid  the matrix in px of the screen
 * @property {number} pieces
 * @property {number} columns  drawn; fewer than pieces: they are counted
 * @property {number} cell  width of one column
 * @property {number} bar  height of a row
 * @property {boolean} tall  heights say the state; else tones do
 * @property {Uint32Array} starts  the first piece of each column, and the number of pieces
 */

import { countColumns, eachChange } from "./letters.js";
import { BAD, RECEIVED, REQUESTED, VERIFIED } from "./state_entries.js";

/**
 * @param {number} width  px of the screen
 * @param {number} pieces
 * @returns {{columns: number, cell: number}}
 */
export function columnsOf(width, pieces) {
  const cell = Math.floor(width / Math.max(1, pieces));
  if (cell >= 1) return { columns: pieces, cell };
  return { columns: Math.max(1, Math.min(pieces, Math.floor(width))), cell: 1 };
}

/** The first piece of each column, and the number of pieces. @param {number} columns @param {number} pieces */
export function startsOf(columns, pieces) {
  return Uint32Array.from({ length: columns + 1 }, (_, column) => Math.floor((column * pieces) / columns));
}

/** The first piece of a column. @param {number} column @param {Grid} grid */
export function firstPiece(column, grid) {
  return grid.starts[column];
}

/** The column of a piece. @param {number} piece @param {Grid} grid */
export function columnOf(piece, grid) {
  if (grid.columns === grid.pieces) return piece;
  let column = Math.floor((piece * grid.columns) / grid.pieces);
  while (firstPiece(column + 1, grid) <= piece) column += 1;
  return column;
}

/**
 * Write a row: `target` has `grid.columns * grid.cell` pixels a line, and `grid.bar` lines.
 * @param {Uint32Array} target
 * @param {Uint8Array} letters
 * @param {Grid} grid
 * @param {CellColours} colours
 * @param {Uint8Array | null} [shown]  the letters that `target` shows in the same colours; null: others
 */
export function writeRow(target, letters, grid, colours, shown = null) {
  const width = grid.columns * grid.cell;
  if (grid.columns < grid.pieces) {
    writeCounted(target, letters, grid, colours, shown);
    for (let y = 1; y < grid.bar; y += 1) target.copyWithin(y * width, 0, width);
    return;
  }
  const line = lineOf(letters, grid, colours);
  for (let y = 0; y < grid.bar; y += 1) target.set(line.top, y * width);
  if (!grid.tall || !line.low) return;
  const third = Math.round((grid.bar * 2) / 3);
  const twoThirds = Math.round(grid.bar / 3);
  for (let y = twoThirds; y < third; y += 1) target.set(line.middle, y * width);
  for (let y = third; y < grid.bar; y += 1) target.set(line.bottom, y * width);
}

/**
 * The pixels of a row's upper, middle and lower third.
 * @param {Uint8Array} letters
 * @param {Grid} grid
 * @param {CellColours} colours
 */
function lineOf(letters, grid, colours) {
  const width = grid.columns * grid.cell;
  const top = new Uint32Array(width).fill(colours.missing);
  const low = grid.tall && (letters.includes(REQUESTED) || letters.includes(RECEIVED));
  const [middle, bottom] = low ? [top.slice(), top.slice()] : [top, top];
  const body = grid.cell >= 8 ? grid.cell - Math.round(grid.cell / 8) : grid.cell;
  for (let piece = 0, x = 0; piece < letters.length; piece += 1, x += grid.cell) {
    const letter = letters[piece];
    if (letter === VERIFIED) {
      top.fill(colours.shares[3], x, x + body);
      if (low) {
        middle.fill(colours.shares[3], x, x + body);
        bottom.fill(colours.shares[3], x, x + body);
      }
    } else if (low) {
      if (letter === RECEIVED) middle.fill(colours.ink, x, x + body);
      if (letter === RECEIVED || letter === REQUESTED) bottom.fill(colours.ink, x, x + body);
    } else if (letter === REQUESTED) top.fill(colours.requested, x, x + body);
    else if (letter === RECEIVED) top.fill(colours.received, x, x + body);
    if (body < grid.cell) for (const lines of low ? [top, middle, bottom] : [top]) lines.fill(colours.gap, x + body, x + grid.cell);
  }
  return { top, middle, bottom, low };
}

/**
 * Columns of several pieces: the share verified in four steps. Only those that changed.
 * @param {Uint32Array} line
 * @param {Uint8Array} letters
 * @param {Grid} grid
 * @param {CellColours} colours
 * @param {Uint8Array | null} shown
 */
function writeCounted(line, letters, grid, colours, shown) {
  const { columns, starts } = grid;
  const least = Math.floor(grid.pieces / columns); // pieces of a column; some have one more
  const tones = [tonesOf(least, colours), tonesOf(least + 1, colours)];
  const write = (/** @type {number} */ column) => {
    const [first, end] = [starts[column], starts[column + 1]];
    let verified = 0;
    // Without a branch: letters change too often to be guessed.
    for (let piece = first; piece < end; piece += 1) verified += Number(letters[piece] === VERIFIED);
    line[column] = tones[end - first - least][verified];
  };
  if (shown === null || shown.length !== letters.length) {
    for (let column = 0; column < columns; column += 1) write(column);
    return;
  }
  let done = -1;
  eachChange(letters, shown, (first, end) => {
    const last = columnOf(end - 1, grid);
    for (let column = Math.max(done + 1, columnOf(first, grid)); column <= last; column += 1) write(column);
    done = Math.max(done, last);
  });
}

/** The pixel of a column of `count` pieces, by how many of them are verified. @param {number} count @param {CellColours} colours */
function tonesOf(count, { missing, shares, tones }) {
  tones[count] ??= Uint32Array.from({ length: count + 1 }, (_, verified) => (verified ? shares[stepOf(verified, count)] : missing));
  return tones[count];
}

/** The tone of `verified` of `count` pieces: 0 to 3, and 3 only for all. @param {number} verified @param {number} count */
function stepOf(verified, count) {
  return verified === count ? 3 : Math.min(2, Math.floor((verified * 3) / count));
}

/** Copies of each piece at a set of rows, and the rarest. */
export class Copies {
  /** @param {number} pieces */
  constructor(pieces) {
    this.counts = new Uint16Array(pieces);
    this.least = 0;
    this.most = 0;
    /** @type {number} the first of the rarest pieces; -1: there is none */
    this.rarest = -1;
    /** How many pieces are as rare. */
    this.alike = 0;
  }

  /** Count again. @param {Uint8Array[]} rows */
  count(rows) {
    const { counts } = this;
    countColumns(counts, rows, VERIFIED);
    this.least = Infinity;
    this.most = 0;
    this.rarest = -1;
    this.alike = 0;
    for (let piece = 0; piece < counts.length; piece += 1) {
      const copies = counts[piece];
      if (copies > this.most) this.most = copies;
      if (copies < this.least) [this.least, this.rarest, this.alike] = [copies, piece, 1];
      else if (copies === this.least) this.alike += 1;
    }
    if (counts.length === 0) this.least = 0;
  }
}

/** The bad pieces of a row. @param {Uint8Array} letters @returns {number[]} */
export function badOf(letters) {
  /** @type {number[]} */
  const found = [];
  for (let piece = letters.indexOf(BAD); piece >= 0; piece = letters.indexOf(BAD, piece + 1)) found.push(piece);
  return found;
}
