/** A canvas that is as sharp as the screen, and the few strokes that several pictures need. */

import { palette } from "./colours.js";

/**
 * @typedef {object} Sheet  a canvas ready to draw on, in px of the page
 * @property {CanvasRenderingContext2D} ink
 * @property {number} width
 * @property {number} height
 * @property {number} ratio  px of the screen per px of the page
 */

/**
 * The canvas at the size of its box; empty.
 * @param {HTMLCanvasElement} canvas
 * @returns {Sheet}
 */
export function sheetOf(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas;
  return sized(canvas, width, height);
}

/**
 * @param {HTMLCanvasElement} canvas
 * @param {number} width
 * @param {number} height
 * @returns {Sheet}
 */
export function sized(canvas, width, height) {
  const ratio = Math.min(4, window.devicePixelRatio || 1);
  const [wide, high] = [Math.max(1, Math.round(width * ratio)), Math.max(1, Math.round(height * ratio))];
  if (canvas.width !== wide) canvas.width = wide;
  if (canvas.height !== high) canvas.height = high;
  const ink = canvas.getContext("2d");
  if (!ink) throw new Error("this browser draws nothing on a canvas");
  ink.setTransform(ratio, 0, 0, ratio, 0, 0);
  ink.clearRect(0, 0, width, height);
  return { ink, width, height, ratio };
}

/**
 * The font of texts from now on.
 * @param {CanvasRenderingContext2D} ink
 * @param {number} size  px
 * @param {boolean} [bold]
 */
export function setFont(ink, size, bold = false) {
  const font = `${bold ? 600 : 400} ${size}px ${palette().family}`;
  if (ink.font !== font) ink.font = font;
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
