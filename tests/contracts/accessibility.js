// What is wrong with the page that is open, as sentences: run in the page by accessibility.py, which says what is meant.
(() => {
  "use strict";
  const found = [];
  const fault = (rule, element, said) => found.push(`${rule}: ${spelled(element)} ${said}`);

  function spelled(element) {
    const id = element.id ? `#${element.id}` : "";
    const kind = typeof element.className === "string" && element.className.trim() ? `.${element.className.trim().split(/\s+/).join(".")}` : "";
    const text = (element.textContent ?? "").trim().replace(/\s+/g, " ").slice(0, 40);
    return `<${element.tagName.toLowerCase()}${id}${kind}>${text && ` “${text}”`}`;
  }

  // Roles of ARIA 1.2 that an author may give.
  const ROLES = new Set(("alert alertdialog application article banner blockquote button caption cell checkbox code columnheader " +
    "combobox complementary contentinfo definition deletion dialog directory document emphasis feed figure form generic grid " +
    "gridcell group heading img image insertion link list listbox listitem log main marquee math menu menubar menuitem " +
    "menuitemcheckbox menuitemradio meter navigation none note option paragraph presentation progressbar radio radiogroup " +
    "region row rowgroup rowheader scrollbar search searchbox separator slider spinbutton status strong subscript superscript " +
    "switch tab table tablist tabpanel term textbox time timer toolbar tooltip tree treegrid treeitem").split(" "));
  const NEEDS = { slider: ["aria-valuenow"], scrollbar: ["aria-valuenow", "aria-controls"], meter: ["aria-valuenow"],
    checkbox: ["aria-checked"], switch: ["aria-checked"], radio: ["aria-checked"], combobox: ["aria-expanded"],
    heading: ["aria-level"] };
  const STATES = { "aria-pressed": "true false mixed", "aria-checked": "true false mixed", "aria-expanded": "true false",
    "aria-hidden": "true false", "aria-disabled": "true false", "aria-selected": "true false", "aria-busy": "true false",
    "aria-live": "off polite assertive", "aria-sort": "ascending descending none other", "aria-modal": "true false",
    "aria-current": "page step location date time true false", "aria-atomic": "true false" };
  const REFERENCES = ["aria-labelledby", "aria-describedby", "aria-controls", "aria-owns", "aria-activedescendant", "aria-details"];
  const PLAIN = ["aria-label", "aria-valuenow", "aria-valuemin", "aria-valuemax", "aria-valuetext", "aria-level", "aria-colcount",
    "aria-rowcount", "aria-colindex", "aria-rowindex", "aria-colspan", "aria-rowspan", "aria-setsize", "aria-posinset",
    "aria-haspopup", "aria-invalid", "aria-keyshortcuts", "aria-multiline", "aria-multiselectable", "aria-orientation",
    "aria-placeholder", "aria-readonly", "aria-relevant", "aria-required", "aria-roledescription", "aria-autocomplete",
    "aria-description", "aria-errormessage", "aria-flowto"];
  const CONTROLS = "a[href], button, input:not([type=hidden]), select, textarea, summary, [role=button], [role=checkbox], " +
    "[role=link], [role=slider], [role=switch], [role=tab], [role=radio], [role=menuitem], [role=textbox], [role=combobox], " +
    "[tabindex]:not([tabindex='-1'])";

  const all = [...document.body.querySelectorAll("*")];
  const isShown = (element) => element.checkVisibility({ visibilityProperty: true, contentVisibilityAuto: true });
  const isKept = (element) => !element.closest("[aria-hidden=true]");
  const shown = all.filter(isShown);
  const told = shown.filter(isKept);
  const controls = told.filter((element) => element.matches(CONTROLS));

  // The accessible name, as far as pages here can have one: references, a label of its own, labels, alternatives, content.
  function textOf(node) {
    if (node.nodeType === Node.TEXT_NODE) return node.data;
    if (node.nodeType !== Node.ELEMENT_NODE || node.getAttribute("aria-hidden") === "true" || node.hidden) return "";
    if (node.ariaLabel) return node.ariaLabel;
    if (node.tagName === "IMG") return node.alt;
    if (node.matches("select, input, textarea")) return "";
    return [...node.childNodes].map(textOf).join(" ");
  }
  function nameOf(element) {
    const references = (element.getAttribute("aria-labelledby") ?? "").split(/\s+/).filter(Boolean);
    const referred = references.map((id) => document.getElementById(id)).filter(Boolean).map(textOf).join(" ").trim();
    const labels = [...(element.labels ?? [])].map(textOf).join(" ").trim();
    const title = element instanceof SVGElement ? element.querySelector(":scope > title")?.textContent : element.title;
    const owned = element.tagName === "FIELDSET" ? element.querySelector(":scope > legend")
      : element.tagName === "FIGURE" ? element.querySelector(":scope > figcaption")
      : element.tagName === "TABLE" ? element.querySelector(":scope > caption") : null;
    const byContent = element.matches("a, button, summary, canvas, [role=button], [role=link], [role=tab], [role=menuitem]");
    const button = element.matches("input[type=submit], input[type=button], input[type=reset]") ? element.value : "";
    return (referred || element.ariaLabel || labels || element.getAttribute("alt") || button || (owned && textOf(owned)) ||
      (byContent && textOf(element)) || title || "").trim();
  }

  // The document.
  if (!/^[a-z]{2}/.test(document.documentElement.lang)) fault("language", document.documentElement, "has no lang");
  if (!document.title.trim()) fault("title", document.documentElement, "has no title");
  if (told.filter((one) => one.matches("main, [role=main]")).length !== 1) fault("main", document.body, "does not have one main part");
  const zoom = document.querySelector("meta[name=viewport]")?.content ?? "";
  if (!zoom.includes("width=device-width")) fault("viewport", document.body, "is not as wide as the device");
  if (/user-scalable\s*=\s*no|maximum-scale\s*=\s*[01]\b/.test(zoom)) fault("viewport", document.body, "cannot be enlarged");
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) {
    const widest = shown.filter((one) => one.getBoundingClientRect().right + scrollX > document.documentElement.clientWidth + 0.5);
    fault("scrolls sideways", widest.at(-1) ?? document.body, `makes the page ${wide} pixels too wide`);
  }

  // Names.
  for (const one of controls) {
    if (!nameOf(one)) fault("name", one, "has no accessible name");
    if (one.tabIndex > 0) fault("order", one, "has a tabindex above 0");
    const outer = one.parentElement.closest("a[href], button, select, summary, [role=button], [role=link]");
    if (outer) fault("nested", one, `lies inside ${spelled(outer)}`);
  }
  for (const one of told) {
    if (one.matches("img, input[type=image]") && !one.hasAttribute("alt") && !nameOf(one)) fault("picture", one, "has no alt");
    if (one.matches("canvas, video, iframe, object, [role=img], [role=image], [role=meter], [role=progressbar], progress, meter")
        && !nameOf(one)) fault("picture", one, "has no accessible name");
    if (one.tagName === "svg" && !one.closest("[role=img], button, a[href]") && !nameOf(one)) fault("picture", one, "has neither a name nor aria-hidden");
    if (one.matches("fieldset, [role=group], [role=radiogroup], [role=region], [role=dialog]") && !nameOf(one)) fault("name", one, "is a group without a name");
    if (one.tagName === "DETAILS" && one.firstElementChild?.tagName !== "SUMMARY") fault("name", one, "has no summary");
  }
  for (const one of shown) {
    const hidden = one.closest("[aria-hidden=true]");
    if (hidden && one.tabIndex >= 0 && !one.disabled) fault("hidden", one, "can be focused, and is hidden from screen readers");
  }

  // Roles and states.
  for (const one of all) {
    for (const role of (one.getAttribute("role") ?? "").split(/\s+/).filter(Boolean)) {
      if (!ROLES.has(role)) fault("role", one, `has the role ${role}, which there is none of`);
      const lacks = (NEEDS[role] ?? []).filter((name) => !one.hasAttribute(name) && !one.matches("input, select, h1, h2, h3, h4, h5, h6"));
      if (lacks.length) fault("role", one, `has the role ${role} without ${lacks.join(" and ")}`);
    }
    if (one.getAttribute("role") === "") fault("role", one, "has an empty role");
    for (const { name, value } of one.attributes) {
      if (!name.startsWith("aria-")) continue;
      if (name in STATES && !STATES[name].split(" ").includes(value)) fault("state", one, `has ${name}=${JSON.stringify(value)}`);
      if (!(name in STATES) && !REFERENCES.includes(name) && !PLAIN.includes(name)) fault("state", one, `has ${name}, which there is none of`);
      if (REFERENCES.includes(name) && value.split(/\s+/).some((id) => !document.getElementById(id))) fault("reference", one, `has ${name}=${JSON.stringify(value)}, and nothing has that id`);
    }
    if (one.hasAttribute("aria-pressed") && !one.matches("button, [role=button]")) fault("state", one, "has aria-pressed and is no button");
  }

  // Ids and labels.
  const ids = new Map();
  for (const one of document.querySelectorAll("[id]")) ids.set(one.id, [...(ids.get(one.id) ?? []), one]);
  for (const [id, those] of ids) {
    if (!id) fault("id", those[0], "has an empty id");
    else if (those.length > 1) fault("id", those[1], `has the id ${id}, and so has ${spelled(those[0])}`);
  }
  for (const one of document.querySelectorAll("label")) {
    if (one.htmlFor && !one.control) fault("label", one, `is for ${one.htmlFor}, which is no control`);
    if (isShown(one) && !one.control) fault("label", one, "labels no control");
  }
  for (const one of document.querySelectorAll("output[for]")) {
    if ([...one.htmlFor].some((id) => !document.getElementById(id))) fault("reference", one, `is for ${one.htmlFor}, and nothing has that id`);
  }

  // Headings, tables and lists.
  let level = 0;
  const headings = told.filter((one) => one.matches("h1, h2, h3, h4, h5, h6"));
  for (const one of headings) {
    const own = Number(one.tagName[1]);
    if (own > level + 1) fault("heading", one, level ? `follows a heading of level ${level}` : "is the first heading");
    if (!textOf(one).trim() && !nameOf(one) && !one.querySelector("select")) fault("heading", one, "is empty");
    level = own;
  }
  if (headings.filter((one) => one.tagName === "H1").length !== 1) fault("heading", document.body, "does not have one h1");
  for (const one of told) {
    if (one.tagName === "TABLE" && one.getAttribute("role") !== "presentation" && !one.querySelector("th")) fault("table", one, "has no header cells");
    if (one.tagName === "TH" && !one.scope && one.closest("table").rows.length > 1 && one.closest("table").querySelectorAll("td").length) fault("table", one, "has no scope");
    if (one.tagName === "LI" && !one.parentElement.matches("ul, ol, menu, [role=list]")) fault("list", one, "lies in no list");
    if (one.matches("dt, dd") && !one.parentElement.matches("dl, dl > div")) fault("list", one, "lies in no dl");
  }

  // What scrolls can be scrolled with the keyboard.
  for (const one of told) {
    const style = getComputedStyle(one);
    const across = /auto|scroll/.test(style.overflowX) && one.scrollWidth > one.clientWidth + 1;
    const down = /auto|scroll/.test(style.overflowY) && one.scrollHeight > one.clientHeight + 1;
    if ((across || down) && one.tabIndex < 0 && ![...one.querySelectorAll(CONTROLS)].some(isShown)) fault("scrolls", one, "scrolls, and no key can reach it");
  }

  // Contrast of text (WCAG 2.2, 1.4.3): 4.5, or 3 for large text. What lies over a picture is left out.
  const brush = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const known = new Map();
  function colour(text) {
    if (!known.has(text)) {
      brush.clearRect(0, 0, 1, 1);
      brush.fillStyle = text;
      brush.fillRect(0, 0, 1, 1);
      const [red, green, blue, alpha] = brush.getImageData(0, 0, 1, 1).data;
      known.set(text, [red, green, blue, alpha / 255]);
    }
    return known.get(text);
  }
  const over = (top, share, below) => below.map((one, place) => top[place] * share + one * (1 - share));
  const linear = (value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4);
  const brightness = ([red, green, blue]) => 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  function contrast(one, other) {
    const [more, less] = [brightness(one), brightness(other)].sort((a, b) => b - a);
    return (more + 0.05) / (less + 0.05);
  }
  const canvas = colour("Canvas").slice(0, 3);
  function ground(element) {  // null: a picture, whose pixels nobody knows here
    const layers = [];
    for (let one = element; one; one = one.parentElement) {
      const style = getComputedStyle(one);
      if (style.backgroundImage !== "none") return null;
      const [red, green, blue, alpha] = colour(style.backgroundColor);
      if (alpha > 0) layers.push([[red, green, blue], alpha]);
      if (alpha === 1) break;
    }
    return layers.reduceRight((below, [top, share]) => over(top, share, below), canvas);
  }
  function groundInDrawing(element) {
    const box = element.getBoundingClientRect(), x = box.x + box.width / 2, y = box.y + box.height / 2;
    const drawing = element.ownerSVGElement;
    let below = ground(drawing);
    for (const one of drawing.querySelectorAll("rect, circle, ellipse, path, polygon, image")) {
      if (element.compareDocumentPosition(one) & Node.DOCUMENT_POSITION_FOLLOWING) break;
      const its = one.getBoundingClientRect();
      if (!(its.left <= x && x <= its.right && its.top <= y && y <= its.bottom)) continue;
      if (one.tagName === "image") return null;
      const style = getComputedStyle(one);
      if (style.fill === "none") continue;
      const [red, green, blue, alpha] = colour(style.fill);
      if (below) below = over([red, green, blue], alpha * Number(style.fillOpacity) * Number(style.opacity), below);
    }
    return below;
  }
  const opacity = (element) => (element ? Number(getComputedStyle(element).opacity) * opacity(element.parentElement) : 1);
  const isDisabled = (element) => element.closest(":disabled, [aria-disabled=true]") || element.closest("label")?.control?.disabled;
  for (const one of shown) {
    const ownText = [...one.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim());
    const isField = one.matches("select, textarea, input:not([type=range], [type=color], [type=checkbox], [type=radio], [type=file], [type=hidden])");
    if (!(ownText || isField) || one.matches("script, style, option, title, desc") || isDisabled(one)) continue;
    const box = one.getBoundingClientRect();
    const style = getComputedStyle(one);
    if (box.width <= 1 || box.height <= 1 || style.clipPath !== "none") continue;  // for screen readers alone
    const inDrawing = one instanceof SVGElement;
    const below = inDrawing ? groundInDrawing(one) : ground(one);
    if (!below) continue;
    const [red, green, blue, alpha] = colour(inDrawing ? style.fill : style.color);
    const ratio = contrast(over([red, green, blue], alpha * opacity(one), below), below);
    const size = parseFloat(style.fontSize), large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    const wanted = large ? 3 : 4.5;
    if (ratio < wanted - 0.005) fault("contrast", one, `has a contrast of ${ratio.toFixed(2)} to 1, and needs ${wanted}`);
  }

  // For the walk with the Tab key.
  window.accessibility = {
    contrast, ground, colour, spelled,
    focusable: () => [...document.body.querySelectorAll(`${CONTROLS}, [contenteditable]`)].filter((one) => isShown(one) && one.tabIndex >= 0
      && !one.disabled && !(one.type === "radio" && !one.checked && document.querySelector(`input[name="${CSS.escape(one.name)}"]:checked`))),
    look(element) {
      const { outlineStyle, outlineWidth, outlineColor, boxShadow, borderTopColor, backgroundColor, textDecorationLine } = getComputedStyle(element);
      return { outline: outlineStyle !== "none" && parseFloat(outlineWidth) >= 1 ? [outlineStyle, outlineColor] : null,
        rest: [boxShadow, borderTopColor, backgroundColor, textDecorationLine].join() };
    },
    // What is wrong with the focus where it is now; null at the end of the page, where the browser's own controls follow.
    focus(before) {
      const now = document.activeElement;
      if (!now || now === document.body) return null;
      const at = window.accessibility.places.indexOf(now);
      const look = window.accessibility.look(now);
      let wrong = "";
      if (!look.outline && (at < 0 || look.rest === window.accessibility.looks[at].rest)) wrong = `focus: ${spelled(now)} does not show that it has the focus`;
      else if (look.outline && look.outline[0] !== "auto") {
        const below = ground(now.parentElement ?? now), own = colour(look.outline[1]);
        const ratio = below && contrast(over(own, own[3], below), below);
        if (ratio && ratio < 3) wrong = `focus: the outline of ${spelled(now)} has a contrast of ${ratio.toFixed(2)} to 1, and needs 3`;
      }
      return { at, wrong };
    },
  };
  return found;
})()
