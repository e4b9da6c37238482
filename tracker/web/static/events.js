/**
 * One event as it comes from the tracker or from a file: checked as common/events.py checks it, with the same
 * table (vocabulary.js).
 *
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 */

import { cleaned, ShapeError } from "./shapes.js";
import { ENVELOPE, KINDS } from "./vocabulary.js";

const MAX_NAME = 64; // characters

/**
 * The event in a decoded JSON value. Throws ShapeError unless its five fields have their shapes. Its name may be
 * unknown, and its data may be anything.
 * @param {any} value
 * @returns {SwarmEvent}
 */
export function eventOf(value) {
  const { time, node, seq, name } = cleaned(ENVELOPE, value);
  const { data } = value;
  if (seq < 1 || [...name].length > MAX_NAME) throw new ShapeError("seq begins at 1, and a name is short");
  if (typeof data !== "object" || data === null || Array.isArray(data)) throw new ShapeError("data is no object");
  return { time, node, seq, name, data };
}

/**
 * The event with exactly the fields of its kind; null if the state ignores such an event: its name is unknown, its
 * data is malformed, or another than its writer reports it.
 * @param {SwarmEvent} event
 * @returns {SwarmEvent | null}
 */
export function checkedEvent(event) {
  if (event.name === "keyframe") return event.node === null ? event : null; // SwarmState.fromJson checks its data
  if (!Object.hasOwn(KINDS, event.name)) return null;
  const [writer, shape] = KINDS[event.name];
  if (writer !== "any" && (writer === "node") === (event.node === null)) return null;
  try {
    return { ...event, data: cleaned(shape, event.data) };
  } catch (error) {
    if (error instanceof ShapeError) return null;
    throw error;
  }
}
