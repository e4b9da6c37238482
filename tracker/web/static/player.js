/**
 * The playhead: which events of the log are applied, and how it moves. Pure: no clock, no page.
 *
 * A step back restores the last keyframe before the place and applies the events from there. A keyframe is a
 * copy of the state, kept every few hundred events, so a step back costs a few milliseconds at any place.
 */

import { SwarmState } from "./state.js";
import { countUpTo } from "./event_log.js";
import { NO_FILTERS, passes } from "./filters.js";

/**
 * @typedef {import("./event_log.js").EventLog} EventLog
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 * @typedef {import("./filters.js").Filters} Filters
 */

/** Times the speed of the swarm. */
export const TIME_SPEEDS = [0.25, 0.5, 1, 2, 4, 8, 16];
/** Events a second. */
export const EVENT_SPEEDS = [0.5, 1, 2, 5, 10];
const SPACING = 400; // events between keyframes, at first
const MAX_KEYFRAMES = 96; // then every second one is dropped
const NEAR = 250; // events: one more keyframe is kept so far before the place of the last step back

/** Copies of the state along the log. */
class Keyframes {
  constructor() {
    /** @type {Map<number, SwarmState>} by position */
    this.kept = new Map();
    this.spacing = SPACING;
    /** @type {[number, SwarmState] | null} */
    this.near = null;
  }

  /**
   * @param {number} position
   * @param {SwarmState} state
   */
  offer(position, state) {
    if (position % this.spacing !== 0 || this.kept.has(position)) return;
    this.kept.set(position, state.clone());
    if (this.kept.size <= MAX_KEYFRAMES) return;
    this.spacing *= 2;
    for (const place of [...this.kept.keys()]) if (place % this.spacing !== 0) this.kept.delete(place);
  }

  /** Keep so few that all of a log's length fit. @param {number} length  events */
  plan(length) {
    while (this.kept.size === 0 && length > MAX_KEYFRAMES * this.spacing) this.spacing *= 2;
  }

  /**
   * The nearest kept state at or before a position.
   * @param {number} position
   * @returns {[number, SwarmState]}
   */
  before(position) {
    for (let place = position - (position % this.spacing); place > 0; place -= this.spacing) {
      const state = this.kept.get(place);
      if (state === undefined) continue;
      if (this.near !== null && this.near[0] > place && this.near[0] <= position) break;
      return [place, state.clone()];
    }
    if (this.near !== null && this.near[0] <= position) return [this.near[0], this.near[1].clone()];
    return [0, new SwarmState()];
  }
}

export class Player {
  /** @param {EventLog} log */
  constructor(log) {
    this.log = log;
    this.state = new SwarmState();
    /** Number of events applied. */
    this.position = 0;
    /** ms: of the last event applied, or between two events while the time runs. */
    this.time = 0;
    /** The playhead stays at the end of a log that grows. */
    this.live = false;
    this.playing = false;
    /** @type {"time" | "event"} */
    this.pace = "time";
    this.timeSpeed = 1;
    this.eventSpeed = 2;
    /** @type {Filters} */
    this.filters = NO_FILTERS;
    this.keyframes = new Keyframes();
    /** How far the states for steps back are kept, and the state there: see `prepare`. */
    this.prepared = { position: 0, state: new SwarmState() };
    /** @type {number[]} positions of the happenings that pass the filters */
    this.passing = [];
    this.examined = 0; // events of the log that `passing` covers
    this.owed = 0; // the part of an event that is due, while playing by event
  }

  /** The happening at the playhead: the last one applied. -1: none. */
  get present() {
    const count = this.log.happeningsBefore(this.position);
    return count ? this.log.happenings[count - 1] : -1;
  }

  get atEnd() {
    return this.position >= this.log.length;
  }

  /**
   * Apply exactly the first `position` events.
   * @param {number} position
   */
  goTo(position) {
    const end = Math.max(0, Math.min(position, this.log.length));
    const isBack = end < this.position;
    if (isBack) [this.position, this.state] = this.keyframes.before(end);
    else this.jump(end);
    const { events } = this.log;
    this.keyframes.plan(this.log.length);
    while (this.position < end) {
      this.state.apply(events[this.position]);
      this.position += 1;
      this.keyframes.offer(this.position, this.state);
      if (isBack && this.position === end - NEAR) this.keyframes.near = [this.position, this.state.clone()];
    }
    this.time = end ? this.log.clock[end - 1] : this.log.begin;
  }

  /** On to the state that the log knows, if that is before `end` and far from here. @param {number} end */
  jump(end) {
    const { position, state } = this.log.known;
    if (state === null || position > end || position - this.position < SPACING) return;
    const known = new SwarmState();
    if (known.takeKeyframe(state)) [this.position, this.state] = [position, known];
  }

  /** The state after all events. The playhead stays. */
  stateAtEnd() {
    const state = this.state.clone();
    for (const event of this.log.events.slice(this.position)) state.apply(event);
    return state;
  }

  /**
   * Keep the states along the log that a jump has left out: those of the next `count` events.
   * @param {number} count
   * @returns {boolean} there are more
   */
  prepare(count) {
    const { prepared, keyframes, log } = this;
    const end = Math.min(log.known.position, prepared.position + count);
    keyframes.plan(log.length);
    while (prepared.position < end) {
      prepared.state.apply(log.events[prepared.position]);
      prepared.position += 1;
      keyframes.offer(prepared.position, prepared.state);
    }
    return end < log.known.position;
  }

  /**
   * To a time in ms: all events up to it are applied.
   * @param {number} time
   */
  seek(time) {
    const within = Math.max(this.log.begin, Math.min(time, this.log.end));
    this.goTo(this.log.positionAt(within));
    this.time = within;
  }

  /**
   * One happening that passes the filters, forward (1) or back (-1). False if there is none.
   * @param {1 | -1} direction
   */
  step(direction) {
    const passing = this.sequence();
    const before = countUpTo(passing, this.position - 1); // of them, applied
    if (direction > 0) {
      if (before >= passing.length) return false;
      this.goTo(passing[before] + 1);
      return true;
    }
    if (before === 0) return false;
    this.goTo(before > 1 ? passing[before - 2] + 1 : passing[0]);
    return true;
  }

  /** Positions of the happenings that pass the filters. */
  sequence() {
    const { happenings, events, length, context } = this.log;
    if (this.filters === NO_FILTERS) return happenings;
    for (let i = countUpTo(happenings, this.examined - 1); i < happenings.length; i += 1) {
      const event = events[happenings[i]];
      if (passes(event, this.filters, context.of(event))) this.passing.push(happenings[i]);
    }
    this.examined = length;
    return this.passing;
  }

  /** @param {Partial<Filters>} change */
  setFilters(change) {
    const filters = { ...this.filters, ...change };
    const none = filters.node === null && filters.piece === null && filters.kind === "all" && filters.text === "";
    this.filters = none ? NO_FILTERS : filters;
    this.passing = [];
    this.examined = 0;
  }

  /**
   * Move on while playing.
   * @param {number} elapsed  ms of wall time
   * @returns {boolean} whether the playhead moved
   */
  advance(elapsed) {
    if (!this.playing) return false;
    if (this.pace === "event") return this.advanceByEvent(elapsed);
    const time = this.time + elapsed * this.timeSpeed;
    this.seek(time);
    if (time >= this.log.end) this.playing = false;
    return true;
  }

  /** @param {number} elapsed */
  advanceByEvent(elapsed) {
    this.owed += (elapsed / 1000) * this.eventSpeed;
    let moved = false;
    for (; this.owed >= 1; this.owed -= 1) {
      if (!this.step(1)) {
        this.playing = false;
        this.owed = 0;
        break;
      }
      moved = true;
    }
    return moved;
  }

  /** Faster (1) or slower (-1), of the pace in use. @param {1 | -1} direction */
  changeSpeed(direction) {
    if (this.pace === "time") this.timeSpeed = neighbour(TIME_SPEEDS, this.timeSpeed, direction);
    else this.eventSpeed = neighbour(EVENT_SPEEDS, this.eventSpeed, direction);
  }
}

/**
 * @param {number[]} values
 * @param {number} value
 * @param {1 | -1} direction
 */
function neighbour(values, value, direction) {
  const index = values.indexOf(value) + direction;
  return values[Math.max(0, Math.min(values.length - 1, index))];
}
