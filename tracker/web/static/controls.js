/**
 * The dock: start, one event back, play, one event forward, time, event n of m, filters, pace, speed, back to live.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 * @typedef {import("./filters.js").Filters} Filters
 */

import { element, setText } from "./dom.js";
import { clockText, grouped, secondsText } from "./figures.js";
import { NO_FILTERS } from "./filters.js";
import { EVENT_SPEEDS, TIME_SPEEDS } from "./player.js";
import { makeScrub } from "./scrub.js";

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeControls(root, model) {
  const scrub = makeScrub(must(root, "#scrub"), model);
  const draws = [makeTransport, makeClock, makeChips, makePace, makeLive].map((make) => make(root, model));
  return {
    draw(now) {
      for (const draw of draws) draw();
      scrub.draw(now);
    },
  };
}

/** @param {ParentNode} root @param {string} selector */
function must(root, selector) {
  const found = root.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the dock has no ${selector}`);
  return found;
}

/** @param {HTMLElement} root @param {Model} model */
function makeTransport(root, model) {
  const play = must(root, "#play");
  must(root, "#to-start").addEventListener("click", () => model.goTo(0));
  must(root, "#step-back").addEventListener("click", () => model.step(-1, performance.now()));
  must(root, "#step-on").addEventListener("click", () => model.step(1, performance.now()));
  play.addEventListener("click", () => model.toggle());
  return () => {
    const running = model.live || model.player.playing;
    play.classList.toggle("playing", running);
    const label = running ? "Pause" : "Play";
    play.setAttribute("aria-label", label);
    play.title = `${label} (Space)`;
  };
}

/** @param {HTMLElement} root @param {Model} model */
function makeClock(root, model) {
  const seconds = must(root, '#clock [data-part="seconds"]');
  const fraction = must(root, '#clock [data-part="fraction"]');
  const count = must(root, "#event-count");
  return () => {
    const whole = Math.floor(Math.max(0, model.time));
    setText(seconds, clockText(whole));
    setText(fraction, model.live ? "" : `.${String(whole % 1000).padStart(3, "0")}`);
    const { happenings } = model.log;
    const n = model.log.happeningsBefore(model.position);
    setText(count, happenings.length ? `event ${grouped(n)} of ${grouped(happenings.length)}` : "");
  };
}

/**
 * A chip for each filter in use, and one to switch on for the node and the piece that are selected.
 * @param {HTMLElement} root
 * @param {Model} model
 */
function makeChips(root, model) {
  const place = must(root, "#chips");
  let shown = "";
  return () => {
    const chips = chipsOf(model);
    const key = JSON.stringify(chips);
    if (key === shown) return;
    shown = key;
    place.replaceChildren(
      ...chips.map(({ text, on, change }) => {
        const label = on ? `${text}: remove this filter` : text;
        const chip = element("button", { type: "button", text, "aria-pressed": String(on), "aria-label": label });
        chip.addEventListener("click", () => model.setFilters(change));
        return chip;
      }),
    );
  };
}

/** @param {Model} model @returns {{text: string, on: boolean, change: Partial<Filters>}[]} */
function chipsOf({ filters, selected, log }) {
  const chips = [];
  const node = filters.node ?? selected.node;
  const piece = filters.piece ?? selected.piece;
  if (node !== null) {
    const on = filters.node !== null;
    chips.push({ text: `only ${log.context.nameText(node)}`, on, change: { node: on ? null : node } });
  }
  if (piece !== null) {
    const on = filters.piece !== null;
    chips.push({ text: `only piece ${grouped(piece)}`, on, change: { piece: on ? null : piece } });
  }
  if (filters.kind !== "all") chips.push({ text: `only ${filters.kind}`, on: true, change: { kind: NO_FILTERS.kind } });
  if (filters.text) chips.push({ text: `only "${filters.text}"`, on: true, change: { text: "" } });
  return chips;
}

/** @param {HTMLElement} root @param {Model} model */
function makePace(root, model) {
  const buttons = /** @type {HTMLElement[]} */ ([...root.querySelectorAll("[data-pace]")]);
  const choice = root.querySelector("#speed");
  if (!(choice instanceof HTMLSelectElement)) throw new Error("the dock has no choice of speeds");
  for (const button of buttons) {
    button.addEventListener("click", () => model.setPace(button.dataset.pace === "event" ? "event" : "time"));
  }
  choice.addEventListener("change", () => model.setSpeed(Number(choice.value)));
  let shown = "";
  return () => {
    const { pace, timeSpeed, eventSpeed } = model.player;
    for (const button of buttons) button.setAttribute("aria-pressed", String(button.dataset.pace === pace));
    if (pace !== shown) {
      const speeds = pace === "time" ? TIME_SPEEDS : EVENT_SPEEDS;
      choice.replaceChildren(...speeds.map((speed) => new Option(speedText(pace, speed), String(speed))));
      shown = pace;
    }
    choice.value = String(pace === "time" ? timeSpeed : eventSpeed);
  };
}

/** "¼×", "16×", "½ a second". @param {"time" | "event"} pace @param {number} speed */
function speedText(pace, speed) {
  const text = speed === 0.25 ? "¼" : speed === 0.5 ? "½" : String(speed);
  return pace === "time" ? `${text}×` : `${text} a second`;
}

/** @param {HTMLElement} root @param {Model} model */
function makeLive(root, model) {
  const button = must(root, "#to-live");
  const lag = must(root, "#lag");
  button.addEventListener("click", () => model.follow());
  return () => {
    button.hidden = model.source.kind !== "tracker" || model.live || model.log.length === 0;
    const behind = Math.max(0, model.source.now - model.time);
    setText(lag, model.showsBefore ? "" : `+${secondsText(behind)}`);
  };
}
