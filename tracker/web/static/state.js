/**
 * The state of a swarm after any part of its log: the same reducer as common/swarm_state.py, and a test compares
 * the two. Only events that `checkedEvent` gave are applied.
 *
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 * @typedef {import("./state_entries.js").Name} Name
 * @typedef {import("./state_entries.js").Torrent} Torrent
 * @typedef {import("./state_entries.js").Row} Row
 * @typedef {import("./state_entries.js").NodeState} NodeState
 * @typedef {import("./state_entries.js").Gap} Gap
 * @typedef {import("./state_entries.js").Moved} Moved
 * @typedef {import("./state_entries.js").Link} Link
 * @typedef {import("./state_entries.js").SwarmJson} SwarmJson
 */

import { cleaned, ShapeError } from "./shapes.js";
import { codeOf, NEW_FETCHING, NEW_SERVING, newVersion, setState } from "./state_entries.js";
import { HANDLERS } from "./state_events.js";
import { SwarmRoom } from "./state_room.js";
import { LIMITS, SWARM } from "./vocabulary.js";

export class SwarmState extends SwarmRoom {
  constructor() {
    super();
    /** ms, the highest so far */
    this.time = 0;
    /** @type {SwarmJson["tracker"]} */
    this.tracker = null;
    /** The last gap of the log itself. @type {Gap | null} */
    this.gap = null;
  }

  /**
   * Take one event that `checkedEvent` gave. @returns {boolean} false: it is ignored
   * @param {SwarmEvent} event
   */
  apply(event) {
    if (event.name === "keyframe") {
      if (!this.takeKeyframe(event.data)) return false;
    } else {
      const handle = HANDLERS[event.name];
      if (!handle || !this.knows(event) || !this.hasNodes(event)) return false;
      handle(this, event, event.data);
      if (event.node !== null) this.hear(event);
    }
    this.time = Math.max(this.time, event.time);
    return true;
  }

  /** @param {any} json */
  takeKeyframe(json) {
    try {
      Object.assign(this, SwarmState.fromJson(json));
      return true;
    } catch (error) {
      if (error instanceof ShapeError) return false;
      throw error;
    }
  }

  /** Do its torrent and its piece exist? @param {SwarmEvent} event */
  knows({ name, data }) {
    if (name === "torrent:known" || !("torrent" in data)) return true;
    const torrent = this.torrents[data.torrent];
    return torrent !== undefined && (!("piece" in data) || data.piece < (torrent.pieces ?? 0));
  }

  /** Have an entry for the event's nodes; false if there is no room. @param {SwarmEvent} event */
  hasNodes({ node, time, data }) {
    const about = data.node ?? null;
    if ((node === null || node in this.nodes) && (about === null || about in this.nodes)) return true;
    return this.makeNodes([node, about].filter((id) => id !== null), time);
  }

  /** The node itself reported the event. @param {SwarmEvent} event */
  hear(event) {
    const node = this.nodes[/** @type {number} */ (event.node)];
    node.reports = true;
    if (node.state === "silent") setState(node, "here", event.time);
  }

  /** The node's own views of its links are over. Totals stay. @param {number} id */
  forgetRun(id) {
    for (const [key, torrents] of Object.entries(this.links)) {
      const [giver, taker] = key.split(">");
      for (const link of Object.values(torrents)) {
        if (taker === String(id)) Object.assign(link, NEW_FETCHING);
        if (giver === String(id)) Object.assign(link, NEW_SERVING);
      }
    }
  }

  /** A copy that shares nothing that changes. @returns {SwarmState} */
  clone() {
    const copy = new SwarmState();
    Object.assign(copy, this);
    copy.counts = { ...this.counts };
    copy.torrents = mapped(this.torrents, (torrent) => ({ ...torrent }));
    copy.links = mapped(this.links, (torrents) => mapped(torrents, (link) => ({ ...link })));
    copy.nodes = mapped(this.nodes, (node) => ({
      ...node,
      torrents: mapped(node.torrents, (row) => ({ ...row, pieces: row.pieces.slice(), asked: { ...row.asked } })),
    }));
    return copy;
  }

  /** The state as a value for JSON. @returns {SwarmJson} */
  asJson() {
    const nodes = mapped(this.nodes, (node) => ({
      ...node,
      torrents: mapped(node.torrents, ({ version, ...row }) => ({ ...row, pieces: LETTERS.decode(row.pieces) })),
    }));
    const { time, tracker, gap, torrents, links } = this;
    return /** @type {any} */ ({ time, tracker, gap, torrents, nodes, links });
  }

  /** The state in `json`. Throws ShapeError if `asJson` does not write such a value. @param {any} json */
  static fromJson(json) {
    const state = Object.assign(new SwarmState(), cleaned(SWARM, json));
    for (const [id, node] of Object.entries(state.nodes)) {
      if (Number(id) > 2 ** 31 - 1) throw new ShapeError("a node_id is too large");
      for (const [torrent, row] of Object.entries(node.torrents)) {
        row.pieces = Uint8Array.from(/** @type {any} */ (row.pieces), codeOf);
        row.version = newVersion();
        const known = state.torrents[torrent];
        if (known === undefined || ![0, known.pieces].includes(row.pieces.length)) {
          throw new ShapeError("a row has another number of pieces");
        }
        state.cells += row.pieces.length;
      }
    }
    if (state.cells > LIMITS.MAX_CELLS) throw new ShapeError("too many pieces");
    const size = (/** @type {object} */ map) => Object.keys(map).length;
    state.counts = { nodes: size(state.nodes), torrents: size(state.torrents), links: size(state.links) };
    return state;
  }
}

const LETTERS = new TextDecoder("latin1");

/**
 * @template T, U
 * @param {Record<string, T>} map
 * @param {(value: T) => U} change
 * @returns {Record<string, U>}
 */
function mapped(map, change) {
  /** @type {Record<string, U>} */
  const found = {};
  for (const key in map) found[key] = change(map[key]);
  return found;
}
