/**
 * The events so far, in the order of the log, with an index by time.
 *
 * @typedef {object} SwarmEvent
 * @property {number} time  ms of the log's clock
 * @property {number | null} node  the node that reports it; null: the tracker
 * @property {number} seq  its number among the events of its node, from 1
 * @property {string} name  like "piece:verified"
 * @property {Record<string, any>} data
 *
 * @typedef {object} LogHeader
 * @property {string} [log]  "swarm/1"
 * @property {string} [run]
 * @property {string} [begun]  ISO wall time of 0
 * @property {string} [clock]
 * @property {string} [software]
 * @property {string} [source]  like "tracker 127.0.0.1:12345"
 */

import { LogContext } from "./context.js";

/** Events that only measure. Story, steps and the count of events pass over them. */
const MEASUREMENTS = new Set(["link:bytes", "congestion:sample", "clock", "keyframe"]);

export class EventLog {
  constructor() {
    /** @type {LogHeader} */
    this.header = {};
    /** @type {SwarmEvent[]} without the keyframes of a log that has no hole */
    this.events = [];
    /** @type {number[]} the largest time of all events up to this one: never falls */
    this.clock = [];
    /** @type {number[]} positions of the events that are no measurements */
    this.happenings = [];
    /** Grows with every change. A log of another run is another object. */
    this.version = 0;
    this.context = new LogContext();
    this.broken = true; // events are missing at the end: the next keyframe counts
    /** The state after the first `position` events, as its writer computed it; of a page with a recording in it. */
    this.known = { position: 0, state: /** @type {Record<string, any> | null} */ (null) };
  }

  get length() {
    return this.events.length;
  }

  /** Time of the last event, in ms. */
  get end() {
    return this.clock.length ? this.clock[this.clock.length - 1] : 0;
  }

  /** Time of the first event, in ms. */
  get begin() {
    return this.clock.length ? this.clock[0] : 0;
  }

  /**
   * Add an event. A keyframe is kept only where events are missing before it: elsewhere it says nothing new.
   * @param {SwarmEvent} event
   * @param {boolean} [isTrusted]  a keyframe saves the work to compute the same
   */
  add(event, isTrusted = false) {
    if (event.name === "keyframe" && !this.broken) {
      if (isTrusted) this.known = { position: this.length, state: event.data };
      return;
    }
    this.broken = event.name === "gap" && event.node === null;
    this.context.take(event);
    this.push(event);
  }

  /** @param {SwarmEvent} event */
  push(event) {
    const position = this.events.length;
    this.events.push(event);
    this.clock.push(position ? Math.max(this.clock[position - 1], event.time) : event.time);
    if (!MEASUREMENTS.has(event.name)) this.happenings.push(position);
    this.version += 1;
  }

  /**
   * The same log from a position on, which begins with the state there. For a log that has become too long.
   * @param {number} position
   * @param {Record<string, any>} state  as JSON
   */
  from(position, state) {
    const log = new EventLog();
    const time = this.clock[position - 1];
    Object.assign(log, { header: this.header, context: this.context });
    this.context.forget(this.events.slice(0, position));
    log.push({ time, node: null, seq: 1, name: "keyframe", data: state });
    for (const event of this.events.slice(position)) log.push(event);
    log.broken = this.broken;
    return log;
  }

  /**
   * Number of events with a time of at most `time`: the position of a playhead at that time.
   * @param {number} time
   */
  positionAt(time) {
    return countUpTo(this.clock, time);
  }

  /**
   * Number of happenings before a position: n of "event n of m".
   * @param {number} position
   */
  happeningsBefore(position) {
    return countUpTo(this.happenings, position - 1);
  }
}

/**
 * Number of values that are at most `limit` in a list that never falls.
 * @param {number[]} sorted
 * @param {number} limit
 */
export function countUpTo(sorted, limit) {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle] <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
