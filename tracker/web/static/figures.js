/** Numbers, times and names as the page writes them. Pure. */

/** @typedef {import("./state.js").Name} Name */

const MEGABYTE = 1e6;

/**
 * Bytes a second in MB/s, without the unit: three digits, and no more than two after the point.
 * @param {number} rate  bytes a second
 */
export function megabytes(rate) {
  const value = rate / MEGABYTE;
  if (value === 0) return "0";
  if (value < 0.01) return value.toFixed(3);
  return value < 9.995 ? value.toFixed(2) : value < 99.95 ? value.toFixed(1) : grouped(Math.round(value));
}

/** A size in bytes with its unit. @param {number} bytes */
export function sizeText(bytes) {
  if (bytes < 1000) return `${bytes} bytes`;
  if (bytes < MEGABYTE) return `${short(bytes / 1000)} kB`;
  return bytes < 1000 * MEGABYTE ? `${short(bytes / MEGABYTE)} MB` : `${short(bytes / MEGABYTE / 1000)} GB`;
}

/** @param {number} value  below 1,000 */
function short(value) {
  return value < 100 ? String(Math.round(value * 10) / 10) : String(Math.round(value));
}

/** A piece's length, a power of two as a rule. @param {number} bytes */
export function binaryText(bytes) {
  if (bytes % 1048576 === 0) return `${bytes / 1048576} MiB`;
  return bytes % 1024 === 0 ? `${bytes / 1024} KiB` : `${grouped(bytes)} bytes`;
}

/** "0:41", or "1:02:41" from one hour. @param {number} ms */
export function clockText(ms) {
  const seconds = Math.floor(Math.max(0, ms) / 1000);
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return `${minutes}:${two(seconds % 60)}`;
  return `${Math.floor(minutes / 60)}:${two(minutes % 60)}:${two(seconds % 60)}`;
}

/** "0:41.1", a tenth of a second. @param {number} ms */
export function tenthsText(ms) {
  const tenths = Math.round(Math.max(0, ms) / 100);
  return `${clockText(tenths * 100)}.${tenths % 10}`;
}

/** "0:41.194"; "−0:01.240": before the log began. @param {number} ms */
export function exactText(ms) {
  const whole = Math.floor(Math.abs(ms));
  return `${ms < 0 && whole > 0 ? "−" : ""}${clockText(whole)}.${String(whole % 1000).padStart(3, "0")}`;
}

/** "7.8 s", "41 ms", "3 min". @param {number} ms */
export function secondsText(ms) {
  if (ms > 0 && ms < 0.5) return "less than 1 ms";
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 100_000) return `${(ms / 1000).toFixed(1)} s`;
  return `${Math.round(ms / 60_000)} min`;
}

/** "20,911". @param {number} value */
export function grouped(value) {
  return String(Math.round(value)).replace(/\B(?=(\d{3})+$)/g, ",");
}

/** "57 %"; 100 only for all of it. @param {number} share  0 to 1 */
export function percent(share) {
  return `${share >= 1 ? 100 : Math.min(99, Math.round(share * 100))} %`;
}

/**
 * "1 piece", "3 pieces".
 * @param {number} count
 * @param {string} noun
 */
export function plural(count, noun) {
  return `${grouped(count)} ${noun}${count === 1 ? "" : "s"}`;
}

/** "2, 6 and 9". @param {(string | number)[]} items */
export function listed(items) {
  const texts = items.map(String);
  if (texts.length < 2) return texts.join("");
  return `${texts.slice(0, -1).join(", ")} and ${texts[texts.length - 1]}`;
}

/** The name in a key "FROM>TO". @param {string} text @returns {Name} */
export function nameIn(text) {
  return /^\d{1,10}$/.test(text) ? Number(text) : text;
}

/** Letters of the standard peers, in the order in which they came. @param {number} index */
export function letterOf(index) {
  const letter = String.fromCharCode(97 + (index % 26));
  return index < 26 ? letter : `${letter}${Math.floor(index / 26)}`;
}
