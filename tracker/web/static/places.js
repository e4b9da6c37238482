/**
 * Where the nodes stand and how the links bow. Pure geometry in px.
 *
 * @typedef {import("./picture.js").PictureNode} PictureNode
 * @typedef {import("./state.js").Name} Name
 *
 * @typedef {object} Place
 * @property {number} x
 * @property {number} y
 * @property {number} angle  radians from the middle of the swarm, 0 = right, clockwise
 * @property {"seed" | "leecher" | "standard"} kind
 *
 * @typedef {object} Plan
 * @property {Map<Name, Place>} places
 * @property {number} radius  px of a node
 * @property {number} labelRoom  px around the ring for labels
 *
 * @typedef {object} Curve  a quadratic Bézier curve
 * @property {number} x0
 * @property {number} y0
 * @property {number} cx
 * @property {number} cy
 * @property {number} x1
 * @property {number} y1
 */

const BOWS = [0.12, 0.09, 0.15, 0.06, 0.18, 0.22, 0.03, 0.27, 0.33];
const SAMPLES = 12;
const CORNERS = [-Math.PI / 6, -Math.PI * (5 / 6), Math.PI / 6, Math.PI * (5 / 6)];

/**
 * Places for all nodes: seeds inside, leechers on a ring by node_id, standard peers outside.
 * @param {{id: Name, place: PictureNode["place"]}[]} nodes
 * @param {number} width
 * @param {number} height
 * @param {number} label  px, height of the labels
 * @returns {Plan}
 */
export function planOf(nodes, width, height, label) {
  const of = (/** @type {string} */ kind) => nodes.filter((node) => node.place === kind);
  const [seeds, leechers, standard] = [of("seed"), of("leecher"), of("standard")];
  const crowded = leechers.length > 24;
  const room = crowded ? label * 1.6 : label * 2.6;
  const narrow = width < 400;
  const side = label * (crowded ? 2.6 : 4.1);
  const outside = standard.length && !narrow ? label * 2 : 0;
  const rx = Math.max(30, width / 2 - side - outside);
  const ry = Math.max(30, height / 2 - room - (standard.length > 4 ? label * 1.4 : 0));
  const middle = { x: width / 2 - outside * 0.45, y: height / 2 + (standard.length ? 1 : 0) };
  const around = Math.PI * (3 * (rx + ry) - Math.sqrt((3 * rx + ry) * (rx + 3 * ry)));
  const radius = Math.max(2.5, Math.min(label * 1.12, (around / Math.max(1, leechers.length)) * 0.3));
  /** @type {Map<Name, Place>} */
  const places = new Map();
  ring(places, leechers, "leecher", middle, rx, ry, -Math.PI / 2);
  inside(places, seeds, middle, Math.min(rx, ry), radius);
  outer(places, standard, middle, { rx: rx + side * 0.95 + outside, ry: ry * (narrow ? 2 : 1.33) }, leechers.length, { width, height, radius });
  return { places, radius, labelRoom: side };
}

/**
 * @param {Map<Name, Place>} places
 * @param {{id: Name}[]} nodes
 * @param {Place["kind"]} kind
 * @param {{x: number, y: number}} middle
 * @param {number} rx
 * @param {number} ry
 * @param {number} first  angle of the first node
 */
function ring(places, nodes, kind, middle, rx, ry, first) {
  nodes.forEach((node, at) => {
    const angle = first + (at / nodes.length) * 2 * Math.PI;
    places.set(node.id, { x: middle.x + rx * Math.cos(angle), y: middle.y + ry * Math.sin(angle), angle, kind });
  });
}

/**
 * @param {Map<Name, Place>} places
 * @param {{id: Name}[]} seeds
 * @param {{x: number, y: number}} middle
 * @param {number} room
 * @param {number} radius
 */
function inside(places, seeds, middle, room, radius) {
  if (seeds.length === 1) {
    places.set(seeds[0].id, { ...middle, angle: Math.PI / 2, kind: "seed" });
    return;
  }
  const reach = Math.min(room * 0.45, Math.max(radius * 1.8, (radius * 3 * seeds.length) / (2 * Math.PI)));
  ring(places, seeds, "seed", middle, reach * 1.25, reach, Math.PI);
}

/**
 * Standard peers stand outside, each between two leechers: the first at the upper right, then left, then below.
 * @param {Map<Name, Place>} places
 * @param {{id: Name}[]} peers
 * @param {{x: number, y: number}} middle
 * @param {{rx: number, ry: number}} reach
 * @param {number} leechers
 * @param {{width: number, height: number, radius: number}} sheet
 */
function outer(places, peers, middle, reach, leechers, sheet) {
  const slot = (2 * Math.PI) / Math.max(leechers, peers.length, 6);
  peers.forEach((peer, at) => {
    const wanted = at < 4 ? CORNERS[at] : CORNERS[at % 4] + slot * Math.floor(at / 4);
    const angle = -Math.PI / 2 + (Math.round((wanted + Math.PI / 2) / slot - 0.5) + 0.5) * slot;
    const edge = sheet.radius * 1.4;
    const within = (/** @type {number} */ value, /** @type {number} */ side, /** @type {number} */ room) => Math.max(room, Math.min(side - room, value));
    places.set(peer.id, {
      x: within(middle.x + reach.rx * Math.cos(angle), sheet.width, edge),
      y: within(middle.y + reach.ry * Math.sin(angle), sheet.height, edge * 1.8), angle, kind: "standard",
    });
  });
}

/**
 * A curve from one place to another, bowed to the right of travel, by the first bow that clears other nodes.
 * @param {Plan} plan
 * @param {Name} from
 * @param {Name} to
 * @returns {Curve | null}
 */
export function curveOf(plan, from, to) {
  const [start, end] = [plan.places.get(from), plan.places.get(to)];
  if (start === undefined || end === undefined) return null;
  let best = bowed(start, end, BOWS[0]);
  let most = -Infinity;
  for (const bow of BOWS) {
    const curve = bowed(start, end, bow);
    const free = clearance(plan, curve, from, to);
    if (free > plan.radius + 5) return curve;
    if (free > most) [best, most] = [curve, free];
  }
  return best;
}

/** @param {Place} start @param {Place} end @param {number} bow @returns {Curve} */
function bowed(start, end, bow) {
  const [dx, dy] = [end.x - start.x, end.y - start.y];
  return {
    x0: start.x, y0: start.y, x1: end.x, y1: end.y,
    cx: (start.x + end.x) / 2 - dy * bow, cy: (start.y + end.y) / 2 + dx * bow,
  };
}

/** The least distance from the curve to another node's middle. @param {Plan} plan @param {Curve} curve @param {Name} from @param {Name} to */
function clearance(plan, curve, from, to) {
  let least = Infinity;
  for (const [name, place] of plan.places) {
    if (name === from || name === to) continue;
    for (let at = 1; at < SAMPLES; at += 1) {
      const point = pointAt(curve, at / SAMPLES);
      least = Math.min(least, Math.hypot(point.x - place.x, point.y - place.y));
    }
  }
  return least;
}

/** @param {Curve} curve @param {number} t  0 to 1 */
export function pointAt(curve, t) {
  const u = 1 - t;
  return {
    x: u * u * curve.x0 + 2 * u * t * curve.cx + t * t * curve.x1,
    y: u * u * curve.y0 + 2 * u * t * curve.cy + t * t * curve.y1,
  };
}

/**
 * The part of a curve that begins and ends at these distances from its ends.
 * @param {Curve} curve
 * @param {number} before  px
 * @param {number} after  px
 * @returns {Curve}
 */
export function trimmed(curve, before, after) {
  const t0 = passing(curve, before, false);
  const t1 = Math.max(t0 + 0.01, passing(curve, after, true));
  const [start, end] = [pointAt(curve, t0), pointAt(curve, t1)];
  // The control point of the part, by blossoming: the curve's polar form at (t0, t1).
  const polar = (/** @type {number} */ a, /** @type {number} */ c, /** @type {number} */ b) =>
    (1 - t0) * (1 - t1) * a + (t0 * (1 - t1) + t1 * (1 - t0)) * c + t0 * t1 * b;
  return {
    x0: start.x, y0: start.y, x1: end.x, y1: end.y,
    cx: polar(curve.x0, curve.cx, curve.x1), cy: polar(curve.y0, curve.cy, curve.y1),
  };
}

/**
 * The parameter at which the curve is `distance` px from an end.
 * @param {Curve} curve
 * @param {number} distance
 * @param {boolean} fromEnd
 */
function passing(curve, distance, fromEnd) {
  let [low, high] = [0, 0.5];
  const [x, y] = fromEnd ? [curve.x1, curve.y1] : [curve.x0, curve.y0];
  for (let turn = 0; turn < 12; turn += 1) {
    const middle = (low + high) / 2;
    const point = pointAt(curve, fromEnd ? 1 - middle : middle);
    if (Math.hypot(point.x - x, point.y - y) < distance) low = middle;
    else high = middle;
  }
  return fromEnd ? 1 - low : low;
}
