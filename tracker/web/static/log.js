/**
 * Where the events come from: the tracker that served this page, the recording inside it, or a file that the user
 * opens or drops.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./player.js").Player} Player
 */

import { EventLog } from "./event_log.js";
import { Poller } from "./polling.js";
import { cutText, RecordingError, RecordingReader } from "./recording.js";

const PROGRESS_MS = 200; // between two words about it: each draws a frame
const PAUSE_MS = 30; // between two parts of the work after a recording is shown
const PREPARED = 1500; // events in such a part
const GZIP = [0x1f, 0x8b];
const CUT_GZIP = TypeError; // what a DecompressionStream throws at the end of a cut file

/**
 * Begin to read.
 * @param {Model} model
 * @returns {Poller | null} null: this page is a recording
 */
export function startReading(model) {
  takeFiles(model);
  const embedded = document.getElementById("recording");
  if (embedded !== null) {
    // Drawn first, so that the page says that it reads.
    setTimeout(() => readRecording(model, bytesOf(embedded.textContent ?? ""), ""));
    return null;
  }
  model.setSource({ kind: "tracker", name: location.host });
  const poller = new Poller(model);
  model.poller = poller;
  poller.start();
  return poller;
}

/** @param {string} base64 */
function bytesOf(base64) {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i += 1) bytes[i] = text.charCodeAt(i);
  return new Blob([bytes]);
}

/** Open a file by dropping it onto the page. @param {Model} model */
function takeFiles(model) {
  addEventListener("dragover", (event) => event.preventDefault());
  addEventListener("drop", (event) => {
    event.preventDefault();
    const file = event.dataTransfer?.files[0];
    if (file) openFile(model, file);
  });
}

/** Show a recording instead of what is shown. @param {Model} model @param {File} file */
export function openFile(model, file) {
  return readRecording(model, file, file.name);
}

/**
 * Read a recording, and show it from its end. A file that cannot be read leaves what is shown.
 * @param {Model} model
 * @param {Blob} file
 * @param {string} name  of the file; "": the recording inside the page
 */
async function readRecording(model, file, name) {
  const reader = new RecordingReader(name === "");
  const log = new EventLog();
  let fault = "";
  let said = -Infinity; // ms of the page's clock
  try {
    const cut = await readAll(file, reader, log, (share) => {
      if (performance.now() - said < PROGRESS_MS) return;
      said = performance.now();
      model.setSource({ loading: { done: log.length, total: null, share } });
    });
    fault = cutText(cut, log.end);
  } catch (error) {
    if (!(error instanceof RecordingError)) throw error;
    model.setSource({ loading: null, fault: error.message });
    return;
  }
  log.header = reader.header ?? {};
  model.poller?.stop();
  model.setSource({
    kind: "recording", name: name || log.header.source || "", now: log.end, silentSince: null, keyWanted: false,
    loading: null, newRun: false, fault,
  });
  model.show(log);
  model.follow();
  prepare(model, model.player);
}

/** Keep states for steps back, in the pauses between frames. @param {Model} model @param {Player} player */
function prepare(model, player) {
  setTimeout(() => {
    if (model.receiving === player && player.prepare(PREPARED)) prepare(model, player);
  }, PAUSE_MS);
}

/**
 * All events of a file into `log`. Returns the number of the line in whose middle the file ends, or 0.
 * @param {Blob} file
 * @param {RecordingReader} reader
 * @param {EventLog} log
 * @param {(share: number) => void} progress  called with the share of the bytes that are read
 */
async function readAll(file, reader, log, progress) {
  const start = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  const zipped = GZIP.every((byte, at) => start[at] === byte);
  let read = 0;
  const counted = new TransformStream({
    transform(chunk, controller) {
      read += chunk.length;
      controller.enqueue(chunk);
    },
  });
  const bytes = file.stream().pipeThrough(counted);
  const plain = zipped ? bytes.pipeThrough(new DecompressionStream("gzip")) : bytes;
  const texts = plain.pipeThrough(new TextDecoderStream()).getReader();
  let broken = false;
  try {
    for (;;) {
      const { done, value } = await texts.read();
      if (done) break;
      for (const event of reader.feed(value)) log.add(event, reader.isChecked);
      progress(read / file.size);
    }
  } catch (error) {
    if (!(zipped && error instanceof CUT_GZIP)) throw error;
    broken = true;
  }
  const { events, cut } = reader.finish();
  for (const event of events) log.add(event, reader.isChecked);
  return cut || (broken ? reader.lines + 1 : 0);
}
