/** Draw frames of a large swarm in which everything changes, and keep how long each took. */

import { Model } from "/static/model.js";
import { makeNodePanel } from "/static/node_panel.js";
import { makePieces } from "/static/pieces.js";
import { makeRates } from "/static/rates.js";
import { makeSwarm } from "/static/swarm.js";
import { anyLetter, fillModel, TORRENT } from "/made/made_swarm.js";

const SIZE = { nodes: 60, pieces: 4000, links: 200, seed: 5 };
const CHANGED_CELLS = 5000; // a frame

/** @typedef {{name: string, view: {draw: (now: number) => unknown}}} Named */

/** @param {Model} model @param {() => number} random @param {number} time */
function change(model, random, time) {
  const { nodes, links } = model.state;
  for (let cell = 0; cell < CHANGED_CELLS; cell += 1) {
    const row = nodes[2 + Math.floor(random() * (SIZE.nodes - 1))].torrents[TORRENT];
    row.pieces[Math.floor(random() * SIZE.pieces)] = anyLetter(random);
    row.version += 1;
  }
  for (const [name, node] of Object.entries(nodes)) {
    node.torrents[TORRENT].moved = { time, span_ms: 500 };
    const data = { torrent: TORRENT, in: [[1, Math.floor(random() * 4e5)]], out: [], down: 0, up: 0, span_ms: 500 };
    model.log.add({ time, node: Number(name), seq: 2, name: "link:bytes", data });
  }
  for (const link of Object.values(links)) link[TORRENT].in = { time, bytes: Math.floor(random() * 4e5), span_ms: 500 };
  model.state.time = model.player.time = time;
}

/** @param {string} selector */
const panel = (selector) => /** @type {HTMLElement} */ (document.querySelector(selector));

/** @param {number} frames @returns {Promise<{frame: number[], parts: Record<string, number[]>}>} ms of script */
async function measure(frames) {
  const model = new Model();
  const random = fillModel(model, SIZE);
  /** @type {Named[]} */
  const views = [
    { name: "swarm", view: makeSwarm(panel("#swarm"), model) },
    { name: "pieces", view: makePieces(panel("#pieces"), model) },
    { name: "node", view: makeNodePanel(panel("#node"), model) },
    { name: "rates", view: makeRates(panel("#rates"), model) },
  ];
  model.select({ node: 7, piece: 1210 });
  /** @type {number[]} */
  const frame = [];
  /** @type {Record<string, number[]>} */
  const parts = Object.fromEntries(views.map(({ name }) => [name, []]));
  for (let at = 0; at < frames; at += 1) {
    change(model, random, 1000 + at * 500);
    model.mark("state", "time", "log");
    const now = await new Promise((resolve) => requestAnimationFrame(resolve));
    let whole = 0;
    for (const { name, view } of views) {
      const begun = performance.now();
      view.draw(now);
      const took = performance.now() - begun;
      parts[name].push(took);
      whole += took;
    }
    model.changed.clear();
    frame.push(whole);
  }
  return { frame, parts };
}

Object.assign(window, { measure });
