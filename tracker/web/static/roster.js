/**
 * Facts of the whole log that fix places: a node stands where it stands at every time of a recording.
 *
 * @typedef {import("./event_log.js").EventLog} EventLog
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 * @typedef {import("./state.js").Name} Name
 */

const FETCHING = new Set(["piece:requested", "piece:received", "piece:verified"]);

export class Roster {
  constructor() {
    /** @type {EventLog | null} */
    this.log = null;
    this.read = 0; // events
    /** Grows when the roster changes. */
    this.version = 0;
    /** @type {Set<number>} */
    this.nodes = new Set();
    /** @type {string[]} addresses in order of appearance */
    this.standard = [];
    /** @type {Set<string>} "TORRENT NODE": it fetched a piece */
    this.fetchers = new Set();
    /** @type {Map<string, number>} torrent: ms of its first request */
    this.begins = new Map();
  }

  /** Read what the log has got since the last time. @param {EventLog} log */
  observe(log) {
    if (log !== this.log) {
      Object.assign(this, new Roster(), { log, version: this.version + 1 });
    }
    for (; this.read < log.length; this.read += 1) this.take(log.events[this.read]);
  }

  /** @param {SwarmEvent} event */
  take(event) {
    const { data } = event;
    if (event.name === "keyframe") return this.takeState(data);
    if (event.node !== null) this.meet(event.node);
    if (typeof data.node === "number") this.meet(data.node);
    if (FETCHING.has(event.name)) this.takeFetch(data.torrent, event.node, event.time);
    else if (event.name === "peer:state") this.meet(data.peer);
    else if (event.name === "link:bytes") this.takeBytes(data);
  }

  /** @param {Record<string, any>} data */
  takeBytes(data) {
    for (const list of [data.in, data.out]) {
      if (Array.isArray(list)) for (const pair of list) if (Array.isArray(pair)) this.meet(pair[0]);
    }
  }

  /** @param {any} torrent @param {number | null} node @param {number} time */
  takeFetch(torrent, node, time) {
    if (typeof torrent !== "string") return;
    const key = `${torrent} ${node}`;
    if (!this.fetchers.has(key)) {
      this.fetchers.add(key);
      this.version += 1;
    }
    const begin = this.begins.get(torrent);
    if (begin === undefined || time < begin) this.begins.set(torrent, time);
  }

  /** A keyframe: nodes with pieces missing are fetchers. @param {Record<string, any>} state */
  takeState(state) {
    for (const [name, node] of Object.entries(state.nodes ?? {})) {
      this.meet(Number(name));
      for (const [torrent, row] of Object.entries(node?.torrents ?? {})) {
        const letters = row?.pieces;
        if (typeof letters === "string" && /[^v]/.test(letters)) this.fetchers.add(`${torrent} ${name}`);
      }
    }
    for (const key of Object.keys(state.links ?? {})) {
      for (const name of key.split(">")) if (!/^\d+$/.test(name)) this.meet(name);
    }
  }

  /** @param {any} name */
  meet(name) {
    if (typeof name === "number") {
      if (this.nodes.has(name)) return;
      this.nodes.add(name);
      this.version += 1;
    } else if (typeof name === "string" && !this.standard.includes(name)) {
      this.standard.push(name);
      this.version += 1;
    }
  }

  /** @param {string} torrent @param {number} node */
  fetched(torrent, node) {
    return this.fetchers.has(`${torrent} ${node}`);
  }
}
