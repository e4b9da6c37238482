/** The page: one model, its views, and one loop that draws what changed. */

import { Model } from "./model.js";
import { makeAnnouncer } from "./announcer.js";
import { makeControls } from "./controls.js";
import { makeKeys } from "./keys.js";
import { makeMessages } from "./messages.js";
import { makeNodePanel } from "./node_panel.js";
import { makeNotices } from "./notices.js";
import { makePieces } from "./pieces.js";
import { makeRates } from "./rates.js";
import { makeStory } from "./story.js";
import { makeSwarm } from "./swarm.js";
import { makeTabs } from "./tabs.js";
import { makeTop } from "./top.js";
import { startReading } from "./log.js";
import { onSystemChange, restoreTheme } from "./colours.js";

/** @typedef {import("./model.js").View} View */

const MAKERS = /** @type {const} */ ([
  [".top", makeTop],
  [".tabs", makeTabs],
  ["#notice", makeNotices],
  ["#swarm", makeSwarm],
  ["#pieces", makePieces],
  ["#node", makeNodePanel],
  ["#story", makeStory],
  ["#messages", makeMessages],
  ["#rates", makeRates],
  [".dock", makeControls],
  ["#help", makeKeys],
  ["#live", makeAnnouncer],
]);

const CALM = new Set([makeStory, makeMessages]);
const CALM_MS = 250; // between two drawings of these while time runs

/** @param {string} selector */
function element(selector) {
  const found = document.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the page has no ${selector}`);
  return found;
}

/** @param {Model} model @returns {View[]} */
function makeViews(model) {
  return MAKERS.map(([selector, make]) => {
    const view = make(element(selector), model);
    return CALM.has(make) ? calmed(view, model) : view;
  });
}

/**
 * The view, drawn at most a few times a second while time runs: people cannot read text that changes faster.
 * @param {View} view
 * @param {Model} model
 * @returns {View}
 */
function calmed(view, model) {
  /** @type {Set<import("./model.js").Change>} */
  const missed = new Set();
  let last = -CALM_MS;
  return {
    draw(now) {
      if (model.player.playing && now - last < CALM_MS) {
        for (const change of model.changed) missed.add(change);
        return true;
      }
      last = now;
      for (const change of missed) model.changed.add(change);
      missed.clear();
      return view.draw(now);
    },
  };
}

/**
 * Draw all views in one animation frame after a change, and while something moves.
 * @param {Model} model
 * @param {View[]} views
 */
function drawOnChange(model, views) {
  let waiting = false;
  let last = 0;
  /** @param {number} now */
  function frame(now) {
    waiting = false;
    model.advance(now - last);
    last = now;
    let moves = model.player.playing;
    for (const view of views) moves = view.draw(now) === true || moves;
    model.changed.clear();
    if (moves) request();
  }
  function request() {
    if (waiting) return;
    waiting = true;
    requestAnimationFrame((now) => {
      // The first frame after a rest: no time has passed for the player.
      if (!model.player.playing) last = now;
      frame(now);
    });
  }
  model.onChange(request);
}

function start() {
  restoreTheme();
  const model = new Model();
  const views = makeViews(model);
  drawOnChange(model, views);
  new ResizeObserver(() => model.mark("size")).observe(document.body);
  onSystemChange(() => model.mark("theme"));
  model.mark("log", "state", "time", "selection", "filters", "source", "size", "theme");
  startReading(model);
}

start();
