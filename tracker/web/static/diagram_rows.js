/**
 * The rows of a sequence diagram: one event a row, in the order of time. Pure.
 *
 * A message whose two ends are known has two rows, unless they are nearer than the clocks are exact: then it has one
 * row, and its arrow is level. So no arrow arrives before it leaves.
 *
 * @typedef {import("./exchange.js").Message} Message
 * @typedef {import("./exchange.js").Place} Place
 *
 * @typedef {object} Row
 * @property {Message} message
 * @property {"send" | "arrive" | "level" | "half" | "lost" | "here"} kind  half: the other end is not known
 * @property {Place} at  the lifeline whose event it is
 * @property {number} time  ms
 * @property {number} other  index of the row of the other end; -1: none
 *
 * @typedef {object} Cost  a loss, and what repaired it
 * @property {number} from  index of the row of the loss
 * @property {number} to  index of the row of the repair
 * @property {number} ms
 * @property {number} bytes
 * @property {"expected" | "noticed"} since  the begin of `ms`: as the node counts, or between the two rows
 */

import { timeOf } from "./exchange.js";

/**
 * @param {Message[]} messages  by time
 * @param {(from: Place, to: Place) => number} bound  ms by which the two clocks may differ
 * @returns {Row[]}
 */
export function rowsOf(messages, bound) {
  /** @type {Row[]} */
  const rows = [];
  for (const message of messages) rows.push(...endsOf(message, bound));
  const order = new Map(rows.map((row, index) => [row, index]));
  rows.sort((a, b) => a.time - b.time || (order.get(a) ?? 0) - (order.get(b) ?? 0));
  const sends = new Map();
  rows.forEach((row, index) => {
    if (row.kind === "send") sends.set(row.message, index);
    else if (row.kind === "arrive") {
      const send = sends.get(row.message);
      row.other = send;
      rows[send].other = index;
    }
  });
  return rows;
}

/** @param {Message} message @param {(from: Place, to: Place) => number} bound @returns {Row[]} */
function endsOf(message, bound) {
  const { from, to, left, arrived, lost } = message;
  const time = timeOf(message);
  const row = (/** @type {Row["kind"]} */ kind, /** @type {Place} */ at, ms = time) => ({
    message, kind, at, time: ms, other: -1,
  });
  if (from === to) return [row("here", from)];
  if (lost) return [row("lost", to)];
  if (left === null || arrived === null) return [row("half", left === null ? to : from)];
  if (arrived - left <= bound(from, to)) return [row("level", from)];
  return [row("send", from, left), row("arrive", to, arrived)];
}

/**
 * The losses that were repaired, each with its cost.
 * @param {Row[]} rows
 * @returns {Cost[]}
 */
export function costsOf(rows) {
  return rows.flatMap((row, from) => costOf(rows, row, from));
}

/** @param {Row[]} rows @param {Row} row @param {number} from  its index @returns {Cost[]} none or one */
function costOf(rows, row, from) {
  if (row.kind !== "lost") return [];
  const to = rows.findIndex((later, index) => index > from && repairs(row.message, later));
  if (to < 0) return [];
  const { cost_ms, cost_bytes = row.message.fields.length ?? 0 } = rows[to].message.fields;
  const counted = row.message.cost ?? (cost_ms === undefined ? null : { ms: cost_ms, bytes: cost_bytes });
  if (counted) return [{ from, to, ...counted, since: "expected" }];
  return [{ from, to, ms: rows[to].time - row.time, bytes: cost_bytes, since: "noticed" }];
}

/** @param {Message} lost @param {Row} later */
function repairs(lost, { message, kind, at }) {
  if (kind === "lost" || kind === "send") return false;
  const isRepair = message.name === "repaired" ? at === lost.to : message.from === lost.from && message.to === lost.to;
  const { offset = -1, length = 0 } = message.fields;
  return isRepair && message.large !== (message.name === "repaired") && offset <= lost.fields.offset && lost.fields.offset < offset + length * message.count;
}

/**
 * The part of the rows around a time: at most `most` of them. Returns the first and the end index.
 * @param {Row[]} rows
 * @param {number} time
 * @param {number} most
 * @returns {[number, number]}
 */
export function windowOf(rows, time, most) {
  const now = presentRow(rows, time);
  const first = Math.max(0, Math.min(now - Math.ceil(most * 0.6), rows.length - most));
  return [first, Math.min(rows.length, first + most)];
}

/** Index of the last row at or before a time; -1: none. @param {Row[]} rows @param {number} time */
export function presentRow(rows, time) {
  let low = 0;
  let high = rows.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (rows[middle].time <= time) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}
