/**
 * The chart of rates: axis, lines, bounds, marks, gaps.
 *
 * @typedef {import("./canvas.js").Sheet} Sheet
 * @typedef {import("./colours.js").Palette} Palette
 * @typedef {import("./rate_series.js").RateSeries} RateSeries
 * @typedef {import("./rate_series.js").Bounds} Bounds
 * @typedef {import("./rate_series.js").Mark} Mark
 *
 * @typedef {object} Chart
 * @property {number} left  px
 * @property {number} right
 * @property {number} top
 * @property {number} base
 * @property {number} from  ms
 * @property {number} to
 * @property {number} most  bytes a second at `top`
 * @property {number} tick  ms between numbers of the axis
 * @property {(time: number) => number} x
 * @property {(rate: number) => number} y
 */

import { cross, diamond, setFont, widthOf } from "./canvas.js";
import { clockText, megabytes, secondsText, tenthsText } from "./figures.js";
import { clustered } from "./rate_series.js";

const TICKS = [1, 2, 5, 10, 20, 30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400, 28800, 86400];

/**
 * @param {number} width
 * @param {number} height
 * @param {number} from  ms
 * @param {number} to
 * @param {number} most
 * @param {number} label
 * @returns {Chart}
 */
export function chartOf(width, height, from, to, most, label) {
  const left = label * 2.6;
  const right = width - 4;
  const fits = Math.max(2, Math.floor((right - left) / (label * 6.5)));
  const tick = (TICKS.find((each) => (to - from) / 1000 / each <= fits) ?? 86400) * 1000;
  const start = Math.floor(from / tick) * tick;
  const end = Math.max(start + tick, Math.ceil(to / tick) * tick);
  const [top, base] = [label * 1.62, height - label * 2.55];
  return {
    left, right, top, base, from: start, to: end, most, tick,
    x: (time) => left + ((time - start) / (end - start)) * (right - left),
    y: (rate) => base - (Math.min(rate, most * 1.02) / most) * (base - top),
  };
}

/** A round number of bytes a second, so that 2 or 3 lines fit. @param {number} most */
function stepOfRates(most) {
  for (let unit = 10 ** Math.floor(Math.log10(most / 5)); ; unit *= 10) {
    for (const step of [unit, unit * 2, unit * 5]) if (most / step < 3) return step;
  }
}

/** Lines and numbers of the axes. @param {Sheet} sheet @param {Chart} chart @param {Palette} palette */
export function paintAxes({ ink, height }, chart, palette) {
  const step = stepOfRates(chart.most);
  setFont(ink, palette.label);
  ink.lineWidth = 1;
  ink.textAlign = "right";
  for (let rate = 0; rate <= chart.most; rate += step) {
    const y = Math.round(chart.y(rate)) + 0.5;
    ink.globalAlpha = rate ? 0.7 : 1;
    ink.strokeStyle = palette.line;
    line(ink, chart.left, y, chart.right, y);
    ink.globalAlpha = 1;
    if (y - chart.top < palette.label * 0.6) continue; // the title is there
    ink.fillStyle = palette.ink3;
    ink.fillText(rate ? String(Number((rate / 1e6).toPrecision(3))) : "0", chart.left - palette.label * 0.5, y + palette.label * 0.34);
  }
  for (let time = chart.from; time <= chart.to; time += chart.tick) {
    ink.textAlign = time === chart.from ? "left" : time === chart.to ? "right" : "center";
    ink.fillText(clockText(time), chart.x(time), height - palette.label * 0.35);
  }
}

/** @param {CanvasRenderingContext2D} ink @param {number} x0 @param {number} y0 @param {number} x1 @param {number} y1 */
export function line(ink, x0, y0, x1, y1) {
  ink.beginPath();
  ink.moveTo(x0, y0);
  ink.lineTo(x1, y1);
  ink.stroke();
}

/**
 * The lines of the rates, interrupted in gaps: made once for a state of the log, drawn often.
 * @typedef {{area: Path2D, together: Path2D, own: Path2D | null}} Lines
 *
 * @param {Chart} chart
 * @param {RateSeries} series
 * @param {number} whole  bins of which all bytes are known
 * @param {number[] | undefined} own  bytes a bin of the selected node
 * @returns {Lines}
 */
export function linesOf(chart, series, whole, own) {
  const together = pointsOf(chart, series, series.together, whole);
  const area = new Path2D();
  for (const run of together) {
    area.moveTo(run[0][0], chart.base);
    for (const [x, y] of run) area.lineTo(x, y);
    area.lineTo(run[run.length - 1][0], chart.base);
  }
  return { area, together: traced(together), own: own ? traced(pointsOf(chart, series, own, whole)) : null };
}

/** @param {[number, number][][]} runs */
function traced(runs) {
  const path = new Path2D();
  for (const run of runs) run.forEach(([x, y], at) => (at ? path.lineTo(x, y) : path.moveTo(x, y)));
  return path;
}

/** @param {CanvasRenderingContext2D} ink @param {Lines} lines @param {Palette} palette */
export function paintRates(ink, lines, palette) {
  ink.lineJoin = "round";
  ink.fillStyle = palette.track;
  ink.fill(lines.area);
  ink.strokeStyle = palette.ink2;
  ink.lineWidth = 1.6 * palette.strokes;
  ink.stroke(lines.together);
  if (lines.own === null) return;
  ink.strokeStyle = palette.accent;
  ink.lineWidth = 2 * palette.strokes;
  ink.stroke(lines.own);
}

/**
 * Runs of points: one for each part of the log between two gaps.
 * @param {Chart} chart
 * @param {RateSeries} series
 * @param {number[]} bins
 * @param {number} whole  bins
 * @returns {[number, number][][]}
 */
function pointsOf(chart, series, bins, whole) {
  /** @type {[number, number][][]} */
  const runs = [];
  /** @type {[number, number][]} */
  let run = [];
  const first = Math.max(0, Math.floor(chart.from / series.bin));
  const gaps = series.gaps.filter((gap) => gap.to - gap.from > series.bin);
  for (let at = first; at < whole; at += 1) {
    const time = (at + 0.5) * series.bin;
    if (gaps.some((gap) => time > gap.from && time < gap.to)) {
      if (run.length) runs.push(run);
      run = [];
    } else run.push([chart.x(time), chart.y(series.rate(bins, at))]);
  }
  if (run.length) runs.push(run);
  return runs;
}

/** What all uploads could give, in steps. @param {Sheet} sheet @param {Chart} chart @param {RateSeries} series @param {Palette} palette */
export function paintCapacity({ ink }, chart, series, palette) {
  ink.strokeStyle = palette.ink3;
  ink.lineWidth = 1.2 * palette.strokes;
  ink.setLineDash([6, 3]);
  ink.beginPath();
  series.capacity.forEach(([time, rate], at) => {
    if (rate === null || rate > chart.most * 1.02) return;
    const next = series.capacity[at + 1];
    const before = at ? series.capacity[at - 1][1] : null;
    const [x, y] = [chart.x(Math.max(chart.from, time)), chart.y(rate)];
    if (before === null) ink.moveTo(x, y);
    else ink.lineTo(x, y);
    ink.lineTo(next ? chart.x(Math.max(chart.from, next[0])) : chart.right, y);
  });
  ink.stroke();
  ink.setLineDash([]);
}

/** Hatched parts of which nothing is known. @param {Sheet} sheet @param {Chart} chart @param {RateSeries} series @param {Palette} palette */
export function paintGaps({ ink }, chart, series, palette) {
  for (const gap of series.gaps) {
    const [from, to] = [chart.x(gap.from), Math.max(chart.x(gap.to), chart.x(gap.from) + 3)];
    const high = chart.base - chart.top;
    ink.save();
    ink.beginPath();
    ink.rect(from, chart.top, to - from, high);
    ink.clip();
    ink.fillStyle = palette.paper;
    ink.fill();
    ink.strokeStyle = palette.data;
    ink.lineWidth = 1.3 * palette.strokes;
    ink.beginPath();
    for (let x = from - high; x < to; x += palette.label * 0.7) {
      ink.moveTo(x, chart.base);
      ink.lineTo(x + high, chart.top);
    }
    ink.stroke();
    ink.restore();
  }
}

/** @param {Sheet} sheet @param {Chart} chart @param {RateSeries} series @param {Palette} palette */
export function paintMarks({ ink }, chart, series, palette) {
  const y = chart.base + palette.label * 0.72;
  const arm = palette.label * 0.25;
  const marks = clustered(series.marks, chart.x, palette.label * 2.4);
  marks.forEach((mark, at) => {
    const x = chart.x(mark.time);
    if (x < chart.left || x > chart.right) return;
    ink.strokeStyle = ink.fillStyle = mark.kind === "silent" ? palette.ink3 : palette.bad;
    ink.lineWidth = 1.8 * palette.strokes;
    ink.lineCap = "round";
    if (mark.kind === "lost") cross(ink, x, y, arm);
    else if (mark.kind === "bad") {
      diamond(ink, x, y, arm * 1.5);
      ink.fill();
    } else {
      ink.setLineDash([2 * palette.strokes, 2 * palette.strokes]);
      ink.lineWidth = 1.5 * palette.strokes;
      ink.beginPath();
      ink.arc(x, y, arm * 1.3, 0, 2 * Math.PI);
      ink.stroke();
      ink.setLineDash([]);
    }
    ink.lineCap = "butt";
    const next = marks[at + 1];
    if (mark.count < 2 || (next && chart.x(next.time) - x < palette.label * 1.6)) return;
    setFont(ink, palette.label);
    ink.textAlign = "left";
    ink.fillText(String(mark.count), x + arm * 1.8, y + palette.label * 0.36);
  });
}

/** Texts above the chart that do not run into each other. */
export class TopTexts {
  /** @param {CanvasRenderingContext2D} ink @param {Chart} chart @param {Palette} palette @param {[number, number][]} taken  px that the title and the playhead have */
  constructor(ink, chart, palette, taken) {
    this.ink = ink;
    this.chart = chart;
    this.palette = palette;
    /** @type {[number, number][]} */
    this.taken = taken;
  }

  /** @param {string} text @param {number} at  px @param {string} colour @returns {boolean} there was room */
  put(text, at, colour) {
    const { ink, palette } = this;
    setFont(ink, palette.label);
    const width = widthOf(ink, text);
    for (const shift of [0.5, 1, 0]) {
      const x = Math.min(this.chart.right - width, at - width * shift + (shift === 1 ? -4 : shift === 0 ? 4 : 0));
      if (this.taken.some(([from, to]) => x < to + 8 && x + width > from - 8)) continue;
      this.taken.push([x, x + width]);
      ink.textAlign = "left";
      ink.fillStyle = colour;
      ink.fillText(text, x, palette.label * 1.18);
      return true;
    }
    return false;
  }
}

/**
 * The least times as verticals, and the seeds alone as dots.
 * @param {Sheet} sheet
 * @param {Chart} chart
 * @param {Bounds} bounds
 * @param {number} begin  ms: the download began
 * @param {Palette} palette
 */
export function paintBounds({ ink }, chart, bounds, begin, palette) {
  ink.strokeStyle = palette.ink3;
  ink.lineWidth = 1.2 * palette.strokes;
  for (const time of [bounds.seed, bounds.all]) {
    const x = chart.x(begin + time);
    if (x <= chart.right) line(ink, x, chart.top, x, chart.base);
  }
  const y = chart.y(bounds.seedRate);
  ink.lineWidth = 1.6 * palette.strokes;
  ink.setLineDash([1.5, 3]);
  line(ink, chart.left, y, chart.right, y);
  ink.setLineDash([]);
}

/** Their times, above; one beyond the axis with an arrow. @param {Chart} chart @param {Bounds} bounds @param {number} begin @param {TopTexts} texts @param {Palette} palette */
export function nameBounds(chart, bounds, begin, texts, palette) {
  for (const [name, time] of /** @type {[string, number][]} */ ([["F/uₛ", bounds.seed], ["NF/(uₛ + Σuᵢ)", bounds.all]])) {
    const x = chart.x(begin + time);
    texts.put(`${name} ${tenthsText(time)}${x > chart.right ? " ▸" : ""}`, Math.min(x, chart.right), palette.ink3);
  }
}

/**
 * Texts at the right end of the lines of all uploads and of the seeds alone.
 * @param {Sheet} sheet
 * @param {Chart} chart
 * @param {Bounds} bounds
 * @param {number} begin
 * @param {RateSeries} series
 * @param {number} end  ms of the log
 * @param {Palette} palette
 */
export function paintBoundTexts({ ink }, chart, bounds, begin, series, end, palette) {
  if (chart.right - chart.left < palette.label * 36) return;
  const beyond = chart.x(begin + bounds.alone) > chart.right ? " ▸" : "";
  const walls = [begin + bounds.seed, begin + bounds.all, end].map(chart.x).filter((x) => x < chart.right);
  setFont(ink, palette.label);
  ink.lineJoin = "round";
  ink.lineWidth = 3; // less than the distance from its line
  ink.strokeStyle = palette.paper;
  ink.fillStyle = palette.ink3;
  ink.textAlign = "left";
  const put = (/** @type {string} */ text, /** @type {number} */ y) => {
    const x = freePlace(chart, walls, widthOf(ink, text));
    ink.strokeText(text, x, y);
    ink.fillText(text, x, y);
  };
  const low = chart.y(bounds.seedRate);
  const above = low - chart.top > palette.label * 1.9;
  put(`seed alone ${megabytes(bounds.seedRate)}: ends ${clockText(bounds.alone)}${beyond}`, above ? low - palette.label * 0.6 : low + palette.label * 1.3);
  const capacity = series.capacity[series.capacity.length - 1]?.[1] ?? null;
  if (capacity === null || capacity > chart.most * 1.02) return;
  const high = chart.y(capacity) + palette.label * 1.15;
  if (low - high > palette.label * 1.5) put(`all uploads ${megabytes(capacity)}`, high);
}

/** Where a text of this width crosses no vertical: as far right as it can be. @param {Chart} chart @param {number[]} walls @param {number} width */
function freePlace(chart, walls, width) {
  const places = [chart.right - width - 8, ...walls.map((x) => x + 10), ...walls.map((x) => x - width - 10)];
  const free = places.filter((x) => x > chart.left && x + width < chart.right && !walls.some((wall) => wall > x - 5 && wall < x + width + 5));
  return free.length ? Math.max(...free) : places[0];
}

/** @param {CanvasRenderingContext2D} ink @param {Chart} chart @param {RateSeries} series @param {TopTexts} texts @param {Palette} palette */
export function nameGaps(ink, chart, series, texts, palette) {
  for (const gap of series.gaps) {
    const [text, x] = [`gap ${secondsText(gap.to - gap.from)}`, (chart.x(gap.from) + chart.x(gap.to)) / 2];
    if (texts.put(text, x, palette.ink3)) continue;
    ink.fillStyle = palette.ink3;
    ink.textAlign = "center";
    ink.fillText(text, x, chart.base + palette.label * 1.08);
  }
}
