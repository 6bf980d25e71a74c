// The entries that the page holds, and how they are said.

// What would change lines or the writing direction, as in vithybrid_cli/output/escape.py: controls, marks and overrides
// of direction, separators of lines, the byte order mark, and surrogates that stand alone.
const UNSEEN = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\p{Surrogate}/gu;

/** `text` on one line, with everything in it to be seen. */
function visible(text) {
  return text.replace(UNSEEN, (unseen) => `\\u${unseen.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

/** The name of a file, or of a member of an archive, without its folders. */
function fileName(path) {
  if (path.startsWith("data:")) return path.slice(0, 60);
  const member = path.includes("::") ? path.slice(0, path.indexOf("::")) : path;
  return member.split(/[\\/]/).findLast((part) => part) ?? path;
}

/** The entries in the order in which they were labelled, their labels, and what kind of numbers the scores are. */
function readResults() {
  const labels = [];
  const entries = [];
  for (let block = 0; byId(`entries-${block}`); block += 1) {
    const read = readData(`entries-${block}`);
    for (const [index, text] of read.labels) labels.push({ index, text, name: visible(text) });
    for (const record of read.entries) entries.push(entryOf(record, entries.length, labels));
  }
  nameApart(labels);
  return { entries, labels, scale: scaleOf(entries), isRuled: entries.some(hasOtherLabel) };
}

function entryOf(record, number, labels) {
  const [label, score] = record.answer ?? [];
  const predictions = [];
  for (let at = 0; at < (record.predictions?.length ?? 0); at += 2) {
    predictions.push({ label: labels[record.predictions[at]], score: record.predictions[at + 1] });
  }
  return {
    number,
    path: record.path,
    searched: searchable(record.path),
    label: labels[label] ?? null,
    score: score ?? null,
    predictions,
    error: record.error ?? null,
    notes: record.notes ?? [],
    thumbnail: record.thumbnail ?? null,
    original: record.original ?? null,
  };
}

/** Text as it is compared: an é is the same in one sign or in two, as file systems have it. */
function searchable(text) {
  return text.normalize("NFC").toLowerCase();
}

/** Two classes may have one text ("crane"): their names have the index with it. */
function nameApart(labels) {
  const counts = Map.groupBy(labels, (label) => label.name);
  for (const label of labels) {
    if (counts.get(label.name).length > 1) label.name = `${label.name} (${label.index ?? "no class"})`;
  }
}

/** The span of the scores, which is that of probabilities where all of them can be ones. */
function scaleOf(entries) {
  let [low, high] = [0, 1];
  for (const { score, predictions } of entries) {
    for (const each of [score ?? 0, predictions[0]?.score ?? 0, predictions.at(-1)?.score ?? 0]) {
      low = Math.min(low, each);
      high = Math.max(high, each);
    }
  }
  const isProbability = low === 0 && high === 1;
  return {
    low,
    high,
    isProbability,
    text: (score) => scoreText(score, isProbability),
    part: (score) => (score - low) / (high - low),
  };
}

/** The label of an entry as text, or what it has in its place. */
function labelText(entry) {
  return entry.label?.name ?? (entry.error ? words(entry.error[0]) : "No label");
}

/** The best guess, where a word as "unsure" stands in its place with its score. */
function guessText(entry) {
  const [best] = entry.predictions;
  return best && hasOtherLabel(entry) && entry.score === best.score ? `${best.label.name}?` : "";
}

// What the sentences of vithybrid_cli/runs/entries.py come to in the few words that a cell has room for.
const SHORT_NOTES = [
  [/\bis gone\b/, "gone"],
  [/\bchanged since\b/, "changed"],
  [/^It cannot be shown\b/, "cannot be read"],
  [/^It is shown in part\b/, "cut off"],
];

function shortNote(note) {
  return SHORT_NOTES.find(([sentence]) => sentence.test(note))?.[1] ?? visible(note);
}

/** The name of an error's type as words: `UnreadableImage` is "Unreadable image". */
function words(name) {
  return visible(name).replace(/(?<=[a-z])[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`);
}

/** An image of the entry's thumbnail, or a sign that there is none. */
function pictureOf(entry) {
  const { thumbnail } = entry;
  if (!thumbnail) return noPicture();
  const image = Array.isArray(thumbnail)
    ? thumbnailImage(byId(`thumbnail-${entry.number}`).textContent, ...thumbnail)
    : thumbnailImage(thumbnail);
  image.addEventListener("error", () => image.replaceWith(noPicture()));
  return image;
}

function noPicture() {
  return byId("no-picture").content.cloneNode(true);
}

/**
 * The entry in the shape in which `classify` writes results. `isRuled`: with the label that a rule found, which may
 * stand in place of the best prediction.
 */
function recordOf({ path, label, score, predictions, error }, isRuled) {
  if (error) return { path, error: { type: error[0], message: error[1] } };
  const answer = isRuled ? { label: label?.text ?? null, score } : {};
  const plain = (prediction) => ({
    index: prediction.label.index,
    label: prediction.label.text,
    score: prediction.score,
  });
  return { path, ...answer, predictions: predictions.map(plain) };
}

/** Whether the label is not that of the best prediction. */
function hasOtherLabel({ label, predictions }) {
  return label !== null && label !== predictions[0]?.label;
}
