/**
 * The swarm's picture as a table.
 *
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {import("./picture.js").PictureLink} PictureLink
 */

import { element } from "./dom.js";
import { megabytes, percent, secondsText } from "./figures.js";
import { elsewhereText } from "./picture.js";

/** @param {Picture} picture */
export function swarmTable(picture) {
  const cells = (/** @type {"th" | "td"} */ tag, /** @type {string[]} */ texts) => texts.map((text) => element(tag, { text }));
  const rows = picture.nodes.map((node) => {
    const mine = picture.links.filter((link) => link.to === node.id && link.kind !== "none");
    const fetches = mine.filter((link) => link.kind === "active").map((link) => `${nameFrom(picture, link)} ${megabytes(link.rate)} MB/s`);
    const waits = mine.filter((link) => link.kind === "queued").map((link) => `${nameFrom(picture, link)}, place ${link.place}`);
    const choked = mine.filter((link) => link.kind === "choked").map((link) => nameFrom(picture, link));
    const role = node.complete ? "seed" : node.elsewhere ? elsewhereText(node) : "leecher";
    const status = node.status === "here" ? role : `${node.status} ${secondsText(node.quiet)}`;
    return element("tr", {}, element("th", { scope: "row", text: node.name }), ...cells("td", [
      node.place === "standard" ? "standard peer" : status, percent(node.share), fetches.join(", ") || "-", waits.join(", ") || "-",
      choked.join(", ") || "-",
    ]));
  });
  return element("table", {}, element("caption", { text: "The swarm" }),
    element("thead", {}, element("tr", {}, ...cells("th", ["node", "is", "verified", "fetches from", "waits at", "choked by"]))),
    element("tbody", {}, ...rows));
}

/** @param {Picture} picture @param {PictureLink} link */
function nameFrom(picture, link) {
  return picture.byName.get(link.from)?.name ?? String(link.from);
}
