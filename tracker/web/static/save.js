/**
 * "Save as one file": this page with the run so far in it, as `python -m labs replay` makes it.
 *
 * The tracker assembles the page without a recording (common/one_page.py); the recording is put into its empty place.
 *
 * @typedef {import("./model.js").Model} Model
 */

import { lineOf, linesOf } from "./recording.js";

const EMPTY_PAGE = "/static/one-file.html";
const PLACE = '<script type="text/plain" id="recording">';

/** Make the file, and let the browser keep it. @param {Model} model */
export async function saveAsOneFile(model) {
  if (model.source.kind !== "tracker") return;
  try {
    const response = await fetch(EMPTY_PAGE);
    if (!response.ok) throw new Error(`the tracker answered ${response.status}`);
    const page = await response.text();
    const at = page.indexOf(PLACE) + PLACE.length; // this script, which names it, too, comes after it
    if (at < PLACE.length) throw new Error("its page has no place for a recording");
    const recording = await zipped(lines(model));
    download(new Blob([page.slice(0, at), recording, page.slice(at)], { type: "text/html" }), fileName(model));
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    model.setSource({ fault: `The page cannot be saved: ${why}.` });
  }
}

/** The run, and the state at its end: the saved page begins there. @param {Model} model */
function* lines({ player }) {
  const { log } = player;
  yield* linesOf(log.header, log.events);
  if (log.broken) return; // a keyframe after a gap says what was missed, and the page cannot know that
  const data = player.stateAtEnd().asJson();
  yield lineOf({ time: log.end, node: null, seq: 1, name: "keyframe", data });
}

/** The lines as gzip, in base64. @param {Iterable<string>} lines */
async function zipped(lines) {
  const text = new Blob([...lines]);
  const stream = text.stream().pipeThrough(new CompressionStream("gzip"));
  const bytes = new Uint8Array(await new Response(stream).arrayBuffer());
  const part = 0x8000; // characters that one call takes
  let characters = "";
  for (let at = 0; at < bytes.length; at += part) characters += String.fromCharCode(...bytes.subarray(at, at + part));
  return btoa(characters);
}

/** "swarm-lecture.bin-20261130-1714.html". @param {Model} model */
function fileName({ state, torrent }) {
  const name = (torrent !== null && state.torrents[torrent]?.name) || "run";
  const now = new Date();
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  const day = `${now.getFullYear()}${two(now.getMonth() + 1)}${two(now.getDate())}`;
  return `swarm-${name.replace(/[^\w.-]+/g, "_").slice(0, 60)}-${day}-${two(now.getHours())}${two(now.getMinutes())}.html`;
}

/** @param {Blob} file @param {string} name */
function download(file, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
