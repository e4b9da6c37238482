/**
 * Reading a live swarm: GET /swarm, twice a second while the page is visible, every five seconds while it is hidden.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 *
 * @typedef {object} Answer  of GET /swarm
 * @property {string} epoch  names the tracker's log
 * @property {number} seq  position of the last event in `events`
 * @property {unknown[]} events
 * @property {boolean} more  there are more to be had now
 * @property {number} [first]  `events` begins with a keyframe of this position
 * @property {number} [end]  position of the last event of the log
 * @property {number} [now]  ms of the log's clock, when the answer was rendered
 * @property {import("./event_log.js").LogHeader} [header]
 */

import { EventLog } from "./event_log.js";
import { checkedEvent, eventOf } from "./events.js";
import { ShapeError } from "./shapes.js";

const VISIBLE_MS = 500;
const HIDDEN_MS = 5000;
const RETRY_MS = 1000; // after a failure
const ALARM_MS = 1500; // without an answer: the page says that the tracker does not answer
const PATIENCE_MS = 10_000; // for one answer

/** The tracker wants a swarm key, or another one. */
class KeyWanted extends Error {}

export class Poller {
  /** @param {Model} model */
  constructor(model) {
    this.model = model;
    this.epoch = "";
    this.since = 0; // position of the last event that the page has
    this.tag = ""; // of the last answer to the same question
    this.key = "";
    this.timer = 0;
    this.waiting = false; // for an answer
    this.heardAt = 0; // ms of the page's clock: the last answer
    this.now = NaN; // ms of the log's clock at that answer, as it says
    this.stopped = false;
  }

  start() {
    document.addEventListener("visibilitychange", () => {
      if (document.visibilityState === "visible") this.soon(0);
    });
    this.soon(0);
  }

  /** A key from the user. @param {string} key */
  useKey(key) {
    this.key = key;
    this.model.setSource({ keyWanted: false });
    this.soon(0);
  }

  /** Ask in `wait` ms. @param {number} wait */
  soon(wait) {
    clearTimeout(this.timer);
    if (!this.stopped) this.timer = setTimeout(() => this.poll(), wait);
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  async poll() {
    if (this.waiting || this.stopped) return;
    this.waiting = true;
    let wait = document.visibilityState === "visible" ? VISIBLE_MS : HIDDEN_MS;
    const alarm = setTimeout(() => this.missed(), ALARM_MS);
    try {
      const answer = await this.ask();
      if (this.stopped) return;
      if (answer !== null) this.take(answer);
      this.heard();
      if (answer?.more) wait = 0;
    } catch (error) {
      wait = this.failed(error);
    } finally {
      clearTimeout(alarm);
      this.waiting = false;
    }
    if (wait >= 0) this.soon(wait);
  }

  /** The answer, or null: nothing is new. @returns {Promise<Answer | null>} */
  async ask() {
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (this.key) headers["X-Swarm-Key"] = this.key;
    if (this.tag) headers["If-None-Match"] = this.tag;
    const question = `/swarm?epoch=${encodeURIComponent(this.epoch)}&since=${this.since}`;
    const response = await fetch(question, { headers, cache: "no-store", signal: AbortSignal.timeout(PATIENCE_MS) });
    this.now = Number(response.headers.get("X-Swarm-Now") ?? NaN);
    if (response.status === 304) return null;
    if (response.status === 403) throw new KeyWanted();
    if (!response.ok) throw new Error(`the tracker answered ${response.status}`);
    const answer = await response.json();
    this.tag = response.headers.get("ETag") ?? "";
    return answer;
  }

  /** @param {Answer} answer */
  take(answer) {
    const { model } = this;
    if (answer.epoch !== this.epoch) this.begin(answer);
    else if (answer.first !== undefined && answer.first > this.since) this.writeGap(answer.first - this.since);
    if (answer.header) model.receiving.log.header = answer.header;
    if (answer.seq !== this.since) this.tag = "";
    this.since = answer.seq;
    model.add(answer.events.flatMap(taken));
    const { end = null } = answer;
    const share = end ? this.since / end : 0;
    model.setSource({ loading: answer.more ? { done: this.since, total: end, share } : null });
    if (!answer.more && model.position === 0) model.follow();
  }

  /** Another log: the first one, or that of a tracker that was started again. @param {Answer} answer */
  begin({ epoch }) {
    const again = this.epoch !== "" && this.model.receiving.log.length > 0;
    this.epoch = epoch;
    this.since = 0;
    this.tag = "";
    if (again) this.model.replaceRun();
    else this.model.show(new EventLog());
    this.model.follow();
  }

  /** Events that the page missed: an event of its own says so. @param {number} events */
  writeGap(events) {
    const { log } = this.model.receiving;
    const data = { events, span_ms: Math.max(0, this.model.source.now - log.end) };
    this.model.add([{ time: log.end, node: null, seq: log.length + 1, name: "gap", data }]);
  }

  /** The tracker answered. */
  heard() {
    const { source, receiving } = this.model;
    const passed = source.silentSince === null ? performance.now() - this.heardAt : 0;
    const now = Number.isFinite(this.now) ? this.now : Math.max(receiving.log.end, source.now + passed);
    this.heardAt = performance.now();
    this.model.setSource({ now, silentSince: null, keyWanted: false });
  }

  /** @param {unknown} error @returns {number} ms until the next question; below 0: none by itself */
  failed(error) {
    if (error instanceof KeyWanted) {
      this.model.setSource({ keyWanted: true, silentSince: null });
      return -1;
    }
    this.tag = "";
    this.missed();
    return RETRY_MS;
  }

  /** The tracker does not answer. */
  missed() {
    const { source } = this.model;
    if (source.silentSince === null) this.model.setSource({ silentSince: source.now, loading: null });
  }
}

/** The event in a value of the answer, in a list, if it is one. @param {unknown} value @returns {SwarmEvent[]} */
function taken(value) {
  try {
    const event = checkedEvent(eventOf(value));
    return event === null ? [] : [event];
  } catch (error) {
    if (error instanceof ShapeError) return [];
    throw error;
  }
}
