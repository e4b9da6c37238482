/**
 * A list of which only the rows near the visible part are in the page. Rows may have any height: those that are not
 * in the page count with the average of those that were.
 *
 * @typedef {object} Rows
 * @property {() => number} count
 * @property {(index: number) => HTMLElement} make  the element of a row
 */

import { element } from "./dom.js";

const EXTRA = 20; // rows beyond each end of the visible part
const FIRST_GUESS = 24; // px, the height of a row
const HAND_MS = 1000; // a scroll so soon after a wheel, a touch or a key is the user's

export class VirtualList {
  /** @param {HTMLElement} list  scrolls; its children are the rows @param {Rows} rows */
  constructor(list, rows) {
    this.list = list;
    this.rows = rows;
    this.first = 0; // index of the first row in the page
    this.end = 0; // index behind the last one
    this.height = FIRST_GUESS; // px of a row, on average
    /** The user scrolled away, so the list does not follow. */
    this.loose = false;
    this.expected = -1; // scrollTop that this code has set
    this.above = element("li", { role: "presentation", class: "room" });
    this.below = element("li", { role: "presentation", class: "room" });
    list.replaceChildren(this.above, this.below);
    this.touched = -HAND_MS; // ms of the page's clock
    for (const name of ["wheel", "touchmove", "pointerdown", "keydown"]) {
      list.addEventListener(name, () => (this.touched = performance.now()), { passive: true });
    }
    list.addEventListener("scroll", () => this.onScroll(), { passive: true });
  }

  onScroll() {
    // Rows that come or go move the list, too.
    const byHand = performance.now() - this.touched < HAND_MS;
    if (byHand && Math.abs(this.list.scrollTop - this.expected) > 1) this.loose = true;
    const top = this.indexAt(this.list.scrollTop);
    const bottom = this.indexAt(this.list.scrollTop + this.list.clientHeight);
    const reachesTop = top >= this.first + 2 || this.first === 0;
    const reachesEnd = bottom <= this.end - 2 || this.end === this.rows.count();
    if (!reachesTop || !reachesEnd) this.show(Math.floor((top + bottom) / 2), false);
  }

  /** Index of the row in the middle of the visible part. */
  centre() {
    return this.indexAt(this.list.scrollTop + this.list.clientHeight / 2);
  }

  /** Index of the row at a place, in px from the top of the list. @param {number} y */
  indexAt(y) {
    const begin = this.above.offsetHeight;
    if (y < begin) return Math.floor(y / this.height);
    let index = this.first;
    for (let row = this.above.nextElementSibling; row instanceof HTMLElement && row !== this.below; index += 1) {
      if (y < row.offsetTop + row.offsetHeight - this.above.offsetTop) return index;
      row = row.nextElementSibling;
    }
    return Math.min(this.rows.count(), this.end + Math.floor((y - this.bottom()) / this.height));
  }

  /** px from the top of the list to the end of the rows in the page. */
  bottom() {
    return this.below.offsetTop - this.above.offsetTop;
  }

  /** The element of a row, or null if it is not in the page. @param {number} index */
  row(index) {
    if (index < this.first || index >= this.end) return null;
    return /** @type {HTMLElement} */ (this.list.children[index - this.first + 1]);
  }

  /**
   * Put the rows around an index into the page.
   * @param {number} index
   * @param {boolean} follow  scroll so that the row is seen, and rows after it
   */
  show(index, follow) {
    const { list, rows } = this;
    const count = rows.count();
    const visible = Math.ceil(list.clientHeight / this.height) || 1;
    const centre = Math.max(0, Math.min(count - 1, index));
    const first = Math.max(0, centre - visible - EXTRA);
    const end = Math.min(count, centre + visible + EXTRA);
    const anchor = this.row(centre);
    const before = anchor === null ? null : anchor.offsetTop - list.scrollTop;
    const made = [];
    for (let at = first; at < end; at += 1) made.push(rows.make(at));
    this.first = first;
    this.end = end;
    list.replaceChildren(this.above, ...made, this.below);
    this.measure(made);
    this.above.style.height = `${Math.round(first * this.height)}px`;
    this.below.style.height = `${Math.round((count - end) * this.height)}px`;
    if (follow) this.reveal(centre);
    else if (before !== null) this.scrollTo((this.row(centre)?.offsetTop ?? 0) - before);
  }

  /** @param {HTMLElement[]} made */
  measure(made) {
    if (made.length === 0) return;
    const height = this.below.offsetTop - made[0].offsetTop;
    if (height > 0) this.height = height / made.length;
  }

  /** Scroll so that a row stands at two thirds of the height. @param {number} index */
  reveal(index) {
    const row = this.row(index);
    if (row === null) return;
    const top = row.offsetTop - this.above.offsetTop;
    this.scrollTo(top - Math.max(0, this.list.clientHeight * 0.68 - row.offsetHeight));
  }

  /** @param {number} top */
  scrollTo(top) {
    this.list.scrollTop = Math.max(0, Math.round(top));
    this.expected = this.list.scrollTop;
  }
}
