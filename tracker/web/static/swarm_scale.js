/**
 * How wide a link is for its rate, and the sample of it in the picture's corner.
 *
 * @typedef {import("./canvas.js").Sheet} Sheet
 * @typedef {import("./colours.js").Palette} Palette
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {import("./state.js").Name} Name
 */

import { setFont } from "./canvas.js";
import { megabytes } from "./figures.js";

const PX_PER_MEGABYTE = 6;
const PX_PER_MEGABYTE_SELECTED = 8.5;
const ROOM = 0.35; // of width and height, for the widths of all links together
export const WIDEST = 12; // px

/** The width in px at scale 1. @param {number} rate  bytes a second @param {boolean} mine  a link of the selected node */
export function widthOfRate(rate, mine) {
  return ((mine ? PX_PER_MEGABYTE_SELECTED : PX_PER_MEGABYTE) * rate) / 1e6;
}

/**
 * Halved until no link is wider than `WIDEST` and all together leave room; doubled while the widest is thin.
 * @param {Picture} picture
 * @param {Name | null} selected
 * @param {{width: number, height: number}} sheet
 */
export function scaleOf(picture, selected, sheet) {
  const room = (sheet.width + sheet.height) * ROOM; // px: the most that all widths may add up to
  let most = 0;
  let sum = 0;
  for (const link of picture.links) {
    const width = widthOfRate(link.rate, link.from === selected || link.to === selected);
    most = Math.max(most, width);
    sum += width;
  }
  if (most === 0) return 1;
  let scale = 1;
  while (most * scale > WIDEST || sum * scale > room) scale /= 2;
  while (most * scale < WIDEST / 8 && sum * scale < room / 4) scale *= 2;
  return scale;
}

/** How wide which rate is. @param {Sheet} sheet @param {number} scale @param {Palette} palette */
export function paintScale(sheet, scale, palette) {
  const { ink, height } = sheet;
  const width = 3;
  const text = `${megabytes((width / PX_PER_MEGABYTE / scale) * 1e6)} MB/s`;
  const y = height - palette.label * 0.5;
  ink.lineWidth = width * palette.strokes;
  ink.strokeStyle = palette.data;
  ink.beginPath();
  ink.moveTo(0, y);
  ink.lineTo(palette.label * 1.4, y);
  ink.stroke();
  setFont(ink, palette.label);
  ink.textAlign = "left";
  ink.fillStyle = palette.ink3;
  ink.fillText(text, palette.label * 1.9, y + palette.label * 0.36);
}
