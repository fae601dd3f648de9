"use strict";
// A click sorts upwards, or with the best first where a column knows it, and the next one the other way.
// Numbers go by value and before texts, dashes come last.
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
  const first = title.dataset.first ?? "ascending";
  const second = first === "ascending" ? "descending" : "ascending";
  const upwards = (title.getAttribute("aria-sort") === first ? second : first) === "ascending";
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
// A film: every panel is a sheet of frames behind a window, and one slider moves them all.
const MILLISECONDS_PER_FRAME = 250;
function enliven(film) {
  const moving = film.querySelector(".moving");
  if (!moving) return;
  const { columns, cellWidth, cellHeight } = film.dataset;
  const lines = JSON.parse(film.dataset.lines);
  const [button, slider, count] = moving.children;
  const line = film.querySelector(".line");
  let timer = null;
  function show(index) {
    for (const sheet of film.querySelectorAll("image")) {
      sheet.setAttribute("x", -(index % columns) * cellWidth);
      sheet.setAttribute("y", -Math.floor(index / columns) * cellHeight);
    }
    slider.value = index;
    slider.setAttribute("aria-valuetext", lines[index]);
    line.textContent = lines[index];
    count.textContent = `${index + 1} of ${lines.length}`;
  }
  const step = (by) => show((slider.valueAsNumber + by + lines.length) % lines.length);
  function pause() {
    clearInterval(timer);
    timer = null;
    button.textContent = "Play";
  }
  function play() {
    timer = setInterval(() => step(1), MILLISECONDS_PER_FRAME);
    button.textContent = "Pause";
  }
  button.addEventListener("click", () => (timer === null ? play() : pause()));
  slider.addEventListener("input", () => {
    pause();
    show(slider.valueAsNumber);
  });
  // The slider knows the arrow keys itself; here they also work while the button has the focus.
  button.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by === undefined) return;
    event.preventDefault();
    pause();
    step(by);
  });
  show(0); // a reloaded page may remember where its slider was
  moving.hidden = false;
}
document.querySelectorAll(".film").forEach(enliven);
