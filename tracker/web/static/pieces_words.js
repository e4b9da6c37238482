/**
 * Cells and rows of the matrix in words.
 *
 * @typedef {import("./picture.js").PictureNode} PictureNode
 * @typedef {import("./pieces_cells.js").Grid} Grid
 * @typedef {import("./pieces_cells.js").Copies} Copies
 */

import { element } from "./dom.js";
import { grouped, listed, plural } from "./figures.js";
import { firstPiece } from "./pieces_cells.js";
import { BAD, MISSING, RECEIVED, REQUESTED, VERIFIED } from "./state_entries.js";

const MOST_RANGES = 60; // in one line of the table

const WORDS = /** @type {const} */ ([
  [VERIFIED, "verified"], [RECEIVED, "received"], [REQUESTED, "requested"], [BAD, "bad"], [MISSING, "missing"],
]);

/**
 * @param {{row: number, column: number}} cell
 * @param {Grid} grid
 * @param {PictureNode[]} nodes
 * @param {Copies} copies
 */
export function cellText(cell, grid, nodes, copies) {
  const node = nodes[cell.row];
  if (cell.column < 0) return node ? `${node.name}: ${grouped(node.verified)} of ${plural(grid.pieces, "piece")}` : "";
  const first = firstPiece(cell.column, grid);
  const end = firstPiece(cell.column + 1, grid);
  const pieces = end - first === 1 ? `piece ${first}` : `pieces ${first} to ${end - 1}`;
  if (node === undefined) return `${pieces}: ${copiesText(copies.counts.subarray(first, end))}`;
  if (node.row === null) return `${node.name} does not say which pieces it has`;
  const letters = node.row.pieces.subarray(first, end);
  if (letters.length === 1) return `${pieces} at ${node.name}: ${stateText(node, first, nodes)}`;
  return `${pieces} at ${node.name}: ${countsText(letters)}`;
}

/** @param {Uint16Array} counts */
function copiesText(counts) {
  const [least, most] = [Math.min(...counts), Math.max(...counts)];
  const range = least === most ? String(least) : `${least} to ${most}`;
  return `${range} ${least === 1 && most === 1 ? "copy" : "copies"}`;
}

/** @param {PictureNode} node @param {number} piece @param {PictureNode[]} nodes */
function stateText(node, piece, nodes) {
  const letter = node.row?.pieces[piece];
  if (letter === REQUESTED) {
    const peers = node.row?.asked[piece] ?? [];
    return peers.length ? `requested from ${listed(peers.map((peer) => nodes.find((each) => each.id === peer)?.name ?? `node ${peer}`))}` : "requested";
  }
  if (letter === RECEIVED) return "received, not verified yet";
  if (letter === BAD) return "bad: its hash is wrong";
  return letter === VERIFIED ? "verified" : "missing";
}

/** @param {Uint8Array} letters */
function countsText(letters) {
  const parts = WORDS.map(([code, word]) => [letters.filter((letter) => letter === code).length, word]);
  return parts.filter(([count]) => Number(count) > 0).map(([count, word]) => `${count} ${word}`).join(", ");
}

/**
 * The pieces of a node as a table: a line a state.
 * @param {PictureNode} node
 * @param {Copies} copies
 */
export function pieceTable(node, copies) {
  const letters = node.row?.pieces ?? new Uint8Array(0);
  const rows = WORDS.map(([code, word]) => {
    const ranges = rangesOf(letters, code);
    const shown = ranges.slice(0, MOST_RANGES).join(", ") + (ranges.length > MOST_RANGES ? ", ..." : "");
    const count = letters.filter((letter) => letter === code).length;
    return element("tr", {}, element("th", { scope: "row", text: word }), element("td", { text: grouped(count) }), element("td", { text: shown || "-" }));
  });
  const rare = copies.rarest < 0 ? "" : ` The rarest piece is ${copies.rarest}, with ${copies.least} of at most ${copies.most} copies.`;
  return element("table", {}, element("caption", { text: `Pieces of ${node.name}.${rare}` }),
    element("thead", {}, element("tr", {}, ...["state", "count", "pieces"].map((text) => element("th", { scope: "col", text })))),
    element("tbody", {}, ...rows));
}

/** "0 to 12", "15". @param {Uint8Array} letters @param {number} code */
function rangesOf(letters, code) {
  /** @type {string[]} */
  const found = [];
  for (let at = 0; at < letters.length; at += 1) {
    if (letters[at] !== code) continue;
    const first = at;
    while (letters[at + 1] === code) at += 1;
    found.push(first === at ? String(first) : `${first} to ${at}`);
  }
  return found;
}
