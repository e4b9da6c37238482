/**
 * The colours and sizes of page.css as values for the canvases.
 *
 * Every colour is defined once, in page.css. A canvas has no classes, so its views ask here.
 */

/**
 * @typedef {object} Palette
 * @property {string} paper
 * @property {string} track
 * @property {string} tint
 * @property {string} line
 * @property {string} ink
 * @property {string} ink2
 * @property {string} ink3
 * @property {string} data
 * @property {string} accent
 * @property {string} bad
 * @property {number} dim  opacity of links beside the selected node's
 * @property {string} family  the font
 * @property {number} label  px, the smallest text
 * @property {number} text  px
 * @property {number} strokes  factor of all line widths
 */

const COLOURS = /** @type {const} */ (["paper", "track", "tint", "line", "ink", "ink2", "ink3", "data", "accent", "bad"]);
const DIM = { light: 0.4, dark: 0.48 };
const THEME_KEY = "swarm-theme";
const darkByDefault = matchMedia("(prefers-color-scheme: dark)");
const lessMotion = matchMedia("(prefers-reduced-motion: reduce)");

/** @type {{theme: string, width: number, value: Palette} | null} */
let cached = null;

/** The palette of the theme and width shown now. @returns {Palette} */
export function palette() {
  const [shown, width] = [theme(), innerWidth];
  if (cached === null || cached.theme !== shown || cached.width !== width) cached = { theme: shown, width, value: read() };
  return cached.value;
}

/** @returns {Palette} */
function read() {
  const style = getComputedStyle(document.documentElement);
  const value = (/** @type {string} */ name) => style.getPropertyValue(`--${name}`).trim();
  const shown = theme();
  const colours = Object.fromEntries(COLOURS.map((name) => [name, colourOf(value(name), shown)]));
  return /** @type {Palette} */ ({
    ...colours,
    dim: DIM[shown],
    family: getComputedStyle(document.body).fontFamily,
    label: parseFloat(value("label")) || 12,
    text: parseFloat(value("text")) || 13,
    strokes: Number(value("strokes")) || 1,
  });
}

/** One of the two of "light-dark(#fbfbf9, #101317)". @param {string} value @param {"light" | "dark"} shown */
function colourOf(value, shown) {
  const found = value.match(/#[0-9a-f]{6}/g) ?? [];
  return (shown === "dark" ? found[1] : found[0]) ?? "#808080";
}

/** @returns {"light" | "dark"} */
export function theme() {
  const chosen = document.documentElement.dataset.theme;
  if (chosen === "light" || chosen === "dark") return chosen;
  return darkByDefault.matches ? "dark" : "light";
}

/** Change from light to dark or back, and remember it if the browser allows. */
export function toggleTheme() {
  const next = theme() === "dark" ? "light" : "dark";
  document.documentElement.dataset.theme = next;
  try {
    localStorage.setItem(THEME_KEY, next);
  } catch {
    // A page opened from a disk, or with storage turned off, forgets it.
  }
}

/** Show the theme that was chosen at the last visit. */
export function restoreTheme() {
  try {
    const chosen = localStorage.getItem(THEME_KEY);
    if (chosen === "light" || chosen === "dark") document.documentElement.dataset.theme = chosen;
  } catch {
    // No storage: the system's theme.
  }
}

/** True if the user asked the system for less motion. */
export function reducedMotion() {
  return lessMotion.matches;
}

/** Call `changed` when the system's theme or wish for motion changes. @param {() => void} changed */
export function onSystemChange(changed) {
  darkByDefault.addEventListener("change", changed);
  lessMotion.addEventListener("change", changed);
}

/**
 * `share` of a colour on another, as "rgb(...)": lines of it do not darken where they cross.
 * @param {string} colour  "#rrggbb"
 * @param {string} paper  "#rrggbb"
 * @param {number} share  0 to 1
 */
export function mixed(colour, paper, share) {
  const key = `${colour} ${paper} ${share}`;
  let found = mixtures.get(key);
  if (found === undefined) {
    const value = pixel(colour, paper, share);
    found = `rgb(${value & 255} ${(value >> 8) & 255} ${(value >> 16) & 255})`;
    mixtures.set(key, found);
  }
  return found;
}

/** @type {Map<string, string>} a few: shares are constants */
const mixtures = new Map();

/**
 * A colour as one pixel of ImageData, seen as Uint32Array on a little-endian machine.
 * @param {string} colour  "#rrggbb"
 * @param {string} [paper]  what lies below, if `share` < 1
 * @param {number} [share]  0 to 1: how much of `colour`
 */
export function pixel(colour, paper = colour, share = 1) {
  const part = (/** @type {number} */ at) => {
    const over = parseInt(colour.slice(at, at + 2), 16);
    const under = parseInt(paper.slice(at, at + 2), 16);
    return Math.round(under + (over - under) * share);
  };
  return ((255 << 24) | (part(5) << 16) | (part(3) << 8) | part(1)) >>> 0;
}
