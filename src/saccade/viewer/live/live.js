"use strict";
// The page holds everything that a server needs to go on: the seed, the actions, the changes. So it may be started again.
const at = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
const state = {
  offer: null, history: null, index: 0, panes: [{ policy: 0, mode: "train" }], edits: [], tool: "paint",
  methods: ["gradient"], metrics: [], number: 0, playing: false, waiting: false, dirty: false, answered: null, follow: false, later: false, maps: {},
};
let socket = null, retry = 500;
const curves = timeline(at("curves"), (index) => { state.playing = false; go(index); });

function say(text, wrong = false) {
  at("status").textContent = text;
  at("status").classList.toggle("wrong", wrong);
}

function make(kind, fields = {}, ...children) {
  const made = document.createElement(kind);
  for (const [name, value] of Object.entries(fields)) {
    if (name in made && name !== "list") made[name] = value; else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}

function svg(kind, fields) {
  const made = document.createElementNS("http://www.w3.org/2000/svg", kind);
  for (const [name, value] of Object.entries(fields)) made.setAttribute(name, value);
  return made;
}

function send(message) {
  if (socket?.readyState !== WebSocket.OPEN) { say("The server is away; the page waits for it.", true); return false; }
  socket.send(JSON.stringify(message));
  return true;
}

function connect() {
  socket = new WebSocket(`ws://${location.host}/talk?token=${encodeURIComponent(token)}`);
  socket.onmessage = (event) => heard(JSON.parse(event.data));
  socket.onclose = () => {
    state.playing = state.waiting = state.later = false;
    drawControls();
    say("The server is away; the page waits for it.", true);
    setTimeout(connect, retry);
    retry = Math.min(retry * 1.5, 5000);
  };
}

function heard(message) {
  if (message.kind === "hello") greeted(message);
  else if (message.kind === "history") told(message);
  else if (message.kind === "curves") curved(message);
  else if (message.kind === "look") looked(message);
  else if (message.kind === "map" && message.number === state.number) mapped(message);
  else if (message.kind === "no map" && message.number === state.number) mapped(message);
  else if (message.kind === "scores" && message.number === state.number) scored(message);
  else if (message.kind === "file") keep(message);
  else if (message.kind === "error") {
    state.waiting = state.playing = state.later = false;
    drawControls();
    say(message.sentence, true);
    if (state.dirty) ask();
  }
}

function greeted(offer) {
  const again = state.history;
  retry = 500;
  state.waiting = false;
  state.lost = again ? { seed: again.seed, mode: again.mode, actions: again.actions } : null;
  state.offer = offer;
  at("title").textContent = document.title = offer.title;
  const fill = (id, names, empty) => at(id).replaceChildren(
    ...(empty ? [make("option", { value: "", textContent: empty })] : []),
    ...names.map((name) => make("option", { value: name, textContent: name.replaceAll("_", " ") })));
  if (!again) {
    fill("dial", offer.dials);
    at("scene").hidden = at("scenestrength").hidden = !offer.dials.length;
    fill("shift", offer.shifts);
    fill("drop", offer.shifts);
    at("drop").value = "occlusion";
    if (!at("drop").value) at("drop").value = "noise";
    fill("score", offer.scores);
    choices("methods", offer.methods.map((name) => ({ name })), "methods");
    choices("metrics", offer.metrics, "metrics");
    drawActions();
  }
  say(again ? "The server is back; the episode is played again." : "Ready.");
}

// Boxes, of which those that are checked are named in the state.
function choices(id, offered, field) {
  at(id).replaceChildren(...offered.map(({ name, summary }) => {
    const box = make("input", { type: "checkbox", value: name, checked: state[field].includes(name) });
    box.onchange = () => {
      state[field] = [...at(id).querySelectorAll("input:checked")].map((one) => one.value);
      ask();
    };
    return make("label", summary ? { title: summary } : {}, box, name.replaceAll("_", " "));
  }));
}

function told(history) {
  const first = state.history === null;
  if (state.lost) {
    const lost = state.lost;
    state.lost = null;
    if (send({ do: "start", ...lost })) return;
  }
  const from = first ? 0 : history.from, before = first ? { actions: [], rewards: [], curves: [] } : state.history;
  const together = (name) => [...before[name].slice(0, from), ...history[name]];
  state.history = { ...history, actions: together("actions"), rewards: together("rewards"), curves: before.curves };
  state.waiting = false;
  if (first) state.panes[0].mode = history.mode;
  at("seed").value = history.seed;
  if (state.follow) state.index = state.history.actions.length;
  state.follow = false;
  state.index = Math.min(state.index, state.history.actions.length);
  drawStage();
  ask();
}

// Curves come whole at first, and then what is new; of moments that nobody has read yet nothing is known.
function curved(message) {
  const known = state.history.curves, moments = state.history.actions.length + 1;
  if (message.from === 0) state.history.curves = message.charts;
  else message.charts.forEach((chart, place) => chart.lines.forEach(({ values }, number) => {
    const line = known[place].lines[number];
    line.values = [...line.values.slice(0, message.from), ...values];
  }));
  const whole = (values) => [...values, ...Array(Math.max(moments - values.length, 0)).fill(null)];
  curves.draw(state.history.curves.map((chart) => ({
    ...chart, lines: chart.lines.map((line) => ({ ...line, values: whole(line.values) })),
  })), moments);
  curves.show(state.index);
}

function edits() {
  const turned = Number(at("shiftstrength").value);
  const turn = turned > 0 ? [{ kind: "turn", shift: at("shift").value, strength: turned }] : [];
  return [...turn, ...state.edits];
}

function view() {
  const strength = Number(at("dialstrength").value);
  return {
    index: state.index, panes: state.panes, edits: edits(), methods: state.methods, score: at("score").value || null,
    metrics: state.metrics,
    dial: strength > 0 && at("dial").value ? [at("dial").value, strength] : null,
  };
}

// One question is on its way at a time; of those asked meanwhile only the newest follows.
function ask() {
  if (!state.history) return;
  drawControls();
  if (state.waiting) { state.dirty = true; return; }
  state.number += 1;
  state.dirty = false;
  state.waiting = send({ do: "look", number: state.number, view: view() });
}

function looked(message) {
  state.waiting = false;
  if (message.number === state.number) {
    state.answered = message;
    message.panes.forEach(drawPane);
    if (message.number !== state.kept) say(sentence(message));
  }
  if (state.dirty) ask();
  else if (state.later) { state.later = false; advance(); }
  else if (state.playing) setTimeout(advance, 60);
}

function actionName(action) {
  if (Array.isArray(action)) return action.map((one) => one.toFixed(2)).join(", ");
  return state.offer.names?.[action - state.offer.first] ?? String(action);
}

function sentence(message) {
  const { before, after } = message.panes[0];
  const was = actionName(before.action), now = actionName(after.action);
  if (JSON.stringify(before) === JSON.stringify(after)) return `Step ${message.index}: the policy does ${was}.`;
  if (was === now) return `Step ${message.index}: the policy does ${was}, with the changes too.`;
  return `Step ${message.index}: the policy does ${was}; with the changes it does ${now}.`;
}

function choice(label, names, value, changed) {
  const made = make("select", { "aria-label": label }, ...names.map(([key, name]) => make("option", { value: key, textContent: name })));
  made.value = value;
  made.onchange = () => changed(made.value);
  return made;
}

function drawStage() {
  const stage = at("stage");
  if (stage.children.length !== state.panes.length) stage.replaceChildren();
  state.panes.forEach((pane, place) => {
    let made = stage.children[place];
    if (!made) {
      const canvas = make("canvas", { width: 1, height: 1, tabIndex: 0, role: "img", "aria-label": "The picture; a brush changes it" });
      made = make("section", { className: "pane", "aria-label": `View ${place + 1}` }, make("h2"), make("div", { className: "shown" }, canvas),
        make("div", { className: "told" }), make("div", { className: "maps" }));
      stage.append(made);
      brush(canvas);
    }
    const policies = state.offer.policies.map((name, number) => [String(number), name]);
    const modes = [...new Set([pane.mode, ...state.offer.modes])].map((name) => [name, name]);
    made.querySelector("h2").replaceChildren(
      choice(`Policy of view ${place + 1}`, policies, String(pane.policy), (value) => { pane.policy = Number(value); ask(); }),
      choice(`Mode of view ${place + 1}`, modes, pane.mode, (value) => changeMode(place, value)));
  });
  drawControls();
}

function changeMode(place, mode) {
  state.panes[place].mode = mode;
  if (place === 0) {
    if (send({ do: "start", seed: state.history.seed, mode, actions: state.history.actions })) say("The episode is played in this mode.");
  } else ask();
}

function drawPane(told, place) {
  const made = at("stage").children[place];
  if (!made) return;
  const canvas = made.querySelector("canvas");
  const picture = new Image();
  picture.onload = () => {
    if (canvas.width !== told.width || canvas.height !== told.height) { canvas.width = told.width; canvas.height = told.height; }
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dataset.drawn = state.answered?.number ?? "";
  };
  picture.src = told.picture;
  const number = (value) => (value === null ? "–" : value.toFixed(3));
  const row = (name, was, now) => make("tr", { className: was === now ? "" : "moved" }, make("th", { scope: "row", textContent: name }),
    make("td", { textContent: was }), make("td", { textContent: now }));
  const head = make("tr", {}, make("td"), make("th", { scope: "col", textContent: "as it was" }), make("th", { scope: "col", textContent: "changed" }));
  const table = make("table", {}, make("tbody", {}, head, row("action", actionName(told.before.action), actionName(told.after.action)),
    row("value", number(told.before.value), number(told.after.value))));
  const parts = [table];
  if (told.after.preferences) parts.push(likes(told));
  made.querySelector(".told").replaceChildren(...parts);
  const maps = made.querySelector(".maps");
  const kept = new Map([...maps.children].map((one) => [one.dataset.method, one]));
  maps.replaceChildren(...state.methods.map((name) => kept.get(name) ?? make("figure", { "data-method": name },
    make("img", { alt: `map of ${name}`, width: 84, height: 84 }), make("figcaption", { textContent: `${name.replaceAll("_", " ")} …` }), make("ul"))));
}

function likes(told) {
  const { before, after } = told;
  const all = [...before.preferences, ...after.preferences];
  const chances = after.kind === "probabilities";
  const low = chances ? 0 : Math.min(...all), high = chances ? 1 : Math.max(...all);
  const width = (value) => Math.max(((value - low) / (high - low || 1)) * 100, 0.5);
  return make("div", { className: "likes", role: "group", "aria-label": after.kind.replace("_", " ") }, ...after.preferences.flatMap((value, place) => {
    const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    bar.append(svg("rect", { class: "was", x: 0, y: 0, height: 4, width: width(before.preferences[place]) }),
      svg("rect", { x: 0, y: 4, height: 6, width: width(value) }));
    const numbers = [before.preferences[place], value].map((one) => (chances ? `${(one * 100).toFixed(0)} %` : one.toFixed(2)));
    return [make("span", { textContent: state.offer.names[place] }), bar,
      make("span", { textContent: numbers[0] === numbers[1] ? numbers[0] : numbers.join(" → ") })];
  }));
}

function mapped(message) {
  const figure = at("stage").children[message.pane]?.querySelector(`figure[data-method="${CSS.escape(message.method)}"]`);
  if (!figure) return;
  const name = message.method.replaceAll("_", " ");
  figure.querySelector("ul").replaceChildren();  // scores of the map before
  if (message.kind === "no map") { figure.querySelector("figcaption").textContent = `${name}: ${message.sentence}`; figure.querySelector("img").removeAttribute("src"); return; }
  figure.querySelector("img").src = message.map;
  figure.dataset.number = message.number;
  const score = message.score ? ` of ${message.score}` : "";
  const fine = message.level < message.levels ? ` (coarse, ${message.level} of ${message.levels})` : "";
  figure.querySelector("figcaption").textContent = `${name}${score}${fine}`;
}

function scored(message) {
  const figure = at("stage").children[message.pane]?.querySelector(`figure[data-method="${CSS.escape(message.method)}"]`);
  if (!figure) return;
  const number = (value) => (value === null ? "–" : value.toFixed(2).replace("-", "\u2212"));
  const lines = message.scores.map((one) =>
    `${one.metric.replaceAll("_", " ")} ${number(one.value)} (${one.direction} is better; by chance ${number(one.by_chance)})`);
  figure.querySelector("ul").replaceChildren(...[...lines, message.sentence].filter(Boolean).map((line) => make("li", { textContent: line })));
  figure.dataset.scored = message.number;
}

function drawControls() {
  const there = state.history !== null, last = there ? state.history.actions.length : 0;
  at("slider").max = last;
  at("slider").value = state.index;
  at("slider").setAttribute("aria-valuetext", `step ${state.index} of ${last}`);
  const total = there ? state.history.rewards.slice(0, state.index).reduce((sum, one) => sum + one, 0) : 0;
  at("count").textContent = `step ${state.index} of ${last}${there && state.history.over ? ", over" : ""}; return ${total.toFixed(2)}`;
  at("play").textContent = state.playing ? "Pause" : "Play";
  at("next").disabled = at("play").disabled = !there || (state.history.over && state.index >= last);
  at("back").disabled = at("first").disabled = state.index === 0;
  at("undo").disabled = !state.edits.length;
  curves.show(state.index);
}

function go(index) {
  state.later = false;
  state.index = Math.max(0, Math.min(index, state.history?.actions.length ?? 0));
  ask();
}

function advance() {
  if (!state.history) return;
  if (state.index < state.history.actions.length) { go(state.index + 1); return; }
  if (state.history.over) { state.playing = false; drawControls(); return; }
  if (state.waiting) { state.later = true; return; }  // until what is on its way has come
  state.follow = true;
  state.later = false;
  state.waiting = send({ do: "step", policy: state.panes[0].policy });
}

function drawActions() {
  const { names, low, high } = state.offer;
  const play = (action) => {
    state.playing = false;
    state.follow = false;
    if (send({ do: "branch", index: state.index, action })) state.index += 1;
  };
  if (names) {
    at("actions").replaceChildren(make("div", { className: "buttons" }, ...names.map((name, place) => {
      const button = make("button", { type: "button", textContent: name });
      button.onclick = () => play(place + state.offer.first);
      return button;
    })));
  } else if (low) {
    const inputs = low.map((least, place) => make("input", { type: "range", min: Math.max(least, -10), max: Math.min(high[place], 10), step: 0.01, value: 0 }));
    const button = make("button", { type: "button", textContent: "Play this action" });
    button.onclick = () => play(inputs.map((one) => Number(one.value)));
    at("actions").replaceChildren(...inputs.map((input, place) => make("label", {}, `part ${place + 1}`, input)), button);
  }
}

function brush(canvas) {
  let stroke = null, cross = [0.5, 0.5];
  const point = (event) => {
    const box = canvas.getBoundingClientRect();
    return [(event.clientX - box.x) / box.width, (event.clientY - box.y) / box.height].map((one) => Math.min(Math.max(one, 0), 1));
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
  canvas.onpointerdown = (event) => { canvas.setPointerCapture(event.pointerId); begin(point(event)); event.preventDefault(); canvas.focus(); };
  canvas.onpointermove = (event) => { if (stroke && stroke.points.length < 1500) { stroke.points.push(point(event)); ask(); } };
  canvas.onpointerup = canvas.onpointercancel = () => { stroke = null; };
  canvas.onkeydown = (event) => {
    const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in moves) {
      cross = cross.map((one, axis) => Math.min(Math.max(one + moves[event.key][axis] * 0.05, 0), 1));
      const context = canvas.getContext("2d");
      if (state.answered) drawPane(state.answered.panes[[...at("stage").children].indexOf(canvas.closest(".pane"))], [...at("stage").children].indexOf(canvas.closest(".pane")));
      setTimeout(() => { context.fillStyle = "#00ffff"; context.fillRect(cross[0] * canvas.width - 2, cross[1] * canvas.height, 5, 1); context.fillRect(cross[0] * canvas.width, cross[1] * canvas.height - 2, 1, 5); }, 40);
      say(`Cross at ${Math.round(cross[0] * 100)} % across, ${Math.round(cross[1] * 100)} % down.`);
    } else if (event.key === "Enter") { begin(cross); stroke = null; } else return;
    event.preventDefault();
    event.stopPropagation();
  };
}

function chooseTool(tool) {
  state.tool = tool;
  for (const one of document.querySelectorAll("[data-tool]")) one.setAttribute("aria-pressed", String(one.dataset.tool === tool));
}

function keep(message) {
  const bytes = Uint8Array.from(atob(message.content), (one) => one.charCodeAt(0));
  const link = make("a", { href: URL.createObjectURL(new Blob([bytes], { type: message.type })), download: message.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  say(`Saved ${message.name}.`);
  state.saved = { name: message.name, size: bytes.length };
  state.waiting = false;
  ask();  // the file came before a question that was on its way, and before maps that were not yet fine
  state.kept = state.number;
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
at("play").onclick = playOrPause;
at("back").onclick = back;
at("next").onclick = next;
at("first").onclick = () => { state.playing = false; go(0); };
at("slider").oninput = () => { state.playing = false; go(Number(at("slider").value)); };
at("undo").onclick = undo;
at("clear").onclick = clear;
for (const id of ["dial", "dialstrength", "shift", "shiftstrength", "score"]) at(id).oninput = ask;
for (const one of document.querySelectorAll("[data-tool]")) one.onclick = () => chooseTool(one.dataset.tool);
for (const one of document.querySelectorAll("[data-save]")) one.onclick = () => {
  if (send({ do: "save", what: one.dataset.save, view: view() })) say("It is being made …");
};
at("begin").onclick = () => {
  state.index = 0;
  state.playing = false;
  send({ do: "start", seed: Number(at("seed").value), mode: state.panes[0].mode });
};
at("second").onclick = () => {
  if (state.panes.length > 1) state.panes.pop();
  else state.panes.push({ policy: state.offer.policies.length > 1 ? 1 : 0, mode: state.panes[0].mode });
  at("second").setAttribute("aria-pressed", String(state.panes.length > 1));
  drawStage();
  ask();
};
document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|SELECT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key === " " && event.target.tagName === "BUTTON") return;
  const keys = {
    " ": playOrPause, ArrowLeft: back, ArrowRight: next, Home: () => go(0), End: () => go(Infinity),
    p: () => chooseTool("paint"), e: () => chooseTool("erase"), d: () => chooseTool("drop"), u: undo, c: clear,
  };
  if (!(event.key in keys)) return;
  event.preventDefault();
  keys[event.key]();
});
connect();
