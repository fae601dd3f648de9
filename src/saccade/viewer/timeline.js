"use strict";
// Curves along a slider: numbers of an episode over its moments, to be read, and to go to a moment by.
// timeline(host, seek) makes an empty element into one and gives
//   draw(charts, count): of count moments; a chart is {title, unit, lines: [{name, values}], note}, where a value may be
//     null, a unit of "share" is shown in percent from 0 to 100, and any other number in its own range;
//   show(index): which moment it is; one after the last is not known yet.
// seek(index) is called where a person presses or drags on a curve, or uses the keyboard.
function timeline(host, seek) {
  const WIDTH = 1000, HEIGHT = 100, MARGIN = 6, COLOURS = 8; // as timeline.css has
  let charts = [], count = 0, here = 0;
  const made = (kind, name, text = "") => {
    const one = document.createElement(kind);
    one.className = name;
    one.textContent = text;
    return one;
  };
  const drawn = (kind, fields) => {
    const one = document.createElementNS("http://www.w3.org/2000/svg", kind);
    for (const [name, value] of Object.entries(fields)) one.setAttribute(name, value);
    return one;
  };
  const place = (index) => (index / Math.max(count - 1, 1)) * WIDTH;
  const known = (value) => value !== null && value !== undefined && Number.isFinite(value);
  const colour = (number) => `line-${number % COLOURS}${number >= COLOURS ? " dashed" : ""}`;
  function valueText(value, unit) {
    if (!known(value)) return "\u2013";
    const size = Math.abs(value);
    const text = unit === "share" ? `${(100 * value).toFixed(0)} %`
      : size >= 1000 ? value.toFixed(0) : size >= 10 ? value.toFixed(1) : String(Number(value.toPrecision(3)));
    return text.replace("-", "\u2212");
  }
  // Unknown moments are gaps; a lone one between two gaps is a dot, for its line has round ends.
  function path(values, height) {
    let before = false, text = "";
    values.forEach((value, index) => {
      if (known(value)) text += `${before ? "L" : "M"}${place(index).toFixed(1)} ${height(value).toFixed(1)}${before ? "" : "h0"}`;
      before = known(value);
    });
    return text;
  }
  function chartOf({ title, unit, lines, note }) {
    const all = lines.flatMap((line) => line.values.filter(known));
    const share = unit === "share";
    const low = share ? 0 : Math.min(...all), high = share ? 1 : Math.max(...all);
    const height = (value) => (high > low ? HEIGHT - MARGIN - ((value - low) / (high - low)) * (HEIGHT - 2 * MARGIN) : HEIGHT / 2);
    const head = made("div", "head");
    head.append(made("b", "title", title));
    const plot = drawn("svg", { class: lines.length > 3 ? "plot crowded" : "plot", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", "aria-hidden": "true" });
    if (low < 0 && high > 0) plot.append(drawn("path", { class: "zero", d: `M0 ${height(0)}H${WIDTH}` }));
    const cursor = drawn("path", { class: "cursor", d: "" });
    const own = lines.map(({ name, values }, number) => {
      const key = made("span", "key");
      const sample = drawn("svg", { viewBox: "0 0 20 10", class: "sample", "aria-hidden": "true" });
      sample.append(drawn("path", { class: `curve ${colour(number)}`, d: "M2 5H18" }));
      const now = made("span", "now");
      if (lines.length > 1 || name) key.append(sample, `${name} `);
      key.append(now);
      head.append(key);
      plot.append(drawn("path", { class: `curve ${colour(number)}`, d: path(values, height) }));
      return { name, values, now, dot: drawn("path", { class: `dot ${colour(number)}`, d: "" }) };
    });
    plot.append(cursor, ...own.map((line) => line.dot));
    const range = all.length && !share ? `${valueText(low)} to ${valueText(high)}` : "";
    head.append(made("span", "range", [range, note].filter(Boolean).join("; ")));
    const box = made("div", "chart");
    box.append(head, plot);
    return { box, title, unit, lines: own, cursor, height };
  }
  function draw(given, moments) {
    count = moments;
    charts = given.filter((chart) => chart.lines.some((line) => line.values.some(known))).map(chartOf);
    host.replaceChildren(...charts.map((chart) => chart.box));
    host.hidden = !charts.length || count < 2;
    host.setAttribute("aria-valuemax", Math.max(count - 1, 0));
    show(Math.min(here, Math.max(count - 1, 0)));
  }
  function show(index) {
    here = index;
    const x = place(Math.min(index, Math.max(count - 1, 0))).toFixed(1);
    const spoken = [];
    for (const { title, unit, lines, cursor, height } of charts) {
      cursor.setAttribute("d", `M${x} 0V${HEIGHT}`);
      for (const { name, values, now, dot } of lines) {
        const value = index < count ? values[Math.min(index, values.length - 1)] : null;
        now.textContent = valueText(value, unit);
        dot.setAttribute("d", known(value) ? `M${x} ${height(value).toFixed(1)}h0` : "");
        spoken.push([title, name, now.textContent].filter(Boolean).join(" "));
      }
    }
    host.setAttribute("aria-valuenow", index);
    host.setAttribute("aria-valuetext", `${index + 1} of ${count}: ${spoken.join(", ")}`);
  }
  const go = (index) => seek(Math.max(0, Math.min(Math.round(index), count - 1)));
  const pressed = (event) => {
    const box = host.querySelector(".plot").getBoundingClientRect();
    go(((event.clientX - box.x) / box.width) * (count - 1));
  };
  host.classList.add("timeline");
  for (const [name, value] of Object.entries({ role: "slider", "aria-label": "Moment, along the curves", "aria-valuemin": 0 })) {
    host.setAttribute(name, value);
  }
  host.tabIndex = 0;
  host.addEventListener("pointerdown", (event) => {
    if (event.button || !event.target.closest(".plot")) return;
    host.setPointerCapture(event.pointerId);
    pressed(event);
  });
  host.addEventListener("pointermove", (event) => {
    if (host.hasPointerCapture(event.pointerId)) pressed(event);
  });
  host.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const far = Math.max(1, Math.round(count / 10));
    const to = {
      ArrowLeft: here - 1, ArrowDown: here - 1, ArrowRight: here + 1, ArrowUp: here + 1,
      PageDown: here - far, PageUp: here + far, Home: 0, End: count - 1,
    }[event.key];
    if (to === undefined) return;
    event.preventDefault();
    event.stopPropagation();
    go(to);
  });
  draw([], 0);
  return { draw, show };
}
