/**
 * The top bar: which file and which tracker is shown, how exact the clocks are, live or paused.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 */

import { setText } from "./dom.js";
import { binaryText, clockText, plural, secondsText, sizeText } from "./figures.js";

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeTop(root, model) {
  const parts = {
    name: text(root, "#file-name"),
    facts: text(root, "#file-facts"),
    tracker: text(root, "#tracker-name"),
    bound: text(root, "#clock-bound"),
    mode: text(root, "#mode"),
    behind: text(root, "#behind"),
  };
  const drawTorrents = makeTorrents(root, parts.name, model);
  return {
    draw() {
      drawTorrents();
      setText(parts.facts, factsText(model));
      setText(parts.tracker, sourceText(model));
      setText(parts.bound, boundText(model));
      const [mode, behind] = modeTexts(model);
      setText(parts.mode, mode);
      setText(parts.behind, behind);
      document.title = `Swarm: ${parts.name.textContent || "no file yet"}`;
    },
  };
}

/** @param {ParentNode} root @param {string} selector */
function text(root, selector) {
  const found = root.querySelector(selector);
  if (!(found instanceof HTMLElement)) throw new Error(`the top bar has no ${selector}`);
  return found;
}

/**
 * The file's name; where the log has several, a choice.
 * @param {HTMLElement} root
 * @param {HTMLElement} name
 * @param {Model} model
 */
function makeTorrents(root, name, model) {
  const choice = root.querySelector("select");
  if (choice === null) throw new Error("the top bar has no choice of torrents");
  let shown = "";
  choice.addEventListener("change", () => model.select({ torrent: choice.value, piece: null }));
  return () => {
    const torrents = Object.entries(model.state.torrents);
    const key = JSON.stringify(torrents.map(([torrent, { name: each }]) => [torrent, each]));
    if (key !== shown) choice.replaceChildren(...torrents.map(([torrent, each]) => new Option(each.name, torrent)));
    shown = key;
    choice.hidden = torrents.length < 2;
    name.hidden = torrents.length > 1;
    if (model.torrent !== null) choice.value = model.torrent;
    setText(name, (model.torrent !== null && model.state.torrents[model.torrent]?.name) || "");
  };
}

/** "78.6 MB, 300 pieces of 256 KiB". @param {Model} model */
function factsText(model) {
  const torrent = model.torrent === null ? undefined : model.state.torrents[model.torrent];
  if (torrent === undefined || torrent.size === null) return "";
  const { size, pieces, piece_length } = torrent;
  const parts = pieces === null || piece_length === null ? "" : `, ${plural(pieces, "piece")} of ${binaryText(piece_length)}`;
  return sizeText(size) + parts;
}

/** @param {Model} model */
function sourceText({ source, log, showsBefore }) {
  if (source.kind === "recording") return source.name ? `recording ${source.name}` : "recording";
  if (source.kind === "none") return "";
  const several = /, (.*)$/.exec(log.header.source ?? "")?.[1];
  return `tracker ${source.name}${several ? `, ${several}` : ""}${showsBefore ? ", the run before" : ""}`;
}

/** "clocks ± 0.4 ms": the largest bound of all nodes that are here. @param {Model} model */
function boundText({ state }) {
  const bounds = Object.values(state.nodes).flatMap(({ clock, state: here }) =>
    clock !== null && here !== "left" ? [clock.bound_ms] : [],
  );
  return bounds.length ? `clocks ± ${Math.max(...bounds).toFixed(1)} ms` : "";
}

/** "Paused", "6.2 s behind live". @param {Model} model @returns {[string, string]} */
function modeTexts(model) {
  const { source, player, log } = model;
  if (source.kind === "recording") {
    return [player.playing ? "Replay" : "Paused", `recording of ${clockText(log.end - log.begin)}`];
  }
  if (source.keyWanted || (source.kind === "tracker" && log.length === 0)) return ["", ""];
  if (model.live) return source.silentSince === null ? ["Live", ""] : ["Stopped", ""];
  const behind = Math.max(0, source.now - model.time);
  return [player.playing ? "Replay" : "Paused", model.showsBefore ? "" : `${secondsText(behind)} behind live`];
}
