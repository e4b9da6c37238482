/**
 * Facts of the whole log that fix places: a node stands where it stands at every time of a recording.
 *
 * @typedef {import("./event_log.js").EventLog} EventLog
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 */

const FETCHING = new Set(["piece:requested", "piece:received", "piece:verified"]);

export class Roster {
  constructor() {
    /** @type {EventLog | null} */
    this.log = null;
    this.read = 0; // events
    /** @type {Set<number>} */
    this.nodes = new Set();
    /** @type {Set<string>} "TORRENT NODE": it fetched a piece */
    this.fetchers = new Set();
    /** @type {Map<string, number>} torrent: ms of its first request */
    this.begins = new Map();
  }

  /** Read what the log has got since the last time. @param {EventLog} log */
  observe(log) {
    if (log !== this.log) Object.assign(this, new Roster(), { log });
    for (; this.read < log.length; this.read += 1) this.take(log.events[this.read]);
  }

  /** @param {SwarmEvent} event */
  take(event) {
    const { data } = event;
    if (event.name === "keyframe") return this.takeState(data);
    if (event.node !== null) this.nodes.add(event.node);
    if (typeof data.node === "number") this.nodes.add(data.node);
    if (FETCHING.has(event.name)) this.takeFetch(data.torrent, event.node, event.time);
  }

  /** @param {any} torrent @param {number | null} node @param {number} time */
  takeFetch(torrent, node, time) {
    if (typeof torrent !== "string") return;
    this.fetchers.add(`${torrent} ${node}`);
    const begin = this.begins.get(torrent);
    if (begin === undefined || time < begin) this.begins.set(torrent, time);
  }

  /** A keyframe: nodes with pieces missing are fetchers. @param {Record<string, any>} state */
  takeState(state) {
    for (const [name, node] of Object.entries(state.nodes ?? {})) {
      this.nodes.add(Number(name));
      for (const [torrent, row] of Object.entries(node?.torrents ?? {})) {
        const letters = row?.pieces;
        if (typeof letters === "string" && /[^v]/.test(letters)) this.fetchers.add(`${torrent} ${name}`);
      }
    }
  }

  /** The letter of a standard peer. @param {string} address */
  letterOf(address) {
    return this.log?.context.names.get(address)?.replace("peer ", "") ?? "?";
  }

  /** @param {string} torrent @param {number} node */
  fetched(torrent, node) {
    return this.fetchers.has(`${torrent} ${node}`);
  }
}
