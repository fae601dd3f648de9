"use strict";
// A click sorts upwards, or with the best first where a column knows it, and the next one the other way.
// Numbers go by value and before texts, dashes come last.
function key(cell) {
  const number = parseFloat(cell.dataset.value ?? cell.textContent.replace("\u2212", "-").replace(/(\d),(?=\d{3})/g, "$1"));
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
// A table that is wider than the screen says that it scrolls.
function tellOfWidth() {
  for (const box of document.querySelectorAll(".sideways + .scroll")) {
    box.previousElementSibling.hidden = box.scrollWidth <= box.clientWidth + 1;
  }
}
tellOfWidth();
window.addEventListener("resize", tellOfWidth);
// What is folded has no width until it is opened.
for (const folded of document.querySelectorAll("details")) folded.addEventListener("toggle", tellOfWidth);
// A film: every panel is a sheet of frames behind a window, and one slider moves them all, of several films too.
const MILLISECONDS_PER_FRAME = 250;
// Of each moment the number of its frame: where not all moments have one, that of the last which has.
function framesOf(drawn, count) {
  if (!drawn.length) return Array.from({ length: count }, (_, moment) => moment);
  let frame = 0;
  return Array.from({ length: count }, (_, moment) => {
    while (frame + 1 < drawn.length && drawn[frame + 1] <= moment) frame += 1;
    return frame;
  });
}
function enliven(film) {
  const moving = film.querySelector(".moving");
  if (!moving) return;
  const lines = [...film.querySelectorAll(".line")];
  const parts = [...film.querySelectorAll(".part")].map((part, number) => ({
    ...part.dataset,
    sheets: [...part.querySelectorAll("image")],
    line: lines[number],
    lines: JSON.parse(part.dataset.lines),
    frames: framesOf(JSON.parse(part.dataset.drawn), JSON.parse(part.dataset.lines).length),
  }));
  const [button, slider, count] = moving.children;
  const total = Number(slider.max) + 1;
  let timer = null;
  const place = film.querySelector(".timeline");
  const curves = place && timeline(place, go);
  curves?.draw(JSON.parse(place.dataset.charts), total);
  function show(index) {
    for (const part of parts) {
      const here = Math.min(index, part.lines.length - 1); // a shorter film waits at its end
      const frame = part.frames[here];
      for (const sheet of part.sheets) {
        sheet.setAttribute("x", -(frame % part.columns) * part.cellWidth);
        sheet.setAttribute("y", -Math.floor(frame / part.columns) * part.cellHeight);
      }
      part.line.textContent = part.lines[here];
    }
    slider.value = index;
    slider.setAttribute("aria-valuetext", parts.map((part) => part.line.textContent).join("; "));
    count.textContent = `${index + 1} of ${total}`;
    curves?.show(index);
  }
  const step = (by) => show((slider.valueAsNumber + by + total) % total);
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
  function go(index) {
    pause();
    show(index);
  }
  slider.addEventListener("input", () => go(slider.valueAsNumber));
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
// Panels of a film can be left out, by name in all its parts, and each can be enlarged.
function pressable(text, pressed, change) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = text;
  button.setAttribute("aria-pressed", pressed);
  button.addEventListener("click", () => {
    const now = button.getAttribute("aria-pressed") !== "true";
    button.setAttribute("aria-pressed", now);
    change(now);
  });
  return button;
}
function choosable(film) {
  const panels = new Map();
  for (const panel of film.querySelectorAll(".panel")) {
    const label = panel.querySelector("small");
    const name = label.textContent;
    panels.set(name, [...(panels.get(name) ?? []), panel]);
    const enlarge = pressable("", false, (large) => panel.classList.toggle("large", large));
    enlarge.className = "enlarge";
    enlarge.setAttribute("aria-label", `Enlarge ${name}`);
    enlarge.title = "Enlarge";
    label.prepend(enlarge);
  }
  if (panels.size < 2) return;
  const choices = document.createElement("div");
  choices.className = "choices";
  choices.setAttribute("role", "group");
  choices.setAttribute("aria-label", "Pictures to show");
  for (const [name, same] of panels) {
    choices.append(pressable(name, true, (shown) => same.forEach((panel) => (panel.hidden = !shown))));
  }
  film.querySelector(".part").before(choices);
}
document.querySelectorAll(".film").forEach(choosable);
