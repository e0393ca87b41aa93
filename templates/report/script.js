"use strict";
// Everything here is comfort: the pages say the same without it.

const KEY = "podcov-theme";
const root = document.documentElement;

function remembered() {
  try { return localStorage.getItem(KEY); } catch { return null; } // some browsers forbid it for files
}

function switchTheme() {
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  try { localStorage.setItem(KEY, root.dataset.theme); } catch { /* then it lasts for this page */ }
}

if (remembered()) root.dataset.theme = remembered();
document.querySelector('[data-action="theme"]').addEventListener("click", switchTheme);

const keys = { t: switchTheme };
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select, textarea")) return;
  const action = keys[event.key];
  if (action) { event.preventDefault(); action(); }
});

function indexPage() {
  const table = document.getElementById("files");
  const rows = [...table.tBodies[0].rows];
  const filter = document.getElementById("filter");
  const service = document.getElementById("service");
  const incomplete = document.getElementById("incomplete");
  let onlyPackage = "";

  function show() {
    const words = filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      const fits = words.every((word) => row.dataset.text.includes(word))
        && (!service.value || row.dataset.services.split("\n").includes(service.value))
        && (!onlyPackage || row.dataset.package === onlyPackage)
        && (!incomplete.checked || "incomplete" in row.dataset);
      row.hidden = !fits;
      shown += fits;
    }
    const what = onlyPackage ? ` in ${onlyPackage}` : "";
    document.getElementById("shown").textContent = shown === rows.length ? `${shown}` : `${shown} of ${rows.length}${what}`;
    document.getElementById("nothing").hidden = shown > 0;
  }

  function sortBy(header) {
    const column = header.cellIndex;
    const up = header.getAttribute("aria-sort") !== "ascending";
    for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
    header.setAttribute("aria-sort", up ? "ascending" : "descending");
    const value = (row) => row.cells[column].dataset.sort;
    const compare = column === 0 ? (a, b) => value(a).localeCompare(value(b)) : (a, b) => value(a) - value(b);
    rows.sort((a, b) => (up ? compare(a, b) : compare(b, a)));
    table.tBodies[0].append(...rows);
  }

  filter.addEventListener("input", () => { onlyPackage = ""; show(); });
  service.addEventListener("change", () => { onlyPackage = ""; show(); });
  incomplete.addEventListener("change", show);
  for (const button of table.querySelectorAll(".sort")) button.addEventListener("click", () => sortBy(button.closest("th")));
  for (const button of document.querySelectorAll("[data-service]")) {
    button.addEventListener("click", () => {
      service.value = button.dataset.service;
      onlyPackage = button.dataset.package || "";
      filter.value = "";
      show();
      document.getElementById("files-title").scrollIntoView();
    });
  }
  keys["/"] = () => filter.focus();
  filter.addEventListener("keydown", (event) => { if (event.key === "Escape") { filter.value = ""; onlyPackage = ""; show(); filter.blur(); } });
  if (location.hash === "#ledger") document.querySelector(".ledger details").open = true;
  show();
}

function filePage() {
  const stops = [...document.querySelectorAll("[data-stop]")];
  let here = null;

  function go(step) {
    if (!stops.length) return;
    const at = here ? stops.indexOf(here) : step > 0 ? -1 : stops.length;
    here?.classList.remove("here");
    here = stops[(at + step + stops.length) % stops.length];
    here.classList.add("here");
    here.scrollIntoView({ block: "center" });
  }

  const follow = (id) => () => document.getElementById(id)?.click();
  Object.assign(keys, {
    n: () => go(1), j: () => go(1), p: () => go(-1), k: () => go(-1),
    "]": follow("next-file"), "[": follow("previous-file"), u: () => { location.href = "../index.html"; },
  });
  document.querySelector('[data-action="next"]').addEventListener("click", keys.n);
  document.querySelector('[data-action="previous"]').addEventListener("click", keys.p);
}

if (document.body.classList.contains("index")) indexPage();
else filePage();
