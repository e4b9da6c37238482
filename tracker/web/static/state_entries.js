/**
 * The parts of a swarm's state, as common/swarm_shape.py defines them, and new ones.
 *
 * @typedef {number | string} Name  a node_id, or "HOST:PORT" of a standard peer
 *
 * @typedef {object} Torrent
 * @property {string} info_hash
 * @property {string} name
 * @property {number | null} size  bytes
 * @property {number | null} piece_length
 * @property {number | null} pieces
 *
 * @typedef {object} Row  one torrent at one node
 * @property {string | null} state  checking, searching, downloading, seeding, paused, failed, stopped
 * @property {string} reason
 * @property {boolean | null} complete  as the tracker knows it
 * @property {Uint8Array} pieces  a letter's code a piece: MISSING, REQUESTED, RECEIVED, VERIFIED, BAD
 * @property {Record<string, Name[]>} asked  requested piece: the peers asked for it
 * @property {Name[]} queue  for the node's slots, in order
 * @property {Name[]} served  the holders of its slots
 * @property {number | null} slots
 * @property {{peer: Name, uploads: number, reason: string}[]} answer  the tracker's last answer to NEED
 * @property {number} down  bytes
 * @property {number} up
 * @property {{time: number, span_ms: number} | null} moved  its last link:bytes
 * @property {number} version  another number after each change of `pieces` or `asked` (not in asJson)
 *
 * @typedef {object} NodeState
 * @property {"here" | "silent" | "left"} state
 * @property {number} since  ms, of that state
 * @property {boolean} reports  an event of its own was seen
 * @property {number} silent_ms
 * @property {boolean} removed
 * @property {string | null} addr
 * @property {string | null} tcp_addr
 * @property {number | null} up_limit  bytes a second
 * @property {number | null} down_limit
 * @property {number | null} slots
 * @property {string[]} transports
 * @property {string} program
 * @property {string} faults
 * @property {number | null} uploads
 * @property {{offset_ms: number, bound_ms: number} | null} clock
 * @property {Gap | null} gap
 * @property {{time: number, reason: string, dump: number, total: number} | null} dumped
 * @property {Record<string, Row>} torrents
 *
 * @typedef {{time: number, events: number, span_ms: number}} Gap
 * @typedef {{time: number, bytes: number, span_ms: number}} Moved
 *
 * @typedef {object} Link  of one torrent; key "FROM>TO": bytes go from FROM to TO
 * @property {number} received  bytes, as TO reports
 * @property {Moved | null} in  the last link:bytes of TO that names the link
 * @property {string | null} state  TO's view of FROM: active, queued, choked, idle, unused, lost, suspect, banned
 * @property {number} place
 * @property {string} reason
 * @property {string} transport
 * @property {boolean | null} complete
 * @property {number | null} held
 * @property {number | null} window
 * @property {number | null} rtt_ms
 * @property {number} outstanding
 * @property {{time: number, reason: string} | null} reduced
 * @property {number} lost  datagrams
 * @property {number} repaired
 * @property {number} sent  bytes, as FROM reports
 * @property {Moved | null} out
 * @property {"granted" | "withdrawn" | null} slot
 * @property {string} slot_reason
 *
 * @typedef {object} SwarmJson
 * @property {number} time
 * @property {{epoch: string, addr: string | null, time: number} | null} tracker
 * @property {Gap | null} gap
 * @property {Record<string, Torrent>} torrents
 * @property {Record<string, NodeState>} nodes
 * @property {Record<string, Record<string, Link>>} links
 */

/** @param {string} letter */
export const codeOf = (letter) => letter.charCodeAt(0);
export const MISSING = codeOf(".");
export const REQUESTED = codeOf("r");
export const RECEIVED = codeOf("c");
export const VERIFIED = codeOf("v");
export const BAD = codeOf("x");

let versions = 0;

/** A number that no row had before. */
export function newVersion() {
  versions += 1;
  return versions;
}

/** @type {Omit<Link, "received" | "sent" | "lost" | "repaired" | "out" | "slot" | "slot_reason">} */
export const NEW_FETCHING = {
  in: null, state: null, place: 0, reason: "", transport: "", complete: null, held: null, window: null, rtt_ms: null,
  outstanding: 0, reduced: null,
};
/** @type {Pick<Link, "out" | "slot" | "slot_reason">} */
export const NEW_SERVING = { out: null, slot: null, slot_reason: "" };
export const NEW_TOTALS = { received: 0, sent: 0, lost: 0, repaired: 0 };

/** @param {number} time @returns {NodeState} */
export function newNode(time) {
  return {
    state: "here", since: time, reports: false, silent_ms: 0, removed: false, addr: null, tcp_addr: null,
    up_limit: null, down_limit: null, slots: null, transports: [], program: "", faults: "", uploads: null,
    clock: null, gap: null, dumped: null, torrents: {},
  };
}

/** @returns {Row} */
export function newRow() {
  return {
    state: null, reason: "", complete: null, pieces: new Uint8Array(), asked: {}, queue: [], served: [], slots: null,
    answer: [], down: 0, up: 0, moved: null, version: newVersion(),
  };
}

/** @param {NodeState} node @param {NodeState["state"]} state @param {number} time */
export function setState(node, state, time) {
  if (node.state !== state) Object.assign(node, { state, since: time });
  if (state !== "silent") Object.assign(node, { silent_ms: 0, removed: false });
}
