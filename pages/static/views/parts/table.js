// A table that can be sorted by each column and searched; rows stay where they are while their cells change.

import { el, number, readable, setText } from "/static/dom.js";

const MOST = 100;

/**
 * Return {root, update(rows)}. A column has a label, sort(row), which is a number or a text, text(row), and may have
 * node(row), an element in the place of the text; isText for what stands on the left.
 */
export function table(columns, { key, sortBy = 0, label, isAscending = false }) {
  let rows = [];
  let order = { column: columns[sortBy], isUp: isAscending };
  const shown = new Map();
  const search = el("input.search", { type: "search", placeholder: "Search", "aria-label": `Search ${label}`, oninput: () => draw() });
  const more = el("p.hint");
  const heads = columns.map((column) => {
    const button = el("button.sort", { type: "button", onclick: () => sortBy_(column) }, column.label);
    return el(`th${column.isText ? "" : ".figure"}`, { scope: "col" }, button);
  });
  const body = el("tbody");
  const root = el(
    "div.sortable", {},
    el("div.scroll", { tabIndex: 0, role: "region", "aria-label": label }, el("table", {}, el("thead", {}, el("tr", {}, ...heads)), body)), more,
  );

  function sortBy_(column) {
    order = { column, isUp: order.column === column ? !order.isUp : Boolean(column.isText) };
    draw();
  }

  function compare(a, b) {
    const [x, y] = [order.column.sort(a), order.column.sort(b)];
    if (x === null || y === null) return (x === null) - (y === null);
    const found = typeof x === "string" ? x.localeCompare(y) : x - y;
    return order.isUp ? found : -found;
  }

  function draw() {
    for (const [place, column] of columns.entries()) {
      const isOrder = column === order.column;
      heads[place].setAttribute("aria-sort", isOrder ? (order.isUp ? "ascending" : "descending") : "none");
    }
    const wanted = search.value.trim().toLowerCase();
    const found = rows.filter((row) => !wanted || columns.some((column) => column.isText && String(column.text(row)).toLowerCase().includes(wanted)));
    found.sort(compare);
    const kept = found.slice(0, MOST);
    const lines = kept.map((row) => line(row));
    const names = new Set(kept.map((row) => key(row)));
    for (const name of shown.keys()) if (!names.has(name)) shown.delete(name);
    lines.forEach((one, place) => {
      if (body.children[place] !== one) body.insertBefore(one, body.children[place] ?? null);
    });
    while (body.children.length > lines.length) body.lastChild.remove();
    setText(more, found.length > kept.length ? `${number(kept.length)} of ${number(found.length)} rows` : found.length ? "" : "No rows.");
  }

  function line(row) {
    const name = key(row);
    if (!shown.has(name)) {
      const cells = columns.map((column) => el(`td${column.isText ? "" : ".figure"}`));
      shown.set(name, { cells, told: [], root: el("tr", {}, ...cells) });
    }
    const known = shown.get(name);
    for (const [place, column] of columns.entries()) {
      const told = column.node ? column.told?.(row) ?? JSON.stringify(column.sort(row)) : column.text(row);
      if (known.told[place] === told) continue;
      known.told[place] = told;
      if (column.node) known.cells[place].replaceChildren(column.node(row));
      else known.cells[place].textContent = readable(told);
    }
    return known.root;
  }

  return {
    root,
    search,
    update(next) {
      rows = [...next];
      draw();
    },
  };
}
