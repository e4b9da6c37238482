/**
 * The fields of a message in words, and where its bytes are explained.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./exchange.js").Message} Message
 */

import { element } from "./dom.js";
import { grouped, listed } from "./figures.js";
import { sentence } from "./words.js";

const DOCUMENT = "docs/protocol.md";
/** Headings of the document, by the message's name. @type {Record<string, string>} */
const HEADINGS = {
  ASK: "### ASK:", TOKEN: "### TOKEN:", TELL: "### TELL:", REFUSE: "### REFUSE:", METADATA: "### METADATA:",
  REQUEST: "### REQUEST:", DATA: "### DATA:", handshake: "## The handshake", extended: "## The extension protocol",
};
const PEER_WIRE = /^[a-z][a-z_ ]*$/;
const HIDDEN = new Set(["sequence", "torrent", "peer", "message", "node", "reason", "peers", "answer", "others"]);

/**
 * A paragraph or two: the fields; of an event of the log its sentence, and how to see the messages themselves.
 * @param {Message} message
 * @param {Model} model
 */
export function fieldsLines(message, model) {
  if (message.dumped) {
    const text = `${message.label}${fieldsText(message.fields, model)}. `;
    return [element("p", { class: "dim" }, text, linkOf(message.name, model))];
  }
  const event = model.log.events[message.position];
  const said = element("p", { class: "dim", text: sentence(event, model.log.context.of(event)) });
  const { node } = event;
  if (node === null || model.state.nodes[node]?.dumped) return [said];
  const code = element("code", { text: "torrent -dump" });
  return [said, element("p", { class: "dim" }, `Node ${node} has dumped no messages. At its prompt: `, code)];
}

/** ": offset 31,977,024, length 1,400". @param {Record<string, any>} fields @param {Model} model */
function fieldsText(fields, model) {
  const parts = Object.entries(fields).filter(([name]) => !HIDDEN.has(name)).map(([name, value]) => {
    const words = name.replaceAll("_", " ");
    return value === true ? words : `${words} ${valueText(value, model)}`;
  });
  return parts.length ? `: ${parts.join(", ")}` : "";
}

/** @param {any} value @param {Model} model @returns {string} */
function valueText(value, model) {
  if (typeof value === "number") return Number.isInteger(value) ? grouped(value) : String(value);
  if (Array.isArray(value)) return listed(value.map((each) => (typeof each === "object" ? JSON.stringify(each) : model.log.context.nameText(each))));
  return String(value);
}

/** A link to the bytes' description; in a file from a disk, where it is. @param {string} name @param {Model} model */
function linkOf(name, { source }) {
  const heading = HEADINGS[name] ?? (PEER_WIRE.test(name) ? "## The messages" : null);
  if (heading === null) return null;
  if (source.kind !== "tracker") return `Byte by byte: ${DOCUMENT}, "${heading.replace(/^#+ |:$/g, "")}".`;
  const href = `/${DOCUMENT}#:~:text=${encodeURIComponent(heading).replaceAll("-", "%2D")}`;
  return element("a", { href, target: "_blank", rel: "noopener", text: "Byte by byte" });
}
