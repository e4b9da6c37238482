/**
 * The time bar: rates, bounds, faults and gaps on one axis, with the playhead.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 * @typedef {import("./canvas.js").Sheet} Sheet
 * @typedef {import("./colours.js").Palette} Palette
 * @typedef {import("./rates_paint.js").Chart} Chart
 * @typedef {import("./rates_paint.js").Lines} Lines
 * @typedef {import("./rate_series.js").Bounds} Bounds
 * @typedef {import("./picture.js").Picture} Picture
 */

import { placeOf, setFont, sheetOf, sizeOf, watchSize, widthOf } from "./canvas.js";
import { palette as currentPalette, theme } from "./colours.js";
import { canvasIn, element, part, setText } from "./dom.js";
import { clockText, exactText, megabytes } from "./figures.js";
import { picturesOf } from "./picture.js";
import { boundsOf, RateSeries } from "./rate_series.js";
import {
  chartOf, line, linesOf, nameBounds, nameGaps, paintAxes, paintBounds, paintBoundTexts, paintCapacity, paintGaps, paintMarks, paintRates,
  TopTexts,
} from "./rates_paint.js";

const AHEAD = 1.8; // a bound within so many times the length of the log is on the axis
const TWIN_MS = 2000; // between two versions of a table that does not have the focus
const TWIN_ROWS = 60;

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeRates(root, model) {
  const view = new RatesView(root, model);
  return { draw: () => view.draw() };
}

class RatesView {
  /** @param {HTMLElement} root @param {Model} model */
  constructor(root, model) {
    this.root = root;
    this.model = model;
    this.pictures = picturesOf(model);
    this.canvas = canvasIn(root);
    this.header = /** @type {HTMLElement} */ (root.querySelector("header"));
    this.series = new RateSeries(null, null);
    /** @type {Chart | null} */
    this.chart = null;
    /** @type {Lines} */
    this.lines = { area: new Path2D(), together: new Path2D(), own: null };
    this.named = { bounds: /** @type {Bounds | null} */ (null), begin: 0 }; // ms
    /** @type {number | null} px of the pointer */
    this.hover = null;
    this.title = 0; // px that the title takes above the chart
    this.key = "";
    this.together = keyItem(null);
    this.chosen = keyItem("chosen");
    this.twin = part(root, "twin");
    this.twinFilled = -Infinity; // ms of the page's clock
    this.listen();
  }

  listen() {
    const { canvas } = this;
    for (const box of [canvas, this.header]) watchSize(box, () => this.model.mark("size"));
    const seek = (/** @type {PointerEvent} */ event) => {
      if (!this.chart) return;
      const { left, right, from, to } = this.chart;
      this.model.seek(from + ((placeOf(event, canvas).x - left) / (right - left)) * (to - from));
    };
    canvas.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      canvas.setPointerCapture(event.pointerId);
      seek(event);
    });
    canvas.addEventListener("pointermove", (event) => {
      if (canvas.hasPointerCapture(event.pointerId)) seek(event);
      this.point(placeOf(event, canvas).x);
    });
    canvas.addEventListener("pointerleave", () => this.point(null));
  }

  /** Show the rates below the pointer. @param {number | null} x  px */
  point(x) {
    this.hover = x;
    if (this.chart) this.compose(sheetOf(this.canvas), this.chart, currentPalette());
  }

  draw() {
    const { changed, log } = this.model;
    const picture = this.pictures.now;
    const fresh = this.series.observe(log, this.model.torrent);
    if (changed.size > 0 && !fresh && !["state", "time", "selection", "size", "theme", "source"].some((name) => changed.has(/** @type {any} */ (name)))) return false;
    const palette = currentPalette();
    const sheet = sheetOf(this.canvas);
    if (sheet.width < 40) return false;
    this.fillKey(picture);
    const chart = this.base(sheet, picture, palette);
    this.compose(sheet, chart, palette);
    this.describe();
    this.fillTwin(picture);
    return false;
  }

  /** The parts that do not move with the playhead. @param {Sheet} sheet @param {Picture} picture @param {Palette} palette @returns {Chart} */
  base(sheet, picture, palette) {
    const { selected, torrent, log, source } = this.model;
    const bounds = this.bounds(picture);
    const key = [sheet.width, sheet.height, sheet.ratio, theme(), palette.label, selected.node, this.own(picture) === this.series.sent.get(Number(selected.node)), torrent, log.version, source.kind, JSON.stringify(bounds), sizeOf(this.header).width].join(" ");
    if (this.chart !== null && key === this.key) return this.chart;
    this.key = key;
    const begin = torrent === null ? 0 : (this.pictures.roster.begins.get(torrent) ?? 0);
    const from = this.series.begin > 60_000 ? this.series.begin - 5000 : 0;
    const end = Math.max(log.end, from + 5000);
    let to = end;
    if (bounds) for (const time of [bounds.seed, bounds.all]) if (begin + time - from < (end - from) * AHEAD) to = Math.max(to, begin + time + (end - from) * 0.05);
    const chart = chartOf(sheet.width, sheet.height, from, to, (this.series.most || 1e6) * 1.1, palette.label);
    this.chart = chart;
    this.named = { bounds, begin };
    this.title = palette.text >= 15 && palette.label < 16 ? 0 : sizeOf(this.header).width + 8; // on a phone the title stands above
    this.lines = linesOf(chart, this.series, this.series.whole(log.end), this.own(picture));
    return chart;
  }

  /** The selected node's line: what it receives; of a seed, what it sends. @param {Picture} picture */
  own(picture) {
    const { node } = this.model.selected;
    if (typeof node !== "number") return undefined;
    return (picture.byName.get(node)?.place === "seed" ? this.series.sent : this.series.nodes).get(node);
  }

  /** @param {Sheet} sheet @param {Chart} chart @param {Palette} palette */
  paintAbove(sheet, chart, palette) {
    const { bounds, begin } = this.named;
    paintGaps(sheet, chart, this.series, palette);
    paintCapacity(sheet, chart, this.series, palette);
    if (bounds) paintBounds(sheet, chart, bounds, begin, palette);
    paintMarks(sheet, chart, this.series, palette);
    if (bounds) paintBoundTexts(sheet, chart, bounds, begin, this.series, this.model.log.end, palette);
    if (this.model.log.length) this.paintEnd(sheet, chart, palette);
  }

  /** Where the log ends. @param {Sheet} sheet @param {Chart} chart @param {Palette} palette */
  paintEnd({ ink, height }, chart, palette) {
    const { log, source } = this.model;
    const end = chart.x(log.end);
    ink.strokeStyle = palette.ink2;
    ink.lineWidth = 1.2 * palette.strokes;
    line(ink, end, chart.top, end, chart.base);
    const text = source.kind === "tracker" ? "live" : "end";
    setFont(ink, palette.label);
    const nearest = Math.round((log.end - chart.from) / chart.tick) * chart.tick + chart.from;
    if (Math.abs(chart.x(nearest) - end) < widthOf(ink, text) / 2 + palette.label * 1.8) return;
    ink.textAlign = "center";
    ink.fillStyle = palette.ink2;
    ink.fillText(text, end, height - palette.label * 0.35);
  }

  /** @param {Sheet} sheet @param {Chart} chart @param {Palette} palette */
  compose(sheet, chart, palette) {
    const { ink, width, height } = sheet;
    const x = Math.max(chart.left, Math.min(chart.right, chart.x(this.model.time)));
    paintAxes(sheet, chart, palette);
    for (const [from, to, share] of [[0, x, 1], [x, width, 0.4]]) {
      ink.save();
      ink.beginPath();
      ink.rect(from, 0, to - from, height);
      ink.clip();
      ink.globalAlpha = share;
      paintRates(ink, this.lines, palette);
      ink.restore();
    }
    this.paintAbove(sheet, chart, palette);
    const under = this.textUnder(chart);
    this.paintPlayhead(sheet, chart, x, palette, under);
  }

  /** The time and rates at the pointer. @param {Chart} chart @returns {{x: number, text: string} | null} */
  textUnder(chart) {
    const { hover: x, series } = this;
    if (x === null || x < chart.left || x > chart.right) return null;
    const time = chart.from + ((x - chart.left) / (chart.right - chart.left)) * (chart.to - chart.from);
    const at = Math.floor(time / series.bin);
    if (at >= series.whole(this.model.log.end)) return { x, text: clockText(time) };
    const own = this.own(this.pictures.now);
    const { node } = this.model.selected;
    const mine = own ? `, node ${node} ${megabytes(series.rate(own, at))}` : "";
    return { x, text: `${clockText(time)}: ${megabytes(series.rate(series.together, at))}${mine} MB/s` };
  }

  /**
   * The playhead and the texts above the chart.
   * @param {Sheet} sheet
   * @param {Chart} chart
   * @param {number} x  px
   * @param {Palette} palette
   * @param {{x: number, text: string} | null} under  of the pointer
   */
  paintPlayhead({ ink }, chart, x, palette, under) {
    const half = palette.label * 0.42;
    const texts = new TopTexts(ink, chart, palette, [[-100, this.title], [x - half + 4, x + half - 4]]); // a text may stand nearer to it
    if (under) {
      ink.strokeStyle = palette.data;
      ink.lineWidth = 1;
      line(ink, under.x, chart.top, under.x, chart.base);
      texts.put(under.text, under.x, palette.ink);
    }
    const { bounds, begin } = this.named;
    if (bounds) nameBounds(chart, bounds, begin, texts, palette);
    nameGaps(ink, chart, this.series, texts, palette);
    const top = chart.top - palette.label * 0.75;
    ink.strokeStyle = ink.fillStyle = palette.accent;
    ink.lineWidth = 2 * palette.strokes;
    line(ink, x, top + half, x, chart.base + 2);
    ink.beginPath();
    ink.moveTo(x - half, top);
    ink.lineTo(x + half, top);
    ink.lineTo(x + half, top + half);
    ink.lineTo(x, top + 2 * half);
    ink.lineTo(x - half, top + half);
    ink.fill();
  }

  /** The least times, if the limits of all nodes are known. @param {Picture} picture @returns {Bounds | null} */
  bounds(picture) {
    const { torrent, state } = this.model;
    if (torrent === null || picture.known === null) return null;
    /** @type {(number | null)[]} */
    const seeds = [];
    /** @type {(number | null)[]} */
    const leechers = [];
    for (const [id, node] of Object.entries(state.nodes)) {
      if (node.torrents[torrent] === undefined) continue;
      if (this.pictures.roster.fetched(torrent, Number(id))) leechers.push(node.up_limit);
      else if (picture.byName.get(Number(id))?.complete) seeds.push(node.up_limit);
    }
    const sum = (/** @type {(number | null)[]} */ limits) => limits.reduce((all, each) => (all === null || each === null ? null : all + each), 0);
    return boundsOf(picture.known.size ?? 0, leechers.length, sum(seeds), sum(leechers));
  }

  // ---- in words

  /** @param {Picture} picture */
  fillKey(picture) {
    const { node } = this.model.selected;
    const chosen = node === null ? undefined : picture.byName.get(node);
    const seed = chosen?.place === "seed";
    if (!this.together.item.isConnected) {
      part(this.root, "key").replaceChildren(this.together.item, this.chosen.item, element("span", { text: "MB/s" }));
    }
    setText(this.together.name, "together ");
    setText(this.together.rate, megabytes(picture.rate));
    if (this.chosen.item.hidden !== (chosen === undefined)) this.chosen.item.hidden = chosen === undefined;
    if (chosen === undefined) return;
    setText(this.chosen.name, `${chosen.name}${seed ? " sends" : ""} `);
    setText(this.chosen.rate, megabytes(seed ? chosen.up : chosen.down));
  }

  describe() {
    const { canvas, model } = this;
    canvas.setAttribute("aria-valuemin", String(Math.round(model.log.begin)));
    canvas.setAttribute("aria-valuemax", String(Math.round(model.log.end)));
    canvas.setAttribute("aria-valuenow", String(Math.round(model.time)));
    canvas.setAttribute("aria-valuetext", `${exactText(model.time)} of ${exactText(model.log.end)}`);
  }

  /** @param {Picture} picture */
  fillTwin(picture) {
    const now = performance.now();
    if (now - this.twinFilled < TWIN_MS && document.activeElement !== this.twin) return;
    this.twinFilled = now;
    const { series } = this;
    const { node } = this.model.selected;
    const own = this.own(picture);
    const bins = Math.min(series.together.length, series.whole(this.model.log.end));
    const every = Math.max(1, Math.ceil(bins / TWIN_ROWS));
    const rows = [];
    for (let at = 0; at < bins; at += every) {
      const cells = [megabytes(series.rate(series.together, at)), own ? megabytes(series.rate(own, at)) : "-"];
      rows.push(element("tr", {}, element("th", { scope: "row", text: clockText(at * series.bin) }), ...cells.map((text) => element("td", { text }))));
    }
    const names = ["time", "together, MB/s", own ? `node ${node}, MB/s` : "selected node, MB/s"];
    this.twin.replaceChildren(element("table", {}, element("caption", { text: "Rates" }),
      element("thead", {}, element("tr", {}, ...names.map((text) => element("th", { scope: "col", text })))), element("tbody", {}, ...rows)));
  }
}

/** A line's name and rate, above the chart. @param {string | null} shape  class */
function keyItem(shape) {
  const [name, rate] = [element("span"), element("b")];
  return { item: element("span", { class: shape }, element("i"), name, rate), name, rate };
}
