/**
 * The story: each event as a sentence, the present on tint, later ones paler. The list shows what the filters let
 * pass, so a step goes from row to row. Arrows, while it has the focus, step; Enter selects what the event is about.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 */

import { element, glyph, part } from "./dom.js";
import { countUpTo } from "./event_log.js";
import { exactText, grouped } from "./figures.js";
import { isFault, NO_FILTERS } from "./filters.js";
import { VirtualList } from "./virtual_list.js";
import { glyphOf, sentence } from "./words.js";

const TYPING_MS = 150; // a text filter waits for the end of a word
const KINDS = /** @type {const} */ (["all", "faults", "waiting"]);

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeStory(root, model) {
  const drawFilters = makeFilters(part(root, "filters"), model);
  const words = part(root, "words");
  const list = part(root, "list");
  list.setAttribute("role", "listbox");
  const rows = new VirtualList(list, {
    count: () => model.player.sequence().length,
    make: (index) => row(model, index),
  });
  listenForArrows(list, model);
  listenForClicks(list, model);
  const draw = makeDraw(model, rows, list);
  return {
    draw() {
      const { changed } = model;
      if (changed.has("filters") || changed.has("log")) drawFilters();
      if (changed.has("filters") || changed.has("log") || changed.has("source")) drawWords(words, list, model);
      draw();
    },
  };
}

/** Index in the story of the last event that is applied; -1: none. @param {Model} model */
function presentIndex(model) {
  return countUpTo(model.player.sequence(), model.position - 1) - 1;
}

/** @param {Model} model @param {VirtualList} rows @param {HTMLElement} list */
function makeDraw(model, rows, list) {
  let shown = { log: model.log, filters: model.filters, count: -1, present: -2 };
  return () => {
    const now = { log: model.log, filters: model.filters, count: rows.rows.count(), present: presentIndex(model) };
    const other = now.log !== shown.log || now.filters !== shown.filters;
    const moved = now.present !== shown.present;
    if (!other && !moved && now.count === shown.count && !model.changed.has("size")) return;
    if (other || (moved && !model.live && !model.player.playing)) rows.loose = false;
    const grew = now.count !== shown.count;
    const isIn = now.present < 0 || rows.row(now.present) !== null;
    shown = now;
    const isStale = other || grew || model.changed.has("size");
    if (rows.loose && isStale) rows.show(rows.centre(), false);
    else if (!rows.loose && (isStale || !isIn)) rows.show(now.present, true);
    else if (!rows.loose) rows.reveal(now.present);
    markPresent(rows, list, now.present);
    if (!rows.loose) rows.reveal(now.present); // its bold words may need one more line
  };
}

/** @param {VirtualList} rows @param {HTMLElement} list @param {number} present */
function markPresent(rows, list, present) {
  for (let index = rows.first; index < rows.end; index += 1) {
    const made = rows.row(index);
    made?.classList.toggle("now", index === present);
    made?.classList.toggle("later", index > present);
    made?.setAttribute("aria-selected", String(index === present));
  }
  const id = rows.row(present)?.id;
  if (id) list.setAttribute("aria-activedescendant", id);
  else list.removeAttribute("aria-activedescendant");
}

/** @param {Model} model @param {number} index */
function row(model, index) {
  const sequence = model.player.sequence();
  const event = model.log.events[sequence[index]];
  return element(
    "li",
    {
      id: `event-${index}`, role: "option", class: isFault(event) ? "fault" : null, "data-index": index,
      "aria-posinset": index + 1, "aria-setsize": sequence.length,
    },
    element("time", { text: exactText(event.time) }),
    glyph(glyphOf(event)),
    element("span", { text: sentence(event, model.log.context.of(event)) }),
  );
}

/** Nothing to show: why, and what helps. @param {HTMLElement} words @param {HTMLElement} list @param {Model} model */
function drawWords(words, list, model) {
  const isEmpty = model.player.sequence().length === 0;
  const all = model.log.happenings.length;
  words.hidden = !isEmpty;
  list.hidden = isEmpty;
  if (!isEmpty) return;
  const text = all === 0 ? (model.log.length ? "Nothing has happened yet." : "") : `${nothingText(model)} in this run.`;
  const button = element("button", { type: "button", text: `Show all ${grouped(all)} events` });
  button.addEventListener("click", () => model.setFilters(NO_FILTERS));
  words.replaceChildren(element("p", { text }), all === 0 ? "" : element("p", {}, button));
}

/** @param {Model} model */
function nothingText({ filters: { node, piece, kind, text }, log }) {
  const what = kind === "faults" ? "No fault" : kind === "waiting" ? "No waiting" : "No event";
  const parts = [
    node === null ? "" : ` of ${log.context.nameText(node)}`,
    piece === null ? "" : ` of piece ${grouped(piece)}`,
    text ? ` with "${text}"` : "",
  ];
  return what + parts.join("");
}

/** The kinds, and a field for a text. @param {HTMLElement} place @param {Model} model */
function makeFilters(place, model) {
  const field = element("input", { type: "search", placeholder: "filter", "aria-label": "Only events with this text" });
  const buttons = KINDS.map((kind) => {
    const button = element("button", { type: "button", text: kind });
    button.addEventListener("click", () => model.setFilters({ kind }));
    return button;
  });
  let timer = 0;
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(() => model.setFilters({ text: field.value.trim() }), TYPING_MS);
  });
  place.append(field, ...buttons);
  return () => {
    KINDS.forEach((kind, at) => buttons[at].setAttribute("aria-pressed", String(kind === model.filters.kind)));
    if (document.activeElement !== field) field.value = model.filters.text;
  };
}

/** @param {HTMLElement} list @param {Model} model */
function listenForArrows(list, model) {
  list.addEventListener("keydown", (event) => {
    const now = performance.now();
    if (event.key === "ArrowDown") model.step(1, now);
    else if (event.key === "ArrowUp") model.step(-1, now);
    else if (event.key === "Enter") selectSubject(model, presentIndex(model));
    else return;
    event.preventDefault();
    event.stopPropagation();
  });
}

/** A click goes to the event and selects what it is about. @param {HTMLElement} list @param {Model} model */
function listenForClicks(list, model) {
  list.addEventListener("click", ({ target }) => {
    const made = target instanceof Element ? target.closest("li[data-index]") : null;
    if (!(made instanceof HTMLElement)) return;
    const index = Number(made.dataset.index);
    model.goTo(model.player.sequence()[index] + 1);
    selectSubject(model, index);
  });
}

/** @param {Model} model @param {number} index  in the story */
function selectSubject(model, index) {
  const position = model.player.sequence()[index];
  if (position === undefined) return;
  const { node, data } = model.log.events[position];
  const { torrent } = data;
  model.select({
    event: position,
    node: data.node ?? node ?? model.selected.node,
    piece: typeof data.piece === "number" ? data.piece : model.selected.piece,
    torrent: torrent !== undefined && torrent in model.state.torrents ? torrent : model.selected.torrent,
  });
}
