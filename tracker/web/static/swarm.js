/**
 * The swarm's picture: nodes at fixed places, and links as wide as their rate.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 * @typedef {import("./canvas.js").Sheet} Sheet
 * @typedef {import("./colours.js").Palette} Palette
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {import("./picture.js").PictureLink} PictureLink
 * @typedef {import("./picture.js").PictureNode} PictureNode
 * @typedef {import("./places.js").Plan} Plan
 * @typedef {import("./places.js").Curve} Curve
 * @typedef {import("./swarm_paint.js").LinkLook} LinkLook
 * @typedef {import("./state.js").Name} Name
 */

import { placeOf, sheetOf, used, watchSize } from "./canvas.js";
import { mixed, palette as currentPalette, reducedMotion } from "./colours.js";
import { canvasIn, element, part, setText } from "./dom.js";
import { megabytes, plural } from "./figures.js";
import { curveOf, planOf, trimmed } from "./places.js";
import { picturesOf } from "./picture.js";
import { badgePlace, labelOf, Labels, paintActive, paintBadge, paintNode, paintWaiting } from "./swarm_paint.js";
import { paintScale, scaleOf, WIDEST, widthOfRate } from "./swarm_scale.js";
import { swarmTable } from "./swarm_table.js";
import { Tweens } from "./tweens.js";

const MAX_LINKED = 200; // nodes; beyond them only the links of the selected node are drawn
const RUN = 0.018; // px a ms that dashes run
const TWIN_MS = 2000; // between two versions of a table that does not have the focus

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeSwarm(root, model) {
  const view = new SwarmView(root, model);
  return { draw: (now) => view.draw(now) };
}

class SwarmView {
  /** @param {HTMLElement} root @param {Model} model */
  constructor(root, model) {
    this.root = root;
    this.model = model;
    this.pictures = picturesOf(model);
    this.canvas = canvasIn(root);
    this.tweens = new Tweens();
    /** @type {Plan | null} */
    this.plan = null;
    this.planKey = "";
    /** @type {Map<string, Curve | null>} */
    this.curves = new Map();
    /** @type {Name | null} the node that was selected when `curves` were made */
    this.curvesFor = null;
    /** @type {Name | null} the node that the keyboard stands on */
    this.cursor = null;
    this.drawnTime = 0;
    this.summary = part(root, "summary");
    this.words = part(root, "words");
    this.rate = element("b");
    this.twin = part(root, "twin");
    this.twinFilled = -Infinity; // ms of the page's clock
    this.listen();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointerdown", (event) => this.choose(this.at(event)));
    canvas.addEventListener("pointermove", (event) => canvas.classList.toggle("over", this.at(event) !== null));
    canvas.addEventListener("keydown", (event) => this.key(event));
    const again = () => this.model.mark("selection");
    canvas.addEventListener("focus", again);
    canvas.addEventListener("blur", again);
    watchSize(canvas, () => this.model.mark("size"));
  }

  /** @param {Name | null} name */
  choose(name) {
    if (name === null) return;
    this.cursor = name;
    this.model.select({ node: this.model.selected.node === name ? null : name });
  }

  /** The node under the pointer. @param {MouseEvent} event @returns {Name | null} */
  at(event) {
    const { x, y } = placeOf(event, this.canvas);
    let nearest = null;
    let least = Math.max(14, (this.plan?.radius ?? 0) + 8);
    for (const [name, place] of this.plan?.places ?? []) {
      if (!this.pictures.now.byName.has(name)) continue;
      const distance = Math.hypot(place.x - x, place.y - y);
      if (distance < least) [nearest, least] = [name, distance];
    }
    return nearest;
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const steps = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1],
    });
    if (event.key in steps && !event.shiftKey) {
      this.cursor = this.beside(...steps[event.key]);
      this.model.mark("selection");
      used(event);
    } else if (event.key === "Enter" && this.cursor !== null) {
      this.choose(this.cursor);
      used(event);
    }
  }

  /** The nearest node in a direction from the cursor. @param {number} dx @param {number} dy @returns {Name | null} */
  beside(dx, dy) {
    const places = this.plan?.places ?? new Map();
    const from = places.get(this.cursor ?? this.model.selected.node ?? "");
    if (from === undefined) return [...places.keys()][0] ?? null;
    let found = this.cursor ?? this.model.selected.node;
    let least = Infinity;
    for (const [name, place] of places) {
      const [x, y] = [place.x - from.x, place.y - from.y];
      if (!this.pictures.now.byName.has(name)) continue;
      const along = x * dx + y * dy;
      const aside = Math.abs(x * dy) + Math.abs(y * dx);
      if (along > 1 && along + 2 * aside < least) [found, least] = [name, along + 2 * aside];
    }
    return found;
  }

  /** @param {number} now */
  draw(now) {
    const { changed } = this.model;
    const still = changed.size > 0 && !["state", "time", "selection", "log", "size", "theme"].some((name) => changed.has(/** @type {any} */ (name)));
    if (still && !this.tweens.moving) return false;
    const picture = this.pictures.now;
    this.say(picture);
    const moving = this.paint(picture, now);
    if (changed.has("state") || changed.has("selection")) this.fillTwin(picture);
    return moving;
  }

  // ---- the picture

  /** @param {Picture} picture @param {number} now @returns {boolean} it moves */
  paint(picture, now) {
    const sheet = sheetOf(this.canvas);
    if (sheet.width < 40) return false;
    const palette = currentPalette();
    const plan = this.planFor(picture, sheet, palette);
    const selected = this.model.selected.node;
    const scale = scaleOf(picture, selected, sheet);
    const back = this.model.time < this.drawnTime;
    this.drawnTime = this.model.time;
    this.tweens.begin(now, back || reducedMotion());
    const runs = selected !== null && (this.model.live || this.model.player.playing) && !reducedMotion();
    const run = runs ? (now * RUN) % 1000 : 0;
    const waits = this.paintLinks(sheet.ink, picture, plan, { palette, scale, run });
    this.paintNodes(sheet, picture, plan, palette, now);
    if (picture.links.length) paintScale(sheet, scale, palette);
    return this.tweens.end() || (waits && runs);
  }

  /** @param {Picture} picture @param {Sheet} sheet @param {Palette} palette @returns {Plan} */
  planFor(picture, sheet, palette) {
    const standing = this.standing(picture);
    const { node } = this.model.selected;
    if (node !== this.curvesFor) this.curves.clear(); // a selected node is larger, so its links are shorter
    this.curvesFor = node;
    const key = `${sheet.width} ${sheet.height} ${palette.label} ${standing.map((each) => each.id + each.place[1])}`;
    if (this.plan === null || key !== this.planKey) {
      this.planKey = key;
      this.plan = planOf(standing, sheet.width, sheet.height, palette.label);
      this.curves.clear();
    }
    return this.plan;
  }

  /**
   * Who has a place: the nodes that are drawn, and those of other times of the log, so that none moves when the
   * playhead does.
   * @param {Picture} picture
   * @returns {{id: Name, place: PictureNode["place"]}[]}
   */
  standing({ nodes, byName, torrent }) {
    const { roster } = this.pictures;
    const absent = [...roster.nodes].filter((id) => torrent !== null && !byName.has(id) && roster.fetched(torrent, id));
    if (absent.length === 0 || absent.length > nodes.length) return nodes;
    const all = [...nodes, ...absent.map((id) => ({ id, place: /** @type {"leecher"} */ ("leecher") }))];
    return all.sort((one, other) => Number(one.id) - Number(other.id) || 0);
  }

  /** @param {Plan} plan @param {PictureLink} link @returns {Curve | null} */
  curve(plan, link) {
    const { node } = this.model.selected;
    let curve = this.curves.get(link.key);
    if (curve === undefined) {
      const reach = (/** @type {Name} */ name) => plan.radius * (name === node ? 1.45 : typeof name === "string" ? 1.15 : 1);
      curve = curveOf(plan, link.from, link.to);
      if (curve !== null) curve = trimmed(curve, reach(link.from) + 2.5, reach(link.to) + 3.5);
      this.curves.set(link.key, curve);
    }
    return curve;
  }

  /**
   * @param {CanvasRenderingContext2D} ink
   * @param {Picture} picture
   * @param {Plan} plan
   * @param {{palette: Palette, scale: number, run: number}} how
   * @returns {boolean} dashes of the selected node's links are drawn
   */
  paintLinks(ink, picture, plan, how) {
    const selected = this.model.selected.node;
    const of = (/** @type {PictureLink} */ link) => link.from === selected || link.to === selected;
    const all = picture.nodes.length <= MAX_LINKED;
    const drawn = picture.links.filter((link) => link.kind !== "none" && (all || of(link)));
    drawn.sort((one, other) => Number(of(one)) - Number(of(other)) || Number(one.from === selected) - Number(other.from === selected));
    const badges = selected === null && drawn.filter((link) => link.kind === "queued").length <= 12;
    let waits = false;
    /** @type {[Curve, PictureLink, string][]} */
    const places = [];
    for (const link of drawn) {
      const curve = this.curve(plan, link);
      if (curve === null) continue;
      const look = this.look(link, how);
      if (link.kind === "active") paintActive(ink, curve, look, how.palette.strokes);
      else {
        waits = waits || link.to === selected;
        paintWaiting(ink, curve, link, look, how.palette.strokes);
        if (link.kind === "queued" && link.place && (badges || link.to === selected)) places.push([curve, link, look.colour]);
      }
    }
    const taken = [...plan.places.values()].map(({ x, y }) => ({ x, y }));
    const apart = Math.max(how.palette.label * 1.6, plan.radius + how.palette.label * 0.8);
    for (const [curve, link, colour] of places) paintBadge(ink, badgePlace(curve, taken, apart), link.place, colour, how.palette);
    return waits;
  }

  /**
   * @param {PictureLink} link
   * @param {{palette: Palette, scale: number, run: number}} how
   * @returns {LinkLook}
   */
  look(link, { palette, scale, run }) {
    const selected = this.model.selected.node;
    const outwards = selected !== null && link.from === selected;
    const mine = outwards || (selected !== null && link.to === selected);
    const waits = link.kind !== "active";
    const share = selected === null ? (waits ? 0.7 : 1) : !mine ? palette.dim : outwards ? (waits ? 0.7 : 0.45) : 1;
    const strong = mine && !(waits && outwards);
    const full = strong ? palette.accent : waits ? palette.ink3 : palette.data;
    const colour = share === 1 ? full : mixed(full, palette.paper, share);
    if (waits) return { colour, width: (strong ? 1.8 : 1.4) * palette.strokes, run: strong ? run : 0 };
    const wide = this.tweens.value(link.key, widthOfRate(link.rate, mine) * scale);
    return { colour, width: Math.max(1.2, Math.min(WIDEST, wide)) * palette.strokes, run: 0 };
  }

  /** @param {Sheet} sheet @param {Picture} picture @param {Plan} plan @param {Palette} palette @param {number} now */
  paintNodes(sheet, picture, plan, palette, now) {
    const selected = this.model.selected.node;
    const labels = new Labels(sheet, palette);
    const first = [...picture.nodes].sort((one, other) => Number(other.id === selected) - Number(one.id === selected));
    for (const node of first) this.paintLabel(labels, node, plan, palette);
    for (const node of picture.nodes) {
      const place = plan.places.get(node.id);
      if (place === undefined) continue;
      paintNode(sheet.ink, node, place, plan.radius, node.id === selected, palette);
      this.paintRings(sheet.ink, node, place, plan.radius, palette, now);
    }
  }

  /** @param {Labels} labels @param {PictureNode} node @param {Plan} plan @param {Palette} palette */
  paintLabel(labels, node, plan, palette) {
    const place = plan.places.get(node.id);
    if (place === undefined) return;
    const chosen = node.id === this.model.selected.node;
    const small = plan.radius < palette.label * 0.62;
    const text = labelOf(node, labels.sheet.width < 380);
    const shown = small ? (chosen && text ? `${node.label}, ${text}` : node.label) : text;
    const distance = plan.radius * (chosen ? 1.5 : 1.12) + palette.label * 0.42;
    if (shown) labels.put(shown, place, distance, chosen ? palette.accent : palette.ink3, chosen);
  }

  /**
   * The keyboard's place, and what a step changed.
   * @param {CanvasRenderingContext2D} ink
   * @param {PictureNode} node
   * @param {{x: number, y: number}} place
   * @param {number} radius
   * @param {Palette} palette
   * @param {number} now
   */
  paintRings(ink, node, place, radius, palette, now) {
    const { outline } = this.model;
    const stepped = outline.event !== null && outline.event.node === node.id && (now < outline.until || reducedMotion());
    const focused = this.cursor === node.id && document.activeElement === this.canvas;
    if (!stepped && !focused) return;
    ink.beginPath();
    ink.arc(place.x, place.y, radius * 1.5 + 4, 0, 2 * Math.PI);
    ink.lineWidth = 2 * palette.strokes;
    ink.strokeStyle = focused ? palette.accent : palette.ink;
    ink.stroke();
  }

  // ---- in words

  /** @param {Picture} picture */
  say(picture) {
    // A node of another torrent only is neither leecher nor seed of this one.
    const present = picture.nodes.filter((node) => node.status === "here" && !node.elsewhere);
    const count = (/** @type {(node: PictureNode) => boolean} */ which) => present.filter(which).length;
    const seeds = count((node) => node.complete && node.place !== "standard");
    const leechers = count((node) => !node.complete && node.place !== "standard");
    const standard = count((node) => node.place === "standard");
    const parts = [plural(leechers, "leecher"), plural(seeds, "seed"), plural(standard, "standard peer")];
    const none = [leechers, seeds, standard];
    setText(this.summary, parts.filter((_, at) => none[at] > 0).join(", "));
    if (!this.rate.isConnected) part(this.root, "total").replaceChildren(this.rate, " MB/s");
    setText(this.rate, megabytes(picture.rate));
    this.sayEmpty(picture);
  }

  /** @param {Picture} picture */
  sayEmpty(picture) {
    const { words } = this;
    const { source, log } = this.model;
    const isUnknown = source.loading !== null || source.keyWanted || (source.kind === "tracker" && log.length === 0);
    const key = isUnknown ? "loading" : picture.nodes.length === 0 ? "node" : picture.torrent === null ? `file${picture.nodes.length}` : "";
    if (words.dataset.key === key) return;
    words.dataset.key = key;
    words.hidden = key === "" || key === "loading";
    part(this.root, "picture").classList.toggle("empty", picture.nodes.length === 0);
    if (key === "node") {
      words.replaceChildren(
        element("p", { text: "No node is here yet." }),
        element("p", {}, "Start one: ", element("code", { text: "python TorrentClient.py -node_id 1" })),
      );
    } else if (key.startsWith("file")) {
      const count = picture.nodes.length;
      words.replaceChildren(
        element("p", { text: `${plural(count, "node")} ${count === 1 ? "is" : "are"} here. Nothing is shared yet.` }),
        element("p", {}, `At the prompt of ${picture.nodes[0].name}: `, element("code", { text: "torrent -setMode send FILE" })),
      );
    }
  }

  /** @param {Picture} picture */
  fillTwin(picture) {
    const now = performance.now();
    if (now - this.twinFilled < TWIN_MS && document.activeElement !== this.twin) return;
    this.twinFilled = now;
    this.twin.replaceChildren(swarmTable(picture));
  }
}
