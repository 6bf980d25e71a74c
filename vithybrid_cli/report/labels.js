// The labels with their counts as bars, each a button that chooses its label.

const MANY = 100; // labels that are drawn at once

class LabelBars {
  #parts = {
    all: byId("labels"),
    bars: byId("bars"),
    count: byId("labels-count"),
    more: byId("more-labels"),
    search: byId("labels-search"),
  };
  #labels; // those that any entry has, the most frequent first
  #most;
  #counts = new Map();
  #chosen = new Set();
  #limit = MANY;

  constructor({ entries }, { onChoose }) {
    const totals = choose(entries, NOTHING_CHOSEN).counts;
    this.#labels = [...totals.keys()].sort((a, b) => totals.get(b) - totals.get(a) || byText(a.name, b.name));
    this.#most = Math.max(1, ...totals.values());
    const { all, bars, more, search } = this.#parts;
    all.hidden = this.#labels.length === 0;
    search.hidden = this.#labels.length < 10;
    search.addEventListener("input", () => this.#draw());
    more.addEventListener("click", () => this.#showMore());
    bars.addEventListener("click", (event) => {
      const bar = event.target.closest("button");
      if (bar) onChoose(bar.value);
    });
    bars.addEventListener("keydown", (event) => this.#onKey(event));
  }

  show(counts, chosen) {
    this.#counts = counts;
    this.#parts.count.textContent = countText(counts.size);
    this.#chosen = new Set(chosen);
    this.#draw();
  }

  #showMore() {
    this.#limit += 10 * MANY;
    const { bars } = this.#parts;
    const next = bars.children.length;
    this.#draw();
    this.#focus(bars.children[next]);
  }

  #draw() {
    const { bars, more, search } = this.#parts;
    const focused = bars.contains(document.activeElement) ? document.activeElement.value : null;
    const wanted = searchable(search.value.trim());
    const found = this.#labels.filter((label) => this.#isDrawn(label, wanted));
    const drawn = found.filter((label, at) => at < this.#limit || this.#chosen.has(label.name));
    bars.replaceChildren(...drawn.map((label) => this.#bar(label)));
    if (bars.firstElementChild) bars.firstElementChild.tabIndex = 0;
    more.hidden = drawn.length === found.length;
    more.textContent = `${countText(found.length - drawn.length)} more`;
    const again = focused !== null && [...bars.children].find((bar) => bar.value === focused);
    if (again) this.#focus(again);
  }

  /** Those that are sought and would show something, and what was chosen, which can so be taken back. */
  #isDrawn(label, wanted) {
    if (this.#chosen.has(label.name)) return true;
    return this.#counts.has(label) && searchable(label.name).includes(wanted);
  }

  #bar(label) {
    const count = this.#counts.get(label) ?? 0;
    const bar = create(
      "button",
      { type: "button", className: "label-bar", value: label.name, tabIndex: -1, title: label.name },
      create("span", { className: "label", dir: "auto", textContent: label.name }),
      create("span", { className: "number", textContent: countText(count) }),
      create("span", { className: "length" }),
    );
    bar.setAttribute("aria-pressed", String(this.#chosen.has(label.name)));
    bar.lastElementChild.style.width = `${(100 * count) / this.#most}%`;
    return bar;
  }

  #focus(bar) {
    for (const other of this.#parts.bars.children) other.tabIndex = -1;
    bar.tabIndex = 0;
    bar.focus();
  }

  #onKey(event) {
    const bar = event.target;
    const { firstElementChild: first, lastElementChild: last } = this.#parts.bars;
    const targets = {
      ArrowDown: bar.nextElementSibling,
      ArrowUp: bar.previousElementSibling,
      Home: first,
      End: last,
    };
    if (!Object.hasOwn(targets, event.key)) return;
    event.preventDefault();
    if (targets[event.key]) this.#focus(targets[event.key]);
  }
}
