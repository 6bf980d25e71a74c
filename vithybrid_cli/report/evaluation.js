// The page of an evaluation: the matrix is operated, its cells show their pictures, and the table of labels is sorted.

const evaluation = readData("evaluation");
evaluation.pictures.forEach((picture, number) => Object.assign(picture, { number }));

const nameOf = (index) => evaluation.names[index];
const scoreOf = (picture) => scoreText(picture.score, evaluation.isProbability);

/** A picture with its score and texts below it; a link to the picture itself where it can be opened. */
function card(picture, first, ...others) {
  const caption = create(
    "span",
    { className: "lines" },
    create(
      "span",
      { className: "first" },
      create("span", { className: "label", dir: "auto", textContent: first }),
      create("span", { className: "score", textContent: scoreOf(picture) }),
    ),
    ...others.map((text) => create("span", { className: "second", dir: "auto", textContent: text })),
  );
  const image = pictureOf(picture);
  if (image instanceof HTMLImageElement) image.alt = fileOf(picture);
  const parts = [create("span", { className: "picture" }, image), caption];
  const shown = { className: "thumbnail", title: visible(picture.path) };
  if (!picture.original) return create("li", {}, create("div", shown, ...parts));
  const link = { ...shown, href: picture.original, target: "_blank", rel: "noopener noreferrer" };
  return create("li", {}, create("a", link, ...parts));
}

const fileOf = (picture) => visible(fileName(picture.path));

function fill(id, numbers, lines) {
  document.getElementById(`${id}-section`).hidden = numbers.length === 0;
  const cards = numbers.map((number) => evaluation.pictures[number]).map((picture) => card(picture, ...lines(picture)));
  document.getElementById(id).replaceChildren(...cards);
}

/** The grid of the confusion matrix, with the keys of the W3C's grid pattern; cells without pictures are passed over. */
class Matrix {
  #cells;
  #parts = Object.fromEntries(["name", "text", "pictures"].map((name) => [name, document.getElementById(`pair-${name}`)]));

  constructor(grid) {
    this.#cells = [...grid.querySelectorAll("[data-cell]")];
    if (this.#cells.length === 0) return;
    grid.addEventListener("click", (event) => this.#choose(event.target.closest("[data-cell]")));
    grid.addEventListener("keydown", (event) => this.#onKey(event));
    addEventListener("hashchange", () => this.#restore());
    this.#restore();
  }

  /** Show the cell that the address names, or else the most frequent confusion. */
  #restore() {
    const named = new URLSearchParams(location.hash.slice(1)).get("cell");
    const count = (cell) => evaluation.cells[cell.dataset.cell].count;
    const isMistake = (cell) => cell.dataset.row !== cell.dataset.column;
    const first = this.#cells.toSorted((a, b) => isMistake(b) - isMistake(a) || count(b) - count(a))[0];
    this.#show(this.#cells.find((cell) => cell.dataset.cell === named) ?? first);
  }

  #choose(cell) {
    if (!cell) return;
    this.#show(cell);
    cell.focus();
    history.replaceState(history.state, "", `#cell=${cell.dataset.cell}`);
  }

  #show(cell) {
    for (const other of this.#cells) other.setAttribute("aria-selected", String(other === cell));
    this.#reach(cell);
    const [{ count, pictures }, [trueName, predicted]] = [evaluation.cells[cell.dataset.cell], cell.dataset.cell.split("-").map(nameOf)];
    const isHit = cell.dataset.row === cell.dataset.column;
    const { name, text } = this.#parts;
    name.textContent = isHit ? `${trueName}, rightly` : `${trueName} taken for ${predicted}`;
    text.textContent = this.#told(count, pictures.length, isHit);
    const cards = pictures.map((number) => evaluation.pictures[number]).map((picture) => card(picture, "", fileOf(picture)));
    this.#parts.pictures.replaceChildren(...cards);
  }

  #told(count, shown, isHit) {
    const all = `${countText(count)} ${count === 1 ? "picture" : "pictures"}`;
    if (shown === count) return all;
    const which = isHit ? "least sure" : "most confident";
    if (shown === 0) return `${all}; none is shown`;
    return shown === 1 ? `${all}; the ${which} one is shown` : `${all}; the ${shown} ${which} are shown`;
  }

  #onKey(event) {
    const cell = event.target.closest("[data-cell]");
    if (!cell || event.altKey || event.metaKey) return;
    if (event.key === "Enter" || event.key === " ") this.#choose(cell);
    else {
      const next = this.#next(cell, event.key, event.ctrlKey);
      if (next === undefined) return;
      this.#reach(next);
      next.focus();
    }
    event.preventDefault();
  }

  /** The cell that a key leads to; itself at the edge; undefined for another key. */
  #next(cell, key, isFar) {
    const [row, column] = [Number(cell.dataset.row), Number(cell.dataset.column)];
    const inRow = this.#inRow(row);
    const at = inRow.indexOf(cell);
    const keys = {
      ArrowLeft: () => inRow[at - 1],
      ArrowRight: () => inRow[at + 1],
      ArrowUp: () => this.#nearest(row, column, -1),
      ArrowDown: () => this.#nearest(row, column, 1),
      Home: () => (isFar ? this.#cells[0] : inRow[0]),
      End: () => (isFar ? this.#cells.at(-1) : inRow.at(-1)),
    };
    return Object.hasOwn(keys, key) ? (keys[key]() ?? cell) : undefined;
  }

  #inRow(row) {
    return this.#cells.filter((cell) => Number(cell.dataset.row) === row);
  }

  /** The cell nearest to a column in the next row that has any. */
  #nearest(row, column, step) {
    const rows = this.#cells.map((cell) => Number(cell.dataset.row)).filter((other) => (other - row) * step > 0);
    if (rows.length === 0) return undefined;
    const distance = (cell) => Math.abs(Number(cell.dataset.column) - column);
    return this.#inRow(step > 0 ? Math.min(...rows) : Math.max(...rows)).toSorted((a, b) => distance(a) - distance(b))[0];
  }

  /** Make a cell the one that Tab leads to. */
  #reach(cell) {
    for (const other of this.#cells) other.setAttribute("tabindex", other === cell ? "0" : "-1");
  }
}

/** Sort the table by a column when its head is chosen; once more turns it round. Numbers begin with the largest. */
function makeSortable(table) {
  const heads = [...table.tHead.rows[0].cells];
  const [body] = table.tBodies;
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  for (const [column, head] of heads.entries()) {
    const isText = head.classList.contains("text");
    head.addEventListener("click", () => {
      const isAscending = head.ariaSort ? head.ariaSort === "descending" : isText;
      for (const other of heads) other.ariaSort = null;
      head.ariaSort = isAscending ? "ascending" : "descending";
      const value = (row) => row.cells[column].dataset.value;
      const order = (a, b) => (isText ? compare(value(a), value(b)) : value(a) - value(b));
      body.append(...[...body.rows].toSorted((a, b) => (isAscending ? order(a, b) : order(b, a))));
    });
  }
}

fill("mistakes", evaluation.mistakes, (picture) => [nameOf(picture.predicted), `labelled ${nameOf(picture.true)}`, fileOf(picture)]);
fill("hits", evaluation.hits, (picture) => [nameOf(picture.true), fileOf(picture)]);
if (document.getElementById("matrix")) new Matrix(document.getElementById("matrix"));
if (document.getElementById("labels")) makeSortable(document.getElementById("labels"));
