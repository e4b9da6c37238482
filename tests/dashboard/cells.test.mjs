/** Counts of letters, four at a time, and rows drawn by what changed. */

import assert from "node:assert/strict";
import { test } from "node:test";

import { countColumns, countOf } from "../../tracker/web/static/letters.js";
import { columnsOf, startsOf, writeRow } from "../../tracker/web/static/pieces_cells.js";
import { randomFrom } from "../../bench/page/made_swarm.js";

const LETTERS = [...".rcvx"].map((letter) => letter.charCodeAt(0));
const VERIFIED = LETTERS[3];
const random = randomFrom(3);
const below = (/** @type {number} */ end) => Math.floor(random() * end);
const rowOf = (/** @type {number} */ pieces) => Uint8Array.from({ length: pieces }, () => (random() < 0.6 ? VERIFIED : LETTERS[below(5)]));

test("letters are counted as one by one, at any length", () => {
  for (const pieces of [0, 1, 3, 4, 7, 508, 1021, 4000]) {
    const rows = Array.from({ length: pieces < 10 ? 300 : 9 }, () => rowOf(pieces));
    for (const letter of LETTERS) assert.equal(countOf(rows[0], letter), rows[0].filter((each) => each === letter).length);
    const counts = new Uint16Array(pieces).fill(7);
    countColumns(counts, rows, VERIFIED);
    const expected = Array.from({ length: pieces }, (_, piece) => rows.filter((letters) => letters[piece] === VERIFIED).length);
    assert.deepEqual([...counts], expected);
  }
});

test("a row that is drawn by what changed is the row drawn anew", () => {
  const colours = { missing: 1, requested: 2, received: 3, ink: 4, shares: [5, 6, 7, 8], gap: 9, tones: [] };
  for (const [pieces, width, bar] of [[4000, 801, 3], [1003, 1000, 2], [1003, 2, 1], [50, 400, 9]]) {
    const { columns, cell } = columnsOf(width, pieces);
    const grid = { pieces, columns, cell, bar, tall: bar >= 8, starts: startsOf(columns, pieces) };
    const [drawn, anew] = [new Uint32Array(columns * cell * bar), new Uint32Array(columns * cell * bar)];
    const letters = rowOf(pieces);
    writeRow(drawn, letters, grid, colours);
    for (const changes of [0, 1, 40, pieces]) {
      const shown = letters.slice();
      for (let change = 0; change < changes; change += 1) letters[below(pieces)] = LETTERS[below(5)];
      writeRow(drawn, letters, grid, colours, shown);
      writeRow(anew, letters, grid, colours);
      assert.deepEqual(drawn, anew);
    }
  }
});
