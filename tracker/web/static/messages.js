/**
 * Messages between the selected node and another, as a sequence diagram; the chosen message's fields below.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 * @typedef {import("./exchange.js").Place} Place
 * @typedef {import("./exchange.js").Message} Message
 * @typedef {import("./diagram_rows.js").Row} Row
 * @typedef {import("./diagram_rows.js").Cost} Cost
 * @typedef {import("./state_entries.js").Name} Name
 */

import { drawDiagram, layoutOf, y } from "./diagram.js";
import { costsOf, presentRow, rowsOf, windowOf } from "./diagram_rows.js";
import { element, part, setText } from "./dom.js";
import { Exchanges } from "./exchange.js";
import { exactText, grouped, secondsText } from "./figures.js";
import { palette } from "./colours.js";
import { fieldsLines } from "./message_fields.js";
import { makeChoice, placeText } from "./message_choice.js";

const MOST_ROWS = 120; // in the page, around the present one
const COST_ROWS = 12; // after a repair in which its cost is shown

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeMessages(root, model) {
  const choice = makeChoice(part(root, "summary"), model);
  const panel = new MessagesPanel(root, model);
  return {
    draw() {
      const { changed } = model;
      const places = choice.places();
      if (!changed.has("log") && !changed.has("selection") && !changed.has("state") && !changed.has("time")) {
        if (!changed.has("size") && !changed.has("theme") && !changed.has("filters")) return;
      }
      choice.draw(places);
      panel.draw(places);
    },
  };
}

class MessagesPanel {
  /** @param {HTMLElement} root @param {Model} model */
  constructor(root, model) {
    this.model = model;
    this.words = part(root, "words");
    this.bound = part(root, "bound");
    this.diagram = part(root, "diagram");
    this.fields = part(root, "fields");
    this.exchanges = new Exchanges();
    this.exchange = this.exchanges.of(model.log, []);
    /** @type {Row[]} all, and those in the page from `first` on */
    this.rows = [];
    this.first = 0;
    this.end = 0;
    /** @type {Cost[]} */
    this.costs = [];
    /** @type {Message | null} chosen by the user */
    this.chosen = null;
    this.chosenAt = 0; // ms: the choice holds while the playhead stays there
    this.key = "";
    this.fieldsKey = "";
    this.shownPresent = -2;
    this.revealed = ""; // the present row and the height for which the list was scrolled
    /** @type {Message[] | null} */
    this.messages = null;
    /** @type {ReturnType<typeof drawDiagram> | null} */
    this.drawn = null;
    /** The drawing whose present row is marked. @type {ReturnType<typeof drawDiagram> | null} */
    this.marked = null;
    this.layout = layoutOf([], 1, 12, String, [], String);
    this.diagram.addEventListener("click", (event) => this.choose(event));
    this.diagram.addEventListener("keydown", (event) => this.move(event));
  }

  /** @param {Place[]} places */
  draw(places) {
    const { model } = this;
    if (this.exchange.log !== model.log || places.join() !== [...this.exchange.places].join()) {
      this.exchange = this.exchanges.of(model.log, places);
      this.chosen = null;
    }
    if (model.time !== this.chosenAt) this.chosen = null;
    const messages = this.exchange.all();
    this.drawBound(places);
    const key = [places.join(), model.filters.piece, this.diagram.clientWidth, palette().label].join(" ");
    if (messages !== this.messages || key !== this.key) this.takeRows(messages);
    this.messages = messages;
    this.drawWords(places);
    this.drawRows(places, key);
    this.drawPresent();
  }

  /** @param {Message[]} messages */
  takeRows(messages) {
    const { piece } = this.model.filters;
    const shown = piece === null ? messages : messages.filter((message) => isOfPiece(this.model, message, piece));
    this.rows = rowsOf(shown, (from, to) => this.boundOf(from) + this.boundOf(to));
    this.costs = costsOf(this.rows);
    this.key = "";
  }

  /** ms by which a clock may be wrong. @param {Place} place */
  boundOf(place) {
    return this.model.state.nodes[place]?.clock?.bound_ms ?? 0;
  }

  /** @param {Place[]} places */
  drawBound(places) {
    const bound = Math.max(0, ...places.map((place) => this.boundOf(place)));
    setText(this.bound, bound ? `± ${bound.toFixed(1)} ms` : "");
  }

  /** @param {Place[]} places @param {string} key */
  drawRows(places, key) {
    const present = presentRow(this.rows, this.model.time);
    const isIn = present < 0 || (this.first <= present && present < this.end);
    if (key === this.key && isIn) return;
    this.key = key;
    [this.first, this.end] = windowOf(this.rows, this.model.time, MOST_ROWS);
    const rows = this.rows.slice(this.first, this.end).map((row) => ({ ...row, other: row.other - this.first }));
    const costs = this.costs
      .filter(({ from, to }) => from >= this.first && to < this.end)
      .map((cost) => ({ ...cost, from: cost.from - this.first, to: cost.to - this.first }));
    const width = Math.max(200, this.diagram.clientWidth - 16);
    const times = (/** @type {number} */ index) => timeText(rows, index);
    this.layout = layoutOf(places, width, palette().label, (place) => placeText(this.model, place), rows, times);
    this.drawn = drawDiagram(rows, costs, this.layout, times);
    this.diagram.replaceChildren(this.drawn.names, this.drawn.svg, listOf(rows, this.layout.nameOf));
  }

  /** The present row on tint, and what is said below. */
  drawPresent() {
    const present = presentRow(this.rows, this.model.time);
    const index = present - this.first;
    if (this.drawn === null) return;
    if (this.shownPresent !== present || this.marked !== this.drawn) this.mark(this.drawn, index);
    this.marked = this.drawn;
    this.shownPresent = present;
    this.drawFields(present);
    const seen = `${present} ${this.diagram.clientHeight}`;
    if (seen !== this.revealed) this.reveal(index);
    this.revealed = seen;
  }

  /** @param {ReturnType<typeof drawDiagram>} drawn @param {number} index  of the present row */
  mark({ svg, tint }, index) {
    tint.setAttribute("visibility", index >= 0 && index < this.end - this.first ? "visible" : "hidden");
    tint.setAttribute("y", String(y(this.layout, index) - this.layout.pitch / 2));
    for (const group of svg.querySelectorAll(".row")) {
      const at = Number(group.getAttribute("data-row"));
      group.classList.toggle("is-now", at === index);
      group.classList.toggle("later", at > index);
    }
  }

  /** Scroll so that a row is seen as a whole, with a few rows after it. @param {number} index */
  reveal(index) {
    if (this.drawn === null) return;
    const { pitch } = this.layout;
    const names = this.drawn.names.clientHeight; // they stay on top of the rows
    const rows = Math.max(1, Math.floor((this.diagram.clientHeight - names) / pitch));
    const end = y(this.layout, Math.max(0, index)) + pitch / 2 + Math.floor(rows * 0.3) * pitch;
    this.diagram.scrollTop = Math.max(0, end - (this.diagram.clientHeight - names));
  }

  /** @param {number} present */
  drawFields(present) {
    const message = this.chosen ?? this.rows[present]?.message ?? null;
    const text = message === null || message.name === "repaired" ? "" : this.costText(message, present);
    const key = `${text} ${message?.position} ${message?.label} ${message?.left}`;
    if (key === this.fieldsKey) return;
    this.fieldsKey = key;
    this.fields.replaceChildren(text ? element("p", { text }) : "", ...(message ? fieldsLines(message, this.model) : []));
  }

  /**
   * What the last loss cost, if it is near: "DATA 812 was lost: its bytes came 41 ms later than expected, ...".
   * @param {Message} message  the one that is shown
   * @param {number} present
   */
  costText(message, present) {
    const cost = this.costs.filter(({ from }) => from <= present).at(-1);
    if (cost === undefined) return "";
    const lost = this.rows[cost.from].message;
    if (this.chosen ? message !== lost : present - cost.to >= COST_ROWS) return "";
    const since = cost.since === "expected" ? "later than expected" : "after the loss was noticed";
    const name = lost.label.replace(/ is lost$/, "");
    return `${name} was lost: its bytes came ${secondsText(cost.ms)} ${since}, ${grouped(cost.bytes)} bytes sent again.`;
  }

  /** @param {Place[]} places */
  drawWords(places) {
    const node = places[0];
    const isEmpty = this.rows.length === 0;
    this.diagram.hidden = isEmpty;
    this.words.hidden = !isEmpty;
    if (!isEmpty) return;
    this.fields.replaceChildren();
    this.fieldsKey = "";
    if (typeof node !== "number") {
      this.words.replaceChildren(element("p", { class: "dim", text: "Select a node to see its messages." }));
      return;
    }
    const code = element("code", { text: "torrent -dump" });
    this.words.replaceChildren(
      element("p", { text: `Node ${node} has dumped no messages.` }),
      element("p", {}, "It keeps the last 2,000. At its prompt: ", code),
    );
  }

  /** @param {MouseEvent} event */
  choose({ target }) {
    const group = target instanceof Element ? target.closest("[data-row]") : null;
    if (group === null) return;
    this.go(this.first + Number(group.getAttribute("data-row")));
  }

  /** Up and down go from message to message. @param {KeyboardEvent} event */
  move(event) {
    const step = event.key === "ArrowDown" ? 1 : event.key === "ArrowUp" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    event.stopPropagation();
    this.go(presentRow(this.rows, this.model.time) + step);
  }

  /** @param {number} index  of a row */
  go(index) {
    const row = this.rows[index];
    if (row === undefined) return;
    this.chosen = row.message;
    this.model.seek(row.time);
    this.chosenAt = this.model.time;
    this.model.select({ event: row.message.position });
  }
}

/** @param {Model} model @param {Message} message @param {number} piece */
function isOfPiece(model, { fields, name }, piece) {
  if (fields.piece !== undefined) return fields.piece === piece;
  const torrent = model.torrent === null ? undefined : model.state.torrents[model.torrent];
  const size = torrent?.piece_length;
  if (!size || fields.offset === undefined || name === "ASK" || name === "TELL") return false;
  return fields.offset < (piece + 1) * size && fields.offset + (fields.length ?? 1) > piece * size;
}

/** "41.102", or "1:41.102"; "−01.240": before the log began. @param {Row[]} rows @param {number} index */
function timeText(rows, index) {
  return exactText(rows[index].time).replace(/^(−?)0:/, "$1");
}

/** The rows as a list for screen readers. @param {Row[]} rows @param {(place: Place) => string} nameOf */
function listOf(rows, nameOf) {
  const items = rows.map((row, index) => {
    const { from, to, label, lost } = row.message;
    const way = from === to ? nameOf(from) : `${nameOf(from)} to ${nameOf(to)}`;
    return element("li", { text: `${timeText(rows, index)} ${label}, ${way}${lost ? ", lost" : ""}` });
  });
  return element("ol", { class: "unseen", "aria-label": "Messages, oldest first" }, ...items);
}
