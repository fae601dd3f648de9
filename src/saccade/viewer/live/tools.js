"use strict";
// What the hands do: brushes, actions, sliders, keys.
const FINEST = 0.004; // of the picture's side, that a stroke's points lie apart at least
const MOST_POINTS = 1500; // of a stroke

function brush(canvas) {
  let stroke = null, cross = [0.5, 0.5];
  const fine = (one) => Math.round(Math.min(Math.max(one, 0), 1) * 1e4) / 1e4;
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height].map(fine);
  };
  const begin = (first) => {
    state.playing = false;
    const colour = [1, 3, 5].map((start) => parseInt(at("colour").value.slice(start, start + 2), 16) / 255);
    stroke = { kind: state.tool, points: [first], radius: Number(at("radius").value) };
    if (state.tool === "paint") stroke.colour = colour;
    if (state.tool === "drop") { stroke.shift = at("drop").value; stroke.strength = 1; }
    state.edits.push(stroke);
    ask();
  };
  const go_on = (next) => {
    const last = stroke.points.at(-1);
    if (stroke.points.length >= MOST_POINTS || Math.hypot(next[0] - last[0], next[1] - last[1]) < FINEST) return;
    stroke.points.push(next);
    ask();
  };
  canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); begin(point(event)); event.preventDefault(); canvas.focus(); };
  canvas.onpointermove = (event) => { if (stroke) go_on(point(event)); };
  canvas.onpointerup = canvas.onpointercancel = () => { stroke = null; };
  const draw_cross = () => {
    const place = [...at("stage").children].indexOf(canvas.closest(".pane")), context = canvas.getContext("2d");
    if (state.answered) drawPane(state.answered.panes[place], place);
    setTimeout(() => {
      context.fillStyle = "#00ffff";
      context.fillRect(cross[0] * canvas.width - 2, cross[1] * canvas.height, 5, 1);
      context.fillRect(cross[0] * canvas.width, cross[1] * canvas.height - 2, 1, 5);
    }, 40); // once the picture is there
    say(`Cross at ${Math.round(cross[0] * 100)} % across, ${Math.round(cross[1] * 100)} % down.`);
  };
  canvas.onkeydown = (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) {
      cross = cross.map((one, axis) => fine(one + moves[event.key][axis] * 0.05));
      draw_cross();
    } else if (event.key === "Enter") { begin(cross); stroke = null; } else return;
    event.preventDefault();
    event.stopPropagation();
  };
}

// Buttons of discrete actions; of continuous ones sliders, which show what the policy does until a person moves one.
function drawActions() {
  const { names, low, high } = state.offer;
  const button = (text, press, className = "take") => {
    const made = make("button", { type: "button", textContent: text, className });
    made.onclick = press;
    return made;
  };
  if (names) {
    at("actions").replaceChildren(make("div", { className: "buttons" },
      ...names.map((name, place) => button(name, () => takeAction(place + state.offer.first)))));
  } else if (low) {
    const sliders = low.map((least, place) => make("input", {
      type: "range", id: `part${place}`, min: Math.max(least, -10), max: Math.min(high[place], 10), step: 0.01, value: 0,
      oninput: () => { state.own = true; drawControls(); },
    }));
    const again = () => { state.own = false; followAction(state.answered?.panes[0].before.action); };
    at("actions").replaceChildren(
      ...sliders.map((slider, place) => make("label", {}, `part ${place + 1}`, slider, make("output", { "data-of": slider.id, htmlFor: slider.id }))),
      make("div", { className: "buttons" }, button("Play this action", () => takeAction(sliders.map((one) => Number(one.value)))),
        button("As the policy does", again, "")));
  }
}

function followAction(action) {
  if (state.own || !Array.isArray(action)) return;
  at("actions").querySelectorAll("input").forEach((one, place) => { one.value = action[place]; });
  drawControls();
}

function chooseTool(tool) {
  state.tool = tool;
  for (const one of document.querySelectorAll("[data-tool]")) one.setAttribute("aria-pressed", String(one.dataset.tool === tool));
}

function playOrPause() {
  state.playing = !state.playing;
  drawControls();
  if (state.playing) advance();
}

function clear() {
  state.edits = [];
  at("dialstrength").value = at("shiftstrength").value = 0;
  ask();
}

const undo = () => { state.edits.pop(); ask(); };
const back = () => { state.playing = false; go(state.index - 1); };
const next = () => { state.playing = false; advance(); };
const beginAsked = () => { if (at("seed").reportValidity()) begin(at("seed").valueAsNumber); };
at("play").onclick = playOrPause;
at("back").onclick = back;
at("next").onclick = next;
at("first").onclick = () => { state.playing = false; go(0); };
at("slider").oninput = () => { state.playing = false; go(Number(at("slider").value)); };
at("undo").onclick = undo;
at("clear").onclick = clear;
at("radius").oninput = drawControls;
for (const id of ["dialstrength", "shiftstrength", "score"]) at(id).oninput = ask;
for (const id of ["dial", "shift"]) at(id).oninput = () => {
  const strength = at(`${id}strength`);
  if (Number(strength.value) === 0) strength.value = 0.5; // what is chosen shows
  ask();
};
at("colour").oninput = () => chooseTool("paint");
at("drop").oninput = () => chooseTool("drop");
for (const one of document.querySelectorAll("[data-tool]")) one.onclick = () => chooseTool(one.dataset.tool);
for (const one of document.querySelectorAll("[data-save]")) one.onclick = () => {
  if (send({ do: "save", what: one.dataset.save, view: view() })) say("It is being made …");
};
at("begin").onclick = beginAsked;
at("seed").onkeydown = (event) => { if (event.key === "Enter") beginAsked(); };
at("another").onclick = () => { if (state.history) begin((state.history.seed + 1) % 2 ** 32); };
at("second").onclick = () => {
  if (state.panes.length > 1) state.panes.pop();
  else state.panes.push({ policy: state.offer.policies.length > 1 ? 1 : 0, mode: state.panes[0].mode });
  drawStage();
  ask();
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key === " " && /^(BUTTON|SUMMARY)$/.test(event.target.tagName)) return;
  const keys = {
    " ": playOrPause, ArrowLeft: back, ArrowRight: next, Home: () => go(0), End: () => go(Infinity),
    p: () => chooseTool("paint"), e: () => chooseTool("erase"), d: () => chooseTool("drop"), u: undo, c: clear,
  };
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});
connect();
