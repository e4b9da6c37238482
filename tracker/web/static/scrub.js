/**
 * The phone's slider of time, where the chart of rates is far away: the line, gaps, faults, the knob. The keys of
 * the page do the same, and so do the arrows while it has the focus.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 */

import { drawing } from "./dom.js";
import { clockText } from "./figures.js";
import { isFault } from "./filters.js";

const HEIGHT = 22;
const LINE = 14; // px from the top
const EDGE = 8; // px: the knob does not leave the panel
const NEAR = 9; // px: faults nearer than this are one mark

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeScrub(root, model) {
  const svg = drawing("svg", { height: HEIGHT, width: "100%", "aria-hidden": "true" });
  const marks = drawing("g");
  const done = drawing("path", { class: "scrub-done" });
  const knob = drawing("circle", { class: "scrub-knob", cy: LINE, r: 6.5 });
  const line = drawing("path", { class: "scrub-line" });
  svg.append(line, done, marks, knob);
  root.append(svg);
  for (const [name, value] of Object.entries({ role: "slider", tabindex: "0", "aria-label": "Time" })) {
    root.setAttribute(name, value);
  }
  drag(root, model);
  return {
    draw() {
      const width = root.clientWidth;
      if (width === 0) return; // a wide window: the chart is the slider
      const place = placer(model, width);
      if (model.changed.has("log") || model.changed.has("size")) {
        line.setAttribute("d", `M${EDGE} ${LINE}H${width - EDGE}`);
        marks.replaceChildren(...faultMarks(model, place));
      }
      const x = place(model.time);
      done.setAttribute("d", `M${EDGE} ${LINE}H${x}`);
      knob.setAttribute("cx", String(x));
      describe(root, model);
    },
  };
}

/** @param {HTMLElement} root @param {Model} model */
function describe(root, { log, time }) {
  root.setAttribute("aria-valuemin", String(Math.round(log.begin)));
  root.setAttribute("aria-valuemax", String(Math.round(log.end)));
  root.setAttribute("aria-valuenow", String(Math.round(Math.min(time, log.end))));
  root.setAttribute("aria-valuetext", `${clockText(time)} of ${clockText(log.end)}`);
}

/** A function from times to px. @param {Model} model @param {number} width */
function placer({ log }, width) {
  const span = Math.max(1, log.end - log.begin);
  return (/** @type {number} */ time) =>
    EDGE + Math.max(0, Math.min(1, (time - log.begin) / span)) * (width - 2 * EDGE);
}

/** @param {Model} model @param {(time: number) => number} place */
function faultMarks({ log }, place) {
  const marks = [];
  let last = -NEAR;
  for (const position of log.happenings) {
    const event = log.events[position];
    if (!isFault(event) || event.name === "datagram:repaired") continue;
    const x = place(event.time);
    if (event.name === "gap") {
      const begin = place(event.time - event.data.span_ms);
      marks.push(drawing("path", { class: "scrub-gap", d: `M${begin} ${LINE}H${Math.max(x, begin + 3)}` }));
    } else if (x >= last + NEAR) {
      last = x;
      marks.push(drawing("path", { class: "scrub-fault", d: `M${x - 2.4} 1.6l4.8 4.8m0 -4.8l-4.8 4.8` }));
    }
  }
  return marks;
}

/** @param {HTMLElement} root @param {Model} model */
function drag(root, model) {
  const move = (/** @type {PointerEvent} */ event) => {
    const { left, width } = root.getBoundingClientRect();
    const share = (event.clientX - left - EDGE) / Math.max(1, width - 2 * EDGE);
    model.seek(model.log.begin + share * (model.log.end - model.log.begin));
  };
  root.addEventListener("pointerdown", (event) => {
    root.setPointerCapture(event.pointerId);
    move(event);
  });
  root.addEventListener("pointermove", (event) => {
    if (root.hasPointerCapture(event.pointerId)) move(event);
  });
}
