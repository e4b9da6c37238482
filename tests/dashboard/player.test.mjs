// The playhead: any way to a place gives the same state, a step obeys the filters, time and events pace it.

import assert from "node:assert/strict";
import test from "node:test";

import { dice, KNOWN, load, logOf, TORRENT } from "./page.mjs";

const { Model } = await load("model.js");
const { Player } = await load("player.js");
const { RateSeries } = await load("rate_series.js");
const { SwarmState } = await load("state.js");

/** Three nodes that fetch: `count` events about pieces, 10 ms apart, each third one a measurement. */
function crowd(count) {
  const throws = dice(7);
  const rows = [KNOWN];
  for (let i = 0; i < count; i += 1) {
    const [node, piece] = [1 + throws(3), throws(1000)];
    const at = 10 * (i + 1);
    if (i % 3 === 2) rows.push([at, node, "link:bytes", { torrent: TORRENT, in: [[9, i]], out: [], down: i, up: 0, span_ms: 10 }]);
    else if (throws(2)) rows.push([at, node, "piece:requested", { torrent: TORRENT, piece, peers: [9] }]);
    else rows.push([at, node, "piece:verified", { torrent: TORRENT, piece, peers: [9] }]);
  }
  return logOf(rows);
}

test("jumps and steps in any order give the state that the events give from the beginning", () => {
  const log = crowd(6000); // more than one keyframe, and one near a step back
  const player = new Player(log);
  const throws = dice(11);
  for (let i = 0; i < 40; i += 1) {
    if (throws(3) === 0) player.step(throws(2) ? 1 : -1);
    else if (throws(2)) player.goTo(throws(log.length + 1));
    else player.seek(throws(61_000));
    const fresh = new SwarmState();
    for (const event of log.events.slice(0, player.position)) fresh.apply(event);
    assert.deepEqual(player.state.asJson(), fresh.asJson());
  }
});

test("a log that knows its end begins there, and keeps the states for steps back afterwards", () => {
  const log = crowd(6000);
  const end = new SwarmState();
  for (const event of log.events) end.apply(event);
  const keyframe = { time: log.end, node: null, seq: 1, name: "keyframe", data: end.asJson() };
  log.add(keyframe);
  assert.equal(log.known.state, null, "a keyframe is trusted only in the page's own recording");
  log.add(keyframe, true);
  const player = new Player(log);
  player.goTo(log.length);
  assert.deepEqual(player.state.asJson(), end.asJson());
  const applied = [];
  const { apply } = SwarmState.prototype;
  SwarmState.prototype.apply = function (event) {
    applied.push(event);
    return apply.call(this, event);
  };
  let parts = 1;
  while (player.prepare(700)) parts += 1;
  assert.deepEqual([parts, applied.length], [9, log.length]);
  player.goTo(5000);
  SwarmState.prototype.apply = apply;
  assert.ok(applied.length < log.length + 500, "a step back begins at a state nearby");
  const fresh = new SwarmState();
  for (const event of log.events.slice(0, 5000)) fresh.apply(event);
  assert.deepEqual(player.state.asJson(), fresh.asJson());
});

test("a step goes to the node's next event, passes over measurements, and comes back the same way", () => {
  const player = new Player(crowd(300));
  player.setFilters({ node: 2 });
  const there = [];
  while (player.step(1)) there.push(player.position);
  assert.ok(there.length > 20);
  for (const position of there) {
    const event = player.log.events[position - 1];
    assert.equal(event.node, 2);
    assert.notEqual(event.name, "link:bytes");
  }
  const back = [player.position];
  while (player.step(-1)) back.unshift(player.position);
  assert.equal(back[0], there[0] - 1, "before the first one: nothing of it is applied");
  assert.deepEqual(back.slice(1), there);
});

test("filters and the count of events cover what a growing log brings", () => {
  const player = new Player(logOf([KNOWN]));
  player.setFilters({ kind: "faults", text: "silent" });
  assert.deepEqual(player.sequence(), []);
  const silent = { time: 9, node: null, seq: 1, name: "node:silent", data: { node: 5, silent_ms: 7800, removed: false } };
  player.log.add(silent);
  player.log.add({ ...silent, name: "clock", data: { node: 5, offset_ms: 0, bound_ms: 1 } });
  assert.deepEqual(player.sequence(), [1]);
  player.goTo(2);
  assert.deepEqual([player.log.happeningsBefore(2), player.log.happenings.length], [2, 2]);
});

test("time runs at its speed, also when times step back; events come at theirs; both end at the end", () => {
  const rows = [KNOWN];
  for (const at of [1000, 2000, 1500, 3000]) rows.push([at, 1, "torrent:state", { torrent: TORRENT, state: "paused", reason: "" }]);
  const player = new Player(logOf(rows));
  player.goTo(1);
  Object.assign(player, { playing: true, timeSpeed: 2 });
  player.advance(750);
  assert.deepEqual([player.time, player.position, player.playing], [1500, 2, true]);
  player.advance(500);
  assert.deepEqual([player.time, player.position], [2500, 4], "an event that came late is applied in its place");
  player.advance(5000);
  assert.deepEqual([player.time, player.position, player.playing], [3000, 5, false]);

  player.goTo(0);
  Object.assign(player, { playing: true, pace: "event", eventSpeed: 2 });
  player.advance(400);
  assert.equal(player.position, 0);
  player.advance(100);
  assert.equal(player.position, 1);
  player.advance(5000);
  assert.deepEqual([player.position, player.playing], [5, false]);
});

test("a log that has become too long goes on from its middle with the same state", () => {
  const log = crowd(900);
  const [whole, half] = [new Player(log), new Player(log)];
  half.goTo(450);
  const rest = new Player(log.from(450, half.state.asJson()));
  for (const position of [450, 600, log.length]) {
    whole.goTo(position);
    rest.goTo(position - 449);
    assert.deepEqual(rest.state.asJson(), whole.state.asJson());
    assert.equal(rest.time, whole.time);
  }
});

test("a silent node's upload limit counts again when the node is heard, even if it has nothing to report", () => {
  const rest = { addr: null, tcp_addr: null, down_limit: null, slots: null, transports: ["udp"], program: "test" };
  const started = (node) => [node, node, "node:started", { ...rest, up_limit: 1000 }];
  const log = logOf([
    started(1),
    started(2),
    [10, null, "node:silent", { node: 2, silent_ms: 3000, removed: false }],
    [20, null, "clock", { node: 2, offset_ms: 0, bound_ms: 1 }],
  ]);
  const series = new RateSeries(null, null);
  series.observe(log, TORRENT);
  assert.deepEqual(series.capacity.map(([, sum]) => sum), [1000, 2000, 1000, 2000]);
});

test("the file shown is the one that most nodes use, until another one is chosen", () => {
  const other = "0123456789ab";
  const uses = (at, node, torrent, state) => [at, node, "torrent:state", { torrent, state, reason: "" }];
  const model = new Model();
  model.player = new Player(logOf([
    KNOWN, [1, 1, "torrent:known", { ...KNOWN[3], torrent: other, info_hash: other.repeat(4).slice(0, 40), name: "g.bin" }],
    uses(2, 1, TORRENT, "seeding"), uses(3, 1, other, "seeding"), uses(4, 2, other, "downloading"), [5, 2, "node:left", {}],
    uses(6, 1, TORRENT, "stopped"),
  ]));
  const shownAt = (position) => {
    model.player.goTo(position);
    return model.torrent;
  };
  assert.deepEqual([0, 2, 3, 4, 5, 6, 7].map(shownAt), [null, TORRENT, TORRENT, TORRENT, other, TORRENT, other]);
  model.select({ torrent: TORRENT });
  assert.equal(shownAt(5), TORRENT);
});
