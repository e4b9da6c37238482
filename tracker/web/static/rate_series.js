/**
 * Rates over time, counted from the log: bytes by half second, faults, gaps, and what all uploads could give. Pure.
 *
 * @typedef {import("./event_log.js").EventLog} EventLog
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 *
 * @typedef {object} Mark
 * @property {number} time  ms
 * @property {"lost" | "bad" | "silent"} kind
 * @property {number} count
 *
 * @typedef {object} GapMark
 * @property {number} from  ms
 * @property {number} to
 */

const FIRST_BIN = 500; // ms
const MAX_BINS = 4096; // then bins are joined in pairs
const LATE_MS = 2500; // a node that moves bytes reports them within this time
const NEAR = 12; // px: crosses that are nearer would touch each other

const FAULTS = /** @type {Record<string, Mark["kind"]>} */ ({
  "datagram:lost": "lost", "piece:failed": "bad", "node:silent": "silent",
});

export class RateSeries {
  /** @param {EventLog | null} log @param {string | null} torrent */
  constructor(log, torrent) {
    this.log = log;
    this.torrent = torrent;
    this.read = 0; // events
    this.bin = FIRST_BIN; // ms
    /** @type {number[]} bytes a bin */
    this.together = [];
    /** @type {Map<number, number[]>} bytes a bin that a node received */
    this.nodes = new Map();
    /** @type {Map<number, number[]>} bytes a bin that a node sent */
    this.sent = new Map();
    /** @type {Mark[]} */
    this.marks = [];
    /** @type {GapMark[]} */
    this.gaps = [];
    /** @type {Map<number, number | null>} upload limits of the nodes that are here, in bytes a second */
    this.limits = new Map();
    /** @type {Map<number, number | null>} of those that are silent */
    this.silent = new Map();
    /** @type {[number, number | null][]} ms, bytes a second from then on; null: not known */
    this.capacity = [];
    /** @type {Map<number | null, number>} ms up to which the bytes of a node are in the log */
    this.reported = new Map();
    /** ms of the first event of a node; -1: none yet */
    this.begin = -1;
  }

  /** Read what is new. @param {EventLog} log @param {string | null} torrent @returns {boolean} there was something */
  observe(log, torrent) {
    const other = log !== this.log || torrent !== this.torrent;
    if (other) Object.assign(this, new RateSeries(log, torrent));
    const from = this.read;
    for (; this.read < log.length; this.read += 1) this.take(log.events[this.read]);
    return other || this.read > from;
  }

  /** @param {SwarmEvent} event */
  take(event) {
    const { name, time, data } = event;
    if (this.begin < 0 && event.node !== null) this.begin = time;
    if (name === "link:bytes") {
      if (data.torrent === this.torrent) this.takeBytes(event);
    } else if (name in FAULTS) this.takeFault(FAULTS[name], event);
    else if (name === "gap") this.gaps.push({ from: Math.max(0, time - (Number(data.span_ms) || 0)), to: time });
    this.takeCapacity(event);
  }

  /** @param {SwarmEvent} event */
  takeBytes({ time, node, data }) {
    let own = 0;
    let sent = 0;
    let unreported = 0;
    for (const [, bytes] of Array.isArray(data.in) ? data.in : []) own += bytes;
    for (const [peer, bytes] of Array.isArray(data.out) ? data.out : []) {
      sent += bytes;
      // A standard peer reports nothing: the sender's count stands for it.
      if (typeof peer === "string") unreported += bytes;
    }
    const from = Math.max(0, time - Math.max(1, Number(data.span_ms) || 0));
    while (time / this.bin >= MAX_BINS) this.join();
    spread(this.together, this.bin, from, time, own + unreported);
    this.reported.set(node, time);
    if (node === null) return;
    for (const [bins, bytes] of /** @type {[Map<number, number[]>, number][]} */ ([[this.nodes, own], [this.sent, sent]])) {
      let kept = bins.get(node);
      if (kept === undefined) bins.set(node, (kept = []));
      if (bytes) spread(kept, this.bin, from, time, bytes);
    }
  }

  /** Bins of twice the length. */
  join() {
    for (const bins of [this.together, ...this.nodes.values(), ...this.sent.values()]) {
      for (let at = 0; at < bins.length; at += 2) bins[at / 2] = (bins[at] ?? 0) + (bins[at + 1] ?? 0);
      bins.length = Math.ceil(bins.length / 2);
    }
    this.bin *= 2;
  }

  /** @param {Mark["kind"]} kind @param {SwarmEvent} event */
  takeFault(kind, { time, data }) {
    if (kind === "silent" && data.removed) return;
    if (kind !== "silent" && data.torrent !== this.torrent) return;
    this.marks.push({ time, kind, count: 1 + (Number(data.others) || 0) });
  }

  /** @param {SwarmEvent} event */
  takeCapacity({ name, node, time, data }) {
    const { limits, silent } = this;
    const heard = name === "clock" ? data.node : node; // the tracker writes the clock of a node that is back
    if (name === "node:started" && node !== null) limits.set(node, data.up_limit ?? null);
    else if (name === "node:left" || name === "tracker:exit") limits.delete(node ?? data.node);
    else if (name === "node:silent" && limits.has(data.node)) {
      silent.set(data.node, limits.get(data.node) ?? null);
      limits.delete(data.node);
    } else if (silent.has(heard)) {
      // Any event of its own ends a node's silence.
      limits.set(heard, silent.get(heard) ?? null);
      silent.delete(heard);
    } else return;
    const known = [...limits.values()];
    const sum = known.reduce((all, each) => (all === null || each === null ? null : all + each), 0);
    // The log's times may step back a little; a step of the line may not.
    this.capacity.push([Math.max(time, this.capacity[this.capacity.length - 1]?.[0] ?? 0), sum || null]);
  }

  /**
   * How many bins are whole: reports come a little later than the bytes, so the last bins miss some of them.
   * @param {number} end  ms of the log
   */
  whole(end) {
    let least = end;
    for (const time of this.reported.values()) if (end - time < LATE_MS) least = Math.min(least, time);
    return Math.floor(least / this.bin);
  }

  /** Bytes a second in a bin. @param {number[]} bins @param {number} at */
  rate(bins, at) {
    return ((bins[at] ?? 0) * 1000) / this.bin;
  }

  /** The highest rate and the highest known capacity, in bytes a second. */
  get most() {
    let most = 0;
    for (let at = 0; at < this.together.length; at += 1) most = Math.max(most, this.rate(this.together, at));
    for (const [, capacity] of this.capacity) if (capacity !== null && capacity < most * 3) most = Math.max(most, capacity);
    return most;
  }
}

/**
 * Bytes that moved evenly between two times.
 * @param {number[]} bins
 * @param {number} bin  ms
 * @param {number} from
 * @param {number} to
 * @param {number} bytes
 */
function spread(bins, bin, from, to, bytes) {
  const last = Math.max(Math.floor(from / bin), Math.ceil(to / bin) - 1);
  for (let at = bins.length; at <= last; at += 1) bins.push(0);
  const span = Math.max(1, to - from);
  for (let at = Math.floor(from / bin); at <= last; at += 1) {
    const overlap = Math.min(to, (at + 1) * bin) - Math.max(from, at * bin);
    bins[at] += bytes * Math.max(0, overlap / span);
  }
}

/**
 * The times that a distribution takes at least, by Kumar and Ross 2006, from the limits of the nodes.
 *
 * @typedef {object} Bounds  seconds in ms
 * @property {number} seed  F/u_s: the seeds must send every byte once
 * @property {number} all  NF/(u_s + sum of u_i): all uploads together must send every byte N times
 * @property {number} alone  NF/u_s: without peers
 * @property {number} seedRate  u_s, bytes a second
 * @property {number} allRate
 *
 * @param {number} size  bytes
 * @param {number} leechers
 * @param {number | null} seedRate  bytes a second; null: not known
 * @param {number | null} peerRate  of all leechers
 * @returns {Bounds | null}
 */
export function boundsOf(size, leechers, seedRate, peerRate) {
  if (!size || !leechers || !seedRate || peerRate === null) return null;
  const ms = (/** @type {number} */ bytes, /** @type {number} */ rate) => (bytes / rate) * 1000;
  return {
    seed: ms(size, seedRate), all: ms(leechers * size, seedRate + peerRate), alone: ms(leechers * size, seedRate),
    seedRate, allRate: seedRate + peerRate,
  };
}

/**
 * Marks that would touch are one, with a count; beside a count there is room for its number.
 * @param {Mark[]} marks
 * @param {(time: number) => number} place  px
 * @param {number} room  px that a mark with its number takes
 * @returns {Mark[]}
 */
export function clustered(marks, place, room) {
  /** @type {Mark[]} */
  const found = [];
  for (const mark of [...marks].sort((one, other) => one.time - other.time)) {
    const before = found.findLast((each) => each.kind === mark.kind);
    const apart = before ? place(mark.time) - place(before.time) : Infinity;
    if (before && apart < (before.count > 1 || mark.count > 1 ? room : NEAR)) before.count += mark.count;
    else found.push({ ...mark });
  }
  return found;
}
