/**
 * What the page shows, for all views: the log, the playhead, the selection, and what changed since the last
 * frame. Views read it and call its methods. They never change its fields.
 *
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 * @typedef {import("./event_log.js").LogHeader} LogHeader
 * @typedef {import("./filters.js").Filters} Filters
 * @typedef {import("./state.js").SwarmState} SwarmState
 * @typedef {import("./state.js").Name} Name  a node_id (number), or "HOST:PORT" of a standard peer
 *
 * @typedef {object} Selection
 * @property {Name | null} node
 * @property {number | null} piece
 * @property {string | null} torrent  its first 12 hex digits; null: the one that most nodes use
 * @property {number | null} event  position in the log of the chosen event
 *
 * @typedef {object} Source
 * @property {"tracker" | "recording" | "none"} kind
 * @property {string} name  "127.0.0.1:12345", or the name of the file
 * @property {number} now  ms: the log's clock at the last answer (a recording: its end)
 * @property {number | null} silentSince  ms of the log's clock: the tracker has not answered since
 * @property {boolean} keyWanted  the swarm has a key, and the page does not have it
 * @property {{done: number, total: number | null, share: number} | null} loading  events read and to be read (null: not
 *   known), and the share that is read
 * @property {string} fault  a sentence about a file that cannot be read, or ""
 * @property {boolean} newRun  the tracker was started again, and the run before is at hand
 *
 * @typedef {"state" | "time" | "selection" | "filters" | "log" | "source" | "size" | "theme"} Change
 *   "log": events were added, or another log is shown. "state": other events are applied than before.
 *
 * @typedef {object} View
 * @property {(now: number) => boolean | void} draw  draw what `model.changed` names; `now`: ms of the page's
 *   clock. True: draw again in the next frame (something moves).
 */

import { EventLog } from "./event_log.js";
import { Player } from "./player.js";

const OUTLINE_MS = 600;
const MOST_EVENTS = 500_000; // of a live log; then the first half goes

export class Model {
  constructor() {
    this.log = new EventLog();
    this.player = new Player(this.log);
    /** @type {Selection} */
    this.selected = { node: null, piece: null, torrent: null, event: null };
    /** @type {Source} */
    this.source = {
      kind: "none", name: "", now: 0, silentSince: null, keyWanted: false, loading: null, fault: "", newRun: false,
    };
    /** What changed since the last frame. @type {Set<Change>} */
    this.changed = new Set();
    /** The event that a step forward applied, to be outlined until a page time in ms. */
    this.outline = { event: /** @type {SwarmEvent | null} */ (null), until: 0 };
    /** The player whose log receives the events of the tracker. */
    this.receiving = this.player;
    /** @type {Player | null} of the run before this one */
    this.before = null;
    /** @type {import("./polling.js").Poller | null} null: a recording is shown */
    this.poller = null;
    /** @type {Set<(change: Change) => void>} */
    this.listeners = new Set();
  }

  /** The state at the playhead. @returns {SwarmState} */
  get state() {
    return this.player.state;
  }

  /** ms of the log's clock at the playhead; live: now. */
  get time() {
    return this.live ? Math.max(this.player.time, this.source.now) : this.player.time;
  }

  /** The playhead follows the end of a log that grows. */
  get live() {
    return this.player.live;
  }

  /** Number of events that are applied. */
  get position() {
    return this.player.position;
  }

  /** @returns {Filters} */
  get filters() {
    return this.player.filters;
  }

  /** The torrent shown: the selected one, else the one that most nodes use. null: none. @returns {string | null} */
  get torrent() {
    const { selected: { torrent: selected }, state } = this;
    if (selected !== null && selected in state.torrents) return selected;
    return mostUsed(state) ?? selected;
  }

  /**
   * Be called at each change, once a change. @returns {() => void} ends it
   * @param {(change: Change) => void} listener
   */
  onChange(listener) {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** @param {Change[]} changes */
  mark(...changes) {
    for (const change of changes) {
      this.changed.add(change);
      for (const listener of this.listeners) listener(change);
    }
  }

  // ---- selection and filters

  /** Select; null clears. @param {Partial<Selection>} change */
  select(change) {
    this.selected = { ...this.selected, ...change };
    this.mark("selection");
  }

  /** @param {Partial<Filters>} change */
  setFilters(change) {
    this.player.setFilters(change);
    this.mark("filters");
  }

  // ---- the playhead

  /** To a position in the log, paused. @param {number} position */
  goTo(position) {
    this.pause();
    this.player.goTo(position);
    this.mark("state", "time");
  }

  /** To a time in ms, paused. @param {number} time */
  seek(time) {
    this.pause();
    this.player.seek(time);
    this.mark("state", "time");
  }

  /**
   * One event that the filters let pass. @returns {boolean} false: there is none
   * @param {1 | -1} direction
   * @param {number} now  ms of the page's clock
   */
  step(direction, now) {
    this.pause();
    const moved = this.player.step(direction);
    const event = moved && direction > 0 ? this.log.events[this.player.position - 1] : null;
    this.outline = { event, until: now + OUTLINE_MS };
    this.mark("state", "time");
    return moved;
  }

  /** To the end: of the live run, to stay there; of a recording. */
  follow() {
    const isTracker = this.source.kind === "tracker";
    if (isTracker && this.player !== this.receiving) this.setPlayer(this.receiving);
    this.player.playing = false;
    this.player.live = isTracker;
    this.player.goTo(this.log.length);
    this.mark("state", "time");
  }

  pause() {
    this.player.live = false;
    this.player.playing = false;
    this.mark("time");
  }

  /** Play from here; at the end of a recording from the start. Or pause. */
  toggle() {
    if (this.player.live || this.player.playing) return this.pause();
    if (this.player.atEnd) this.player.goTo(0);
    this.player.playing = true;
    this.player.owed = 0;
    this.mark("state", "time");
  }

  /** @param {"time" | "event"} pace */
  setPace(pace) {
    this.player.pace = pace;
    this.mark("time");
  }

  /** @param {1 | -1} direction */
  changeSpeed(direction) {
    this.player.changeSpeed(direction);
    this.mark("time");
  }

  /** Of the pace in use. @param {number} speed */
  setSpeed(speed) {
    if (this.player.pace === "time") this.player.timeSpeed = speed;
    else this.player.eventSpeed = speed;
    this.mark("time");
  }

  /** Let time pass while playing. @param {number} elapsed  ms of wall time */
  advance(elapsed) {
    if (!this.player.playing) return;
    if (this.player.advance(elapsed)) this.mark("state", "time");
    if (!this.player.playing && this.source.kind === "tracker") this.player.live = this.player.atEnd;
    if (!this.player.playing) this.mark("time");
  }

  // ---- the log

  /** Events from the tracker. @param {SwarmEvent[]} events */
  add(events) {
    const { log, live } = this.receiving;
    for (const event of events) log.add(event);
    if (events.length === 0) return;
    if (live) this.receiving.goTo(log.length);
    if (live && log.length > MOST_EVENTS) this.shorten();
    if (this.receiving !== this.player) return;
    this.mark("log");
    if (live) this.mark("state", "time");
  }

  /** Forget the first half of a live log that has become too long. */
  shorten() {
    const { log } = this.receiving;
    const half = new Player(log);
    half.goTo(log.length >> 1);
    const shown = this.receiving === this.player;
    const player = new Player(log.from(half.position, half.state.asJson()));
    this.receiving = player;
    player.goTo(player.log.length);
    player.live = true;
    if (shown) this.setPlayer(player);
  }

  /** Show another log from now on, and let the tracker's events come there. @param {EventLog} log */
  show(log) {
    this.receiving = new Player(log);
    this.setPlayer(this.receiving);
  }

  /** The tracker was started again: show its new run, and keep the run before. */
  replaceRun() {
    this.before = this.receiving;
    this.show(new EventLog());
    this.setSource({ newRun: true });
  }

  /** Is the run before this one shown? */
  get showsBefore() {
    return this.player === this.before;
  }

  /** The run before this one, or back. */
  swapRuns() {
    if (this.before === null) return;
    this.setPlayer(this.showsBefore ? this.receiving : this.before);
    this.mark("source");
  }

  /** @param {Player} player */
  setPlayer(player) {
    const { filters, pace, timeSpeed, eventSpeed } = this.player;
    player.setFilters(filters);
    Object.assign(player, { pace, timeSpeed, eventSpeed });
    this.player = player;
    this.log = player.log;
    this.selected = { ...this.selected, event: null };
    this.outline = { event: null, until: 0 };
    this.mark("log", "state", "time", "selection");
  }

  /** @param {Partial<Source>} change */
  setSource(change) {
    this.source = { ...this.source, ...change };
    this.mark("source");
    if (this.live) this.mark("time");
  }
}

/** The torrent that most nodes fetch or serve; of several the one known first. @param {SwarmState} state */
function mostUsed({ torrents, nodes }) {
  /** @type {string | null} */
  let best = null;
  let most = -1;
  const rows = Object.values(nodes).map((node) => (node.state === "left" ? {} : node.torrents));
  for (const torrent in torrents) {
    const used = rows.filter((row) => row[torrent]?.state && row[torrent].state !== "stopped").length;
    if (used > most) [best, most] = [torrent, used];
  }
  return best;
}
