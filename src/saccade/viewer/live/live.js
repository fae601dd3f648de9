"use strict";
// What the page knows, and how it talks with its server. It holds everything that a server needs to go on: the seed, the
// actions, the changes. So the server may be started again. stage.js draws what was answered, tools.js is for the hands.
const at = (id) => document.getElementById(id);
const token = new URLSearchParams(location.search).get("token");
const state = {
  offer: null, history: null, index: 0, panes: [{ policy: 0, mode: "train" }], edits: [], tool: "paint",
  methods: ["gradient"], metrics: [], number: 0, playing: false, waiting: false, dirty: false, answered: null, follow: false, later: false,
};
const REFUSED = 4000; // the code by which a server closes that cannot begin an episode
const MOST_BYTES = 1900000; // of a message: the server takes 2 MB
const AWAY = "The server is away; the page waits for it. Start it again with the same --port and --token, or open the address that it prints.";
let socket = null, retry = 500, timer = null;
const curves = timeline(at("curves"), (index) => { state.playing = false; go(index); });

function say(text, wrong = false) {
  at("status").textContent = at("said").textContent = text;
  at("status").classList.toggle("wrong", wrong);
}

function send(message) {
  if (socket?.readyState !== WebSocket.OPEN) { say(AWAY, true); return false; }
  const text = JSON.stringify(message);
  if (text.length > MOST_BYTES) { say("These are too many changes: take the last ones back with Undo, or all with Clear all.", true); return false; }
  socket.send(text);
  return true;
}

function connect() {
  socket = new WebSocket(`ws://${location.host}/talk?token=${encodeURIComponent(token)}`);
  socket.onmessage = (event) => heard(JSON.parse(event.data));
  socket.onclose = (event) => {
    state.playing = state.waiting = state.later = false;
    drawControls();
    if (event.code === REFUSED) return; // it has said why, and says the same again
    say(AWAY, true);
    setTimeout(connect, retry);
    retry = Math.min(retry * 1.5, 5000);
  };
}

function heard(message) {
  const shown = message.number === state.answered?.number; // a newer question may be on its way
  switch (message.kind) {
    case "hello": greeted(message); break;
    case "history": takeHistory(message); break;
    case "curves": curved(message); break;
    case "look": looked(message); break;
    case "map": case "no map": if (shown) mapped(message); break;
    case "scores": if (shown) scored(message); break;
    case "making": if (message.done % 10 === 0) say(`It is being made: ${message.done} of ${message.total} moments …`); break;
    case "file": keep(message); break;
    case "error": failed(message);
  }
}

function failed(message) {
  state.waiting = state.playing = state.later = state.follow = false;
  if (state.history) state.index = Math.min(state.index, state.history.actions.length); // an action that was not taken
  if (state.shown) { state.panes = state.shown.map((pane) => ({ ...pane })); drawStage(); } // a mode that cannot be made
  else drawControls();
  say(message.sentence, true);
  if (state.dirty) ask();
}

function greeted(offer) {
  const again = state.history;
  retry = 500;
  state.waiting = false;
  state.lost = again ? { seed: again.seed, mode: again.mode, actions: again.actions } : null;
  state.offer = offer;
  at("title").textContent = document.title = offer.title;
  if (!again) {
    if (offer.policies.length > 1) state.panes.push({ policy: 1, mode: "train" });
    drawOffer(offer);
  }
  say(again ? "The server is back; the episode is played again." : "Ready.");
}

// A history comes whole at first, and then from the action on that is new.
function takeHistory(history) {
  const first = state.history === null;
  if (state.lost) {
    const lost = state.lost;
    state.lost = null;
    if (send({ do: "start", ...lost })) return;
  }
  const before = first ? { actions: [], rewards: [], curves: [] } : state.history;
  const together = (name) => [...before[name].slice(0, history.from), ...history[name]];
  state.history = { ...history, actions: together("actions"), rewards: together("rewards"), curves: before.curves };
  state.waiting = false;
  if (first) for (const pane of state.panes) pane.mode = history.mode;
  at("seed").value = history.seed;
  const last = state.history.actions.length;
  if (state.follow) state.index = last;
  state.follow = false;
  state.index = Math.min(state.index, last);
  drawStage();
  ask();
}

// Curves likewise; of moments that nobody has read yet nothing is known.
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

const changed = () => edits().length > 0 || Number(at("dialstrength").value) > 0;

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
  state.asked = state.panes.map((pane) => ({ ...pane }));
  state.waiting = send({ do: "look", number: state.number, view: view() });
}

function looked(message) {
  state.waiting = false;
  if (message.number === state.number) {
    state.answered = message;
    state.shown = state.asked;
    message.panes.forEach(drawPane);
    drawGlance();
    followAction(message.panes[0].before.action);
    if (message.number !== state.kept) say(sentence(message));
  }
  if (state.dirty) ask();
  else if (state.later) { state.later = false; advance(); }
  else if (state.playing) {
    clearTimeout(timer);
    timer = setTimeout(() => { if (state.playing) advance(); }, 60); // unless it was paused meanwhile
  }
}

function sentence(message) {
  const does = ({ before, after }) => {
    const was = actionName(before.action), now = actionName(after.action);
    if (JSON.stringify(before) === JSON.stringify(after)) return was;
    return was === now ? `${was}, with the changes too` : `${was}; with the changes it does ${now}`;
  };
  const [first, second] = message.panes.map(does);
  return `Step ${message.index}: the policy does ${first}.${second ? ` View 2: ${second}.` : ""}`;
}

function changeMode(place, mode) {
  state.panes[place].mode = mode;
  if (place === 0) {
    if (send({ do: "start", seed: state.history.seed, mode, actions: state.history.actions })) say("The episode is played in this mode.");
  } else ask();
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

function takeAction(action) {
  state.playing = state.follow = false;
  if (send({ do: "branch", index: state.index, action })) state.index += 1;
}

function begin(seed) {
  state.index = 0;
  state.playing = false;
  send({ do: "start", seed, mode: state.panes[0].mode });
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
