// The page works without this. htmx refreshes what is live; this keeps it from doing so where
// nobody looks or somebody is at work, and has wide tables stay where they were scrolled to.
"use strict";

const live = () => document.getElementById("live");
let scrolled = new Map();

document.addEventListener("htmx:beforeRequest", (event) => {
  const focused = document.activeElement;
  const works = focused && focused !== live() && live().contains(focused) && focused.matches(":focus-visible");
  const selected = document.getSelection();
  const reads = selected && !selected.isCollapsed && live().contains(selected.anchorNode);
  if (document.hidden || works || reads) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", () => {
  scrolled = new Map([...document.querySelectorAll(".scroll")].map((e) => [e.getAttribute("aria-label"), e.scrollLeft]));
});

document.addEventListener("htmx:afterSwap", () => {
  for (const e of document.querySelectorAll(".scroll")) e.scrollLeft = scrolled.get(e.getAttribute("aria-label")) || 0;
});

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const said = button.parentElement.querySelector("[data-copied]");
  try {
    await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).textContent);
    said.textContent = "Copied.";
  } catch {
    said.textContent = "The browser does not allow it: select the text instead.";
  }
});
