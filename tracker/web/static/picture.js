/**
 * What the state says, in the terms of the pictures: nodes with their role and share, links with their rate and
 * kind. Pure: it knows no canvas.
 *
 * @typedef {import("./state.js").SwarmState} SwarmState
 * @typedef {import("./state.js").NodeState} NodeState
 * @typedef {import("./state.js").Row} Row
 * @typedef {import("./state.js").Link} Link
 * @typedef {import("./state.js").Moved} Moved
 * @typedef {import("./state.js").Name} Name
 * @typedef {import("./state.js").Torrent} Torrent
 *
 * @typedef {object} PictureNode
 * @property {Name} id
 * @property {string} label  inside its sign: "3", "a"
 * @property {string} name  "node 3", "peer a"
 * @property {"seed" | "leecher" | "standard"} place  where it stands; a leecher stays there when it completes
 * @property {"here" | "silent" | "gone"} status
 * @property {number} quiet  ms since it is silent or gone
 * @property {Row | null} row  null: this torrent is not known to it
 * @property {boolean} elsewhere  it takes no part in this torrent, perhaps in another one
 * @property {NodeState | null} state  null: a standard peer
 * @property {number} verified
 * @property {number} bad
 * @property {number} share  0 to 1, of the pieces that it has
 * @property {boolean} complete
 * @property {number} down  bytes a second, now
 * @property {number} up
 *
 * @typedef {object} PictureLink  bytes go from `from` to `to`
 * @property {string} key
 * @property {Name} from
 * @property {Name} to
 * @property {number} rate  bytes a second, now
 * @property {"active" | "queued" | "choked" | "none"} kind  none: the receiver does not use it
 * @property {number} place  in the queue of `from`, from 1; 0: none
 * @property {number} waiting  length of that queue
 * @property {Link} link
 *
 * @typedef {object} Picture
 * @property {string | null} torrent
 * @property {Torrent | null} known
 * @property {number} pieces
 * @property {PictureNode[]} nodes  by node_id, then standard peers
 * @property {Map<Name, PictureNode>} byName
 * @property {PictureLink[]} links
 * @property {number} rate  bytes a second of all links
 */

import { nameIn } from "./figures.js";
import { countOf } from "./letters.js";
import { Roster } from "./roster.js";
import { BAD, VERIFIED } from "./state_entries.js";

const STALE_MS = 2000; // a rate that is older says nothing about now
const CROSS_MS = 30_000; // that a node that left is still drawn

/**
 * @param {SwarmState} state
 * @param {string | null} torrent
 * @param {number} time  ms of the log
 * @param {Roster} roster
 * @returns {Picture}
 */
function readPicture(state, torrent, time, roster) {
  const known = torrent === null ? null : (state.torrents[torrent] ?? null);
  /** @type {Picture} */
  const picture = { torrent, known, pieces: known?.pieces ?? 0, nodes: [], byName: new Map(), links: [], rate: 0 };
  for (const [id, node] of Object.entries(state.nodes)) {
    const read = readNode(Number(id), node, picture, time, roster);
    if (read !== null) picture.nodes.push(read);
  }
  picture.nodes.sort((one, other) => Number(one.id) - Number(other.id));
  for (const node of picture.nodes) picture.byName.set(node.id, node);
  if (torrent !== null) readLinks(state, torrent, time, picture, roster);
  return picture;
}

/**
 * @param {number} id
 * @param {NodeState} node
 * @param {Picture} picture
 * @param {number} time
 * @param {Roster} roster
 * @returns {PictureNode | null}
 */
function readNode(id, node, picture, time, roster) {
  const gone = node.state === "left" || (node.state === "silent" && node.removed);
  const quiet = node.state === "here" ? 0 : Math.max(0, time - node.since) + node.silent_ms;
  if (gone && time - node.since > CROSS_MS) return null;
  const row = picture.torrent === null ? null : (node.torrents[picture.torrent] ?? null);
  const { verified, bad } = row === null ? { verified: 0, bad: 0 } : tally(row);
  const complete = picture.pieces > 0 && verified === picture.pieces;
  const seed = complete && picture.torrent !== null && !roster.fetched(picture.torrent, id);
  return {
    id, label: String(id), name: `node ${id}`, place: seed ? "seed" : "leecher",
    status: gone ? "gone" : node.state === "silent" ? "silent" : "here", quiet, row, elsewhere: row === null && picture.torrent !== null, state: node,
    verified, bad, share: picture.pieces ? verified / picture.pieces : 0, complete, down: 0, up: 0,
  };
}

/** Why a node has no share of the file that is shown. @param {PictureNode} node */
export function elsewhereText({ state }) {
  return Object.keys(state?.torrents ?? {}).length ? "other file" : "no file";
}

/** Counts of a row, kept until the row changes. @type {WeakMap<Row, {version: number, letters: Uint8Array, verified: number, bad: number}>} */
const tallies = new WeakMap();

/** @param {Row} row */
function tally(row) {
  const kept = tallies.get(row);
  if (kept !== undefined && kept.version === row.version && kept.letters === row.pieces) return kept;
  const letters = row.pieces;
  const found = { version: row.version, letters, verified: countOf(letters, VERIFIED), bad: countOf(letters, BAD) };
  tallies.set(row, found);
  return found;
}

/**
 * @param {SwarmState} state
 * @param {string} torrent
 * @param {number} time
 * @param {Picture} picture
 * @param {Roster} roster
 */
function readLinks(state, torrent, time, picture, roster) {
  for (const [key, torrents] of Object.entries(state.links)) {
    const link = torrents[torrent];
    if (link === undefined) continue;
    const cut = key.indexOf(">");
    const [from, to] = [nameIn(key.slice(0, cut)), nameIn(key.slice(cut + 1))];
    const rate = rateOf(link, rowOf(state, torrent, from), rowOf(state, torrent, to), time);
    for (const name of [from, to]) if (typeof name === "string") meetStandard(name, link, rate, name === from, picture, roster);
    const [giver, taker] = [picture.byName.get(from), picture.byName.get(to)];
    if (giver === undefined || taker === undefined) continue;
    const queue = rowOf(state, torrent, from)?.queue ?? [];
    const kind = giver.status === "here" && taker.status === "here" ? kindOf(link, rate) : "none";
    const moving = kind === "none" ? 0 : rate;
    picture.links.push({
      key, from, to, rate: moving, kind, link, place: link.place || queue.indexOf(to) + 1,
      waiting: Math.max(queue.length, link.place),
    });
    giver.up += moving;
    taker.down += moving;
    picture.rate += moving;
  }
}

/**
 * @param {SwarmState} state
 * @param {string} torrent
 * @param {Name} name
 * @returns {Row | null}
 */
function rowOf(state, torrent, name) {
  return typeof name === "number" ? (state.nodes[name]?.torrents[torrent] ?? null) : null;
}

/**
 * Bytes a second now: by the receiver's count if it reports, else by the sender's.
 * @param {Link} link
 * @param {Row | null} giver
 * @param {Row | null} taker
 * @param {number} time
 */
function rateOf(link, giver, taker, time) {
  const [moved, row] = taker?.moved ? [link.in, taker] : [link.out, giver];
  if (moved === null || !row?.moved || moved.time !== row.moved.time) return 0;
  return time - moved.time > STALE_MS || moved.span_ms <= 0 ? 0 : (moved.bytes / moved.span_ms) * 1000;
}

/** @param {Link} link @param {number} rate @returns {PictureLink["kind"]} */
function kindOf(link, rate) {
  if (link.state === "queued") return "queued";
  if (link.state === "choked") return "choked";
  return rate > 0 || link.state === "active" ? "active" : "none";
}

/**
 * A standard peer is known only by its links.
 * @param {string} name
 * @param {Link} link
 * @param {number} rate
 * @param {boolean} gives
 * @param {Picture} picture
 * @param {Roster} roster
 */
function meetStandard(name, link, rate, gives, picture, roster) {
  const here = rate > 0 || (link.state !== null && link.state !== "lost") || link.slot === "granted";
  let node = picture.byName.get(name);
  if (node === undefined) {
    if (!here) return;
    const label = roster.letterOf(name);
    node = {
      id: name, label, name: `peer ${label}`, place: "standard", status: "here", quiet: 0, row: null, elsewhere: false,
      state: null, verified: 0, bad: 0, share: 0, complete: false, down: 0, up: 0,
    };
    picture.nodes.push(node);
    picture.byName.set(name, node);
  }
  if (!gives || link.held === null) return;
  // A count that is too high is the reporting node's mistake: no peer has more than all.
  node.verified = Math.max(node.verified, link.complete ? picture.pieces : Math.min(link.held, picture.pieces));
  node.complete = picture.pieces > 0 && node.verified >= picture.pieces;
  node.share = picture.pieces ? Math.min(1, node.verified / picture.pieces) : 0;
}

/**
 * One picture for all views at one change of the model.
 * @typedef {import("./model.js").Model} Model
 */
class Pictures {
  /** @param {Model} model @param {Roster} roster */
  constructor(model, roster) {
    this.model = model;
    this.roster = roster;
    /** @type {Picture | null} */
    this.last = null;
    model.onChange((change) => {
      if (change === "state" || change === "time" || change === "log" || change === "selection") this.last = null;
    });
  }

  /** @returns {Picture} */
  get now() {
    if (this.last === null) {
      this.roster.observe(this.model.log);
      this.last = readPicture(this.model.state, this.model.torrent, this.model.time, this.roster);
    }
    return this.last;
  }
}

/** @type {WeakMap<Model, Pictures>} */
const shared = new WeakMap();

/** The pictures of a model, one for all its views. @param {Model} model @returns {Pictures} */
export function picturesOf(model) {
  let found = shared.get(model);
  if (found === undefined) {
    found = new Pictures(model, new Roster());
    shared.set(model, found);
  }
  return found;
}
