/**
 * A recording: JSON Lines, as a tracker or the simulator writes them. Pure: text in, events out.
 *
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 * @typedef {import("./event_log.js").LogHeader} LogHeader
 */

import { checkedEvent, eventOf } from "./events.js";
import { exactText, grouped } from "./figures.js";
import { ShapeError } from "./shapes.js";

const FORMAT = "swarm/1";

/** The file is no recording. The message is a sentence for the user. */
export class RecordingError extends Error {}

export class RecordingReader {
  /** @param {boolean} [isChecked]  the writer of this page has checked every event */
  constructor(isChecked = false) {
    this.isChecked = isChecked;
    /** @type {LogHeader | null} line 1 */
    this.header = null;
    this.lines = 0; // read in full
    this.rest = ""; // of the last line
    this.ignored = 0; // lines in the middle that are no events
    this.lastIgnored = 0; // number of the last one of them
  }

  /**
   * The events in the next part of the text. RecordingError if line 1 is no header.
   * @param {string} text
   * @returns {SwarmEvent[]}
   */
  feed(text) {
    const lines = (this.rest + text).split("\n");
    this.rest = lines.pop() ?? "";
    /** @type {SwarmEvent[]} */
    const events = [];
    for (const line of lines) this.take(line, events);
    return events;
  }

  /**
   * The events in what is left when the file has ended.
   * @returns {{events: SwarmEvent[], cut: number}} cut: number of the line in whose middle it ends, or 0
   */
  finish() {
    const last = this.rest;
    this.rest = "";
    /** @type {SwarmEvent[]} */
    const events = [];
    const [isFirst, ignored] = [this.header === null, this.ignored];
    if (isFirst || last.trim() !== "") this.take(last, events);
    return this.ignored > ignored ? { events: [], cut: this.lines } : { events, cut: 0 };
  }

  /** @param {string} line @param {SwarmEvent[]} events  it is added to them */
  take(line, events) {
    this.lines += 1;
    if (this.header === null) {
      this.header = headerOf(line);
      return;
    }
    if (line.trim() === "") return;
    try {
      const value = JSON.parse(line);
      const event = this.isChecked ? value : checkedEvent(eventOf(value));
      if (event !== null) events.push(event);
    } catch (error) {
      if (!(error instanceof ShapeError || error instanceof SyntaxError)) throw error;
      this.ignored += 1;
      this.lastIgnored = this.lines;
    }
  }
}

/** @param {string} line @returns {LogHeader} */
function headerOf(line) {
  let header;
  try {
    header = JSON.parse(line);
  } catch {
    header = null;
  }
  if (typeof header !== "object" || header === null || typeof header.log !== "string") {
    throw new RecordingError('This file is no recording: line 1 has no "log".');
  }
  if (header.log !== FORMAT) {
    throw new RecordingError(`This recording has the format "${header.log.slice(0, 40)}". This page reads "${FORMAT}".`);
  }
  return header;
}

/**
 * What the user must know about a recording that ends early, or ""; `end` in ms.
 * @param {number} cut  number of the line in whose middle it ends, or 0
 * @param {number} end
 */
export function cutText(cut, end) {
  if (!cut) return "";
  return `The recording ends in the middle of line ${grouped(cut)}. It is shown up to ${exactText(end)}.`;
}

/** A run as the lines of a recording. @param {LogHeader} header @param {SwarmEvent[]} events */
export function* linesOf(header, events) {
  yield `${JSON.stringify({ ...header, log: FORMAT })}\n`;
  for (const event of events) yield lineOf(event);
}

/** @param {SwarmEvent} event */
export function lineOf(event) {
  return `${JSON.stringify(event)}\n`;
}
