// What all pages share: data that the page holds, elements, numbers as text, and the choice of light or dark.
// The scripts of a page are joined into one module, this one first.

function byId(id) {
  return document.getElementById(id);
}

/** The value of the JSON in the element with this id. */
function readData(id) {
  return JSON.parse(byId(id).textContent);
}

/**
 * A new element. `properties` are set on it, those with a hyphen as attributes; `children` are nodes or text.
 * Text stays text: nothing here makes markup of it.
 */
function create(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.includes("-") || key === "role") element.setAttribute(key, value);
    else element[key] = value;
  }
  element.append(...children);
  return element;
}

/** A whole number with its thousands apart. */
function countText(count) {
  return count.toLocaleString("en");
}

/** A score as `classify` prints it: percent where it is a probability, else the number. */
function scoreText(score, isProbability) {
  if (!isProbability) return String(Number(score.toPrecision(4)));
  return score > 0 && score < 0.0005 ? "<0.1%" : `${(score * 100).toFixed(1)}%`;
}

/** The longer side, in pixels, of pictures that are so small that their pixels are shown as squares. */
const TINY = 64;

/** An image for a thumbnail's cell: panoramas whole, others filling it. `width` and `height` may be unknown. */
function thumbnailImage(address, width, height) {
  const image = create("img", { alt: "", decoding: "async", draggable: false });
  if (width && height) {
    image.classList.toggle("whole", Math.max(width, height) > 2 * Math.min(width, height));
    image.classList.toggle("tiny", Math.max(width, height) <= TINY);
  }
  image.src = address;
  return image;
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

function chooseTheme(theme) {
  document.documentElement.dataset.theme = theme;
  try {
    localStorage.setItem("vithybrid-theme", theme);
  } catch {
    // A browser that keeps nothing for files: the choice holds while the page is open.
  }
}

function listenForTheme(button) {
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    chooseTheme(isDark() ? "light" : "dark");
    show();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", show);
  show();
}

listenForTheme(byId("theme"));
