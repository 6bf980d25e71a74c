// A grid of cells of one size, of which only those near the view exist.
// Keys as in https://www.w3.org/WAI/ARIA/apg/patterns/grid/

// In CSS pixels.
const LEAST_WIDTH = 172; // of a cell
const LEAST_WIDTH_ON_PHONES = 140; // so that two are beside each other
const PHONE = 500;
const GAP = 12;
const CAPTION = 56; // below the square picture of a cell
const ROWS_AROUND = 3; // that exist above and below the view

class Grid {
  #grid;
  #canvas;
  #entries = [];
  #rows = new Map(); // row → its element
  #columns = 1;
  #room = 0; // the width for all columns
  #rowHeight = 1; // with the gap below
  #active = 0; // the position that has the focus, or gets it
  #anchor = null; // where the range begins that Shift extends
  #selection;
  #scale;
  #onOpen;

  constructor(grid, { selection, scale, onOpen }) {
    this.#grid = grid;
    this.#canvas = grid.firstElementChild;
    this.#selection = selection;
    this.#scale = scale;
    this.#onOpen = onOpen;
    grid.addEventListener("scroll", () => this.#fill(), { passive: true });
    grid.addEventListener("keydown", (event) => this.#onKey(event));
    grid.addEventListener("click", (event) => this.#onClick(event));
    grid.addEventListener("focusin", (event) => this.#onFocus(event));
    grid.addEventListener("mousedown", (event) => {
      if (event.shiftKey) event.preventDefault(); // no text is marked while a range is chosen
    });
    new ResizeObserver(() => this.#onResize()).observe(grid);
  }

  /** Show these entries; the one that was active stays so if it is among them. */
  show(entries) {
    const active = this.#entries[this.#active];
    const hadFocus = this.#hasFocus();
    this.#entries = entries;
    this.#active = Math.max(0, active ? entries.indexOf(active) : 0);
    this.#anchor = null;
    this.#grid.hidden = entries.length === 0;
    this.#grid.scrollTop = 0;
    this.#lay();
    if (this.#active > 0) this.#reveal(this.#active);
    if (hadFocus) this.focus();
  }

  /** Give the focus to the cell at a position, or to the active one. */
  focus(position = this.#active) {
    if (!this.#entries.length) return;
    this.#activate(position);
    this.#reveal(position);
    this.#cellAt(position)?.focus({ preventScroll: true });
  }

  /** Bring an entry's cell into view, as the one that gets the focus. */
  activate(entry) {
    const position = this.#entries.indexOf(entry);
    if (position < 0) return;
    this.#activate(position);
    this.#reveal(position);
  }

  /** Show what is selected now. */
  showSelection() {
    for (const [row, element] of this.#rows) {
      for (const [column, cell] of [...element.children].entries()) {
        this.#mark(cell, this.#entries[row * this.#columns + column]);
      }
    }
  }

  get #rowCount() {
    return Math.ceil(this.#entries.length / this.#columns);
  }

  #hasFocus() {
    return this.#grid.contains(document.activeElement);
  }

  /** Another width moves every cell: the first one in view stays there, and the one with the focus keeps it. */
  #onResize() {
    if (this.#canvas.clientWidth === this.#room) {
      this.#fill();
      return;
    }
    const hadFocus = this.#hasFocus();
    const first = Math.floor(this.#grid.scrollTop / this.#rowHeight) * this.#columns;
    this.#lay();
    this.#grid.scrollTop = Math.floor(first / this.#columns) * this.#rowHeight;
    this.#fill();
    if (hadFocus) this.focus();
  }

  /** Make all rows anew, of as many columns as there is room for. */
  #lay() {
    const room = this.#canvas.clientWidth;
    if (this.#grid.hidden || !room) return;
    const least = room < PHONE ? LEAST_WIDTH_ON_PHONES : LEAST_WIDTH;
    const columns = Math.max(1, Math.floor((room + GAP) / (least + GAP)));
    const width = Math.floor((room - GAP * (columns - 1)) / columns);
    this.#room = room;
    this.#columns = columns;
    this.#rowHeight = width + CAPTION + GAP;
    this.#rows.clear();
    this.#canvas.replaceChildren();
    this.#grid.setAttribute("aria-rowcount", String(this.#rowCount));
    this.#grid.setAttribute("aria-colcount", String(columns));
    this.#canvas.style.height = `${Math.max(0, this.#rowCount * this.#rowHeight - GAP)}px`;
    this.#canvas.style.setProperty("--cell-width", `${width}px`);
    this.#canvas.style.setProperty("--cell-height", `${this.#rowHeight - GAP}px`);
    this.#fill();
  }

  /** Make the rows near the view, and drop the others but the one that has the focus. */
  #fill() {
    const height = this.#rowHeight;
    const top = this.#grid.scrollTop;
    const first = Math.max(0, Math.floor(top / height) - ROWS_AROUND);
    const last = Math.min(this.#rowCount - 1, Math.ceil((top + this.#grid.clientHeight) / height) + ROWS_AROUND);
    const activeRow = Math.floor(this.#active / this.#columns);
    for (const [row, element] of this.#rows) {
      if ((row < first || row > last) && row !== activeRow) {
        element.remove();
        this.#rows.delete(row);
      }
    }
    for (let row = first; row <= last; row += 1) this.#make(row);
    if (this.#entries.length) this.#make(activeRow);
  }

  #make(row) {
    if (this.#rows.has(row)) return;
    const element = create("div", { className: "row", role: "row", "aria-rowindex": String(row + 1) });
    element.style.transform = `translateY(${row * this.#rowHeight}px)`;
    const begin = row * this.#columns;
    const cells = this.#entries.slice(begin, begin + this.#columns);
    element.append(...cells.map((entry, column) => this.#cell(entry, begin + column, column)));
    const after = [...this.#canvas.children].find((other) => Number(other.ariaRowIndex) > row + 1);
    this.#canvas.insertBefore(element, after ?? null);
    this.#rows.set(row, element);
  }

  #cell(entry, position, column) {
    const cell = byId("cell").content.firstElementChild.cloneNode(true);
    const score = entry.score === null ? "" : this.#scale.text(entry.score);
    const [label, guess, path] = [labelText(entry), guessText(entry), visible(entry.path)];
    cell.setAttribute("aria-colindex", String(column + 1));
    cell.ariaLabel = [label, guess, score, path, ...entry.notes].filter(Boolean).join(", ");
    cell.title = [label, guess, path, ...entry.notes].filter(Boolean).join("\n");
    cell.dataset.position = String(position);
    cell.classList.toggle("failed", entry.error !== null);
    cell.tabIndex = position === this.#active ? 0 : -1;
    cell.querySelector(".label").textContent = label;
    if (guess) cell.querySelector(".label").append(create("span", { className: "guess", textContent: ` · ${guess}` }));
    cell.querySelector(".score").textContent = score;
    cell.querySelector(".name").textContent = visible(fileName(entry.path));
    cell.querySelector(".picture").append(pictureOf(entry));
    if (entry.notes.length) {
      const note = create("span", { className: "note", textContent: entry.notes.map(shortNote).join(" · ") });
      cell.querySelector(".picture").append(note);
    }
    this.#mark(cell, entry);
    return cell;
  }

  #mark(cell, entry) {
    cell.setAttribute("aria-selected", String(this.#selection.has(entry)));
  }

  #cellAt(position) {
    return this.#rows.get(Math.floor(position / this.#columns))?.children[position % this.#columns];
  }

  /** Make the cell at a position the only one that the Tab key reaches. */
  #activate(position) {
    const before = this.#cellAt(this.#active);
    if (before) before.tabIndex = -1;
    this.#active = position;
    this.#make(Math.floor(position / this.#columns));
    this.#cellAt(position).tabIndex = 0;
  }

  /** Scroll as little as shows the whole row of a position. */
  #reveal(position) {
    const top = Math.floor(position / this.#columns) * this.#rowHeight;
    const bottom = top + this.#rowHeight + GAP;
    const view = this.#grid.scrollTop;
    if (top < view) this.#grid.scrollTop = top;
    else if (bottom > view + this.#grid.clientHeight) this.#grid.scrollTop = bottom - this.#grid.clientHeight;
    this.#fill();
  }

  #onFocus(event) {
    const cell = event.target.closest("[role=gridcell]");
    if (cell) this.#activate(Number(cell.dataset.position));
    else if (this.#entries.length) this.focus();
  }

  #onClick(event) {
    const cell = event.target.closest("[role=gridcell]");
    if (!cell) return;
    const position = Number(cell.dataset.position);
    const entry = this.#entries[position];
    if (event.shiftKey) this.#extend(position);
    else if (event.ctrlKey || event.metaKey || event.target.closest(".mark")) this.#toggle(position);
    else this.#onOpen(entry);
    this.focus(position);
  }

  #toggle(position) {
    this.#anchor = position;
    this.#selection.toggle(this.#entries[position]);
  }

  /** Select all from where the range began to a position, and nothing else. */
  #extend(position) {
    this.#anchor ??= this.#active;
    const [from, to] = [Math.min(this.#anchor, position), Math.max(this.#anchor, position)];
    this.#selection.replace(this.#entries.slice(from, to + 1));
  }

  #onKey(event) {
    const position = this.#active;
    const isCommand = event.ctrlKey || event.metaKey;
    if (event.altKey) return;
    if (event.key === "Enter") this.#onOpen(this.#entries[position]);
    else if (event.key === " ") this.#toggle(position);
    else if (isCommand && event.key.toLowerCase() === "a") this.#selection.replace(this.#entries);
    else if (!this.#move(this.#target(event.key, isCommand), event.shiftKey)) return;
    event.preventDefault();
  }

  #move(target, isExtended) {
    if (target === null) return false;
    const to = Math.min(Math.max(target, 0), this.#entries.length - 1);
    if (isExtended) this.#extend(to);
    else this.#anchor = null;
    this.focus(to);
    return true;
  }

  /** Where a key leads to, which may be beyond the ends; null for other keys. */
  #target(key, isCommand) {
    const position = this.#active;
    const columns = this.#columns;
    const rowBegin = position - (position % columns);
    const screen = columns * Math.max(1, Math.floor(this.#grid.clientHeight / this.#rowHeight));
    switch (key) {
      case "ArrowRight":
        return position + 1;
      case "ArrowLeft":
        return position - 1;
      case "ArrowDown":
        return this.#below(position, columns);
      case "ArrowUp":
        return this.#above(position, columns);
      case "PageDown":
        return this.#below(position, screen);
      case "PageUp":
        return this.#above(position, screen);
      case "Home":
        return isCommand ? 0 : rowBegin;
      case "End":
        return isCommand ? this.#entries.length - 1 : rowBegin + columns - 1;
      default:
        return null;
    }
  }

  /** In the same column by so many cells, as far as there are rows; the last row may be shorter. */
  #below(position, by) {
    const rows = Math.min(by / this.#columns, this.#rowCount - 1 - Math.floor(position / this.#columns));
    return position + rows * this.#columns;
  }

  #above(position, by) {
    return position - Math.min(by / this.#columns, Math.floor(position / this.#columns)) * this.#columns;
  }
}
