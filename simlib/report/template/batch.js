"use strict";
// The filter and the order stand in the address: #q=WORDS&sort=COLUMN, or sort=-COLUMN for the other way round.
(() => {
  const body = document.querySelector("tbody"), heads = [...document.querySelectorAll("th")], rows = [...body.rows];
  const box = document.getElementById("filter"), count = document.getElementById("count");
  const texts = new Map(rows.map(row => [row, row.textContent.toLowerCase()]));
  const compare = new Intl.Collator("en", { numeric: true }).compare;
  const key = (row, column) => row.cells[column].dataset.key ?? row.cells[column].textContent;
  const state = () => new URLSearchParams(location.hash.slice(1));

  function order(sort) {
    const column = heads.findIndex(head => head.dataset.name === sort.replace(/^-/, "")), sign = sort.startsWith("-") ? -1 : 1;
    heads.forEach((head, number) => head.setAttribute("aria-sort",
      number === column ? (sign > 0 ? "ascending" : "descending") : "none"));
    const numbers = column >= 0 && heads[column].dataset.kind === "number";
    const by = numbers ? (a, b) => a - b : compare;
    const keys = new Map(rows.map(row => [row, column < 0 ? "" : key(row, column)]));
    const sorted = column < 0 ? rows : [...rows].sort((a, b) =>
      (keys.get(a) === "") - (keys.get(b) === "") || sign * by(keys.get(a), keys.get(b)));
    body.append(...sorted);
  }

  function show() {
    const wanted = state(), words = (wanted.get("q") ?? "").toLowerCase().split(/\s+/).filter(Boolean);
    let shown = 0;
    for (const row of rows) {
      row.hidden = !words.every(word => texts.get(row).includes(word));
      shown += !row.hidden;
    }
    count.textContent = `${shown} of ${rows.length}`;
    if (box.value.toLowerCase().split(/\s+/).filter(Boolean).join(" ") !== words.join(" ")) box.value = wanted.get("q") ?? "";
    order(wanted.get("sort") ?? "");
  }

  function change(name, value) {
    const wanted = state();
    if (value) wanted.set(name, value); else wanted.delete(name);
    history.replaceState(null, "", "#" + wanted);
    show();
  }

  for (const head of heads) {
    if (!head.dataset.name) continue;
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    button.addEventListener("click", () =>
      change("sort", (state().get("sort") === head.dataset.name ? "-" : "") + head.dataset.name));
    head.replaceChildren(button);
  }
  box.addEventListener("input", () => change("q", box.value));
  addEventListener("hashchange", show);
  document.getElementById("tools").hidden = false;
  show();
})();
