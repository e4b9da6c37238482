/**
 * The page for screen readers, in one polite line, at most every five seconds: the event at the playhead after a step
 * or a click; while the swarm is live or plays, its faults and waits and the ends of downloads.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 */

import { setText } from "./dom.js";
import { isFault } from "./filters.js";
import { sentence } from "./words.js";

const PAUSE_MS = 5000;
const MOST_EVENTS = 2000; // looked at for one line

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeAnnouncer(root, model) {
  let saidAt = -PAUSE_MS;
  let position = 0; // of the playhead, at the last line
  let timer = 0;
  return {
    draw(now) {
      if (model.position === position) return;
      const wait = saidAt + PAUSE_MS - now;
      if (wait > 0) {
        clearTimeout(timer);
        timer = setTimeout(() => model.mark("time"), wait + 1);
        return;
      }
      const text = lineOf(model, position);
      position = model.position;
      if (text === "") return;
      saidAt = now;
      setText(root, text);
    },
  };
}

/** @param {Model} model @param {number} since  position of the playhead at the last line */
function lineOf(model, since) {
  const { log, player } = model;
  const running = model.live || player.playing;
  const begin = Math.max(since, model.position - MOST_EVENTS);
  for (let at = player.present; at >= 0 && (!running || at >= begin); at -= 1) {
    const event = log.events[at];
    if (!running || isNews(event)) return sentence(event, log.context.of(event));
  }
  return "";
}

/** @param {SwarmEvent} event */
function isNews(event) {
  if (event.name === "torrent:state") return event.data.state === "seeding" || event.data.state === "failed";
  if (event.name === "peer:state") return event.data.state === "queued";
  return isFault(event) || event.name.startsWith("node:");
}
