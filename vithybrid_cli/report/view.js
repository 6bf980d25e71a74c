// Which entries are shown, and in which order.

const NOTHING_CHOSEN = Object.freeze({
  search: "",
  kind: "all",
  labels: [], // names; none means all
  least: null,
  most: null,
  sort: "listed",
  open: null, // the number of the entry that is shown large
});

const KINDS = {
  all: { name: "All", has: () => true },
  errors: { name: "Errors", has: (entry) => entry.error !== null },
  unlabelled: { name: "No label", has: (entry) => entry.error === null && entry.label === null },
  notes: { name: "Notes", has: (entry) => entry.notes.length > 0 },
};

const byText = new Intl.Collator("en", { numeric: true }).compare;

// Equal entries stay as labelled; those without what is compared come last.
const SORTS = {
  listed: () => 0,
  highest: (a, b) => (b.score ?? -Infinity) - (a.score ?? -Infinity) || 0,
  lowest: (a, b) => (a.score ?? Infinity) - (b.score ?? Infinity) || 0,
  label: byLabel,
  path: (a, b) => byText(a.path, b.path),
};

/** By label, within one the highest score first. */
function byLabel(a, b) {
  if (!a.label || !b.label) return Number(!a.label) - Number(!b.label);
  return byText(a.label.name, b.label.name) || b.score - a.score;
}

/** Entries in every order, each of which is found once. */
class Orders {
  #entries;
  #found = new Map();

  constructor(entries) {
    this.#entries = entries;
  }

  get(sort) {
    if (!this.#found.has(sort)) this.#found.set(sort, this.#entries.toSorted(SORTS[sort]));
    return this.#found.get(sort);
  }
}

/**
 * The entries of `ordered` that `chosen` lets through, how many of each label it would if no label were chosen, and the
 * scores of those that it would let through if no range were.
 */
function choose(ordered, chosen) {
  const sought = searchable(chosen.search).split(/\s+/).filter(Boolean);
  const names = new Set(chosen.labels);
  const isOfKind = KINDS[chosen.kind].has;
  const isSought = (entry) => sought.every((word) => entry.searched.includes(word));
  const shown = [];
  const counts = new Map();
  const scores = [];
  for (const entry of ordered) {
    if (!isOfKind(entry) || !isSought(entry)) continue;
    const isNamed = names.size === 0 || names.has(entry.label?.name);
    if (isNamed && entry.score !== null) scores.push(entry.score);
    if (!isWithin(entry.score, chosen)) continue;
    if (entry.label) counts.set(entry.label, (counts.get(entry.label) ?? 0) + 1);
    if (isNamed) shown.push(entry);
  }
  return { shown, counts, scores };
}

/** Whether a score is in the range; an entry without one is only where no range was chosen. */
function isWithin(score, { least, most }) {
  if (least === null && most === null) return true;
  return score !== null && score >= (least ?? -Infinity) && score <= (most ?? Infinity);
}

/** Whether anything is left out. */
function isFiltered(chosen) {
  const { search, kind, labels, least, most } = chosen;
  return Boolean(search.trim()) || kind !== "all" || labels.length > 0 || least !== null || most !== null;
}

/** What was chosen, as the fragment of an address; what is as at first is not in it. */
function fragmentOf(chosen) {
  const values = new URLSearchParams();
  for (const name of ["search", "kind", "sort"]) {
    if (chosen[name] !== NOTHING_CHOSEN[name]) values.set(name, chosen[name]);
  }
  for (const name of ["least", "most", "open"]) {
    if (chosen[name] !== null) values.set(name, String(chosen[name]));
  }
  for (const label of chosen.labels) values.append("label", label);
  return values.toString();
}

/** What a fragment says was chosen. It may be from anybody: what cannot be, is as at first. */
function chosenIn(fragment, { entries, labels }) {
  const values = new URLSearchParams(fragment.replace(/^#/, ""));
  const oneOf = (name, table) => (Object.hasOwn(table, values.get(name)) ? values.get(name) : NOTHING_CHOSEN[name]);
  const names = new Set(labels.map((label) => label.name));
  const open = numberIn(values.get("open"));
  return {
    search: values.get("search") ?? "",
    kind: oneOf("kind", KINDS),
    labels: [...new Set(values.getAll("label"))].filter((name) => names.has(name)),
    least: numberIn(values.get("least")),
    most: numberIn(values.get("most")),
    sort: oneOf("sort", SORTS),
    open: entries[open] ? open : null,
  };
}

function numberIn(text) {
  const number = text?.trim() ? Number(text) : NaN;
  return Number.isFinite(number) ? number : null;
}
