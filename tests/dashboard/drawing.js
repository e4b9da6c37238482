/** The page's pictures of a made swarm, with what a test asks of them. */

import { Model } from "/static/model.js";
import { makeNodePanel } from "/static/node_panel.js";
import { makePieces } from "/static/pieces.js";
import { makeRates } from "/static/rates.js";
import { makeSwarm } from "/static/swarm.js";
import { fillModel, madeNode, madeRow, randomFrom, TORRENT } from "/made/made_swarm.js";

const model = new Model();
const panel = (selector) => document.querySelector(selector);
const views = [
  makeSwarm(panel("#swarm"), model), makePieces(panel("#pieces"), model), makeNodePanel(panel("#node"), model),
  makeRates(panel("#rates"), model),
];
const pieces = panel("#pieces");
const canvas = pieces.querySelector("canvas");

/** One frame of all views. True: something in the swarm's picture moves. */
function draw() {
  const [moves] = views.map((view) => view.draw(performance.now()) === true);
  model.changed.clear();
  return moves;
}

/** Draw until the boxes have their sizes. */
async function settle() {
  for (let turn = 0; turn < 4; turn += 1) {
    model.mark("log", "state", "time", "selection", "size");
    draw();
    await new Promise((resolve) => requestAnimationFrame(resolve));
  }
}

async function fill(size) {
  fillModel(model, size);
  await settle();
}

async function addNode(id, withFile) {
  model.state.nodes[id] = madeNode({ torrents: withFile ? { [TORRENT]: madeRow(new Uint8Array(0), 0) } : {} });
  await settle();
}

/** What the page says about the cell below a point of the canvas, in px of the screen. */
function named(x, y) {
  const box = canvas.getBoundingClientRect();
  const at = { clientX: box.left + (x + 0.5) / devicePixelRatio, clientY: box.top + (y + 0.5) / devicePixelRatio };
  canvas.dispatchEvent(new PointerEvent("pointermove", at));
  return pieces.querySelector('[data-part="summary"]').textContent;
}

function leave() {
  canvas.dispatchEvent(new PointerEvent("pointerleave"));
}

/** "": nothing is drawn there. */
const colour = (data, at) => data[at + 3] === 0 ? "" : `#${[0, 1, 2].map((part) => data[at + part].toString(16).padStart(2, "0")).join("")}`;

const CELL = /^pieces? (\d+)(?: to \d+)? at node (\d+)/;

/** Where the pointer finds cells: px of the screen by column, named by its first piece, and by row, named by node. */
function places() {
  const [xs, ys] = [{}, {}];
  const [middle, row] = [Math.round(canvas.width / 2), 10];
  for (let x = 0; x < canvas.width; x += 1) {
    const found = CELL.exec(named(x, row));
    if (found) (xs[found[1]] ??= []).push(x);
  }
  for (let y = 0; y < canvas.height; y += 1) {
    const found = CELL.exec(named(middle, y));
    if (found) (ys[found[2]] ??= []).push(y);
  }
  return { xs, ys };
}

/** Random cells: what the page says, and the colours downwards. */
function cells(count) {
  const { data, width } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const { xs, ys } = places();
  const random = randomFrom(17);
  const anyOf = (values) => values[Math.floor(random() * values.length)];
  const found = [];
  for (let at = 0; at < count; at += 1) {
    const [piece, node] = [anyOf(Object.keys(xs)), anyOf(Object.keys(ys))];
    const x = xs[piece][Math.floor(xs[piece].length / 2)];
    found.push({
      piece: Number(piece), node: Number(node), text: named(x, ys[node][1]),
      colours: ys[node].map((y) => colour(data, (y * width + x) * 4)),
    });
  }
  leave();
  return { cells: found, columns: Object.keys(xs).length, rows: Object.keys(ys).length };
}

/** The widest run of a colour along one line of the canvas, in px of the screen. */
function widest(wanted) {
  const { data, width, height } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  let most = 0;
  for (let y = 0; y < height; y += 1) {
    for (let x = 0, run = 0; x < width; x += 1) {
      run = colour(data, (y * width + x) * 4) === wanted ? run + 1 : 0;
      most = Math.max(most, run);
    }
  }
  return most;
}

/** All pieces of all nodes but one are right; that one is bad at `node`. */
async function onlyBad(node, piece) {
  for (const [id, other] of Object.entries(model.state.nodes)) {
    const row = other.torrents[TORRENT];
    row.pieces.fill("v".charCodeAt(0));
    if (Number(id) === node) row.pieces[piece] = "x".charCodeAt(0);
    row.version -= 1;
  }
  await settle();
}

/** The pieces of a node as letters. */
const letters = (id) => String.fromCharCode(...model.state.nodes[id].torrents[TORRENT].pieces);

/** Colours of the style sheet as "#rrggbb", as the browser resolves them. */
function palette() {
  const probe = document.body.appendChild(document.createElement("i"));
  const names = ["track", "data", "ink", "accent", "bad", "paper"];
  const found = names.map((name) => {
    probe.style.color = `var(--${name})`;
    return [name, colour(getComputedStyle(probe).color.match(/\d+/g).map(Number).concat(255), 0)];
  });
  probe.remove();
  return Object.fromEntries(found);
}

Object.assign(window, { model, draw, settle, fill, addNode, cells, widest, onlyBad, letters, palette });
