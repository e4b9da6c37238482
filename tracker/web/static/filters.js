/**
 * Which events the story shows and a step stops at. Pure.
 *
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 * @typedef {import("./state_entries.js").Name} Name
 * @typedef {import("./words.js").Context} Context
 *
 * @typedef {object} Filters
 * @property {Name | null} node  only events of this node
 * @property {number | null} piece  only events of this piece
 * @property {"all" | "faults" | "waiting"} kind
 * @property {string} text  only events whose sentence has this text, in any case
 */

import { sentence } from "./words.js";

/** @type {Readonly<Filters>} */
export const NO_FILTERS = Object.freeze({ node: null, piece: null, kind: "all", text: "" });

const FAULTS = new Set([
  "node:silent", "node:back", "piece:failed", "piece:missing", "datagram:lost", "datagram:repaired", "congestion:reduced", "gap",
]);
const FAULTY_PEERS = new Set(["lost", "suspect", "banned"]);
const WAITING = new Set(["slot:granted", "slot:queue", "slot:withdrawn"]);
const WAITING_PEERS = new Set(["queued", "choked"]);

/** @param {SwarmEvent} event */
export function isFault(event) {
  if (event.name === "peer:state") return FAULTY_PEERS.has(event.data.state);
  if (event.name === "torrent:state") return event.data.state === "failed";
  return FAULTS.has(event.name);
}

/** @param {SwarmEvent} event */
function isWaiting(event) {
  return event.name === "peer:state" ? WAITING_PEERS.has(event.data.state) : WAITING.has(event.name);
}

/**
 * Is it the node's event: it reports it, the tracker reports it of the node, or it waits for a slot there?
 * @param {SwarmEvent} event
 * @param {Name} node
 */
function concernsNode(event, node) {
  if (event.node === node || (event.node === null && event.data.node === node)) return true;
  return (event.name === "slot:granted" || event.name === "slot:withdrawn") && event.data.peer === node;
}

/** @param {SwarmEvent} event @param {number} piece */
function concernsPiece(event, piece) {
  if (event.data.piece === piece) return true;
  if (event.name !== "piece:held") return false;
  return event.data.ranges.some((/** @type {[number, number]} */ [from, to]) => from <= piece && piece < to);
}

/**
 * @param {SwarmEvent} event
 * @param {Filters} filters
 * @param {Context} [context]  for its sentence
 */
export function passes(event, filters, context) {
  if (filters.node !== null && !concernsNode(event, filters.node)) return false;
  if (filters.piece !== null && !concernsPiece(event, filters.piece)) return false;
  if (filters.kind === "faults" && !isFault(event)) return false;
  if (filters.kind === "waiting" && !isWaiting(event)) return false;
  if (filters.text === "") return true;
  return sentence(event, context).toLowerCase().includes(filters.text.toLowerCase());
}
