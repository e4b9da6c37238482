/**
 * All nodes, one a row, while none is selected: what each receives or sends, and where it waits. Pure.
 *
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {import("./picture.js").PictureNode} PictureNode
 * @typedef {import("./peer_rows.js").PeerRow} PeerRow
 */

import { listed, secondsText } from "./figures.js";
import { elsewhereText } from "./picture.js";

/** Rows by node_id, then standard peers. @param {Picture} picture @returns {PeerRow[]} */
export function nodeRows(picture) {
  return picture.nodes.map((node) => rowOf(node, picture));
}

/** @param {PictureNode} node @param {Picture} picture @returns {PeerRow} */
function rowOf(node, picture) {
  const row = (/** @type {PeerRow["kind"]} */ kind, /** @type {PeerRow["sign"]} */ sign, /** @type {string} */ text, rate = 0, sent = false) =>
    ({ peers: [node.id], name: node.name, kind, sign, text, detail: "", rate, sent });
  if (node.status !== "here") {
    const gone = node.status === "gone";
    return row("silent", gone ? "gone" : "silent", `${gone ? "gone" : "silent"} for ${secondsText(node.quiet)}`);
  }
  if (node.elsewhere) return row("other", "none", elsewhereText(node));
  if (node.complete || (node.place === "standard" && node.down === 0)) {
    return node.up > 0 ? row("served", "none", "to others", node.up, true) : row("other", "none", "sends nothing just now");
  }
  const waits = waitText(node, picture);
  if (node.down > 0) return row("served", "none", waits, node.down);
  return waits ? row("queued", "wait", waits) : row("other", "none", "receives nothing just now");
}

/** "waits at node 1 (place 2)". @param {PictureNode} node @param {Picture} picture */
function waitText(node, picture) {
  const queues = picture.links.filter((link) => link.to === node.id && link.kind === "queued");
  const places = queues.map(({ from, place }) => `${picture.byName.get(from)?.name ?? from}${place ? ` (place ${place})` : ""}`);
  if (places.length > 2) return `waits at ${places.length} others`;
  return places.length ? `waits at ${listed(places)}` : "";
}
