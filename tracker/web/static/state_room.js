/**
 * The entries of a swarm's state, and their limits: which old ones give way to new ones. The same rules as in
 * common/swarm_room.py.
 *
 * @typedef {import("./state_entries.js").Name} Name
 * @typedef {import("./state_entries.js").Torrent} Torrent
 * @typedef {import("./state_entries.js").Row} Row
 * @typedef {import("./state_entries.js").NodeState} NodeState
 * @typedef {import("./state_entries.js").Link} Link
 */

import { MISSING, NEW_FETCHING, NEW_SERVING, NEW_TOTALS, newNode, newRow, newVersion } from "./state_entries.js";
import { LIMITS } from "./vocabulary.js";

export class SwarmRoom {
  constructor() {
    /** @type {Record<string, Torrent>} by the first 12 digits of the info hash */
    this.torrents = {};
    /** @type {Record<string, NodeState>} by node_id */
    this.nodes = {};
    /** @type {Record<string, Record<string, Link>>} by "FROM>TO", then by torrent */
    this.links = {};
    this.cells = 0; // letters of all rows
    this.counts = { nodes: 0, torrents: 0, links: 0 };
    this.hasNoSpareLinks = false; // as the last search found, and nothing changed it since
  }

  /** Add the torrent if there is room. @param {string} torrent @param {Torrent} known */
  makeTorrent(torrent, known) {
    if (this.counts.torrents >= LIMITS.MAX_TORRENTS) {
      const spare = this.spareTorrent();
      if (spare === undefined) return;
      this.forgetTorrent(spare);
    }
    this.torrents[torrent] = known;
    this.counts.torrents += 1;
  }

  /**
   * Have an entry for each node in `named`; false if there is no room.
   * @param {number[]} named
   * @param {number} time
   */
  makeNodes(named, time) {
    const fresh = named.filter((id) => !(id in this.nodes));
    if (fresh.length === 0) return true;
    while (this.counts.nodes + fresh.length > LIMITS.MAX_NODES) {
      const gone = Object.keys(this.nodes).map(Number).filter((id) => isGone(this.nodes[id]) && !named.includes(id));
      if (gone.length === 0) return false;
      this.forgetNode(Math.min(...gone));
    }
    for (const id of fresh) this.nodes[id] = newNode(time);
    this.counts.nodes += fresh.length;
    return true;
  }

  /** @param {number} id @param {string} torrent @returns {Row} */
  row(id, torrent) {
    const rows = this.nodes[id].torrents;
    if (!(torrent in rows)) {
      rows[torrent] = newRow();
      this.extend(rows[torrent], this.torrents[torrent].pieces ?? 0);
    }
    return rows[torrent];
  }

  /** Give the row a letter a piece if there is room. @param {Row} row @param {number} pieces */
  extend(row, pieces) {
    if (this.cells + pieces > LIMITS.MAX_CELLS) this.forgetLetters(pieces);
    if (this.cells + pieces > LIMITS.MAX_CELLS) return;
    row.pieces = new Uint8Array(pieces).fill(MISSING);
    row.version = newVersion();
    this.cells += pieces;
  }

  /**
   * The link from `giver` to `taker`. If there is no room, a new one that is forgotten.
   * @param {Name} giver
   * @param {Name} taker
   * @param {string} torrent
   * @returns {Link}
   */
  link(giver, taker, torrent) {
    const key = `${giver}>${taker}`;
    let torrents = this.links[key];
    if (torrents === undefined) {
      torrents = {};
      if (this.counts.links >= LIMITS.MAX_LINKS && !this.hasNoSpareLinks) this.forgetLinks();
      if (this.counts.links < LIMITS.MAX_LINKS) {
        this.links[key] = torrents;
        this.counts.links += 1;
        this.hasNoSpareLinks = false;
      }
    }
    if (!(torrent in torrents)) torrents[torrent] = { ...NEW_TOTALS, ...NEW_FETCHING, ...NEW_SERVING };
    return torrents[torrent];
  }

  /** The smallest torrent that each present node lacks or has stopped. */
  spareTorrent() {
    const used = new Set();
    for (const node of Object.values(this.nodes)) {
      if (isGone(node)) continue;
      for (const torrent in node.torrents) if (node.torrents[torrent].state !== "stopped") used.add(torrent);
    }
    return Object.keys(this.torrents).filter((torrent) => !used.has(torrent)).sort()[0];
  }

  /** @param {string} torrent */
  forgetTorrent(torrent) {
    delete this.torrents[torrent];
    this.counts.torrents -= 1;
    for (const node of Object.values(this.nodes)) {
      if (!(torrent in node.torrents)) continue;
      this.cells -= node.torrents[torrent].pieces.length;
      delete node.torrents[torrent];
    }
    for (const [key, torrents] of Object.entries(this.links)) {
      if (!(torrent in torrents)) continue;
      delete torrents[torrent];
      if (Object.keys(torrents).length === 0) this.forgetLink(key);
    }
  }

  /** @param {number} id */
  forgetNode(id) {
    for (const row of Object.values(this.nodes[id].torrents)) this.cells -= row.pieces.length;
    delete this.nodes[id];
    this.counts.nodes -= 1;
    for (const key of Object.keys(this.links)) if (key.split(">").includes(String(id))) this.forgetLink(key);
  }

  /** All links without a present node at either end. */
  forgetLinks() {
    for (const key of Object.keys(this.links)) {
      if (!key.split(">").some((name) => Object.hasOwn(this.nodes, name) && !isGone(this.nodes[name]))) this.forgetLink(key);
    }
    this.hasNoSpareLinks = true;
  }

  /** @param {string} key */
  forgetLink(key) {
    delete this.links[key];
    this.counts.links -= 1;
  }

  /** Make room for letters, as far as nodes are gone. @param {number} pieces */
  forgetLetters(pieces) {
    const gone = Object.keys(this.nodes).map(Number).filter((id) => isGone(this.nodes[id]));
    for (const id of gone.sort((a, b) => a - b)) {
      const rows = this.nodes[id].torrents;
      for (const torrent of Object.keys(rows).sort()) {
        if (this.cells + pieces <= LIMITS.MAX_CELLS) return;
        this.cells -= rows[torrent].pieces.length;
        Object.assign(rows[torrent], { pieces: new Uint8Array(), asked: {}, version: newVersion() });
      }
    }
  }
}

/** The node left, or was removed for its silence. @param {NodeState} node */
function isGone(node) {
  return node.state === "left" || node.removed;
}
