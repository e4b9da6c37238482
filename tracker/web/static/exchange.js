/**
 * Which messages went between chosen nodes: from dumps of their flight recorders, and from the log's own events.
 * Pure.
 *
 * @typedef {import("./event_log.js").EventLog} EventLog
 * @typedef {import("./event_log.js").SwarmEvent} SwarmEvent
 * @typedef {import("./state_entries.js").Name} Name
 * @typedef {Name | "tracker"} Place  of a lifeline
 *
 * @typedef {object} Message
 * @property {Place} from
 * @property {Place} to  the same as `from`: something that this node did
 * @property {number | null} left  ms of the log's clock; null: not known; of a lost one: when it was missed
 * @property {number | null} arrived  ms; null: not known, or lost
 * @property {string} name  REQUEST, DATA, NEED, verified, ...
 * @property {string} label
 * @property {boolean} large  carries bytes of the file
 * @property {boolean} lost
 * @property {boolean} again  repeats an earlier request
 * @property {boolean} bad  drawn as a fault
 * @property {number} count  of adjacent messages of one kind
 * @property {Record<string, any>} fields
 * @property {number} position  of its event in the log
 * @property {boolean} dumped  a datagram or message of a dump, not an event of the log
 * @property {{ms: number, bytes: number}} [cost]  of a lost one: what its repair cost, as its node counted
 */

import { grouped, plural } from "./figures.js";

export const TRACKER = "tracker";
const LARGE = new Set(["DATA", "METADATA", "piece"]);
const MOST_KEPT = 8; // exchanges
const SAME_MS = 20; // two dumps have the same message if their times differ by less
const IDENTITY = ["transfer", "sequence", "offset", "length", "piece", "begin", "first_piece", "reason"];

export class Exchange {
  /** @param {EventLog} log @param {Place[]} places  the lifelines */
  constructor(log, places) {
    this.log = log;
    this.places = new Set(places);
    this.read = 0; // events
    /** @type {Message[]} */
    this.messages = [];
    /** @type {Map<string, Message>} the last message with these fields, by both ends */
    this.seen = new Map();
    /** @type {Message[] | null} */
    this.sorted = null;
    /** @type {Map<string, Name[]>} "NODE PIECE": the peers asked for it last */
    this.asked = new Map();
  }

  /** All messages between the places, by time. */
  all() {
    for (; this.read < this.log.length; this.read += 1) this.take(this.log.events[this.read], this.read);
    this.sorted ??= joined(withoutTwins(this.messages).sort((a, b) => timeOf(a) - timeOf(b)));
    return this.sorted;
  }

  /** @param {SwarmEvent} event @param {number} position */
  take(event, position) {
    if (event.name === "messages:dumped") {
      if (event.node !== null && this.places.has(event.node)) this.takeDump(event, event.node, position);
      return;
    }
    if (event.name.startsWith("piece:")) {
      this.takePiece(event, position);
      return;
    }
    const write = Object.hasOwn(FROM_EVENTS, event.name) ? FROM_EVENTS[event.name] : null;
    if (write === null) return;
    for (const found of write(event.data, event.node ?? TRACKER)) {
      if (this.places.has(found.from) && this.places.has(found.to)) this.push({ ...found, event, position });
    }
  }

  /** A piece on its way between two of the places. @param {SwarmEvent} event @param {number} position */
  takePiece(event, position) {
    const { name, node, data } = event;
    if (node === null || !this.places.has(node) || data.piece === undefined) return;
    const key = `${node} ${data.piece}`;
    const asked = this.asked.get(key) ?? [];
    if (name === "piece:requested") this.asked.set(key, data.peers);
    else if (name === "piece:received" || name === "piece:missing") this.asked.set(key, []);
    const sources = (data.peers ?? asked).filter((/** @type {Name} */ peer) => this.places.has(peer));
    if (sources.length === 0) return;
    for (const found of pieceMessages(name, node, grouped(data.piece), sources, asked.length > 0)) {
      this.push({ ...found, event, position });
    }
  }

  /** @param {Found & {event: SwarmEvent, position: number}} found */
  push({ event, position, ...found }) {
    const reporter = event.node ?? TRACKER;
    const leaves = found.from === reporter || found.lost === true;
    this.messages.push({
      left: leaves ? event.time : null, arrived: found.to === reporter && !found.lost ? event.time : null, large: false,
      lost: false, again: false, bad: false, count: 1, fields: event.data, position, dumped: false, ...found,
    });
    this.sorted = null;
  }

  /** @param {SwarmEvent} event @param {number} node @param {number} position */
  takeDump(event, node, position) {
    for (const row of event.data.messages) {
      const { direction, message, fields } = row;
      const peer = direction === "here" ? node : row.peer;
      if (peer === null || !this.places.has(peer)) continue;
      const time = event.time - row.ago_ms;
      const from = direction === "in" ? peer : node;
      const to = direction === "in" ? node : peer;
      this.join({ from, to, name: message, fields, position, lost: row.lost ?? fields.lost === true,
        again: row.again ?? fields.again, time, here: node });
    }
    this.sorted = null;
  }

  /**
   * Add a message of a dump, or the other end of one that is known.
   * @param {{from: Place, to: Place, name: string, fields: Record<string, any>, position: number, lost: boolean,
   *   again: number | undefined, time: number, here: Place}} row
   */
  join({ from, to, name, fields, position, lost, again, time, here }) {
    const key = JSON.stringify([from, to, name, ...IDENTITY.map((field) => fields[field])]);
    const leaves = here === from;
    const known = this.seen.get(key);
    if (known) {
      const end = leaves ? known.left : known.arrived;
      if (end !== null && Math.abs(end - time) < SAME_MS) return;
      if (end === null) {
        if (leaves) known.left = time;
        else known.arrived = time;
        known.lost = known.lost && lost;
        return;
      }
    }
    const [label, bad] = labelOf(name, fields);
    const made = {
      from, to, name, label, bad: bad || lost, fields, position, lost, again: again !== undefined, count: 1 + (fields.more ?? 0),
      large: LARGE.has(name), left: leaves || lost ? time : null, arrived: leaves || lost ? null : time, dumped: true,
    };
    this.messages.push(made);
    this.seen.set(key, made);
  }
}

/** The exchanges looked at last, so that going back to one reads no events again. */
export class Exchanges {
  constructor() {
    /** @type {Exchange[]} */
    this.kept = [];
  }

  /** @param {EventLog} log @param {Place[]} places */
  of(log, places) {
    const key = places.join();
    const known = this.kept.find((each) => each.log === log && [...each.places].join() === key);
    const found = known ?? new Exchange(log, places);
    this.kept = [found, ...this.kept.filter((each) => each !== found && each.log === log)].slice(0, MOST_KEPT);
    return found;
  }
}

/** The time by which a message is sorted. @param {Message} message */
export function timeOf({ left, arrived }) {
  return left ?? arrived ?? 0;
}

/** Names of the log's events, by the names of the same things in a dump. @type {Record<string, string>} */
const IN_DUMPS = { lost: "lost", repaired: "lost", "piece:verified": "verified", "piece:failed": "failed" };

/**
 * The messages in a new list, without the log's events that a dump shows, too. The costs of losses stay.
 * @param {Message[]} messages
 */
function withoutTwins(messages) {
  /** @type {Map<string, Message>} */
  const shown = new Map();
  const key = (/** @type {string} */ name, /** @type {Message} */ { to, fields }) => `${name} ${to} ${fields.piece ?? fields.offset}`;
  for (const message of messages) if (message.dumped) shown.set(key(message.lost ? "lost" : message.name, message), message);
  return messages.filter((message) => {
    const twin = message.dumped ? undefined : shown.get(key(IN_DUMPS[message.name] ?? "", message));
    if (twin && message.name === "repaired") twin.cost = { ms: message.fields.cost_ms, bytes: message.fields.cost_bytes };
    return twin === undefined;
  });
}

/** Adjacent segments of one answer as one message: of a dump with a count, of losses with their length. @param {Message[]} messages */
function joined(messages) {
  /** @type {Message[]} */
  const found = [];
  for (const message of messages) {
    const last = found.at(-1);
    if (last && continues(last, message)) {
      found[found.length - 1] = { ...last, count: last.count + message.count };
    } else if (last && adjoins(last, message)) {
      const { length, cost_ms: ms, cost_bytes: bytes } = message.fields;
      const cost = ms === undefined ? {} : { cost_ms: Math.max(ms, last.fields.cost_ms), cost_bytes: bytes + last.fields.cost_bytes };
      found[found.length - 1] = { ...last, fields: { ...last.fields, length: last.fields.length + length, ...cost } };
    } else found.push(message);
  }
  return found;
}

/** Is it a loss or a repair of the bytes right after the last one's? @param {Message} last @param {Message} next */
function adjoins(last, next) {
  if (next.dumped || !(next.name === "lost" || next.name === "repaired")) return false;
  const same = last.name === next.name && last.from === next.from && last.to === next.to && last.label === next.label;
  return same && next.fields.offset === last.fields.offset + last.fields.length;
}

/** @param {Message} last @param {Message} next */
function continues(last, next) {
  const same = last.name === next.name && last.from === next.from && last.to === next.to;
  return same && next.dumped && next.large && last.lost === next.lost && last.label === next.label;
}

// ---- messages of a dump

/** @param {string} name @param {Record<string, any>} fields @returns {[string, boolean]} label; is it a fault? */
function labelOf(name, fields) {
  if (name === "verified") return [`${grouped(fields.piece)} verified`, false];
  if (name === "failed") return [`${grouped(fields.piece)} is wrong`, true];
  if (name === "REFUSE") {
    const place = fields.queue_position ? `, place ${fields.queue_position}` : "";
    return [`${fields.reason ?? name}${place}`, false];
  }
  if (name === "REQUEST" || name === "DATA") return [`${name} ${fields.sequence}`, false];
  if (typeof fields.piece === "number") return [`${name} ${fields.piece}`, false];
  return [name, name === "malformed"];
}

// ---- messages from the log's own events

/** @typedef {Partial<Message> & {from: Place, to: Place, name: string, label: string}} Found */
/** @typedef {(data: Record<string, any>, node: Place) => Found[]} Write */

/**
 * @param {string} name  of the event
 * @param {number} node
 * @param {string} piece
 * @param {Name[]} peers  among the places: asked for it, or its sources
 * @param {boolean} isOpen  the piece was asked for, and its arrival is not in the log yet
 * @returns {Found[]}
 */
function pieceMessages(name, node, piece, peers, isOpen) {
  const here = (/** @type {string} */ words, bad = false) => ({ from: node, to: node, name, label: `${piece} ${words}`, bad });
  const arrives = (/** @type {string} */ words, bad = false) => ({ ...here(words, bad), from: peers[0], large: true });
  if (name === "piece:requested") return peers.map((peer) => ({ from: node, to: peer, name, label: `asks for ${piece}` }));
  if (name === "piece:received") return [arrives("is here")];
  if (name === "piece:verified") return [isOpen ? arrives("verified") : here("verified")];
  if (name === "piece:failed") return [isOpen ? arrives("is wrong", true) : here("is wrong", true)];
  return name === "piece:missing" ? [here("given up", true)] : [];
}

/** @param {string} name @returns {Write} */
function toTracker(name) {
  return ({ node, answer, complete }) => {
    const more = answer ? `, ${plural(answer.length, "owner")}` : complete === false ? ", a part" : "";
    return [{ from: node, to: TRACKER, name, label: name + more }];
  };
}

/** @type {Record<string, Write>} */
const FROM_EVENTS = {
  "tracker:register": toTracker("REGISTER"),
  "tracker:own": toTracker("OWN"),
  "tracker:need": toTracker("NEED"),
  "tracker:exit": toTracker("EXIT"),
  "tracker:update": ({ node, by }) => [{ from: by, to: TRACKER, name: "UPDATE", label: `UPDATE node ${node}` }],
  "slot:granted": ({ peer }, node) => [{ from: node, to: peer, name: "slot", label: "slot granted" }],
  "slot:withdrawn": ({ peer }, node) => [{ from: node, to: peer, name: "slot", label: "slot withdrawn" }],
  "peer:state": ({ peer, state, place }, node) =>
    state === "queued" ? [{ from: peer, to: node, name: "BUSY", label: `BUSY, place ${place}` }] : [],
  "datagram:lost": ({ peer, message, request }, node) => {
    const toPeer = message === "REQUEST" || message === "ASK";
    const label = `${message}${request ? ` ${request}` : ""} is lost`;
    return [{ from: toPeer ? node : peer, to: toPeer ? peer : node, name: "lost", label, lost: true, bad: true }];
  },
  "datagram:repaired": ({ message, request }, node) => [
    { from: node, to: node, name: "repaired", label: `${message}${request ? ` ${request}` : ""} is here` },
  ],
};
