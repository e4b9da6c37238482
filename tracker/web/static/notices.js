/**
 * What the whole page must say on its top: the tracker is silent, a new run, a key, a file that cannot be read,
 * loading. One line that says it, one that helps; it stands there until it is over.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 *
 * @typedef {object} Notice
 * @property {string} text
 * @property {string} [help]
 * @property {boolean} [wrong]  with the bar of an error
 * @property {[string, () => void]} [button]
 * @property {number} [share]  0 to 1, of a bar
 */

import { element, setText } from "./dom.js";
import { grouped, tenthsText } from "./figures.js";

const SOON_MS = 300; // loading that takes less is not shown

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeNotices(root, model) {
  const drawKey = makeKeyForm(model);
  let shown = "";
  let loadingSince = -1;
  return {
    draw(now) {
      drawKey();
      const { loading } = model.source;
      if (loading === null) loadingSince = -1;
      else if (loadingSince < 0) loadingSince = now;
      const waits = loading !== null && now - loadingSince < SOON_MS;
      const notices = [silenceNotice(model), fileNotice(model), runNotice(model), waits ? null : loadingNotice(model)];
      const found = notices.filter((notice) => notice !== null);
      const key = JSON.stringify(found);
      if (key !== shown) root.replaceChildren(...found.map(written));
      shown = key;
      root.hidden = found.length === 0;
      return waits;
    },
  };
}

/** @param {Notice} notice */
function written({ text, help = "", wrong = false, button, share }) {
  const made = button ? element("button", { type: "button", text: button[0] }) : null;
  if (made && button) made.addEventListener("click", button[1]);
  const bar = share === undefined ? null : element("progress", { max: 1, value: share, "aria-label": text });
  return element(
    "div",
    { class: wrong ? "wrong-bar" : null },
    element("p", {}, text, made && " ", made),
    help ? element("p", { class: "dim", text: help }) : null,
    bar,
  );
}

/** @param {Model} model @returns {Notice | null} */
function silenceNotice({ source }) {
  if (source.silentSince === null) return null;
  return {
    text: `The tracker at ${source.name} has not answered since ${tenthsText(source.silentSince)}. The picture is from then.`,
    help: "Nodes go on without it. This page asks again every second.",
    wrong: true,
  };
}

/** @param {Model} model @returns {Notice | null} */
function fileNotice(model) {
  const { fault } = model.source;
  if (!fault) return null;
  const help = fault.startsWith("This ") ? "Choose a .jsonl or .jsonl.gz that the tracker recorded." : "";
  return { text: fault, help, wrong: true, button: ["Close", () => model.setSource({ fault: "" })] };
}

/** @param {Model} model @returns {Notice | null} */
function runNotice(model) {
  if (!model.source.newRun || model.before === null) return null;
  const swap = () => model.swapRuns();
  if (model.showsBefore) return { text: "This is the run before.", button: ["Show the new run", () => model.follow()] };
  return { text: "The tracker was started again. This is a new run.", button: ["Show the run before", swap] };
}

/** @param {Model} model @returns {Notice | null} */
function loadingNotice({ source: { loading, kind } }) {
  if (loading === null) return null;
  const total = loading.total === null ? "" : ` of ${grouped(loading.total)}`;
  const what = kind === "tracker" ? "swarm" : "recording";
  return { text: `Reading the ${what}: ${grouped(loading.done)}${total} events.`, share: loading.share };
}

/** The prompt for the swarm key. @param {Model} model */
function makeKeyForm(model) {
  const form = document.querySelector("#key-form");
  const field = document.querySelector("#swarm-key");
  const label = form?.querySelector("label");
  if (!(form instanceof HTMLFormElement && field instanceof HTMLInputElement && label)) throw new Error("no key form");
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    model.poller?.useKey(field.value);
    field.value = "";
  });
  return () => {
    const { keyWanted } = model.source;
    if (keyWanted && form.hidden) {
      form.hidden = false;
      field.focus();
    }
    form.hidden = !keyWanted;
    const wrong = Boolean(model.poller?.key);
    if (keyWanted) setText(label, `${wrong ? "This is not the key of the swarm." : "This swarm has a key."} Enter it to look.`);
  };
}
