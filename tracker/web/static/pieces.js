/**
 * The matrix of nodes and pieces, with the copies of each piece below.
 *
 * @typedef {import("./model.js").Model} Model
 * @typedef {import("./model.js").View} View
 * @typedef {import("./colours.js").Palette} Palette
 * @typedef {import("./picture.js").Picture} Picture
 * @typedef {import("./picture.js").PictureNode} PictureNode
 * @typedef {import("./pieces_plan.js").PiecesPlan} PiecesPlan
 * @typedef {import("./pieces_cells.js").CellColours} CellColours
 * @typedef {import("./state.js").Name} Name
 * @typedef {import("./state.js").Row} Row
 */

import { placeOf, setFont, sheetOf, sizeOf, used, watchSize } from "./canvas.js";
import { palette as currentPalette, reducedMotion } from "./colours.js";
import { canvasIn, element, part, setText } from "./dom.js";
import { picturesOf } from "./picture.js";
import { columnOf, Copies, firstPiece, writeRow } from "./pieces_cells.js";
import { cellColours, paintAxis, paintBad, paintNames, rarestText, writeCopies } from "./pieces_paint.js";
import { middleOf, planPieces, topOf } from "./pieces_plan.js";
import { cellText, pieceTable } from "./pieces_words.js";

const FITS = 1280; // px: from this width on the matrix fits itself to the height of its panel
const TWIN_MS = 2000; // between two versions of a table that does not have the focus

/**
 * @param {HTMLElement} root
 * @param {Model} model
 * @returns {View}
 */
export function makePieces(root, model) {
  const view = new PiecesView(root, model);
  return { draw: (now) => view.draw(now) };
}

class PiecesView {
  /** @param {HTMLElement} root @param {Model} model */
  constructor(root, model) {
    this.root = root;
    this.model = model;
    this.pictures = picturesOf(model);
    this.canvas = canvasIn(root);
    this.box = part(root, "picture");
    this.cells = new ImageData(1, 1);
    this.bars = new ImageData(1, 1); // of the copies
    /** @type {{row: Row | null, version: number, look: string, letters: Uint8Array | null}[]} what `cells` shows */
    this.drawn = [];
    this.planKey = "";
    this.fits = true;
    /** @type {PiecesPlan | null} */
    this.plan = null;
    this.copies = new Copies(0);
    this.summary = part(root, "summary");
    /** Colours of rows, by how the node stands. @type {Map<string, CellColours>} */
    this.colours = new Map();
    /** @type {Palette | null} of `colours` */
    this.coloursOf = null;
    /** @type {PictureNode[]} */
    this.nodes = [];
    /** @type {{row: number, column: number} | null} */
    this.hover = null;
    /** @type {{row: number, column: number} | null} */
    this.cursor = null;
    this.twin = part(root, "twin");
    this.twinFilled = -Infinity; // ms of the page's clock
    this.listen();
  }

  listen() {
    const { canvas } = this;
    canvas.addEventListener("pointermove", (event) => this.point(this.at(event)));
    canvas.addEventListener("pointerleave", () => this.point(null));
    canvas.addEventListener("click", (event) => this.choose(this.at(event)));
    canvas.addEventListener("keydown", (event) => this.key(event));
    for (const box of [canvas, this.box]) watchSize(box, () => this.model.mark("size"));
    for (const name of ["focus", "blur"]) canvas.addEventListener(name, () => this.model.mark("selection"));
  }

  /** The cell under the pointer. Row -1: a name above all; the row after the last: the copies. @param {MouseEvent} event */
  at(event) {
    const { plan } = this;
    if (plan === null) return null;
    const { x, y } = placeOf(event, this.canvas);
    const column = Math.floor(((x - plan.left) * plan.ratio) / plan.grid.cell);
    const row = Math.min(plan.rows, Math.floor((y - plan.top) / plan.pitch));
    if (row < 0 || column >= plan.grid.columns) return null;
    return { row, column: column < 0 ? -1 : column };
  }

  /** @param {{row: number, column: number} | null} cell */
  point(cell) {
    this.hover = cell;
    this.say();
  }

  /** @param {{row: number, column: number} | null} cell */
  choose(cell) {
    if (cell === null || this.plan === null) return;
    const node = this.nodes[cell.row]?.id;
    const piece = cell.column < 0 ? undefined : firstPiece(cell.column, this.plan.grid);
    this.model.select({ ...(node === undefined ? {} : { node }), ...(piece === undefined ? {} : { piece }) });
  }

  /** @param {KeyboardEvent} event */
  key(event) {
    const { plan } = this;
    if (plan === null || event.ctrlKey || event.altKey || event.metaKey || event.shiftKey) return;
    const steps = /** @type {Record<string, [number, number]>} */ ({
      ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0],
    });
    if (event.key in steps) {
      const [rows, columns] = steps[event.key];
      const from = this.cursor ?? this.selectedCell(plan);
      const within = (/** @type {number} */ value, /** @type {number} */ count) => Math.max(0, Math.min(count - 1, value));
      this.cursor = {
        row: within(from.row + (this.cursor ? rows : 0), plan.rows),
        column: within(from.column + (this.cursor ? columns : 0), plan.grid.columns),
      };
      this.model.mark("selection");
      used(event);
    } else if (event.key === "Enter" && this.cursor) {
      this.choose(this.cursor);
      used(event);
    }
  }

  /** @param {PiecesPlan} plan */
  selectedCell(plan) {
    const { node, piece } = this.model.selected;
    return {
      row: Math.max(0, this.nodes.findIndex((each) => each.id === node)),
      column: piece === null ? 0 : columnOf(Math.min(piece, plan.grid.pieces - 1), plan.grid),
    };
  }

  /** @param {number} now */
  draw(now) {
    const { changed } = this.model;
    const concerns = ["state", "time", "selection", "log", "size", "theme"];
    if (changed.size > 0 && !concerns.some((name) => changed.has(/** @type {any} */ (name)))) return false;
    const picture = this.pictures.now;
    this.nodes = picture.nodes.filter((node) => node.place === "standard" || (node.row !== null && node.row.pieces.length > 0));
    const empty = picture.pieces === 0 || this.nodes.length === 0;
    this.box.classList.toggle("empty", empty);
    if (empty) this.plan = null;
    else this.paint(picture, now);
    this.say();
    if (changed.has("state") || changed.has("selection")) this.fillTwin(picture);
    return this.outlined(now);
  }

  /** A step's outline is still to be taken away. @param {number} now */
  outlined(now) {
    const { outline } = this.model;
    return outline.event !== null && now < outline.until && !reducedMotion();
  }

  /** @param {Picture} picture @param {number} now */
  paint(picture, now) {
    const palette = currentPalette();
    const plan = this.planFor(picture, palette);
    const sheet = sheetOf(this.canvas);
    if (this.updateCells(plan, palette)) {
      const rows = this.nodes.filter((node) => node.status === "here" && node.row !== null).map((node) => /** @type {Row} */ (node.row).pieces);
      this.copies.count(rows);
      writeCopies(this.bars, this.copies, plan, palette);
    }
    const { ink } = sheet;
    const chosen = this.nodes.findIndex((node) => node.id === this.model.selected.node);
    ink.putImageData(this.cells, Math.round(plan.left * plan.ratio), Math.round(plan.top * plan.ratio));
    ink.putImageData(this.bars, Math.round(plan.left * plan.ratio), Math.round(plan.copiesTop * plan.ratio));
    this.nodes.forEach((node, row) => {
      if (node.row === null) hatch(ink, plan, row, palette.data);
    });
    paintNames(ink, this.nodes, chosen, plan, palette);
    this.paintCopiesText(ink, plan, palette);
    this.paintSelection(ink, plan, palette);
    this.nodes.forEach((node, row) => paintBad(ink, node, row, plan, palette));
    paintAxis(sheet, this.copies, rarestText(this.copies, this.nodes), this.model.selected.piece, plan, palette);
    this.paintOutline(ink, plan, palette, now);
  }

  /** @param {Picture} picture @param {Palette} palette @returns {PiecesPlan} */
  planFor(picture, palette) {
    const { width, height } = sizeOf(this.box);
    const ratio = Math.min(4, window.devicePixelRatio || 1);
    const key = [width, innerWidth, ratio, palette.label, picture.pieces, picture.torrent, this.nodes.length].join(" ");
    if (this.plan === null || key !== this.planKey || (this.fits && height !== this.plan.room)) {
      this.fits = innerWidth >= FITS;
      this.plan = planPieces(this.nodes.length, picture.pieces, width, this.fits ? height : 0, ratio, palette);
      this.planKey = key;
      this.drawn = [];
      this.copies = new Copies(picture.pieces);
      const wide = this.plan.grid.columns * this.plan.grid.cell;
      this.cells = new ImageData(wide, Math.ceil(this.plan.rows * this.plan.pitch * ratio));
      this.bars = new ImageData(wide, Math.round(this.plan.copies * ratio));
      this.box.style.height = this.fits && this.plan.height <= height ? "" : `${Math.ceil(this.plan.height)}px`;
    }
    return this.plan;
  }

  /** Write the rows that changed. @param {PiecesPlan} plan @param {Palette} palette @returns {boolean} there are some */
  updateCells(plan, palette) {
    if (palette !== this.coloursOf) {
      this.coloursOf = palette;
      this.colours.clear();
      this.drawn = [];
    }
    let any = this.drawn.length !== this.nodes.length;
    this.nodes.forEach((node, at) => {
      const chosen = node.id === this.model.selected.node;
      const look = `${node.id} ${node.status} ${chosen}`;
      const version = node.row?.version ?? 0;
      const kept = this.drawn[at];
      if (kept !== undefined && kept.look === look && kept.row === node.row && kept.version === version) return;
      any = true;
      const shown = kept !== undefined && kept.look === look ? kept.letters : null;
      const top = Math.round(at * plan.pitch * plan.ratio) * this.cells.width;
      const size = this.cells.width * plan.grid.bar;
      const pixels = new Uint32Array(this.cells.data.buffer, top * 4, size);
      const colours = this.coloursFor(palette, chosen, node.status !== "here");
      if (node.row === null) pixels.fill(colours.missing);
      else writeRow(pixels, node.row.pieces, plan.grid, colours, shown);
      this.drawn[at] = { row: node.row, version, look, letters: node.row && copied(node.row.pieces, shown) };
    });
    this.drawn.length = this.nodes.length;
    return any;
  }

  /** @param {Palette} palette @param {boolean} chosen @param {boolean} away */
  coloursFor(palette, chosen, away) {
    const key = `${chosen} ${away}`;
    let found = this.colours.get(key);
    if (found === undefined) this.colours.set(key, (found = cellColours(palette, chosen, away)));
    return found;
  }

  /** @param {CanvasRenderingContext2D} ink @param {PiecesPlan} plan @param {Palette} palette */
  paintCopiesText(ink, plan, palette) {
    if (!plan.counts) return;
    const base = plan.copiesTop + plan.copies / 2 + palette.label * 0.36;
    setFont(ink, palette.label);
    ink.fillStyle = palette.ink2;
    ink.textAlign = "right";
    ink.fillText("copies", plan.left - (palette.label >= 16 ? 16 : 12), base);
    ink.textAlign = "left";
    const { least, most } = this.copies;
    ink.fillText(least === most ? String(most) : `${least} to ${most}`, plan.counts, base);
  }

  /** The hairline of the selected piece. @param {CanvasRenderingContext2D} ink @param {PiecesPlan} plan @param {Palette} palette */
  paintSelection(ink, plan, palette) {
    const { piece } = this.model.selected;
    if (piece === null || piece >= plan.grid.pieces) return;
    const width = palette.label >= 16 ? 2 : 1;
    ink.fillStyle = palette.accent;
    ink.fillRect(Math.round(middleOf(plan, columnOf(piece, plan.grid)) - width / 2), 0, width, plan.copiesTop + plan.copies);
  }

  /** The keyboard's cell, and the cell that a step changed. @param {CanvasRenderingContext2D} ink @param {PiecesPlan} plan @param {Palette} palette @param {number} now */
  paintOutline(ink, plan, palette, now) {
    const { event } = this.model.outline;
    if (event !== null && typeof event.data.piece === "number" && (this.outlined(now) || reducedMotion())) {
      const row = this.nodes.findIndex((node) => node.id === event.node);
      if (row >= 0) frame(ink, plan, row, columnOf(event.data.piece, plan.grid), palette.ink);
    }
    if (this.cursor && document.activeElement === this.canvas) frame(ink, plan, this.cursor.row, this.cursor.column, palette.accent);
  }

  // ---- in words

  say() {
    const cell = this.hover ?? (document.activeElement === this.canvas ? this.cursor : null);
    const named = cell && this.plan ? cellText(cell, this.plan.grid, this.nodes, this.copies) : "";
    setText(this.summary, named || this.total());
  }

  total() {
    const nodes = this.nodes.filter((node) => node.status !== "gone" && node.row !== null);
    const pieces = this.plan?.grid.pieces ?? 0;
    if (nodes.length === 0 || pieces === 0) return this.nodes.length ? "no node is here" : "none yet";
    const verified = nodes.reduce((sum, node) => sum + node.verified, 0);
    const share = (verified / (nodes.length * pieces)) * 100;
    return `${share === 100 ? "100" : Math.min(99.9, share).toFixed(1)} % of all copies verified`;
  }

  /** @param {Picture} picture */
  fillTwin(picture) {
    const now = performance.now();
    if (now - this.twinFilled < TWIN_MS && document.activeElement !== this.twin) return;
    this.twinFilled = now;
    const node = picture.byName.get(this.model.selected.node ?? "") ?? this.nodes[0];
    this.twin.replaceChildren(node ? pieceTable(node, this.copies) : element("p", { text: "No pieces yet." }));
  }
}

/** A copy, in `place` if it fits. @param {Uint8Array} letters @param {Uint8Array | null} place */
function copied(letters, place) {
  if (place === null || place.length !== letters.length) return letters.slice();
  place.set(letters);
  return place;
}

/** Pieces that are not known one by one. @param {CanvasRenderingContext2D} ink @param {PiecesPlan} plan @param {number} row @param {string} colour */
function hatch(ink, plan, row, colour) {
  const top = topOf(plan, row);
  ink.save();
  ink.beginPath();
  ink.rect(plan.left, top, plan.width, plan.bar);
  ink.clip();
  ink.strokeStyle = colour;
  ink.globalAlpha = 0.5;
  ink.lineWidth = 1;
  ink.beginPath();
  for (let x = plan.left - plan.bar; x < plan.left + plan.width; x += 6) {
    ink.moveTo(x, top + plan.bar);
    ink.lineTo(x + plan.bar, top);
  }
  ink.stroke();
  ink.restore();
}

/** @param {CanvasRenderingContext2D} ink @param {PiecesPlan} plan @param {number} row @param {number} column @param {string} colour */
function frame(ink, plan, row, column, colour) {
  const wide = Math.max(8, plan.grid.cell / plan.ratio + 4);
  ink.strokeStyle = colour;
  ink.lineWidth = 2;
  ink.strokeRect(middleOf(plan, column) - wide / 2, topOf(plan, row) - 2, wide, plan.bar + 4);
}
