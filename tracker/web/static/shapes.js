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

/** @typedef {(value: any) => any} Check  the value without unknown fields; throws ShapeError */

/** How to check each compound shape: made once a shape. @type {Record<string, (shape: any[]) => Check>} */
const COMPOUND = {
  list([, part, most]) {
    const check = checkOf(part);
    return (value) => {
      if (!Array.isArray(value) || value.length > most) throw new ShapeError("not a list that is short enough");
      return value.map(check);
    };
  },
  tuple([, ...parts]) {
    const checks = parts.map(checkOf);
    return (value) => {
      if (!Array.isArray(value) || value.length !== checks.length) throw new ShapeError("not a list of that length");
      return checks.map((check, at) => check(value[at]));
    };
  },
  record([, fields]) {
    const checks = Object.entries(fields).map(fieldCheck);
    return (value) => {
      if (!isObject(value)) throw new ShapeError("not an object");
      /** @type {Record<string, any>} */
      const found = {};
      for (const { field, optional, check } of checks) {
        if (Object.hasOwn(value, field)) found[field] = check(value[field]);
        else if (!optional) throw new ShapeError(`${field} is missing`);
      }
      return found;
    };
  },
  map([, key, part, most]) {
    const [checkKey, check] = [checkOf(key), checkOf(part)];
    return (value) => {
      if (!isObject(value) || Object.keys(value).length > most) throw new ShapeError("not an object of so few keys");
      return Object.fromEntries(Object.entries(value).map(([name, each]) => [checkKey(name), check(each)]));
    };
  },
  one([, ...texts]) {
    return (value) => {
      if (typeof value !== "string" || !texts.includes(value)) throw new ShapeError("not one of the texts");
      return value;
    };
  },
  null([, part]) {
    const check = checkOf(part);
    return (value) => (value === null ? null : check(value));
  },
};

/** @param {[string, Shape]} entry  "NAME?" may be absent */
function fieldCheck([name, shape]) {
  const optional = name.endsWith("?");
  return { field: optional ? name.slice(0, -1) : name, optional, check: checkOf(shape) };
}

/** @type {Map<Shape, Check>} */
const made = new Map();

/** The check of a shape. @param {Shape} shape @returns {Check} */
function checkOf(shape) {
  const known = made.get(shape);
  if (known !== undefined) return known;
  const check = typeof shape === "string" ? plainCheck(shape) : COMPOUND[shape[0]](shape);
  made.set(shape, check);
  return check;
}

/** @param {string} name @returns {Check} */
function plainCheck(name) {
  const fits = PLAIN[name];
  return (value) => {
    if (!fits(value)) throw new ShapeError(`not a ${name}`);
    return value;
  };
}

/**
 * A copy of `value` without fields that `shape` does not know. Throws ShapeError if it has another shape.
 * @param {Shape} shape
 * @param {any} value
 * @returns {any}
 */
export function cleaned(shape, value) {
  return checkOf(shape)(value);
}
