// Computes states for test_same_state.py with the page's own modules. Each line of standard input is a question, each
// line of standard output its answer:
//   {"open": TEXT}          read a recording; {"events": how many}
//   {"seek": ms}            the playhead to a time; the state there
//   {"step": 1 | -1}        the playhead by one event of the story; the state there
//   {"apply": [LINE, ...]}  a new state after these lines, without a playhead: [state, [was line n applied, ...]]
//   {"limits": {NAME: n}}   other limits from now on; the ones before

import { createInterface } from "node:readline";

const page = new URL("../../tracker/web/static/", import.meta.url);
const { EventLog } = await import(new URL("event_log.js", page));
const { checkedEvent, eventOf } = await import(new URL("events.js", page));
const { Player } = await import(new URL("player.js", page));
const { RecordingReader } = await import(new URL("recording.js", page));
const { SwarmState } = await import(new URL("state.js", page));
const { LIMITS } = await import(new URL("vocabulary.js", page));

let player = new Player(new EventLog());

const ANSWERS = {
  open(text) {
    const reader = new RecordingReader();
    const log = new EventLog();
    for (let at = 0; at < text.length; at += 50_000) for (const event of reader.feed(text.slice(at, at + 50_000))) log.add(event);
    const { events, cut } = reader.finish();
    for (const event of events) log.add(event);
    player = new Player(log);
    return { events: log.length, cut, begin: log.begin, end: log.end };
  },
  seek(time) {
    player.seek(time);
    return player.state.asJson();
  },
  step(direction) {
    player.step(direction);
    return { time: player.time, position: player.position, state: player.state.asJson() };
  },
  apply(lines) {
    const state = new SwarmState();
    const applied = lines.map((line) => {
      try {
        const event = checkedEvent(eventOf(JSON.parse(line)));
        return event !== null && state.apply(event);
      } catch {
        return false;
      }
    });
    return [state.asJson(), applied];
  },
  limits(changed) {
    const before = { ...LIMITS };
    Object.assign(LIMITS, changed);
    return before;
  },
};

for await (const line of createInterface({ input: process.stdin })) {
  const [[verb, value]] = Object.entries(JSON.parse(line));
  console.log(JSON.stringify(ANSWERS[verb](value)));
}
