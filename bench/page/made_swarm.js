/**
 * A swarm made by numbers, for benches and tests of the drawing: no log is read.
 *
 * @typedef {import("../../tracker/web/static/model.js").Model} Model
 */

export const TORRENT = "a1b2c3d4e5f6";
const LETTERS = [..."..rcvvvx"].map((letter) => letter.charCodeAt(0));

/** Numbers from 0 to 1, the same for the same seed. @param {number} seed */
export function randomFrom(seed) {
  let state = seed >>> 0;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

/** @param {Record<string, any>} [more] */
export function madeNode(more = {}) {
  return {
    state: "here", since: 0, reports: true, silent_ms: 0, removed: false, addr: null, tcp_addr: null, up_limit: 1e6,
    down_limit: null, slots: 4, transports: ["udp"], program: "", faults: "", uploads: 0, clock: null, gap: null,
    dumped: null, torrents: {}, ...more,
  };
}

/** @param {Uint8Array} pieces @param {number} time */
export function madeRow(pieces, time) {
  return {
    state: "downloading", reason: "", complete: null, pieces, asked: {}, queue: [], served: [], slots: 4, answer: [],
    down: 0, up: 0, moved: { time, span_ms: 500 }, version: 0,
  };
}

/** @param {Record<string, any>} more */
export function madeLink(more) {
  return {
    received: 0, in: null, state: "active", place: 0, reason: "", transport: "udp", complete: null, held: null,
    window: null, rtt_ms: null, outstanding: 0, reduced: null, lost: 0, repaired: 0, sent: 0, out: null, slot: null,
    slot_reason: "", ...more,
  };
}

/** Any letter, "x" once in a hundred pieces. @param {() => number} random */
export function anyLetter(random) {
  const letter = LETTERS[Math.floor(random() * LETTERS.length)];
  return letter === LETTERS[7] && random() > 0.002 ? LETTERS[0] : letter;
}

/**
 * Node 1 is a seed, the others hold random pieces; links run between random nodes.
 * @param {Model} model
 * @param {{nodes: number, pieces: number, links: number, seed: number}} size
 * @returns {() => number} random numbers that go on
 */
export function fillModel(model, { nodes, pieces, links, seed }) {
  const random = randomFrom(seed);
  const { state } = model;
  state.time = 1000;
  state.torrents[TORRENT] = { info_hash: TORRENT.padEnd(40, "0"), name: "made.bin", size: pieces * 2 ** 18, piece_length: 2 ** 18, pieces };
  for (let id = 1; id <= nodes; id += 1) {
    const letters = Uint8Array.from({ length: pieces }, () => (id === 1 ? LETTERS[4] : anyLetter(random)));
    state.nodes[id] = /** @type {any} */ (madeNode({ torrents: { [TORRENT]: madeRow(letters, 1000) } }));
    if (id > 1) model.log.add({ time: 0, node: id, seq: 1, name: "piece:requested", data: { torrent: TORRENT, piece: 0, peers: [1] } });
  }
  for (let made = 0; made < links; ) {
    const [from, to] = [1 + Math.floor(random() * nodes), 2 + Math.floor(random() * (nodes - 1))];
    if (from === to || state.links[`${from}>${to}`]) continue;
    state.links[`${from}>${to}`] = { [TORRENT]: /** @type {any} */ (madeLink({ in: { time: 1000, bytes: Math.floor(random() * 4e5), span_ms: 500 } })) };
    made += 1;
  }
  model.player.time = 1000;
  return random;
}
