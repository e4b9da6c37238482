/**
 * What the peers of a node are to it: a row with a rate, or with the reason why a peer is not used. Pure.
 *
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {import("./picture.js").PictureNode} PictureNode
 * @typedef {import("./picture.js").PictureLink} PictureLink
 * @typedef {import("./state.js").Name} Name
 *
 * @typedef {object} PeerRow
 * @property {Name[]} peers  several if the same reason holds for them
 * @property {string} name  "node 5", "nodes 4, 9"
 * @property {"served" | "queued" | "choked" | "silent" | "other"} kind
 * @property {"wait" | "choked" | "none" | "silent" | "lost" | "bad" | "gone"} sign
 * @property {string} text  one line
 * @property {string} detail  the reason as sentences; "": the line says all
 * @property {number} rate  bytes a second
 * @property {boolean} [sent]  the bytes go to the peer
 */

import { plural, secondsText } from "./figures.js";

const ORDER = { served: 0, queued: 1, choked: 2, other: 3, silent: 4 };
const ONLY_PLACE = /^(waits, )?place \d+ in its queue\.?$/; // says no more than the line does
const LONG = 46; // characters of a reason that fit beside its sign

/**
 * Rows in the order of use: by rate, then those that wait, then the rest.
 * @param {PictureNode} node
 * @param {Picture} picture
 * @returns {PeerRow[]}
 */
export function peerRows(node, picture) {
  if (node.elsewhere) return [];
  if (node.complete) return servedRows(node, picture);
  const rows = picture.links.filter((link) => link.to === node.id).map((link) => rowOf(link, picture));
  const met = new Set(rows.flatMap((row) => row.peers));
  for (const other of picture.nodes) {
    if (other.id === node.id || met.has(other.id) || other.verified === 0 || node.place === "standard") continue;
    rows.push(plainRow(other, "other", "none", other.status === "here" ? "not known to it yet, or not asked" : awayText(other)));
  }
  return merged(inOrder(rows), picture);
}

/**
 * The peers of a node that has all pieces: those that it serves, and those that wait for it.
 * @param {PictureNode} node
 * @param {Picture} picture
 */
function servedRows(node, picture) {
  /** @type {PeerRow[]} */
  const rows = [];
  for (const link of picture.links) {
    const peer = picture.byName.get(link.to);
    if (link.from !== node.id || peer === undefined || link.kind === "none") continue;
    if (link.rate > 0) rows.push({ ...plainRow(peer, "served", "none", ""), rate: link.rate, sent: true });
    else if (link.kind === "queued") rows.push({ ...plainRow(peer, "queued", "wait", waitText(link)), detail: link.link.reason });
    else if (link.kind === "choked") rows.push(plainRow(peer, "choked", "choked", link.link.slot_reason || "choked"));
    else rows.push(plainRow(peer, "other", "none", "in use, nothing goes to it just now"));
  }
  return merged(inOrder(rows), picture);
}

/** By use, then by rate or by place in the queue, then by name. @param {PeerRow[]} rows */
function inOrder(rows) {
  return rows.sort((one, other) => ORDER[one.kind] - ORDER[other.kind] || other.rate - one.rate ||
    (one.kind === "queued" ? one.text.localeCompare(other.text) : 0) || byName(one.peers[0], other.peers[0]));
}

/** @param {Name} one @param {Name} other */
function byName(one, other) {
  if (typeof one === "number" && typeof other === "number") return one - other;
  return typeof one === typeof other ? String(one).localeCompare(String(other)) : typeof one === "number" ? -1 : 1;
}

/** @param {PictureLink} link @param {Picture} picture @returns {PeerRow} */
function rowOf(link, picture) {
  const peer = /** @type {PictureNode} */ (picture.byName.get(link.from));
  if (peer.status !== "here") return plainRow(peer, "silent", peer.status === "silent" ? "silent" : "gone", awayText(peer));
  const { state, reason } = link.link;
  if (link.kind === "queued") return { ...plainRow(peer, "queued", "wait", waitText(link)), detail: ONLY_PLACE.test(reason) ? "" : reason };
  if (link.rate > 0) return { ...plainRow(peer, "served", "none", ""), rate: link.rate };
  if (link.kind === "choked") return withReason(plainRow(peer, "choked", "choked", "chokes this node"), reason);
  if (state === "lost") return withReason(plainRow(peer, "other", "lost", "lost"), reason);
  if (state === "banned" || state === "suspect") return withReason(plainRow(peer, "other", "bad", state), reason);
  if (state === "active") return plainRow(peer, "other", "none", "in use, nothing has come just now");
  if (link.link.transport === "tcp" && state === "unused") return withReason(plainRow(peer, "other", "choked", "speaks TCP"), reason);
  return withReason(plainRow(peer, "other", "none", state === null ? "fetches from this node only" : "not needed now"), reason);
}

/** @param {PictureLink} link */
function waitText(link) {
  if (!link.place) return "waits for a slot";
  return `waits, place ${link.place}${link.waiting ? ` of ${link.waiting}` : ""}`;
}

/** @param {PictureNode} peer @param {PeerRow["kind"]} kind @param {PeerRow["sign"]} sign @param {string} text @returns {PeerRow} */
function plainRow(peer, kind, sign, text) {
  return { peers: [peer.id], name: peer.name, kind, sign, text, detail: "", rate: 0 };
}

/** A short reason stands in the line; a long one below it. @param {PeerRow} row @param {string} reason @returns {PeerRow} */
function withReason(row, reason) {
  if (reason === "") return row;
  const short = reason.replace(/\.$/, "");
  return short.length <= LONG ? { ...row, text: short } : { ...row, detail: reason };
}

/** @param {PictureNode} peer */
function awayText(peer) {
  return `${peer.status === "silent" ? "silent for" : "gone for"} ${secondsText(peer.quiet)}`;
}

/** Peers with the same reason share a row. @param {PeerRow[]} rows @param {Picture} picture */
function merged(rows, picture) {
  /** @type {PeerRow[]} */
  const found = [];
  for (const row of rows) {
    const before = found.find((each) => row.kind === "other" && each.kind === row.kind && each.text === row.text && each.detail === row.detail);
    if (before === undefined) found.push({ ...row });
    else before.peers.push(...row.peers);
  }
  for (const row of found) if (row.peers.length > 1) row.name = namesOf(row.peers, picture);
  return found;
}

/** @param {Name[]} names @param {Picture} picture */
function namesOf(names, picture) {
  const labels = names.map((name) => picture.byName.get(name)?.label ?? String(name));
  const noun = names.every((name) => typeof name === "number") ? "node" : "peer";
  if (labels.length > 3) return plural(labels.length, noun);
  return `${noun}s ${labels.join(", ")}`;
}

/**
 * The node's rank in an answer of the tracker, and why; without an answer, by the uploads that the tracker counted.
 * @param {PictureNode} node
 * @param {Picture} picture
 * @returns {{place: number, of: number, why: string}} place 0: it has none
 */
export function rankOf(node, picture) {
  const counted = picture.nodes.filter((each) => each.status !== "gone" && each.state !== null && each.verified > 0);
  const uploads = (/** @type {PictureNode} */ each) => each.state?.uploads ?? 0;
  if (node.state === null || !counted.includes(node)) return { place: 0, of: counted.length, why: "" };
  const answered = answerRank(node, picture);
  if (answered !== null) return answered;
  const better = counted.filter((each) => uploads(each) > uploads(node));
  const equal = counted.filter((each) => each !== node && uploads(each) === uploads(node)).length;
  const best = [...better].sort((one, other) => uploads(other) - uploads(one)).slice(0, 2);
  const rest = best.map((each, at) => `${at ? each.name : each.name.replace("node", "Node")} has ${uploads(each)}`).join(", ");
  const why = `Ranked ${ordinal(better.length + 1)} by uploads counted: ${uploads(node)}.`;
  const shared = equal ? ` ${plural(equal, "node")} ${equal === 1 ? "has" : "have"} as many.` : "";
  return { place: better.length + 1, of: counted.length, why: best.length ? `${why} ${rest}.` : why + shared };
}

/** The rank in the longest answer that names the node. @param {PictureNode} node @param {Picture} picture */
function answerRank(node, picture) {
  let found = null;
  for (const other of picture.nodes) {
    const answer = other.row?.answer ?? [];
    const at = answer.findIndex((each) => each.peer === node.id);
    if (at < 0 || (found !== null && found.of >= answer.length)) continue;
    const reason = answer[at].reason;
    const why = reason ? ` ${sentence(reason.replace(/^./, (letter) => letter.toUpperCase()))}` : "";
    found = { place: at + 1, of: answer.length, why: `Ranked ${ordinal(at + 1)} of ${answer.length} for ${other.name}.${why}` };
  }
  return found;
}

/** @param {string} text */
function sentence(text) {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}

const ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"];

/** @param {number} place  from 1 */
function ordinal(place) {
  return ORDINALS[place - 1] ?? `${place}th`;
}
