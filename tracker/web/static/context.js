/**
 * Facts from earlier in the log that an event's sentence needs: how many wait in a queue, the place before. Pure.
 *
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 * @typedef {import("./words.js").Context} Context
 * @typedef {import("./state_entries.js").Name} Name
 */

import { letterOf } from "./figures.js";
import { nameText } from "./words.js";

const MAX_KEPT = 20_000; // facts of a kind: the oldest go, as a page may stay open for days

/**
 * Keep one more fact.
 * @template T
 * @param {Map<string, T>} map
 * @param {string} key
 * @param {T} value
 */
function keep(map, key, value) {
  map.delete(key);
  map.set(key, value);
  if (map.size > MAX_KEPT) map.delete(/** @type {string} */ (map.keys().next().value));
}

export class LogContext {
  constructor() {
    /** @type {Map<string, string>} torrent: its name */
    this.files = new Map();
    /** @type {Map<string, number>} "TORRENT UPLOADER": how many wait there */
    this.queues = new Map();
    /** @type {Map<string, number>} "TORRENT FETCHER UPLOADER": its place, 0: none */
    this.places = new Map();
    /** Of each event that says a place in a queue: the place before, and how many wait. @type {Map<SwarmEvent, {before: number, of: number}>} */
    this.waits = new Map();
    /** Standard peers by address, in the order in which they came: "peer a". @type {Map<string, string>} */
    this.names = new Map();
    this.met = 0; // standard peers, also those whose names are not kept any more
    /** @type {Context} of all other events */
    this.common = { names: this.names };
  }

  /** The next event of the log. @param {SwarmEvent} event */
  take(event) {
    const { name, node, data } = event;
    if (name === "torrent:known") keep(this.files, data.torrent, data.name);
    else if (name === "slot:queue") keep(this.queues, `${data.torrent} ${node}`, data.queue.length);
    else if (name === "peer:state") this.takePeer(event);
    else if (name === "tracker:announce") this.meet(data.peer);
    else if (name === "link:bytes") for (const [peer] of [...data.in, ...data.out]) this.meet(peer);
    else if (name === "keyframe") this.takeState(data);
  }

  /** @param {Name} name */
  meet(name) {
    if (typeof name !== "string" || this.names.has(name)) return;
    keep(this.names, name, `peer ${letterOf(this.met)}`);
    this.met += 1;
  }

  /** "node 3", "peer a". @param {Name | null} name */
  nameText(name) {
    return nameText(name, this.names);
  }

  /** @param {SwarmEvent} event */
  takePeer(event) {
    const { torrent, peer, state, place } = event.data;
    this.meet(peer);
    const key = `${torrent} ${event.node} ${peer}`;
    const before = this.places.get(key) ?? 0;
    keep(this.places, key, state === "queued" ? place : 0);
    if (state !== "queued") return;
    this.waits.set(event, { before, of: this.queues.get(`${torrent} ${peer}`) ?? 0 });
  }

  /** @param {Record<string, any>} state  of a keyframe */
  takeState({ torrents, links }) {
    for (const key in links) for (const name of key.split(">")) if (!/^\d+$/.test(name)) this.meet(name);
    for (const torrent in torrents) keep(this.files, torrent, torrents[torrent].name);
  }

  /** What the sentence of an event needs. @param {SwarmEvent} event @returns {Context} */
  of(event) {
    const waits = this.waits.get(event);
    const file = this.files.size > 1 ? this.files.get(event.data.torrent) : undefined;
    return waits === undefined && file === undefined ? this.common : { ...this.common, ...waits, file };
  }

  /** @param {SwarmEvent[]} events  no longer in the log */
  forget(events) {
    for (const event of events) this.waits.delete(event);
  }
}
