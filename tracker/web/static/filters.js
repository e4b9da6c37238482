/**
 * Which events a step stops at and the story shows.
 *
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 * @typedef {import("./event_log.js").EventLog} EventLog
 * @typedef {import("./state.js").Name} Name
 *
 * @typedef {object} Filters
 * @property {Name | null} node  only events of this node
 * @property {number | null} piece  only events of this piece
 * @property {boolean} faults  only faults
 */

const FAULTS = new Set([
  "node:silent", "piece:failed", "piece:missing", "datagram:lost", "datagram:repaired", "congestion:reduced", "gap",
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
export function isWaiting(event) {
  return event.name === "peer:state" ? WAITING_PEERS.has(event.data.state) : WAITING.has(event.name);
}

/**
 * Does the event concern the node: as its reporter, or as the node that the tracker reports about?
 * @param {SwarmEvent} event
 * @param {Name} node
 */
export function concernsNode(event, node) {
  return event.node === node || (event.node === null && event.data.node === node);
}

/**
 * @param {SwarmEvent} event
 * @param {number} piece
 */
export function concernsPiece(event, piece) {
  if (event.data.piece === piece) return true;
  if (event.name !== "piece:held" || !Array.isArray(event.data.ranges)) return false;
  return event.data.ranges.some((range) => Array.isArray(range) && range[0] <= piece && piece < range[1]);
}

/**
 * @param {SwarmEvent} event
 * @param {Filters} filters
 */
export function passes(event, filters) {
  return (
    (filters.node === null || concernsNode(event, filters.node)) &&
    (filters.piece === null || concernsPiece(event, filters.piece)) &&
    (!filters.faults || isFault(event))
  );
}
