// A click sorts upwards, the next one downwards. Numbers go by value and before texts, dashes come last.
"use strict";
function key(cell) {
  const number = parseFloat(cell.dataset.value ?? cell.textContent.replace("\u2212", "-"));
  return { number, text: cell.textContent.trim() };
}
function compare(a, b) {
  const numbers = [a, b].map((one) => !Number.isNaN(one.number));
  if (numbers[0] && numbers[1]) return a.number - b.number;
  if (numbers[0] !== numbers[1]) return numbers[0] ? -1 : 1;
  return a.text.localeCompare(b.text);
}
function sort(title) {
  const table = title.closest("table");
  const column = title.cellIndex;
  const upwards = title.getAttribute("aria-sort") !== "ascending";
  for (const other of table.tHead.rows[0].cells) other.setAttribute("aria-sort", "none");
  title.setAttribute("aria-sort", upwards ? "ascending" : "descending");
  const empty = (row) => row.cells[column].textContent === "\u2013";
  const rows = Array.from(table.tBodies[0].rows);
  rows.sort((a, b) => {
    if (empty(a) !== empty(b)) return empty(a) ? 1 : -1;
    const order = compare(key(a.cells[column]), key(b.cells[column]));
    return upwards ? order : -order;
  });
  table.tBodies[0].append(...rows);
}
for (const button of document.querySelectorAll("thead button")) {
  button.addEventListener("click", () => sort(button.closest("th")));
}
