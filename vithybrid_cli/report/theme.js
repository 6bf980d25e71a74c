"use strict";

// Runs before anything is drawn, so that a page whose theme was chosen does not flash in the other one.
try {
  const theme = localStorage.getItem("vithybrid-theme");
  if (theme === "light" || theme === "dark") document.documentElement.dataset.theme = theme;
} catch {
  // A browser that keeps nothing for files: the system's theme holds.
}
