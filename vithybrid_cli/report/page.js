// The page of results: what was chosen decides what is shown, and is kept in the fragment of the address.

const PAUSE = 200; // ms without a change, after which the address is written: browsers stop a page that does so always
const INTO_THE_GRID = ["ArrowDown", "ArrowUp", "ArrowLeft", "ArrowRight", "Home", "End", "Enter"];

class Page {
  #results = readResults();
  #orders = new Orders(this.#results.entries);
  #chosen = NOTHING_CHOSEN;
  #shown = [];
  #isSearching = false; // whether the search is being typed, since it got the focus
  #writing = null; // the timer after which the address is written
  #parts = {
    clear: byId("clear"),
    clearEmpty: byId("clear-empty"),
    count: byId("count"),
    empty: byId("empty"),
    emptyText: byId("empty-text"),
    filters: byId("filters"),
    kinds: byId("kinds"),
    search: byId("search"),
    selectAll: byId("select-all"),
    showFilters: byId("show-filters"),
    sort: byId("sort"),
  };
  #selection = new Selection({ onChange: () => this.#showSelection() });
  #selectionBar = new SelectionBar(this.#selection, {
    isRuled: this.#results.isRuled,
    shown: () => this.#shown,
  });
  #bars = new LabelBars(this.#results, { onChoose: (name) => this.#toggleLabel(name) });
  #scores = new ScoreRange(this.#results, { onChange: (range) => this.#change(range, { isStep: false }) });
  #grid = new Grid(byId("grid"), {
    selection: this.#selection,
    scale: this.#results.scale,
    onOpen: (entry) => this.#change({ open: entry.number }),
  });
  #large = new LargePicture({
    scale: this.#results.scale,
    selection: this.#selection,
    onStep: (by) => this.#step(by),
    onClose: () => this.#close(),
  });

  constructor() {
    this.#makeKinds();
    this.#listen();
    this.#restore();
  }

  #makeKinds() {
    for (const [kind, { name, has }] of Object.entries(KINDS)) {
      const count = this.#results.entries.filter(has).length;
      if (count === 0 && kind !== "all") continue;
      const button = create("button", { type: "button", className: "button", value: kind }, `${name} `);
      button.append(create("span", { className: "number", textContent: countText(count) }));
      button.addEventListener("click", () => this.#change({ kind }));
      this.#parts.kinds.append(button);
    }
  }

  #listen() {
    const parts = this.#parts;
    parts.search.addEventListener("input", () => this.#onSearch());
    parts.search.addEventListener("blur", () => {
      this.#isSearching = false;
    });
    parts.search.addEventListener("keydown", (event) => this.#onSearchKey(event));
    parts.sort.addEventListener("change", () => this.#change({ sort: parts.sort.value }));
    parts.clear.addEventListener("click", () => this.#clear());
    parts.clearEmpty.addEventListener("click", () => this.#clear());
    parts.showFilters.addEventListener("click", () => this.#toggleFilters());
    byId("show-keys").addEventListener("click", () => byId("keys").showModal());
    document.addEventListener("keydown", (event) => this.#onKey(event));
    addEventListener("popstate", () => this.#restore());
  }

  /** Take over what the address says. */
  #restore() {
    this.#stopWriting();
    this.#isSearching = false;
    this.#chosen = chosenIn(location.hash, this.#results);
    this.#show();
  }

  /** Change what is chosen. A step is what the browser's back button takes back. */
  #change(changes, { isStep = true } = {}) {
    if (isStep) this.#write();
    this.#chosen = { ...this.#chosen, ...changes };
    if (isStep) history.pushState({ isOpened: this.#chosen.open !== null }, "", this.#address);
    else this.#writeSoon();
    this.#show();
  }

  get #address() {
    const fragment = fragmentOf(this.#chosen);
    return fragment ? `#${fragment}` : location.href.split("#")[0];
  }

  #writeSoon() {
    this.#stopWriting();
    this.#writing = setTimeout(() => this.#write(), PAUSE);
  }

  /** Write the changes that were no steps into the address, if there are any. */
  #write() {
    if (this.#writing === null) return;
    this.#stopWriting();
    history.replaceState(history.state, "", this.#address);
  }

  #stopWriting() {
    clearTimeout(this.#writing);
    this.#writing = null;
  }

  #toggleLabel(name) {
    const { labels } = this.#chosen;
    this.#change({ labels: labels.includes(name) ? labels.filter((other) => other !== name) : [...labels, name] });
  }

  #clear() {
    this.#change({ ...NOTHING_CHOSEN, sort: this.#chosen.sort });
    this.#parts.search.focus();
  }

  #show() {
    this.#showEntries();
    this.#showChosen();
    this.#showLarge();
  }

  #showEntries() {
    const { shown, counts, scores } = choose(this.#orders.get(this.#chosen.sort), this.#chosen);
    const isSame = shown.length === this.#shown.length && shown.every((entry, at) => entry === this.#shown[at]);
    this.#shown = shown;
    this.#bars.show(counts, this.#chosen.labels);
    this.#scores.count(scores);
    if (!isSame) this.#grid.show(shown);
  }

  #showChosen() {
    const parts = this.#parts;
    const chosen = this.#chosen;
    if (parts.search.value !== chosen.search) parts.search.value = chosen.search;
    parts.sort.value = chosen.sort;
    for (const button of parts.kinds.children) button.ariaPressed = String(button.value === chosen.kind);
    this.#scores.show(chosen);
    parts.clear.hidden = !isFiltered(chosen);
    this.#showCount();
  }

  #showCount() {
    const parts = this.#parts;
    const [shown, all] = [this.#shown.length, this.#results.entries.length];
    const pictures = `${countText(all)} ${all === 1 ? "picture" : "pictures"}`;
    parts.count.textContent = shown === all ? pictures : `${countText(shown)} of ${pictures}`;
    parts.empty.hidden = shown > 0;
    parts.emptyText.textContent = all === 0 ? "There are no pictures." : "No picture matches.";
    parts.clearEmpty.hidden = !isFiltered(this.#chosen);
    parts.selectAll.hidden = shown === 0;
  }

  #showLarge() {
    const { open } = this.#chosen;
    if (open === null) {
      this.#large.hide();
      return;
    }
    const entry = this.#results.entries[open];
    this.#large.show(entry, this.#shown.indexOf(entry), this.#shown.length);
  }

  #showSelection() {
    this.#selectionBar.show();
    this.#grid.showSelection();
    this.#large.showSelection();
  }

  #step(by) {
    const position = this.#shown.indexOf(this.#results.entries[this.#chosen.open]);
    const entry = position < 0 ? null : this.#shown[position + by];
    if (!entry) return;
    this.#change({ open: entry.number }, { isStep: false });
    this.#grid.activate(entry);
  }

  /** The large picture was closed: where opening it was a step, that is taken back. */
  #close() {
    const entry = this.#results.entries[this.#chosen.open];
    this.#write();
    if (history.state?.isOpened) history.back();
    else this.#change({ open: null }, { isStep: false });
    this.#grid.activate(entry);
    this.#grid.focus();
  }

  #toggleFilters() {
    const isShown = this.#parts.filters.classList.toggle("shown");
    this.#parts.showFilters.setAttribute("aria-expanded", String(isShown));
    if (isShown) this.#parts.search.focus();
  }

  /** The first letter is a step, which the back button takes back with those that follow it. */
  #onSearch() {
    this.#change({ search: this.#parts.search.value }, { isStep: !this.#isSearching });
    this.#isSearching = true;
  }

  #onSearchKey(event) {
    const leads = ["Escape", "Enter", "ArrowDown"].includes(event.key);
    if (!leads || event.isComposing) return; // a word that an input method has not finished
    event.preventDefault();
    if (event.key === "Escape" && this.#chosen.search) this.#change({ search: "" }, { isStep: false });
    else this.#grid.focus();
  }

  #onKey(event) {
    const isTyped = event.target.closest("input, textarea, select, dialog");
    if (isTyped || event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "/") this.#seek();
    else if (event.key === "?") byId("keys").showModal();
    else if (event.key === "Escape" && this.#selection.size) this.#selection.replace([]);
    else if (event.target === document.body && INTO_THE_GRID.includes(event.key)) this.#grid.focus();
    else return;
    event.preventDefault();
  }

  #seek() {
    if (!this.#parts.search.checkVisibility()) this.#toggleFilters();
    this.#parts.search.focus();
    this.#parts.search.select();
  }
}

new Page();
