/** @typedef {import("./model.js").Model} Model */
/** @typedef {import("./model.js").View} View */

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makeSwarm(root, model) {
  return { draw() {} };
}
