// The range of scores: a histogram of those that the other filters let through, and the two ends below it.

const BINS = 40;
const STEPS = 1000; // of the whole range

class ScoreRange {
  #parts = {
    all: byId("scores"),
    histogram: byId("histogram"),
    least: byId("least"),
    most: byId("most"),
    text: byId("scores-text"),
  };
  #scale;

  constructor({ entries, scale }, { onChange }) {
    this.#scale = scale;
    const { all, histogram, least, most } = this.#parts;
    all.hidden = entries.filter((entry) => entry.score !== null).length < 2;
    histogram.append(...Array.from({ length: BINS }, () => create("span")));
    for (const end of [least, most]) {
      end.max = String(STEPS);
      end.addEventListener("input", () => onChange(this.#chosenWith(end)));
    }
  }

  show({ least, most }) {
    const parts = this.#parts;
    parts.least.value = String(least === null ? 0 : this.#step(least));
    parts.most.value = String(most === null ? STEPS : this.#step(most));
    const texts = [this.#scale.text(least ?? this.#scale.low), this.#scale.text(most ?? this.#scale.high)];
    [parts.least.ariaValueText, parts.most.ariaValueText] = texts;
    parts.text.textContent = texts.join(" – ");
    const [from, to] = [Number(parts.least.value) / STEPS, Number(parts.most.value) / STEPS];
    for (const [bin, bar] of [...parts.histogram.children].entries()) {
      bar.classList.toggle("outside", (bin + 1) / BINS <= from || bin / BINS >= to);
    }
  }

  /** Draw how many of these scores are in each part of the range. */
  count(scores) {
    const counts = new Array(BINS).fill(0);
    for (const score of scores) counts[Math.min(BINS - 1, Math.floor(this.#scale.part(score) * BINS))] += 1;
    const most = Math.max(1, ...counts);
    for (const [bin, bar] of [...this.#parts.histogram.children].entries()) {
      bar.style.height = counts[bin] ? `${4 + (96 * counts[bin]) / most}%` : "0";
    }
  }

  #step(score) {
    return Math.round(Math.min(1, Math.max(0, this.#scale.part(score))) * STEPS);
  }

  /** The range after one end was moved; it pushes the other one on. An end at the end of its way bounds nothing. */
  #chosenWith(moved) {
    const { least, most } = this.#parts;
    if (Number(least.value) > Number(most.value)) (moved === least ? most : least).value = moved.value;
    return {
      least: Number(least.value) === 0 ? null : this.#scoreAt(least),
      most: Number(most.value) === STEPS ? null : this.#scoreAt(most),
    };
  }

  #scoreAt({ value }) {
    const { low, high } = this.#scale;
    return Number((low + ((high - low) * Number(value)) / STEPS).toPrecision(6));
  }
}
