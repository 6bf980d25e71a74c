// One picture large, with all its labels; the arrow keys lead to its neighbours.

const STRETCH = 2.5; // at most: a thumbnail shows no more by being larger
const STRETCH_OF_TINY = 12;

/** Keep an image from being stretched until nothing can be seen in it. */
function limitSize(image) {
  const stretch = image.classList.contains("tiny") ? STRETCH_OF_TINY : STRETCH;
  image.style.maxWidth = `${stretch * image.naturalWidth}px`;
  image.style.maxHeight = `${stretch * image.naturalHeight}px`;
}

class LargePicture {
  #dialog = byId("large");
  #parts = Object.fromEntries(
    ["copy", "error", "label", "notes", "original", "path", "picture", "position", "predictions", "select"].map(
      (name) => [name, byId(`large-${name}`)],
    ),
  );
  #entry = null;
  #selection;
  #scale;

  constructor({ scale, selection, onStep, onClose }) {
    this.#scale = scale;
    this.#selection = selection;
    this.#dialog.addEventListener("close", () => {
      if (this.#entry) onClose();
    });
    this.#dialog.addEventListener("click", (event) => {
      if (event.target === this.#dialog) this.#dialog.close(); // its backdrop
    });
    this.#dialog.addEventListener("keydown", (event) => this.#onKey(event, onStep));
    byId("close").addEventListener("click", () => this.#dialog.close());
    byId("previous").addEventListener("click", () => onStep(-1));
    byId("next").addEventListener("click", () => onStep(1));
    this.#parts.select.addEventListener("click", () => this.#selection.toggle(this.#entry));
    this.#parts.copy.addEventListener("click", () => this.#copy());
  }

  /** Show an entry, which is at `position` of `count`; below 0, if it is not among those. */
  show(entry, position, count) {
    this.#entry = entry;
    const parts = this.#parts;
    parts.picture.replaceChildren(pictureOf(entry));
    parts.picture.querySelector("img")?.addEventListener("load", (event) => limitSize(event.target));
    parts.label.textContent = labelText(entry);
    parts.label.classList.toggle("wrong", entry.error !== null);
    parts.path.textContent = visible(entry.path);
    parts.error.textContent = entry.error ? visible(entry.error[1]) : "";
    parts.notes.replaceChildren(...entry.notes.map((note) => create("li", { textContent: visible(note) })));
    parts.predictions.replaceChildren(...entry.predictions.map((prediction) => this.#prediction(prediction)));
    parts.copy.textContent = "Copy path";
    parts.original.hidden = entry.original === null;
    parts.original.href = entry.original ?? "";
    parts.position.textContent = position < 0 ? "" : `${countText(position + 1)} of ${countText(count)}`;
    byId("previous").disabled = position <= 0;
    byId("next").disabled = position < 0 || position >= count - 1;
    this.showSelection();
    if (!this.#dialog.open) this.#dialog.showModal();
  }

  hide() {
    this.#entry = null;
    if (this.#dialog.open) this.#dialog.close();
  }

  showSelection() {
    if (!this.#entry) return;
    const isSelected = this.#selection.has(this.#entry);
    this.#parts.select.setAttribute("aria-pressed", String(isSelected));
    this.#parts.select.textContent = isSelected ? "Selected" : "Select";
  }

  async #copy() {
    const entry = this.#entry;
    if ((await copyText(entry.path)) && entry === this.#entry) this.#parts.copy.textContent = "Copied";
  }

  #prediction({ label, score }) {
    const bar = create("span", { className: "length" });
    bar.style.width = `${100 * this.#scale.part(score)}%`;
    return create(
      "li",
      {},
      create("span", { className: "label", dir: "auto", textContent: label.name }),
      create("span", { className: "score", textContent: this.#scale.text(score) }),
      bar,
    );
  }

  #onKey(event, onStep) {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const steps = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
    if (Object.hasOwn(steps, event.key)) onStep(steps[event.key]);
    else if (event.key === "s") this.#selection.toggle(this.#entry);
    else return;
    event.preventDefault();
  }
}
