// The totals of a window as a table, whatever columns they have.

import { el, number, readable, setText } from "/static/dom.js";
import { isThere, picker, section, span } from "/static/views/parts/marks.js";
import { table } from "/static/views/parts/table.js";

export function mount(root) {
  const windows = picker("Window");
  const place = el("div");
  const hint = el("p.hint");
  const heading = el("div.pickers", {}, windows.root);
  const whole = el("div.view-parts", {}, section("Totals", heading, hint, place));
  let [shown, columns, totals] = [null, "", null];
  return {
    query: () => (windows.value() ? { window: windows.value() } : {}),
    update(data) {
      if (!isThere(data, root, whole) || data === shown) return;
      shown = data;
      if (columns !== String(data.columns)) {
        columns = String(data.columns);
        totals = tableOf(data);
        place.replaceChildren(totals.root);
        heading.replaceChildren(windows.root, totals.search);
      }
      windows.root.hidden = data.windows.length < 2;
      windows.update([["", "newest"], ...[...data.windows].reverse().map(([start, end]) => [String(start), span(start, end)])], windows.value());
      setText(hint, `${span(...data.chosen)}, ${data.final ? "final" : "so far"}`);
      totals.update(data.rows);
    },
  };
}

/** Return a table whose columns are figures where all of their values are numbers. */
function tableOf(data) {
  const isFigures = data.columns.map((_, place) => data.rows.some((row) => row[place] !== null) && data.rows.every((row) => row[place] === null || isNumber(row[place])));
  const columns = data.columns.map((name, place) => ({
    label: readable(name.replaceAll("_", " ")), isText: !isFigures[place],
    sort: (row) => (row[place] === null ? null : isFigures[place] ? Number(row[place]) : String(row[place])),
    text: (row) => (isFigures[place] ? number(row[place]) : String(row[place] ?? "")),
  }));
  const texts = columns.map((_, place) => place).filter((place) => !isFigures[place]);
  return table(columns, { key: (row) => JSON.stringify(texts.map((place) => row[place])), sortBy: Math.max(0, isFigures.indexOf(true)), label: "totals" });
}

function isNumber(value) {
  return typeof value === "number" || (typeof value === "string" && /^-?\d+(\.\d+)?$/.test(value) && !/^0\d/.test(value));
}
