// Each event is one plain sentence, and bad files get the words of the design.

import assert from "node:assert/strict";
import test from "node:test";

import { KNOWN, load, logOf, TORRENT } from "./page.mjs";

const { KINDS } = await load("vocabulary.js");
const { glyphOf, sentence } = await load("words.js");
const { cutText, linesOf, RecordingReader } = await load("recording.js");

/** A value of a shape. */
function sample(shape) {
  const plain = {
    node: 3, count: 812, ms: 41.5, number: -0.4, flag: true, text: "why", peer: 5, address: "127.0.0.1:1", torrent: TORRENT,
    info_hash: TORRENT.repeat(4).slice(0, 40), letters: ".rcvx", name: "x", whole: "7", link: "1>2", scalar: 1,
  };
  if (typeof shape === "string") return plain[shape];
  const [kind, ...parts] = shape;
  if (kind === "list") return [sample(parts[0]), sample(parts[0])];
  if (kind === "tuple") return parts.map(sample);
  if (kind === "record") return Object.fromEntries(Object.entries(parts[0]).map(([name, part]) => [name.replace("?", ""), sample(part)]));
  return kind === "map" ? {} : kind === "one" ? parts[0] : sample(parts[0]);
}

test("every kind of event has a sentence and a sign", () => {
  for (const [name, [writer, shape]] of Object.entries(KINDS)) {
    const event = { time: 1, node: writer === "tracker" ? null : 3, seq: 1, name, data: sample(shape) };
    const states = shape[1].state?.slice(1) ?? [undefined];
    for (const state of states) {
      if (state !== undefined) event.data.state = state;
      const text = sentence(event);
      assert.match(text, name === "torrent:known" ? /^why is shared.*\.$/ : /^[A-Z].*\.$/, name);
      assert.doesNotMatch(text, /undefined|null|NaN|object|[:;,]\.|\.\.|node why/, name);
      assert.ok(glyphOf(event));
    }
  }
});

const LOST = { torrent: TORRENT, peer: 5, message: "DATA", offset: 0, length: 1400, request: 812, others: 0 };

test("the sentences of the design, and the two times of a loss", () => {
  const peer = { torrent: TORRENT, peer: 1, transport: "udp", reason: "", complete: true, held: null };
  const queue = (...waiting) => ({ torrent: TORRENT, queue: waiting, slots: 3, served: [2, 6, 9] });
  const log = logOf([
    KNOWN,
    [1, 1, "slot:queue", queue(7, 3, 4)],
    [2, 3, "peer:state", { ...peer, state: "queued", place: 2 }],
    [3, 1, "slot:queue", queue(3, 4)],
    [4, 3, "peer:state", { ...peer, state: "queued", place: 1 }],
    [5, null, "node:silent", { node: 8, silent_ms: 7800, removed: false }],
    [5, null, "node:back", { node: 8, silent_ms: 24_040 }],
    [5, null, "tracker:announce", { torrent: TORRENT, peer: "10.0.0.9:6881", event: "started", complete: false, others: 0 }],
    [5, null, "tracker:announce", { torrent: TORRENT, peer: "10.0.0.9:6881", event: "stopped", complete: true, others: 7 }],
    [6, 10, "piece:failed", { torrent: TORRENT, piece: 87, peers: [4] }],
    [7, 1, "slot:granted", { torrent: TORRENT, peer: 9 }],
    [8, 3, "datagram:lost", { ...LOST, reason: "three later segments came first" }],
    [8.5, 3, "datagram:repaired", { ...LOST, by: "asked again", again: 814, cost_ms: 41, cost_bytes: 1500 }],
    [8.6, 3, "datagram:repaired", { ...LOST, by: "late", cost_ms: 0.2, cost_bytes: 0 }],
    [9, 6, "gap", { events: 214, span_ms: 2100 }],
    [10, 3, "link:bytes", { torrent: TORRENT, in: [["10.0.0.9:6881", 5]], out: [], down: 5, up: 0, span_ms: 500 }],
    [11, 3, "piece:requested", { torrent: TORRENT, piece: 240, peers: [5, "10.0.0.9:6881"] }],
  ]);
  const texts = log.happenings.map((position) => sentence(log.events[position], log.context.of(log.events[position])));
  assert.deepEqual(texts.slice(2).filter((text) => !text.startsWith("At ")), [
    "Node 3 waits at node 1, place 2 of 3.",
    "Node 3 moves up at node 1: place 1 of 2.",
    "Node 8 falls silent.",
    "Node 8 reports again after 24.0 s of silence.",
    "Peer a joins the swarm.",
    "Peer a leaves the swarm. 7 more since the last.",
    "Piece 87 from node 4 is wrong at node 10: its SHA-1 differs.",
    "Node 9 gets a slot at node 1.",
    "DATA 812, node 5 to node 3, is lost: three later segments came first.",
    "Node 3 has the bytes of DATA 812 after all, by REQUEST 814 to node 5: 41 ms later than expected, 1,500 bytes sent again.",
    "Node 3 has the bytes of DATA 812 after all, by the first answer of node 5: less than 1 ms later than expected.",
    "Gap of 2.1 s: node 6 dropped 214 events. Figures after the gap are right again.",
    "Node 3 asks node 5 and peer a for piece 240.",
  ]);
});

test("a recording reads back, in parts of any size; a cut or foreign one says where and why", () => {
  const { events } = logOf([KNOWN, [41_194.3, null, "tracker:exit", { node: 3 }]]);
  const text = [...linesOf({ run: "ab" }, events)].join("");
  for (const size of [1, 7, 1000]) {
    const reader = new RecordingReader();
    const found = [];
    for (let at = 0; at < text.length; at += size) found.push(...reader.feed(text.slice(at, at + size)));
    assert.equal(reader.finish().cut, 0);
    assert.deepEqual([found, reader.header.run], [events, "ab"]);
  }
  const reader = new RecordingReader();
  const found = reader.feed(text + '{"time": 50000, "no');
  assert.equal(cutText(reader.finish().cut, found.at(-1).time), "The recording ends in the middle of line 4. It is shown up to 0:41.194.");
  assert.equal(cutText(18_204, 41_194.9), "The recording ends in the middle of line 18,204. It is shown up to 0:41.194.");
  for (const line of ["{}", "PK\x03\x04", "[1]", "null", '{"log": 1}']) {
    assert.throws(() => new RecordingReader().feed(`${line}\n`), /This file is no recording: line 1 has no "log"\./);
  }
  assert.throws(() => new RecordingReader().feed('{"log": "swarm/9"}\n'), /format "swarm\/9"/);
});
