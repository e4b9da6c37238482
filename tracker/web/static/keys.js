/**
 * The keys of the page, and the panel that lists them. Single keys rest while a field has the focus, and can be
 * turned off. Arrows inside a panel belong to the panel.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 */

import { toggleTheme } from "./colours.js";
import { element } from "./dom.js";
import { NO_FILTERS } from "./filters.js";
import { openFile } from "./log.js";
import { saveAsOneFile } from "./save.js";

const OFF_KEY = "swarm-keys-off";
const PANELS = ["swarm", "pieces", "node", "story", "messages", "rates"];
const FIELDS = "input, select, textarea, [contenteditable]";
const PRESSED = "button, a, summary"; // Space and Enter belong to them

const HELP = [
  ["Space", "play or pause"],
  [", .", "one event back, forward"],
  ["← →", "one second; with Shift ten"],
  ["Home End", "to the start, to the end"],
  ["L", "back to live"],
  ["E", "by time or by event"],
  ["- +", "slower, faster"],
  ["1 – 6", "to Swarm, Pieces, Node, Story, Messages, Rates"],
  ["arrows", "within Swarm, Pieces, Story, Messages"],
  ["Enter", "select"],
  ["N", "only the selected node"],
  ["P", "only the selected piece"],
  ["F", "only faults"],
  ["S", "save as one file"],
  ["T", "light or dark"],
  ["?", "these keys"],
  ["Esc", "clear selection and filters"],
];

/**
 * @param {HTMLElement} root  the dialog
 * @param {Model} model
 * @returns {View}
 */
export function makeKeys(root, model) {
  if (!(root instanceof HTMLDialogElement)) throw new Error("the help is no dialog");
  const dialog = root;
  fillHelp(dialog, model);
  const actions = actionsOf(model, dialog);
  addEventListener("keydown", (event) => {
    const action = actions[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (action === undefined || isForOthers(event, dialog)) return;
    event.preventDefault();
    action(event.shiftKey);
  });
  listen("#save", () => saveAsOneFile(model));
  listen("#theme", () => switchTheme(model));
  listen("#show-help", () => dialog.showModal());
  return {
    draw() {
      const save = document.querySelector("#save");
      if (save instanceof HTMLElement) save.hidden = model.source.kind !== "tracker";
    },
  };
}

/** @param {string} selector @param {() => void} action */
function listen(selector, action) {
  document.querySelector(selector)?.addEventListener("click", action);
}

/** Is the key meant for a field, a button, a panel, the browser, or are single keys off? @param {KeyboardEvent} event @param {HTMLDialogElement} dialog */
function isForOthers(event, dialog) {
  if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey || event.isComposing || dialog.open) return true;
  const { target, key } = event;
  if (target instanceof Element && target.matches(FIELDS)) return true;
  if (target instanceof Element && target.closest(PRESSED) && (key === " " || key === "Enter")) return true;
  return key.length === 1 && key !== "?" && areOff();
}

/** @param {Model} model @param {HTMLDialogElement} dialog @returns {Record<string, (shift: boolean) => void>} */
function actionsOf(model, dialog) {
  const by = (/** @type {number} */ seconds) => (/** @type {boolean} */ shift) =>
    model.seek(model.time + seconds * (shift ? 10_000 : 1000));
  /** @type {Record<string, (shift: boolean) => void>} */
  const actions = {
    " ": () => model.toggle(),
    ",": () => model.step(-1, performance.now()),
    ".": () => model.step(1, performance.now()),
    ArrowLeft: by(-1),
    ArrowRight: by(1),
    Home: () => model.goTo(0),
    End: () => model.follow(),
    l: () => model.follow(),
    e: () => model.setPace(model.player.pace === "time" ? "event" : "time"),
    "-": () => model.changeSpeed(-1),
    "+": () => model.changeSpeed(1),
    "=": () => model.changeSpeed(1),
    n: () => model.setFilters({ node: model.filters.node === null ? model.selected.node : null }),
    p: () => model.setFilters({ piece: model.filters.piece === null ? model.selected.piece : null }),
    f: () => model.setFilters({ kind: model.filters.kind === "faults" ? "all" : "faults" }),
    s: () => saveAsOneFile(model),
    t: () => switchTheme(model),
    "?": () => dialog.showModal(),
    Escape: () => clear(model),
  };
  PANELS.forEach((panel, index) => (actions[String(index + 1)] = () => goToPanel(panel)));
  return actions;
}

/** @param {Model} model */
function clear(model) {
  model.select({ node: null, piece: null, event: null });
  model.setFilters(NO_FILTERS);
}

/** @param {Model} model */
function switchTheme(model) {
  toggleTheme();
  model.mark("theme");
}

/** @param {string} id */
function goToPanel(id) {
  const panel = document.getElementById(id);
  const inside = panel?.querySelector('[tabindex="0"]:not(.twin)');
  if (inside instanceof HTMLElement && inside.offsetParent !== null) inside.focus();
  panel?.scrollIntoView({ block: "nearest" });
}

// ---- the panel

/** @param {HTMLDialogElement} dialog @param {Model} model */
function fillHelp(dialog, model) {
  const rows = HELP.map(([keys, text]) =>
    element("tr", {}, element("th", { scope: "row" }, ...keyTexts(keys)), element("td", { text })),
  );
  const box = element("input", { type: "checkbox", id: "single-keys" });
  box.checked = !areOff();
  box.addEventListener("change", () => turnOff(!box.checked));
  const close = element("button", { type: "button", class: "button primary", text: "Close" });
  close.addEventListener("click", () => dialog.close());
  dialog.replaceChildren(
    element("h2", { id: "help-title", text: "Keys" }),
    element("table", { class: "keys" }, element("tbody", {}, ...rows)),
    element("p", {}, box, element("label", { for: "single-keys", text: " Single keys are on" })),
    fileField(model),
    element("p", {}, close),
  );
}

/** Open a recording; dropping it on the page does the same. @param {Model} model */
function fileField(model) {
  const field = element("input", { type: "file", id: "recording-file", accept: ".jsonl,.gz,.json" });
  field.addEventListener("change", () => {
    const file = field.files?.[0];
    if (file) openFile(model, file);
    field.closest("dialog")?.close();
    field.value = "";
  });
  const label = element("label", { for: "recording-file", text: "Open a recording (.jsonl or .jsonl.gz), or drop it on this page: " });
  return element("p", {}, label, field);
}

/** @param {string} keys */
function keyTexts(keys) {
  const parts = keys.split(" ");
  return parts.flatMap((key, index) => [index ? " " : "", key === "–" ? key : element("kbd", { text: key })]);
}

let offHere = false; // where the browser keeps nothing

function areOff() {
  try {
    return localStorage.getItem(OFF_KEY) === "1";
  } catch {
    return offHere;
  }
}

/** @param {boolean} off */
function turnOff(off) {
  offHere = off;
  try {
    localStorage.setItem(OFF_KEY, off ? "1" : "0");
  } catch {
    // This page remembers it while it is open.
  }
}
