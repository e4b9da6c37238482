/** @typedef {import("./model.js").Model} Model */

/** @param {Model} model */
export function startReading(model) {
  model.mark("source");
}
