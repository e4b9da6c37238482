/**
 * Shapes of JSON values, as in common/shapes.py: both read the same table and accept the same values.
 *
 * @typedef {any} Shape  a plain shape's name, or a list that begins with the kind of a compound shape
 */

const MAX_WHOLE = Number.MAX_SAFE_INTEGER;
const MAX_MS = 1e13;

export class ShapeError extends Error {}

/** @type {Record<string, (value: any) => boolean>} */
const PLAIN = {
  node: (value) => isWhole(value, 2 ** 31 - 1),
  count: (value) => isWhole(value, MAX_WHOLE),
  ms: (value) => isNumber(value, 0, MAX_MS),
  number: isAnyNumber,
  flag: (value) => typeof value === "boolean",
  text: (value) => typeof value === "string",
  peer: (value) => (typeof value === "string" ? matches("address", value) : isWhole(value, 2 ** 31 - 1)),
  scalar: (value) => value === null || ["string", "boolean"].includes(typeof value) || isAnyNumber(value),
};

/** @type {Record<string, RegExp>} */
const PATTERNS = {
  address: /^[0-9A-Za-z.:%_[\]-]{1,64}:[0-9]{1,5}$/,
  torrent: /^[0-9a-f]{12}$/,
  info_hash: /^[0-9a-f]{40}$/,
  letters: /^[.rcvx]*$/,
  name: /^[a-z][a-z0-9_]{0,31}$/,
  whole: /^(?:0|[1-9][0-9]{0,9})$/,
  link: /^[0-9A-Za-z.:%_[\]-]{1,70}>[0-9A-Za-z.:%_[\]-]{1,70}$/,
};
for (const name of Object.keys(PATTERNS)) PLAIN[name] = (value) => matches(name, value);

/** @param {string} name @param {any} value */
function matches(name, value) {
  // `$` in JavaScript, without the flag m, is the very end.
  return typeof value === "string" && PATTERNS[name].test(value);
}

/** @param {any} value @param {number} most */
function isWhole(value, most) {
  return Number.isInteger(value) && value >= 0 && value <= most;
}

/** @param {any} value @param {number} least @param {number} most */
function isNumber(value, least, most) {
  return typeof value === "number" && value >= least && value <= most;
}

/** @param {any} value */
function isAnyNumber(value) {
  return isNumber(value, -MAX_WHOLE, MAX_WHOLE);
}

/** @param {any} value @returns {value is Record<string, any>} */
function isObject(value) {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** @type {Record<string, (shape: Shape, value: any) => any>} */
const COMPOUND = {
  list(shape, value) {
    if (!Array.isArray(value) || value.length > shape[2]) throw new ShapeError("not a list that is short enough");
    return value.map((each) => cleaned(shape[1], each));
  },
  tuple(shape, value) {
    if (!Array.isArray(value) || value.length !== shape.length - 1) throw new ShapeError("not a list of that length");
    return value.map((each, at) => cleaned(shape[at + 1], each));
  },
  record(shape, value) {
    if (!isObject(value)) throw new ShapeError("not an object");
    /** @type {Record<string, any>} */
    const found = {};
    for (const name of Object.keys(shape[1])) {
      const field = name.endsWith("?") ? name.slice(0, -1) : name;
      if (Object.hasOwn(value, field)) found[field] = cleaned(shape[1][name], value[field]);
      else if (field === name) throw new ShapeError(`${field} is missing`);
    }
    return found;
  },
  map(shape, value) {
    if (!isObject(value) || Object.keys(value).length > shape[3]) throw new ShapeError("not an object of so few keys");
    const found = Object.entries(value).map(([key, each]) => [cleaned(shape[1], key), cleaned(shape[2], each)]);
    return Object.fromEntries(found);
  },
  one(shape, value) {
    if (typeof value !== "string" || !shape.includes(value, 1)) throw new ShapeError("not one of the texts");
    return value;
  },
  null(shape, value) {
    return value === null ? null : cleaned(shape[1], value);
  },
};

/**
 * A copy of `value` without fields that `shape` does not know. Throws ShapeError if it has another shape.
 * @param {Shape} shape
 * @param {any} value
 * @returns {any}
 */
export function cleaned(shape, value) {
  if (typeof shape === "string") {
    if (!PLAIN[shape](value)) throw new ShapeError(`not a ${shape}`);
    return value;
  }
  return COMPOUND[shape[0]](shape, value);
}
