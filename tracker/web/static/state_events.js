/**
 * What each event of the log changes in the state: a function a name, as in common/swarm_state.py.
 *
 * @typedef {import("./state.js").SwarmState} SwarmState
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 */

import {
  BAD,
  MISSING,
  newVersion,
  RECEIVED,
  REQUESTED,
  setState,
  VERIFIED,
} from "./state_entries.js";
import { LIMITS } from "./vocabulary.js";

/** @type {Record<string, number>} */
const LETTER_AFTER = {
  "piece:requested": REQUESTED,
  "piece:received": RECEIVED,
  "piece:verified": VERIFIED,
  "piece:failed": BAD,
  "piece:missing": MISSING,
};

/** @typedef {(state: SwarmState, event: SwarmEvent & {node: any}, data: any) => void} Handler */

/** @type {Handler} */
function onStarted(state, { node: id, time }, data) {
  const node = state.nodes[id];
  state.forgetRun(id);
  for (const row of Object.values(node.torrents)) state.cells -= row.pieces.length;
  Object.assign(node, data, { faults: "", clock: null, torrents: {} });
  setState(node, "here", time);
}

/** @type {Handler} */
function onLeft(state, event, data) {
  const id = data.node ?? event.node;
  state.forgetRun(id);
  setState(state.nodes[id], "left", event.time);
  state.hasNoSpareLinks = false;
}

/** @type {Handler} */
function onSilent(state, { time }, { node: id, silent_ms, removed }) {
  const node = state.nodes[id];
  setState(node, "silent", time);
  Object.assign(node, { silent_ms, removed });
  state.hasNoSpareLinks = false;
}

/** @type {Handler} */
function onRegister(state, { time }, { node: id, addr }) {
  const node = state.nodes[id];
  node.addr = addr;
  setState(node, "here", time);
}

/** @type {Handler} */
function onBack(state, { time }, { node: id }) {
  const node = state.nodes[id];
  if (node.state === "silent" && !node.removed) setState(node, "here", time);
}

/** Also the end of a silence: older logs have no node:back. @type {Handler} */
function onClock(state, event, data) {
  state.nodes[data.node].clock = { offset_ms: data.offset_ms, bound_ms: data.bound_ms };
  onBack(state, event, data);
}

/** @type {Handler} */
function onGap(state, { node: id, time }, { events, span_ms }) {
  const gap = { time, events, span_ms };
  if (id === null) state.gap = gap;
  else state.nodes[id].gap = gap;
}

/** The first event names the torrent; later ones fill in what was not known. @type {Handler} */
function onKnown(state, event, data) {
  const { torrent, ...found } = data;
  if (found.pieces !== null && found.pieces > LIMITS.MAX_PIECES) found.pieces = null;
  const known = state.torrents[torrent];
  if (known === undefined) {
    state.makeTorrent(torrent, found);
    return;
  }
  const hadPieces = known.pieces !== null;
  known.size ??= found.size;
  known.piece_length ??= found.piece_length;
  known.pieces ??= found.pieces;
  if (hadPieces || known.pieces === null) return;
  for (const node of Object.values(state.nodes)) {
    if (torrent in node.torrents) state.extend(node.torrents[torrent], known.pieces);
  }
}

/** @type {Handler} */
function onHeld(state, { node }, { torrent, ranges, span }) {
  const row = state.row(node, torrent);
  const first = span ? span[0] : 0;
  const end = Math.min(span ? span[1] : row.pieces.length, row.pieces.length);
  if (first < end) row.pieces.fill(MISSING, first, end);
  for (const piece of Object.keys(row.asked)) {
    if (first <= Number(piece) && Number(piece) < end) delete row.asked[piece];
  }
  for (const [start, stop] of ranges) {
    const from = Math.max(start, first);
    const to = Math.min(stop, end);
    if (from < to) row.pieces.fill(VERIFIED, from, to);
  }
  row.version = newVersion();
}

/** @type {Handler} */
function onPiece(state, { node, name }, { torrent, piece, peers }) {
  const row = state.row(node, torrent);
  if (piece >= row.pieces.length) return; // no room for the letters of this row
  row.version = newVersion();
  const before = row.pieces[piece];
  const after = LETTER_AFTER[name];
  if (after === REQUESTED && before !== VERIFIED) {
    row.pieces[piece] = after;
    if (piece in row.asked || Object.keys(row.asked).length < LIMITS.MAX_ASKED) row.asked[piece] = peers;
    return;
  }
  if (after === VERIFIED || after === BAD || (after === RECEIVED && before !== VERIFIED)) row.pieces[piece] = after;
  else if (after === MISSING && (before === REQUESTED || before === RECEIVED)) row.pieces[piece] = after;
  delete row.asked[piece];
}

/** @type {Handler} */
function onFetching(state, { node }, { peer, torrent, ...rest }) {
  Object.assign(state.link(peer, node, torrent), rest);
}

/** @type {Handler} */
function onSlot(state, { node, name }, { peer, torrent, reason = "" }) {
  const slot = name === "slot:granted" ? "granted" : "withdrawn";
  Object.assign(state.link(node, peer, torrent), { slot, slot_reason: reason });
}

/** @type {Handler} */
function onBytes(state, { node, time }, data) {
  const { torrent, down, up, span_ms } = data;
  Object.assign(state.row(node, torrent), { down, up, moved: { time, span_ms } });
  for (const [peer, bytes] of data.in) {
    const link = state.link(peer, node, torrent);
    link.received = Math.min(link.received + bytes, Number.MAX_SAFE_INTEGER);
    link.in = { time, bytes, span_ms };
  }
  for (const [peer, bytes] of data.out) {
    const link = state.link(node, peer, torrent);
    link.sent = Math.min(link.sent + bytes, Number.MAX_SAFE_INTEGER);
    link.out = { time, bytes, span_ms };
  }
}

/** @type {Handler} */
function onReduced(state, { node, time }, { peer, torrent, window, reason }) {
  Object.assign(state.link(peer, node, torrent), { window, reduced: { time, reason } });
}

/** @type {Handler} */
function onDatagram(state, { node, name }, { peer, torrent, others }) {
  const link = state.link(peer, node, torrent);
  const count = name === "datagram:lost" ? "lost" : "repaired";
  link[count] = Math.min(link[count] + 1 + others, Number.MAX_SAFE_INTEGER);
}

/** @type {Record<string, Handler>} */
export const HANDLERS = {
  "node:started": onStarted,
  "node:left": onLeft,
  "node:silent": onSilent,
  "node:back": onBack,
  "node:faults": (state, { node }, { spec }) => (state.nodes[node].faults = spec),
  "tracker:started": (state, { time }, data) => (state.tracker = { ...data, time }),
  "tracker:register": onRegister,
  "tracker:own": (state, _, { node, torrent, complete }) => (state.row(node, torrent).complete = complete),
  "tracker:need": (state, _, { node, torrent, answer }) => (state.row(node, torrent).answer = answer),
  "tracker:update": (state, _, { node, uploads }) => (state.nodes[node].uploads = uploads),
  "tracker:exit": onLeft,
  "tracker:announce": () => {}, // nodes report the peers that they know
  "torrent:known": onKnown,
  "torrent:state": (state, event, data) =>
    Object.assign(state.row(event.node, data.torrent), { state: data.state, reason: data.reason }),
  "piece:held": onHeld,
  "piece:requested": onPiece,
  "piece:received": onPiece,
  "piece:verified": onPiece,
  "piece:failed": onPiece,
  "piece:missing": onPiece,
  "peer:state": onFetching,
  "slot:granted": onSlot,
  "slot:queue": (state, { node }, { torrent, ...rest }) => Object.assign(state.row(node, torrent), rest),
  "slot:withdrawn": onSlot,
  "link:bytes": onBytes,
  "congestion:sample": onFetching,
  "congestion:reduced": onReduced,
  "datagram:lost": onDatagram,
  "datagram:repaired": onDatagram,
  "messages:dumped": (state, { node, time }, { reason, dump, total }) =>
    (state.nodes[node].dumped = { time, reason, dump, total }),
  gap: onGap,
  clock: onClock,
};
