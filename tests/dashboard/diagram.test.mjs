// The sequence diagram: no arrow arrives before it leaves, whatever the clocks; a loss has its cost.

import assert from "node:assert/strict";
import test from "node:test";

import { dice, KNOWN, load, logOf, TORRENT } from "./page.mjs";

const { Exchange } = await load("exchange.js");
const { costsOf, presentRow, rowsOf, windowOf } = await load("diagram_rows.js");
const { exactText } = await load("figures.js");

/** A dump of `node` at `time`, of [time, direction, peer, message, fields, marks]. */
function dump(time, node, rows) {
  const messages = rows.map(([at, direction, peer, message, fields, marks = {}]) => ({ ago_ms: time - at, direction, peer, message, fields, ...marks }));
  return [time, node, "messages:dumped", { reason: "asked", dump: 1, first: 0, total: rows.length, messages }];
}

test("arrows between nodes whose clocks are wrong by up to their bounds never arrive before they leave", () => {
  const throws = dice(3);
  const [bound, shift] = [2, 1.9];
  const [out, into] = [[], []];
  for (let i = 0; i < 200; i += 1) {
    const [left, delay] = [1000 + 3 * i, throws(60) / 10];
    const fields = { sequence: i, transfer: "00", offset: 1400 * i, length: 1400 };
    out.push([left, "out", 5, "REQUEST", fields]);
    into.push([left + delay - shift, "in", 3, "REQUEST", fields]);
  }
  const messages = new Exchange(logOf([KNOWN, dump(9000, 3, out), dump(9001, 5, into)]), [3, 5]).all();
  assert.equal(messages.length, 200, "the two ends of a message are one arrow");
  const rows = rowsOf(messages, () => bound);
  const kinds = { send: 0, arrive: 0, level: 0 };
  rows.forEach((row, index) => {
    kinds[row.kind] += 1;
    if (row.kind === "send") assert.ok(row.other > index && rows[row.other].message === row.message);
    if (row.kind === "level") assert.ok(row.message.arrived - row.message.left <= bound);
    if (index) assert.ok(row.time >= rows[index - 1].time);
  });
  assert.ok(kinds.level > 20 && kinds.send > 20 && kinds.send === kinds.arrive, JSON.stringify(kinds));
});

test("a message from before the log began has a negative time", () => {
  const log = logOf([KNOWN, dump(200, 3, [[-61_240.7, "out", 5, "REQUEST", {}], [-0.2, "in", 5, "DATA", {}]])]);
  const times = rowsOf(new Exchange(log, [3, 5]).all(), () => 0).map((row) => exactText(row.time));
  assert.deepEqual(times, ["−1:01.240", "0:00.000"]);
});

test("a dump that comes twice shows each message once; segments of one answer share an arrow", () => {
  const data = (sequence, offset) => ({ sequence, transfer: "00", offset, length: 1400 });
  const rows = [
    [100, "out", 5, "REQUEST", data(811, 0)],
    [140, "in", 5, "DATA", data(811, 0)],
    [140.2, "in", 5, "DATA", data(811, 1400)],
    [150, "in", 5, "DATA", { ...data(812, 2800), lost: true }, { lost: true }],
    [150, "out", 5, "REQUEST", data(814, 2800), { again: 812 }],
    [191, "in", 5, "DATA", data(814, 2800)],
    [193, "here", null, "verified", { piece: 121 }],
  ];
  const log = logOf([KNOWN, dump(200, 3, rows), dump(210, 3, rows), [191, 3, "datagram:repaired",
    { torrent: TORRENT, peer: 5, message: "DATA", offset: 2800, length: 1400, by: "asked again", cost_ms: 40.5, cost_bytes: 1440, others: 0 }]]);
  const shown = rowsOf(new Exchange(log, [3, 5]).all(), () => 0);
  const labels = shown.map(({ kind, message }) => `${kind} ${message.label} ${message.count}`);
  assert.deepEqual(labels, [
    "half REQUEST 811 1", "half DATA 811 2", "lost DATA 812 1", "half REQUEST 814 1", "half DATA 814 1", "here 121 verified 1",
  ]);
  assert.ok(shown[3].message.again);
  assert.deepEqual(costsOf(shown).map(({ from, to, ms, bytes }) => [from, to, ms, bytes]), [[2, 4, 40.5, 1440]]);
  assert.equal(presentRow(shown, 150), 3);
  assert.deepEqual(windowOf(shown, 150, 3), [1, 4]);
});

test("what a dump and the log both have is shown once, and losses side by side are one", () => {
  const lost = (offset) => ({ torrent: TORRENT, peer: 5, message: "DATA", offset, length: 1440, request: 7, reason: "no answer", others: 0 });
  const repaired = (offset, cost_ms) => ({ torrent: TORRENT, peer: 5, message: "DATA", offset, length: 1440, request: 7, by: "late", cost_ms, cost_bytes: 1500, others: 0 });
  const log = logOf([
    KNOWN,
    [10, 3, "piece:requested", { torrent: TORRENT, piece: 364, peers: [5] }],
    [20, 3, "datagram:lost", lost(0)],
    [20, 3, "datagram:lost", lost(1440)],
    [20, 3, "datagram:lost", lost(7200)],
    [50, 3, "datagram:repaired", repaired(0, 30)],
    [51, 3, "datagram:repaired", repaired(1440, 31)],
    [60, 3, "piece:verified", { torrent: TORRENT, piece: 364, peers: [5] }],
    dump(70, 3, [[59.9, "here", null, "verified", { piece: 364 }]]),
  ]);
  const shown = rowsOf(new Exchange(log, [3, 5]).all(), () => 0);
  assert.deepEqual(shown.map(({ message }) => message.label), [
    "asks for 364", "DATA 7 is lost", "DATA 7 is lost", "DATA 7 is here", "364 verified",
  ]);
  assert.deepEqual(costsOf(shown), [{ from: 1, to: 3, ms: 31, bytes: 3000, since: "expected" }]);
});

test("without a dump the log's own events are drawn, only between the chosen lifelines", () => {
  const log = logOf([
    KNOWN,
    [1, null, "tracker:register", { node: 3, addr: null }],
    [2, null, "tracker:need", { node: 3, torrent: TORRENT, answer: [{ peer: 5, uploads: 0, reason: "" }] }],
    [3, 3, "piece:requested", { torrent: TORRENT, piece: 7, peers: [5, 6] }],
    [4, 3, "piece:requested", { torrent: TORRENT, piece: 8, peers: [6] }],
    [5, 3, "piece:received", { torrent: TORRENT, piece: 7 }],
    [6, 3, "piece:verified", { torrent: TORRENT, piece: 7, peers: [5] }],
    [7, 3, "piece:verified", { torrent: TORRENT, piece: 8, peers: [6] }],
    [8, 5, "slot:withdrawn", { torrent: TORRENT, peer: 3, reason: "x" }],
  ]);
  const texts = new Exchange(log, [3, 5, "tracker"]).all().map(({ from, to, label }) => `${from}>${to} ${label}`);
  assert.deepEqual(texts, [
    "3>tracker REGISTER", "3>tracker NEED, 1 owner", "3>5 asks for 7", "5>3 7 is here", "3>3 7 verified", "5>3 slot withdrawn",
  ]);
});
