/** A canvas that is as sharp as the screen, and the few strokes that several pictures need. */

import { palette } from "./colours.js";

/**
 * @typedef {object} Sheet  a canvas ready to draw on, in px of the page
 * @property {CanvasRenderingContext2D} ink
 * @property {number} width
 * @property {number} height
 * @property {number} ratio  px of the screen per px of the page
 */

/** Sizes of boxes as they were last observed: to ask a box during a frame makes the browser lay out the page. @type {WeakMap<Element, {width: number, height: number}>} */
const sizes = new WeakMap();

/**
 * Keep the size of a box; `changed` is called when it becomes another one.
 * @param {Element} box
 * @param {() => void} changed
 */
export function watchSize(box, changed) {
  new ResizeObserver(() => {
    const size = { width: box.clientWidth, height: box.clientHeight };
    const before = sizes.get(box);
    sizes.set(box, size);
    if (before === undefined || before.width !== size.width || before.height !== size.height) changed();
  }).observe(box);
}

/** The size of a box in px. @param {Element} box */
export function sizeOf(box) {
  let size = sizes.get(box);
  if (size === undefined) {
    size = { width: box.clientWidth, height: box.clientHeight };
    sizes.set(box, size);
  }
  return size;
}

/**
 * The canvas at the size of its box; empty.
 * @param {HTMLCanvasElement} canvas
 * @returns {Sheet}
 */
export function sheetOf(canvas) {
  const { width, height } = sizeOf(canvas);
  return sized(canvas, width, height);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 * @returns {Sheet}
 */
function sized(canvas, width, height) {
  useFamily();
  const ratio = Math.min(4, window.devicePixelRatio || 1);
  const [wide, high] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  const ink = canvas.getContext("2d");
  if (!ink) throw new Error("this browser draws nothing on a canvas");
  if (canvas.width !== wide || canvas.height !== high) {
    canvas.width = wide;
    canvas.height = high;
    fonts.delete(ink);
  }
  ink.setTransform(ratio, 0, 0, ratio, 0, 0);
  ink.clearRect(0, 0, width, height);
  return { ink, width, height, ratio };
}

/**
 * A font, and the widths of texts in it.
 * @typedef {{name: string, widths: Map<string, number>}} Font
 */
/** The font that each context has now: to ask the context takes longer. @type {WeakMap<CanvasRenderingContext2D, Font>} */
const fonts = new WeakMap();
/** By size in px; the bold ones by the negative size. @type {Map<number, Font>} */
let known = new Map();
const MAX_WIDTHS = 4000; // of a font
let family = "sans-serif"; // of all fonts in `known`

/** Fonts from now on are of the palette's family. */
function useFamily() {
  if (family === palette().family) return;
  family = palette().family;
  known = new Map();
}

/**
 * The font of texts from now on.
 * @param {CanvasRenderingContext2D} ink
 * @param {number} size  px
 * @param {boolean} [bold]
 */
export function setFont(ink, size, bold = false) {
  const key = bold ? -size : size;
  let font = known.get(key);
  if (font === undefined) known.set(key, (font = { name: `${bold ? 600 : 400} ${size}px ${family}`, widths: new Map() }));
  if (fonts.get(ink) === font) return;
  ink.font = font.name;
  fonts.set(ink, font);
}

/** The width of a text in px. @param {CanvasRenderingContext2D} ink @param {string} text */
export function widthOf(ink, text) {
  const widths = fonts.get(ink)?.widths;
  let width = widths?.get(text);
  if (width === undefined) {
    width = ink.measureText(text).width;
    if (widths !== undefined && widths.size > MAX_WIDTHS) widths.clear();
    widths?.set(text, width);
  }
  return width;
}

/** @type {CanvasRenderingContext2D | null} */
let ruler = null;

/** The width of a text that is no canvas's, in px. @param {string} text @param {number} size  px */
export function textWidth(text, size) {
  ruler ??= document.createElement("canvas").getContext("2d");
  if (ruler === null) return text.length * size * 0.6;
  useFamily();
  setFont(ruler, size);
  return widthOf(ruler, text);
}

/**
 * A cross of which each arm reaches `arm` px from the middle.
 * @param {CanvasRenderingContext2D} ink
 * @param {number} x
 * @param {number} y
 * @param {number} arm
 */
export function cross(ink, x, y, arm) {
  ink.beginPath();
  ink.moveTo(x - arm, y - arm);
  ink.lineTo(x + arm, y + arm);
  ink.moveTo(x + arm, y - arm);
  ink.lineTo(x - arm, y + arm);
  ink.stroke();
}

/**
 * @param {CanvasRenderingContext2D} ink
 * @param {number} x
 * @param {number} y
 * @param {number} reach  from the middle to a corner
 */
export function diamond(ink, x, y, reach) {
  ink.beginPath();
  ink.moveTo(x, y - reach);
  ink.lineTo(x + reach, y);
  ink.lineTo(x, y + reach);
  ink.lineTo(x - reach, y);
  ink.closePath();
}

/**
 * The place of a pointer on its canvas, in px.
 * @param {PointerEvent | MouseEvent} event
 * @param {HTMLCanvasElement} canvas
 */
export function placeOf(event, canvas) {
  const box = canvas.getBoundingClientRect();
  return { x: event.clientX - box.left, y: event.clientY - box.top };
}

/** True for a key that the picture has used: the page's own keys must not see it. @param {KeyboardEvent} event */
export function used(event) {
  event.preventDefault();
  event.stopPropagation();
  return true;
}
