/** Values that move to their new target in 300 ms, linearly. Pure. */

const MOVE_MS = 300;

export class Tweens {
  constructor() {
    /** @type {Map<string, {from: number, to: number, since: number, used: number}>} */
    this.values = new Map();
    this.now = 0;
    this.round = 0;
    this.still = true;
    this.moving = false;
  }

  /** Begin a frame. @param {number} now  ms @param {boolean} still  values jump */
  begin(now, still) {
    this.now = now;
    this.still = still;
    this.round += 1;
    this.moving = false;
  }

  /** The value of `key` in this frame, on its way to `target`. @param {string} key @param {number} target */
  value(key, target) {
    const kept = this.values.get(key);
    if (kept === undefined || this.still) {
      this.values.set(key, { from: target, to: target, since: this.now, used: this.round });
      return target;
    }
    kept.used = this.round;
    if (kept.to !== target) {
      kept.from = this.at(kept);
      kept.to = target;
      kept.since = this.now;
    }
    if (this.now - kept.since < MOVE_MS && kept.from !== kept.to) this.moving = true;
    return this.at(kept);
  }

  /** @param {{from: number, to: number, since: number}} kept */
  at(kept) {
    const part = Math.min(1, Math.max(0, (this.now - kept.since) / MOVE_MS));
    return kept.from + (kept.to - kept.from) * part;
  }

  /** End a frame; values that it did not use are forgotten. @returns {boolean} some are still on their way */
  end() {
    for (const [key, kept] of this.values) if (kept.used !== this.round) this.values.delete(key);
    return this.moving;
  }
}
