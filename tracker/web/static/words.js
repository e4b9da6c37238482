/**
 * Each event of the log as one plain sentence, and the sign beside it. Pure.
 *
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 * @typedef {import("./state_entries.js").Name} Name
 * @typedef {"wait" | "lost" | "bad" | "silent" | "verified" | "slot" | "choked" | "none" | "node" | "gone" | "gap" | "again"} Glyph
 *
 * @typedef {object} Context  facts from earlier in the log
 * @property {number} [of]  peer:state queued: how many wait there
 * @property {number} [before]  peer:state queued: the place before, 0: none
 * @property {string} [file]  name of the torrent, if the log has several
 * @property {Map<string, string>} [names]  of standard peers, by address: "peer a"
 */

import { exactText, grouped, listed, megabytes, plural, secondsText, sizeText } from "./figures.js";

/**
 * "node 3", "peer a".
 * @param {Name | null} name  null: the tracker
 * @param {Map<string, string>} [names]  of standard peers, by address; without it their address is the name
 */
export function nameText(name, names) {
  if (typeof name === "number") return `node ${name}`;
  return name === null ? "the tracker" : names?.get(name) ?? name;
}

/** "nodes 2, 6 and 9". @param {Name[]} names */
function namesText(names) {
  if (names.length === 0) return "no node";
  const nodes = names.filter((name) => typeof name === "number");
  const others = names.filter((name) => typeof name !== "number");
  if (nodes.length < 2) return listed(names.map((name) => nameText(name)));
  return listed([`nodes ${nodes.slice(0, -1).join(", ")}${others.length ? "," : " and"} ${nodes.at(-1)}`, ...others]);
}

/** One sentence. @param {SwarmEvent} event @param {Context} [context] @returns {string} */
export function sentence(event, context = {}) {
  const write = Object.hasOwn(SENTENCES, event.name) ? SENTENCES[event.name] : null;
  const data = context.names?.size ? withNames(event.data, context.names) : event.data;
  const text = write === null ? `${event.name} at ${nameText(event.node)}.` : write(data, event.node, context);
  const beginsWithName = event.name === "torrent:known"; // a file's name stays as it is
  return beginsWithName ? text : text.charAt(0).toUpperCase() + text.slice(1);
}

/** The data of an event with names for the addresses of standard peers. @param {Record<string, any>} data @param {Map<string, string>} names */
function withNames(data, names) {
  const named = (/** @type {any} */ value) => names.get(value) ?? value;
  const found = { ...data };
  if (typeof data.peer === "string") found.peer = named(data.peer);
  for (const field of ["peers", "queue", "served"]) if (field in data) found[field] = data[field].map(named);
  if (data.answer) found.answer = data.answer.map((/** @type {any} */ each) => ({ ...each, peer: named(each.peer) }));
  return found;
}

/** "; its reason", ended as a sentence. @param {string} reason */
function because(reason) {
  const text = reason.trim().replace(/\.$/, "");
  return text === "" ? "." : `: ${text}.`;
}

/** " of lecture.bin" if there are several. @param {Context} context */
function ofFile(context) {
  return context.file ? ` of ${context.file}` : "";
}

/** @param {Record<string, any>} data */
function startText({ up_limit, slots }) {
  const limits = [];
  if (up_limit !== null) limits.push(`an upload limit of ${megabytes(up_limit)} MB/s`);
  if (slots !== null) limits.push(plural(slots, "upload slot"));
  return limits.length ? `, with ${listed(limits)}.` : ".";
}

/** @param {Record<string, any>} data @param {string} me @param {Context} context */
function torrentStateText({ state, reason }, me, context) {
  const file = context.file ?? "the file";
  /** @type {Record<string, string>} */
  const texts = {
    checking: `${me} checks its copy of ${file}`,
    searching: `${me} searches for owners of ${file}`,
    downloading: `${me} downloads ${file}`,
    seeding: `${me} has all of ${file}, and seeds it`,
    paused: `${me} pauses ${file}`,
    failed: `${me} fails to download ${file}`,
    stopped: `${me} stops ${file}`,
  };
  return texts[state] + because(reason);
}

/** @param {Record<string, any>} data @param {string} me @param {Context} context */
function peerStateText({ peer, state, place, reason }, me, { of = 0, before = 0 }) {
  const them = nameText(peer);
  const total = of >= place ? ` of ${of}` : "";
  /** @type {Record<string, string>} */
  const texts = {
    active: `${me} fetches from ${them}.`,
    queued: before > place
      ? `${me} moves up at ${them}: place ${place}${total}.`
      : `${me} waits at ${them}${place ? `, place ${place}${total}` : ""}.`,
    choked: `${them} chokes ${me}.`,
    idle: `${me} has nothing to ask ${them} for now${because(reason)}`,
    unused: `${me} does not use ${them}${because(reason)}`,
    lost: `${me} loses ${them}${because(reason)}`,
    suspect: `${me} suspects ${them}${because(reason)}`,
    banned: `${me} bans ${them}${because(reason)}`,
  };
  return texts[state];
}

/** @param {Record<string, any>} data @param {string} me */
function lostText({ peer, message, reason, offset, length, request, others }, me) {
  const them = nameText(peer);
  const what = request ? `${message} ${grouped(request)}` : `${message} [${grouped(offset)}, +${grouped(length)})`;
  const way = message === "REQUEST" || message === "ASK" ? `${me} to ${them}` : `${them} to ${me}`;
  return `${what}, ${way}, is lost${because(reason)}${moreText(others)}`;
}

/** @param {Record<string, any>} data @param {string} me */
function repairedText({ peer, message, by, request, again, cost_ms, cost_bytes, others }, me) {
  const what = request ? `${message} ${grouped(request)}` : `the lost ${message}`;
  const first = by === "late" ? "by the first answer of" : `${by},`;
  const how = again ? `by REQUEST ${grouped(again)} to ${nameText(peer)}` : `${first} ${nameText(peer)}`;
  const bytes = cost_bytes ? `, ${grouped(cost_bytes)} bytes sent again` : "";
  return `${me} has the bytes of ${what} after all, ${how}: ${secondsText(cost_ms)} later than expected${bytes}.${moreText(others)}`;
}

/** @param {string} me @param {Name[]} queue @param {Name[]} served */
function queueText(me, queue, served) {
  const slots = served.length ? `${namesText(served)} ${served.length === 1 ? "has a slot" : "have slots"}` : "no slot is in use";
  if (queue.length === 0) return `Nothing waits at ${me}; ${slots}.`;
  return `At ${me} ${namesText(queue)} wait${queue.length === 1 ? "s" : ""}; ${slots}.`;
}

/** @param {Record<string, any>} data @param {Context} context */
function announceText({ peer, event, complete, others }, context) {
  const file = ofFile(context);
  /** @type {Record<string, string>} */
  const texts = {
    started: `joins the swarm${file}${complete ? " and has all of it" : ""}`,
    completed: `announces that it has all${file || " of the file"}`,
    stopped: `leaves the swarm${file}`,
  };
  const name = nameText(peer);
  return `${name.startsWith("peer ") ? name : `peer ${name}`} ${texts[event]}.${moreText(others)}`;
}

/** @param {number} others */
function moreText(others) {
  return others ? ` ${grouped(others)} more since the last.` : "";
}

/** @param {[number, number][]} ranges */
function pieces(ranges) {
  return plural(ranges.reduce((sum, [from, to]) => sum + Math.max(0, to - from), 0), "piece");
}

/** @param {[Name, number][]} rows */
function bytesText(rows) {
  return sizeText(rows.reduce((sum, [, bytes]) => sum + bytes, 0));
}

/** @typedef {(data: Record<string, any>, node: number | null, context: Context) => string} Write */

/** @type {Record<string, Write>} */
const SENTENCES = {
  "node:started": (data, node) => `${nameText(node)} starts${startText(data)}`,
  "node:left": (_, node) => `${nameText(node)} leaves.`,
  "node:silent": ({ node, silent_ms, removed }) =>
    removed
      ? `${nameText(node)} is silent for ${secondsText(silent_ms)}: the tracker removes it.`
      : `${nameText(node)} falls silent.`,
  "node:back": ({ node, silent_ms }) => `${nameText(node)} reports again after ${secondsText(silent_ms)} of silence.`,
  "node:faults": ({ spec }, node) =>
    spec ? `${nameText(node)} makes faults on purpose: ${spec}.` : `${nameText(node)} makes no more faults on purpose.`,
  "tracker:started": () => "The tracker starts.",
  "tracker:register": ({ node }) => `${nameText(node)} registers at the tracker.`,
  "tracker:own": ({ node, complete }, _, context) =>
    `${nameText(node)} announces that it owns ${complete ? "all" : "a part"}${ofFile(context) || " of the file"}.`,
  "tracker:need": ({ node, answer }, _, context) =>
    answer.length
      ? `${nameText(node)} asks for owners${ofFile(context)}: ${namesText(answer.map((/** @type {any} */ each) => each.peer))}.`
      : `${nameText(node)} asks for owners${ofFile(context)}: there is none.`,
  "tracker:update": ({ node, uploads, by }) =>
    `${nameText(by)} reports an upload of ${nameText(node)}, the ${ordinal(uploads)} counted.`,
  "tracker:exit": ({ node }) => `${nameText(node)} leaves the tracker.`,
  "tracker:announce": (data, _, context) => announceText(data, context),
  "torrent:known": ({ name, size, pieces: count }) =>
    `${name} is shared${size === null ? "" : `: ${sizeText(size)}`}${count === null ? "" : `, ${plural(count, "piece")}`}.`,
  "torrent:state": (data, node, context) => torrentStateText(data, nameText(node), context),
  "piece:held": ({ ranges }, node, context) => `${nameText(node)} holds ${pieces(ranges)}${ofFile(context)}.`,
  "piece:requested": ({ piece, peers }, node) =>
    `${nameText(node)} asks ${namesText(peers)} for piece ${grouped(piece)}.`,
  "piece:received": ({ piece }, node) => `${nameText(node)} receives piece ${grouped(piece)}.`,
  "piece:verified": ({ piece }, node) => `${nameText(node)} verifies piece ${grouped(piece)}.`,
  "piece:failed": ({ piece, peers }, node) =>
    `Piece ${grouped(piece)} from ${namesText(peers)} is wrong at ${nameText(node)}: its SHA-1 differs.`,
  "piece:missing": ({ piece }, node) => `${nameText(node)} gives up its requests for piece ${grouped(piece)}.`,
  "peer:state": (data, node, context) => peerStateText(data, nameText(node), context),
  "slot:granted": ({ peer }, node) => `${nameText(peer)} gets a slot at ${nameText(node)}.`,
  "slot:queue": ({ queue, served }, node) => queueText(nameText(node), queue, served),
  "slot:withdrawn": ({ peer, reason }, node) => `${nameText(peer)} loses its slot at ${nameText(node)}${because(reason)}`,
  "link:bytes": (data, node) =>
    `${nameText(node)} counts ${bytesText(data.in)} in and ${bytesText(data.out)} out in ${secondsText(data.span_ms)}.`,
  "congestion:sample": ({ peer, window }, node) =>
    `${nameText(node)} may have ${sizeText(window)} in flight from ${nameText(peer)}.`,
  "congestion:reduced": ({ peer, window, reason }, node) =>
    `${nameText(node)} reduces its window to ${nameText(peer)} to ${sizeText(window)}${because(reason)}`,
  "datagram:lost": (data, node) => lostText(data, nameText(node)),
  "datagram:repaired": (data, node) => repairedText(data, nameText(node)),
  "messages:dumped": ({ total, first, messages, reason }, node) =>
    `${nameText(node)} shows its messages ${grouped(first + 1)} to ${grouped(first + messages.length)} of ${grouped(total)}${because(reason)}`,
  gap: ({ events, span_ms }, node) => {
    const who = node === null ? `${plural(events, "event")} of the log are missing` : `${nameText(node)} dropped ${plural(events, "event")}`;
    return `Gap of ${secondsText(span_ms)}: ${who}. Figures after the gap are right again.`;
  },
  clock: ({ node, bound_ms }) => `The clock of ${nameText(node)} is known to ± ${bound_ms.toFixed(1)} ms.`,
  keyframe: ({ time }) => `The whole state is here again${typeof time === "number" ? `, as of ${exactText(time)}` : ""}.`,
};

/** "4th". @param {number} count */
function ordinal(count) {
  const suffix = count % 100 > 10 && count % 100 < 14 ? "th" : ["th", "st", "nd", "rd"][count % 10] ?? "th";
  return `${grouped(count)}${suffix}`;
}

/** @type {Record<string, Glyph>} */
const GLYPHS = {
  "node:started": "node", "node:left": "gone", "node:silent": "silent", "node:back": "node", "node:faults": "none",
  "tracker:register": "node", "tracker:exit": "gone", "piece:requested": "slot", "piece:verified": "verified",
  "piece:failed": "bad", "piece:missing": "again", "slot:granted": "slot", "slot:queue": "wait",
  "slot:withdrawn": "choked", "datagram:lost": "lost", "datagram:repaired": "again", gap: "gap",
};
/** @type {Record<string, Glyph>} */
const PEER_GLYPHS = {
  active: "slot", queued: "wait", choked: "choked", lost: "silent", suspect: "bad", banned: "bad",
};

/** @type {Record<string, Glyph>} */
const ANNOUNCE_GLYPHS = { started: "node", completed: "verified", stopped: "gone" };

/** The sign beside the sentence. @param {SwarmEvent} event @returns {Glyph} */
export function glyphOf(event) {
  if (event.name === "peer:state") return PEER_GLYPHS[event.data.state] ?? "none";
  if (event.name === "torrent:state" && event.data.state === "failed") return "lost";
  if (event.name === "torrent:state" && event.data.state === "seeding") return "verified";
  if (event.name === "tracker:announce") return ANNOUNCE_GLYPHS[event.data.event] ?? "none";
  return GLYPHS[event.name] ?? "none";
}
