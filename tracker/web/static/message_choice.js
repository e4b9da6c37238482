/**
 * Which lifelines the diagram has: the selected node, and the peer that the user chooses; without a choice the peer
 * of its last loss or dump, else the one that sent it the most.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./exchange.js").Place} Place
 * @typedef {import("./state_entries.js").Name} Name
 */

import { element, setText } from "./dom.js";
import { TRACKER } from "./exchange.js";
import { grouped } from "./figures.js";

const ALL = "all";
const MOST_LIFELINES = 4;

/** "node 3", "peer a", "tracker". @param {Model} model @param {Place} place */
export function placeText({ log }, place) {
  return place === TRACKER ? place : log.context.nameText(place);
}

/** @param {HTMLElement} summary @param {Model} model */
export function makeChoice(summary, model) {
  const select = element("select", { "aria-label": "The other end of the messages" });
  const before = element("span");
  const after = element("span");
  /** @type {Place | null} */
  let node = null;
  let wanted = "";
  select.addEventListener("change", () => {
    wanted = select.value;
    model.select({});
  });
  summary.append(before, select, after);
  return {
    /** The lifelines, the node first. @returns {Place[]} */
    places() {
      const now = nodeOf(model);
      if (now !== node) wanted = "";
      node = now;
      if (now === null) return [];
      const peers = peersOf(model, now);
      if (wanted === ALL) return [now, ...peers.slice(0, MOST_LIFELINES - 1)];
      const chosen = peers.find((peer) => String(peer) === wanted) ?? lastPartner(model, now) ?? peers[0];
      return chosen === undefined ? [now] : [now, chosen];
    },
    /** @param {Place[]} places */
    draw(places) {
      select.hidden = places.length < 2;
      setText(before, places.length ? `${placeText(model, places[0])}${places.length > 1 ? " and " : ""}` : "");
      const { piece } = model.filters;
      setText(after, piece === null ? "" : `, piece ${grouped(piece)}`);
      if (places.length < 2) return;
      const peers = peersOf(model, places[0]);
      fillOptions(select, model, peers.includes(places[1]) ? peers : [places[1], ...peers]); // a dump's peer may have no link
      select.value = wanted === ALL ? ALL : String(places[1]);
    },
  };
}

/** @param {HTMLSelectElement} select @param {Model} model @param {Place[]} peers */
function fillOptions(select, model, peers) {
  const values = [...peers.map(String), ALL];
  if (values.join() === [...select.options].map(({ value }) => value).join()) return;
  const names = [...peers.map((peer) => placeText(model, peer)), `${peers.length} others`];
  select.replaceChildren(...values.map((value, index) => new Option(names[index], value)));
}

/** The node whose messages are shown. @param {Model} model @returns {Name | null} */
function nodeOf({ selected, log, player }) {
  if (selected.node !== null) return selected.node;
  for (let position = player.position - 1; position >= 0 && position > player.position - 5000; position -= 1) {
    const event = log.events[position];
    if (event.name === "messages:dumped") return event.node;
  }
  return log.events[player.present]?.node ?? null;
}

/** All that it may have exchanged messages with: most bytes first, the tracker last. @param {Model} model @param {Place} node */
function peersOf({ state, torrent }, node) {
  /** @type {Map<string, number>} */
  const bytes = new Map();
  for (const [key, torrents] of Object.entries(state.links)) {
    const [from, to] = key.split(">");
    const link = torrent === null ? undefined : torrents[torrent];
    const total = (link?.received ?? 0) + (link?.sent ?? 0);
    if (to === String(node)) bytes.set(from, (bytes.get(from) ?? 0) + total + 1);
    if (from === String(node)) bytes.set(to, (bytes.get(to) ?? 0) + total);
  }
  const names = [...bytes.keys()].sort((a, b) => (bytes.get(b) ?? 0) - (bytes.get(a) ?? 0));
  /** @type {Place[]} */
  const peers = names.map((name) => (/^\d{1,10}$/.test(name) ? Number(name) : name));
  return [...peers, TRACKER];
}

/** The peer of its last loss or dump at the playhead. @param {Model} model @param {Place} node @returns {Place | null} */
function lastPartner({ log, player }, node) {
  for (let position = player.position - 1; position >= 0 && position > player.position - 5000; position -= 1) {
    const event = log.events[position];
    if (event.node !== node) continue;
    if (event.name === "datagram:lost" || event.name === "datagram:repaired") return event.data.peer;
    if (event.name === "messages:dumped") return event.data.messages.find((/** @type {any} */ row) => row.peer !== null)?.peer ?? null;
  }
  return null;
}
