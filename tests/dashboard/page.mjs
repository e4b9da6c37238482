// The page's own modules, and small logs for tests of them.

const STATIC = new URL("../../tracker/web/static/", import.meta.url);

/** A module of the page. */
export const load = (name) => import(new URL(name, STATIC));

const { checkedEvent, eventOf } = await load("events.js");
const { EventLog } = await load("event_log.js");

export const TORRENT = "abcdefabcdef";

/** A log of [time, node, name, data]; each must be an event that the page knows. */
export function logOf(rows) {
  const log = new EventLog();
  const counts = new Map();
  for (const [time, node, name, data] of rows) {
    counts.set(node, (counts.get(node) ?? 0) + 1);
    const event = checkedEvent(eventOf({ time, node, seq: counts.get(node), name, data }));
    if (event === null) throw new Error(`the page does not know ${name} ${JSON.stringify(data)}`);
    log.add(event);
  }
  return log;
}

/** The file of all these logs. */
export const KNOWN = [
  0, 1, "torrent:known",
  { torrent: TORRENT, info_hash: TORRENT.repeat(4).slice(0, 40), name: "f.bin", size: 4_000_000, piece_length: 4000, pieces: 1000 },
];

/** Whole numbers below a limit, the same in every run. */
export function dice(seed) {
  let state = seed >>> 0;
  return (limit) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * limit);
  };
}
