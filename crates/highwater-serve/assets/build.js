// Elements out of data. Text is always text: nothing from a log is ever read as markup.

const SVG = "http://www.w3.org/2000/svg";

const put = (element, properties, children) => {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.flat(9).filter((child) => child !== null && child !== undefined && child !== false));
  return element;
};

/** An element: `h("p", { class: "quiet" }, "text", other)`. */
export const h = (tag, properties, ...children) => put(document.createElement(tag), properties, children);

/** The same in a drawing. */
export const s = (tag, properties, ...children) => put(document.createElementNS(SVG, tag), properties, children);

/** Puts these in the place of what is there, unless it was made from the same data. */
export const fill = (element, data, make) => {
  const of = JSON.stringify(data);
  if (element.madeOf === of) return;
  element.madeOf = of;
  element.replaceChildren(...[make()].flat(9).filter(Boolean));
};

/** A card with a heading. */
export const card = (heading, classes, body, ...tools) =>
  h("section", { class: `card ${classes ?? ""}`, "aria-label": heading }, h("header", {}, h("h3", {}, heading), tools), body);

/** A table: columns are `{ name, number, width }`, rows are lists of cells; `open` makes rows into something to choose. */
export const table = (columns, rows, open) => {
  const head = columns.map((column) => h("th", { class: column.number ? "number" : null, scope: "col" }, column.name));
  const widths = h("colgroup", {}, columns.map((column) => h("col", { width: column.width ?? null })));
  const body = rows.map((row, at) => {
    const cells = row.map((cell, n) => h("td", { class: columns[n].number ? "number" : null }, cell));
    if (!open) return h("tr", {}, cells);
    const chosen = () => open(at);
    return h("tr", { tabindex: 0, onclick: chosen, onkeydown: (event) => walk(event, chosen) }, cells);
  });
  return h("div", { class: "table" }, h("table", {}, widths, h("thead", {}, h("tr", {}, head)), h("tbody", {}, body)));
};

/** Up and down go from row to row; Enter opens. */
const walk = (event, chosen) => {
  const row = event.currentTarget;
  const to = { ArrowDown: row.nextElementSibling, ArrowUp: row.previousElementSibling }[event.key];
  if (to) to.focus();
  else if (event.key === "Enter") chosen();
  else return;
  event.preventDefault();
};

/** A command that a click copies. */
export const command = (text) => {
  const copy = async () => {
    await navigator.clipboard?.writeText(text);
    button.textContent = "copied";
    setTimeout(() => (button.textContent = text), 900);
  };
  const button = h("button", { class: "command", type: "button", title: "Copy", onclick: copy }, text);
  return button;
};

/** Some choices, one of which is taken. */
export const choices = (label, options, taken, take) => {
  const button = ([value, text]) =>
    h("button", { type: "button", "aria-pressed": String(value === taken), onclick: () => take(value) }, text);
  return h("div", { class: "choices", role: "group", "aria-label": label }, options.map(button));
};
