// The selected entries, and what can be taken away of them: a list of paths, or their results as JSON lines.

class Selection {
  #selected = new Set();
  #onChange;

  constructor({ onChange }) {
    this.#onChange = onChange;
  }

  get size() {
    return this.#selected.size;
  }

  /** In the order in which they were labelled. */
  get entries() {
    return [...this.#selected].sort((a, b) => a.number - b.number);
  }

  has(entry) {
    return this.#selected.has(entry);
  }

  toggle(entry) {
    if (!this.#selected.delete(entry)) this.#selected.add(entry);
    this.#onChange();
  }

  replace(entries) {
    this.#selected = new Set(entries);
    this.#onChange();
  }
}

class SelectionBar {
  #parts = {
    bar: byId("selection"),
    copied: byId("copied"),
    count: byId("selected-count"),
  };
  #selection;

  constructor(selection, { isRuled, shown }) {
    this.#selection = selection;
    const on = (id, action) => byId(id).addEventListener("click", action);
    on("select-all", () => selection.replace(shown()));
    on("select-none", () => selection.replace([]));
    on("copy", () => this.#copy());
    on("save", () => saveText("selection.jsonl", jsonLines(selection.entries, isRuled)));
    this.show();
  }

  show() {
    const { bar, copied, count } = this.#parts;
    const { size } = this.#selection;
    bar.hidden = size === 0;
    count.textContent = `${countText(size)} selected`;
    copied.textContent = "";
  }

  async #copy() {
    const paths = this.#selection.entries.map((entry) => entry.path);
    const inexact = paths.filter((path) => !path.isWellFormed() || /[\n\r]/.test(path)).length;
    if (!(await copyText(`${paths.join("\n")}\n`))) return;
    const hint = inexact ? ` A list cannot hold ${countText(inexact)} of them exactly; JSON lines can.` : "";
    this.#parts.copied.textContent = `Copied.${hint}`;
  }
}

/** The results of entries, one on each line, as `classify` writes them. */
function jsonLines(entries, isRuled) {
  return entries.map((entry) => `${JSON.stringify(recordOf(entry, isRuled))}\n`).join("");
}

/** Whether the text is in the clipboard now. Where the browser lets no page do that, it is shown to copy by hand. */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No permission, or no clipboard for a page that is no secure context.
  }
  const dialog = byId("by-hand");
  const paths = byId("by-hand-paths");
  paths.value = text;
  dialog.showModal();
  paths.select();
  const isCopied = document.execCommand("copy");
  if (isCopied) dialog.close();
  return isCopied;
}

function saveText(name, text) {
  const address = URL.createObjectURL(new Blob([text], { type: "application/x-ndjson" }));
  create("a", { href: address, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(address), 60_000); // by then the browser has taken it
}
