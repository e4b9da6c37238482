/**
 * The letters of many pieces, counted four at a time: as bytes they are the larger part of a frame. Pure.
 *
 * A row of pieces is a Uint8Array with a buffer of its own, so its bytes can be read as words.
 */

const ONES = 0x01010101; // 1 in each byte
const LOW = 0x7f7f7f7f;
const MOST = 127; // that a byte counts: a word of four counts stays a small integer, which is faster

/** 1 in each byte of `word` that equals the byte of `same`, else 0. @param {number} word @param {number} same  four times a letter */
function flagsOf(word, same) {
  const other = word ^ same; // 0 where the letter is the same
  return (~(((other & LOW) + LOW) | other | LOW) >>> 7) & ONES;
}

/** @param {Uint8Array} letters */
function wordsOf(letters) {
  return new Uint32Array(letters.buffer, letters.byteOffset, letters.length >> 2);
}

/** How many pieces have a letter. @param {Uint8Array} letters @param {number} code */
export function countOf(letters, code) {
  const words = wordsOf(letters);
  const same = code * ONES;
  let count = 0;
  for (let at = 0; at < words.length; ) {
    let flags = 0; // four counts of at most MOST
    for (const end = Math.min(words.length, at + MOST); at < end; at += 1) flags += flagsOf(words[at], same);
    count += (flags & 255) + ((flags >>> 8) & 255) + ((flags >>> 16) & 255) + (flags >>> 24);
  }
  for (let piece = words.length * 4; piece < letters.length; piece += 1) count += Number(letters[piece] === code);
  return count;
}

/**
 * Write into `counts` how many rows have a letter at each piece.
 * @param {Uint16Array} counts
 * @param {Uint8Array[]} rows
 * @param {number} code
 */
export function countColumns(counts, rows, code) {
  const same = code * ONES;
  const flags = new Uint32Array(counts.length >> 2);
  const bytes = new Uint8Array(flags.buffer);
  counts.fill(0);
  for (let first = 0; first < rows.length; first += MOST) {
    flags.fill(0);
    for (const letters of rows.slice(first, first + MOST)) {
      const words = wordsOf(letters);
      const end = Math.min(flags.length, words.length);
      for (let at = 0; at < end; at += 1) flags[at] += flagsOf(words[at], same);
    }
    for (let piece = 0; piece < bytes.length; piece += 1) counts[piece] += bytes[piece];
  }
  for (let piece = bytes.length; piece < counts.length; piece += 1) {
    for (const letters of rows) counts[piece] += Number(letters[piece] === code);
  }
}

/**
 * Call `changed` with the half-open range of each four pieces that differ from those in `before`, in order.
 * @param {Uint8Array} letters
 * @param {Uint8Array} before  as many
 * @param {(first: number, end: number) => void} changed
 */
export function eachChange(letters, before, changed) {
  const [words, old] = [wordsOf(letters), wordsOf(before)];
  for (let at = 0; at < words.length; at += 1) if (words[at] !== old[at]) changed(at * 4, at * 4 + 4);
  for (let piece = words.length * 4; piece < letters.length; piece += 1) {
    if (letters[piece] !== before[piece]) changed(piece, piece + 1);
  }
}
