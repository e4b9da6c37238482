// The chart's figures: no bin that still misses reports is drawn, and marks do not run into each other.

import assert from "node:assert/strict";
import test from "node:test";

import { dice, KNOWN, load, logOf, TORRENT } from "./page.mjs";

const { clustered, RateSeries } = await load("rate_series.js");

const bytes = (time, node, count, span = 500) => [time, node, "link:bytes",
  { torrent: TORRENT, in: [[1, count]], out: [], down: 0, up: 0, span_ms: span }];

test("a bin is whole when every node that moves bytes has reported it", () => {
  const rows = [KNOWN];
  for (let time = 500; time <= 10_000; time += 500) {
    rows.push(bytes(time, 2, 1000));
    if (time <= 9000) rows.push(bytes(time + 100, 3, 1000));
  }
  const series = new RateSeries(null, null);
  series.observe(logOf(rows), TORRENT);
  const whole = series.whole(10_000);
  assert.equal(whole, 18, "node 3 has reported until 9.1 s");
  assert.ok(series.rate(series.together, 19) < 2500, "the last bin misses a node's bytes");
  for (let at = 1; at < whole; at += 1) assert.equal(Math.round(series.rate(series.together, at)), 4000);
  assert.equal(series.whole(20_000), 40, "no node moves bytes any more: the rate is 0 until the end");
});

test("marks that would touch are counted, each count has room, and no mark is left out", () => {
  const throws = dice(5);
  const marks = [];
  for (let i = 0; i < 400; i += 1) marks.push({ time: throws(60_000), kind: throws(9) ? "lost" : "bad", count: 1 + throws(3) });
  for (const width of [300, 1200]) {
    const place = (time) => (time / 60_000) * width;
    const found = clustered(marks, place, 29);
    const sum = (list) => list.reduce((all, { count }) => all + count, 0);
    assert.equal(sum(found), sum(marks));
    for (const kind of ["lost", "bad"]) {
      const places = found.filter((mark) => mark.kind === kind);
      places.slice(1).forEach((mark, at) => {
        const apart = place(mark.time) - place(places[at].time);
        assert.ok(apart >= (places[at].count > 1 ? 29 : 12), `${apart} px after ${places[at].count}`);
      });
    }
  }
});
