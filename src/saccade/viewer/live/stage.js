"use strict";
// What the server answered, drawn: the views, their maps and scores, and what may be chosen.
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

const plain = (name) => name.replaceAll("_", " ");
const number = (value, digits) => (value === null ? "\u2013" : value.toFixed(digits).replace("-", "\u2212"));

function actionName(action) {
  if (Array.isArray(action)) return action.map((one) => number(one, 2)).join(", ");
  return state.offer.names?.[action - state.offer.first] ?? String(action);
}

// All that can be chosen, once it is known.
function drawOffer(offer) {
  const fill = (id, names) => at(id).replaceChildren(...names.map((name) => make("option", { value: name, textContent: plain(name) })));
  fill("dial", offer.dials);
  at("scene").hidden = at("scenestrength").hidden = !offer.dials.length;
  at("dials").textContent = offer.dials.length ? "Light, camera, picture" : "The whole picture";
  fill("shift", offer.shifts);
  fill("drop", offer.shifts);
  at("drop").value = "occlusion";
  if (!at("drop").value) at("drop").value = "noise";
  fill("score", offer.scores);
  choices("methods", offer.methods);
  choices("metrics", offer.metrics);
  drawActions();
}

// Boxes, of which those that are checked are named in the state.
function choices(id, offered) {
  at(id).replaceChildren(...offered.map(({ name, summary }) => {
    const box = make("input", { type: "checkbox", value: name, checked: state[id].includes(name) });
    box.onchange = () => {
      state[id] = [...at(id).querySelectorAll("input:checked")].map((one) => one.value);
      ask();
    };
    return make("label", summary ? { title: summary } : {}, box, plain(name));
  }));
}

// A field that stays the same element, so that whoever has it in hand keeps it.
function choice(field, names, value, changed) {
  const options = names.map(([key]) => key).join("\n");
  if (field.dataset.options !== options) {
    field.replaceChildren(...names.map(([key, name]) => make("option", { value: key, textContent: name })));
    field.dataset.options = options;
  }
  field.value = value;
  field.onchange = () => changed(field.value);
}

function drawStage() {
  const stage = at("stage");
  while (stage.children.length > state.panes.length) stage.lastElementChild.remove();
  while (stage.children.length < state.panes.length) stage.append(emptyPane(stage.children.length + 1));
  state.panes.forEach((pane, place) => {
    const [policy, mode] = stage.children[place].querySelectorAll("h2 select");
    choice(policy, state.offer.policies.map((name, one) => [String(one), name]), String(pane.policy), (value) => { pane.policy = Number(value); ask(); });
    choice(mode, [...new Set([pane.mode, ...state.offer.modes])].map((name) => [name, name]), pane.mode, (value) => changeMode(place, value));
  });
  at("second").setAttribute("aria-pressed", String(state.panes.length > 1));
  drawControls();
}

function emptyPane(place) {
  const canvas = make("canvas", { width: 1, height: 1, tabIndex: 0, role: "img", "aria-label": `The picture of view ${place}; a brush changes it` });
  brush(canvas);
  watchStage.observe(canvas);
  return make("section", { className: "pane", "aria-label": `View ${place}` },
    make("h2", {}, ...["Policy", "Mode"].map((what) => make("select", { "aria-label": `${what} of view ${place}` }))),
    make("div", { className: "shown" }, canvas), make("div", { className: "reading" }), make("div", { className: "maps" }));
}

function drawPane(answer, place) {
  const made = at("stage").children[place];
  if (!made) return;
  const canvas = made.querySelector("canvas");
  const picture = new Image();
  picture.onload = () => {
    if (canvas.width !== answer.width || canvas.height !== answer.height) { canvas.width = answer.width; canvas.height = answer.height; }
    canvas.getContext("2d").drawImage(picture, 0, 0);
    canvas.dataset.drawn = state.answered?.number ?? "";
  };
  picture.src = answer.picture;
  const row = (name, was, now) => make("tr", { className: was === now ? "" : "moved" }, make("th", { scope: "row", textContent: name }),
    make("td", { textContent: was }), make("td", { textContent: now }));
  const head = make("tr", {}, make("td"), make("th", { scope: "col", textContent: "as it was" }), make("th", { scope: "col", textContent: "changed" }));
  const table = make("table", {}, make("tbody", {}, head, row("action", actionName(answer.before.action), actionName(answer.after.action)),
    row("value", number(answer.before.value, 3), number(answer.after.value, 3))));
  made.querySelector(".reading").replaceChildren(table, ...(answer.after.preferences ? [likes(answer)] : []));
  drawFigures(made.querySelector(".maps"));
}

// A place for the map of each method, which keeps the one before until the new one has come.
function drawFigures(maps) {
  const kept = new Map([...maps.children].map((one) => [one.dataset.method, one]));
  for (const [name, one] of kept) if (!state.methods.includes(name)) one.remove();
  state.methods.forEach((name, place) => {
    const figure = kept.get(name) ?? emptyFigure(name);
    figure.classList.toggle("old", figure.dataset.number !== String(state.answered?.number));
    if (maps.children[place] !== figure) maps.insertBefore(figure, maps.children[place] ?? null);
  });
}

function emptyFigure(name) {
  const enlarge = make("button", { type: "button", className: "enlarge", title: "Enlarge", "aria-label": `Enlarge ${plain(name)}`, "aria-pressed": "false" });
  const figure = make("figure", { "data-method": name }, make("img", { alt: `map of ${plain(name)}`, width: 84, height: 84 }),
    make("figcaption", {}, enlarge, make("span", { className: "name", textContent: `${plain(name)} …` })), make("ul"));
  enlarge.onclick = () => enlarge.setAttribute("aria-pressed", String(figure.classList.toggle("large")));
  return figure;
}

function likes(answer) {
  const { before, after } = answer;
  const all = [...before.preferences, ...after.preferences];
  const chances = after.kind === "probabilities";
  const low = chances ? 0 : Math.min(...all), high = chances ? 1 : Math.max(...all);
  const width = (value) => Math.max(((value - low) / (high - low || 1)) * 100, 0.5);
  return make("div", { className: "likes", role: "group", "aria-label": plain(after.kind) }, ...after.preferences.flatMap((value, place) => {
    const bar = svg("svg", { viewBox: "0 0 100 10", preserveAspectRatio: "none", "aria-hidden": "true" });
    bar.append(svg("rect", { class: "was", x: 0, y: 0, height: 4, width: width(before.preferences[place]) }),
      svg("rect", { x: 0, y: 4, height: 6, width: width(value) }));
    const numbers = [before.preferences[place], value].map((one) => (chances ? `${(one * 100).toFixed(0)} %` : number(one, 2)));
    return [make("span", { textContent: state.offer.names[place] }), bar,
      make("span", { textContent: numbers[0] === numbers[1] ? numbers[0] : numbers.join(" → ") })];
  }));
}

const figureOf = ({ pane, method }) => at("stage").children[pane]?.querySelector(`figure[data-method="${CSS.escape(method)}"]`);

function mapped(message) {
  const figure = figureOf(message);
  if (!figure) return;
  const name = plain(message.method), label = figure.querySelector(".name");
  figure.querySelector("ul").replaceChildren();  // scores of the map before
  figure.classList.remove("old");
  if (message.kind === "no map") { label.textContent = `${name}: ${message.sentence}`; figure.querySelector("img").removeAttribute("src"); return; }
  figure.querySelector("img").src = message.map;
  figure.dataset.number = message.number;
  const score = message.score ? ` of ${plain(message.score)}` : "";
  const fine = message.level < message.levels ? ` (coarse, ${message.level} of ${message.levels})` : "";
  label.textContent = `${name}${score}${fine}`;
  drawGlance();
}

function scored(message) {
  const figure = figureOf(message);
  if (!figure) return;
  const lines = message.scores.map((one) =>
    `${plain(one.metric)} ${number(one.value, 2)} (${one.direction} is better; by chance ${number(one.by_chance, 2)})`);
  figure.querySelector("ul").replaceChildren(...[...lines, message.sentence].filter(Boolean).map((line) => make("li", { textContent: line })));
  figure.dataset.scored = message.number;
}

// While the tools are in hand and the pictures are out of sight, small ones stay at the top, with what the policy does.
const watchStage = new IntersectionObserver((entries) => {
  for (const { target, intersectionRatio } of entries) target.dataset.sight = intersectionRatio;
  const above = at("stage").getBoundingClientRect().top < 0; // only once one has scrolled past them
  const seen = [...document.querySelectorAll(".pane canvas")].some((one) => Number(one.dataset.sight) >= 0.4);
  at("glance").hidden = seen || !above;
}, { threshold: [0, 0.4] });

function drawGlance() {
  const pictures = state.answered.panes.flatMap((pane, place) => {
    const map = at("stage").children[place]?.querySelector(".maps img")?.src;
    return [pane.picture, map].filter(Boolean);
  });
  const place = at("glanced");
  while (place.children.length > pictures.length) place.lastElementChild.remove();
  while (place.children.length < pictures.length) place.append(make("img", { alt: "" }));
  pictures.forEach((source, one) => { place.children[one].src = source; });
}

function drawControls() {
  const there = state.history !== null, last = there ? state.history.actions.length : 0;
  const over = there && state.history.over && state.index >= last;
  at("slider").max = last;
  at("slider").value = state.index;
  at("slider").setAttribute("aria-valuetext", `step ${state.index} of ${last}`);
  const total = there ? state.history.rewards.slice(0, state.index).reduce((sum, one) => sum + one, 0) : 0;
  at("count").textContent = `step ${state.index} of ${last}${there && state.history.over ? ", over" : ""}; return ${number(total, 2)}`;
  at("play").textContent = state.playing ? "Pause" : "Play";
  at("status").setAttribute("aria-live", state.playing ? "off" : "polite"); // nobody wants to hear every step
  at("next").disabled = at("play").disabled = !there || over;
  at("back").disabled = at("first").disabled = state.index === 0;
  at("undo").disabled = !state.edits.length && (changed() || !state.cleared);
  at("clear").disabled = !changed();
  for (const one of at("actions").querySelectorAll("button.take")) one.disabled = !there || over;
  at("ended").hidden = !over;
  for (const one of document.querySelectorAll("output[data-of]")) one.textContent = sliderText(at(one.dataset.of));
  curves.show(state.index);
}

// The number of a slider as a person reads it.
function sliderText(slider) {
  return slider.max > 1 || slider.min < 0 ? number(Number(slider.value), 2) : `${Math.round(slider.value * 100)} %`;
}
