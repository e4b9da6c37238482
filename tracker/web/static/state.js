/**
 * The state of a swarm after any part of its log: the same reducer as common/swarm_state.py, and a test compares
 * the two. Only events that `checkedEvent` let pass are applied.
 *
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
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

const codeOf = (/** @type {string} */ letter) => letter.charCodeAt(0);
export const MISSING = codeOf(".");
export const REQUESTED = codeOf("r");
export const RECEIVED = codeOf("c");
export const VERIFIED = codeOf("v");
export const BAD = codeOf("x");

export class SwarmState {
  constructor() {
    /** ms, the highest so far */
    this.time = 0;
    /** @type {SwarmJson["tracker"]} */
    this.tracker = null;
    /** @type {Gap | null} */
    this.gap = null;
    /** @type {Record<string, Torrent>} by the first 12 digits of the info hash */
    this.torrents = {};
    /** @type {Record<string, NodeState>} by node_id */
    this.nodes = {};
    /** @type {Record<string, Record<string, Link>>} by "FROM>TO", then by torrent */
    this.links = {};
  }

  /** @param {SwarmEvent} event @returns {boolean} false: it is ignored */
  apply(event) {
    this.time = Math.max(this.time, event.time);
    return true;
  }

  /** @returns {SwarmState} */
  clone() {
    const copy = new SwarmState();
    copy.time = this.time;
    return copy;
  }
}
