/**
 * The selected node: its figures, why it has its rank, and a row for each peer that says why it is not used. While
 * none is selected: all nodes.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {import("./picture.js").PictureNode} PictureNode
 * @typedef {import("./peer_rows.js").PeerRow} PeerRow
 * @typedef {import("./state.js").Name} Name
 */

import { element, glyph, part, setText } from "./dom.js";
import { grouped, listed, megabytes, plural, secondsText } from "./figures.js";
import { nodeRows } from "./node_list.js";
import { picturesOf } from "./picture.js";
import { peerRows, rankOf } from "./peer_rows.js";

const PAUSE_MS = 250; // between two versions of the panel while the swarm moves

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeNodePanel(root, model) {
  const view = new NodePanel(root, model);
  return { draw: (now) => view.draw(now) };
}

class NodePanel {
  /** @param {HTMLElement} root @param {Model} model */
  constructor(root, model) {
    this.root = root;
    this.model = model;
    this.pictures = picturesOf(model);
    this.body = part(root, "body");
    this.title = /** @type {HTMLElement} */ (root.querySelector("h2"));
    this.figureParts = Array.from({ length: 4 }, figureParts);
    this.figures = element("dl", { class: "figures" }, ...this.figureParts.map(({ whole }) => whole));
    this.why = element("p", { class: "why" });
    this.served = element("tbody");
    this.rows = element("tbody"); // of peers that are not used
    /** @type {ServedRow[]} rows with a rate, made as often as they are needed and kept: their texts change all the time */
    this.servedRows = [];
    const names = ["peer", "rate, or why it is not used"].map((text) => element("th", { scope: "col", text }));
    this.body.append(this.figures, this.why, element("table", { class: "peers" },
      element("caption", { class: "unseen", text: "Peers that this node may fetch from" }),
      element("thead", { class: "unseen" }, element("tr", {}, ...names)), this.served, this.rows));
    /** @type {Name | null} the peer whose reason is shown in full; null: the first that waits */
    this.asked = null;
    /** @type {Name | null} */
    this.shownNode = null;
    this.shown = "";
    this.drawn = -Infinity; // ms of the page's clock
  }

  /** @param {number} now @returns {boolean} the panel is to be drawn again */
  draw(now) {
    const { changed } = this.model;
    const other = changed.has("selection") || changed.has("size") || this.model.selected.node !== this.shownNode;
    if (changed.size > 0 && !other && !changed.has("state") && !changed.has("time") && !changed.has("log")) return false;
    const moves = this.model.live || this.model.player.playing;
    if (moves && !other && now - this.drawn < PAUSE_MS) return true;
    this.drawn = now;
    const picture = this.pictures.now;
    const node = this.model.selected.node === null ? undefined : picture.byName.get(this.model.selected.node);
    if (this.model.selected.node !== this.shownNode) this.asked = null;
    this.shownNode = this.model.selected.node;
    this.root.classList.toggle("chosen", node !== undefined);
    if (node === undefined) this.showNone(picture);
    else this.show(node, picture);
    return false;
  }

  /** All nodes, one a row. @param {Picture} picture */
  showNone(picture) {
    const { node } = this.model.selected;
    const words = part(this.root, "words");
    const gone = node !== null && picture.nodes.length > 0;
    const text = gone ? `${typeof node === "number" ? `Node ${node}` : "This peer"} is not here at this time.` : "";
    setText(this.title, picture.nodes.length ? "Nodes" : "Node");
    setText(part(this.root, "summary"), picture.nodes.length ? "select one for its peers" : "");
    words.hidden = text === "";
    if (words.textContent !== text) words.replaceChildren(element("p", { class: "dim", text }));
    this.body.hidden = picture.nodes.length === 0;
    this.figures.hidden = this.why.hidden = true;
    this.showServed([]);
    const rows = nodeRows(picture);
    this.fill(JSON.stringify(rows), () => rows.map((row) => this.listRow(row, rows)));
  }

  /** Other rows, if they differ from those that are shown. @param {string} key @param {() => HTMLElement[]} make */
  fill(key, make) {
    if (key === this.shown) return;
    this.shown = key;
    const focused = this.rows.contains(document.activeElement) ? document.activeElement?.getAttribute("data-peer") : null;
    this.rows.replaceChildren(...make());
    if (focused) /** @type {HTMLElement | null} */ (this.rows.querySelector(`[data-peer="${CSS.escape(focused)}"]`))?.focus();
  }

  /** @param {PictureNode} node @param {Picture} picture */
  show(node, picture) {
    part(this.root, "words").hidden = true;
    this.body.hidden = this.figures.hidden = this.why.hidden = false;
    setText(this.title, node.name.replace(/^./, (letter) => letter.toUpperCase()));
    setText(part(this.root, "summary"), summaryOf(node));
    this.showFigures(node, picture);
    const rows = peerRows(node, picture);
    const asked = rows.some((row) => row.peers.includes(this.asked ?? "")) ? this.asked : (rows.find((row) => row.kind === "queued")?.peers[0] ?? null);
    const served = rows.filter((row) => row.kind === "served");
    this.showServed(served);
    const others = rows.slice(served.length);
    this.fill(JSON.stringify([node.id, asked, others]), () => others.map((row) => this.rowOf(row, asked)));
  }

  /** @param {PictureNode} node @param {Picture} picture */
  showFigures(node, picture) {
    const limited = (/** @type {string} */ name, /** @type {number | null | undefined} */ limit) => (limit ? `${name}, limit ${megabytes(limit)}` : name);
    const rank = rankOf(node, picture);
    const figures = [
      [limited("down", node.state?.down_limit), megabytes(node.down), "MB/s"],
      [limited("up", node.state?.up_limit), megabytes(node.up), "MB/s"],
      ["pieces", grouped(node.verified), `of ${grouped(picture.pieces)}`],
      ["rank", rank.place ? String(rank.place) : "-", rank.place ? `of ${rank.of}` : ""],
    ];
    figures.forEach(([name, value, unit], at) => {
      setText(this.figureParts[at].name, name);
      setText(this.figureParts[at].value, `${value} `);
      setText(this.figureParts[at].unit, unit);
    });
    setText(this.why, [rank.why, stateText(node), elsewhereWords(node, this.model)].filter(Boolean).join(" "));
  }

  /** @param {PeerRow[]} rows  by rate */
  showServed(rows) {
    rows.forEach((row, at) => {
      if (at === this.servedRows.length) this.servedRows.push(servedRow());
      const { line, name, bar, rate } = this.servedRows[at];
      setText(name, row.name);
      bar.className = row.sent ? "bar sent" : "bar";
      bar.style.width = `calc(var(--peer-bar) * ${(row.rate / rows[0].rate).toFixed(4)})`;
      setText(rate, `${megabytes(row.rate)} MB/s${row.sent ? " to it" : ""}`);
      if (!line.isConnected) this.served.append(line);
    });
    for (const { line } of this.servedRows.slice(rows.length)) line.remove();
  }

  /** @param {PeerRow} row @param {Name | null} asked */
  rowOf(row, asked) {
    const name = element("th", { scope: "row" }, this.nameOf(row));
    const open = asked !== null && row.peers.includes(asked);
    const what = element("td", {}, glyph(row.sign), open ? element("b", { text: row.text }) : row.text);
    if (open && row.detail) what.append(element("p", { text: row.detail }));
    const made = element("tr", { class: open ? "asked" : null }, name, what);
    made.addEventListener("click", () => this.open(row));
    return made;
  }

  /** A row of the list of all nodes. @param {PeerRow} row @param {PeerRow[]} rows */
  listRow(row, rows) {
    const [id] = row.peers;
    const button = element("button", { type: "button", text: row.name, "data-peer": String(id) });
    const served = row.kind === "served";
    const after = row.text ? `${row.sent ? " " : ", "}${row.text}` : "";
    const what = served ? [barOf(row, rows, 0.5), `${megabytes(row.rate)} MB/s${after}`] : [glyph(row.sign), row.text];
    const made = element("tr", { class: served ? "node served" : "node" }, element("th", { scope: "row" }, button), element("td", {}, ...what));
    made.addEventListener("click", () => this.model.select({ node: id }));
    return made;
  }

  /** @param {PeerRow} row */
  nameOf(row) {
    if (!row.detail) return row.name;
    const button = element("button", { type: "button", text: row.name, "data-peer": String(row.peers[0]) });
    return button;
  }

  /** @param {PeerRow} row */
  open(row) {
    this.asked = row.peers[0];
    this.shown = "";
    this.model.mark("selection");
  }
}

/** A rate as a bar beside the highest. @param {PeerRow} row @param {PeerRow[]} rows @param {number} share  of the room for bars */
function barOf(row, rows, share) {
  const bar = element("span", { class: row.sent ? "bar sent" : "bar" });
  const most = Math.max(...rows.map((each) => each.rate));
  bar.style.width = `calc(var(--peer-bar) * ${((share * row.rate) / most).toFixed(4)})`;
  return bar;
}

/** A figure with its name and unit. */
function figureParts() {
  const [name, value, unit] = [element("dt"), element("span"), element("small")];
  return { whole: element("div", {}, name, element("dd", {}, value, unit)), name, value, unit };
}

/** @typedef {ReturnType<typeof servedRow>} ServedRow  a peer that sends to this node, or gets from it */
function servedRow() {
  const [name, bar, rate] = [element("th", { scope: "row" }), element("span"), element("span")];
  return { line: element("tr", { class: "served" }, name, element("td", {}, bar, rate)), name, bar, rate };
}

/** @param {PictureNode} node */
function summaryOf(node) {
  const role = node.place === "standard" ? "standard peer" : node.complete ? "seed" : node.elsewhere ? "without this file" : "leecher";
  const address = node.state === null ? String(node.id) : (node.state.addr ?? "");
  const since = node.status === "here" ? "" : `${node.status === "silent" ? "silent for" : "gone for"} ${secondsText(node.quiet)}`;
  return [role, address, since].filter(Boolean).join(", ");
}

/** Which files a node without this one has. @param {PictureNode} node @param {Model} model */
function elsewhereWords({ elsewhere, state }, { state: { torrents } }) {
  if (!elsewhere) return "";
  const files = Object.keys(state?.torrents ?? {}).map((torrent) => torrents[torrent]?.name ?? torrent);
  return files.length ? `It takes part in ${listed(files)}. Choose that file above to see it there.` : "It has no file yet.";
}

/** What the node says about its download, and faults on purpose. @param {PictureNode} node */
function stateText(node) {
  const row = node.row;
  const parts = [];
  if (node.state && !node.state.reports) {
    parts.push(`N${node.name.slice(1)} does not report (-report off). Its links are drawn from what the other ends count.`);
  }
  if (row?.state === "failed" || row?.state === "paused" || row?.state === "stopped") {
    parts.push(`The download is ${row.state}${row.reason ? `: ${row.reason}` : ""}.`.replace("..", "."));
  }
  if (node.bad) parts.push(`${plural(node.bad, "piece")} had a wrong hash.`);
  if (node.state?.faults) parts.push(`Faults on purpose: ${node.state.faults}.`);
  return parts.join(" ");
}
