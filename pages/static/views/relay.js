// The newest records, with a column for each of theirs.

import { el, number, readable } from "/static/dom.js";
import { isThere, section } from "/static/views/parts/marks.js";

export function mount(root) {
  const [head, body] = [el("tr"), el("tbody")];
  const records = el("div.scroll.records-scroll", { tabIndex: 0, role: "region", "aria-label": "Newest records" }, el("table.records", {}, el("thead", {}, head), body));
  const whole = el("div.view-parts", {}, section("Newest records", el("span.hint", {}, "the newest on top"), records));
  let shown = null;
  return {
    update(data) {
      if (!isThere(data, root, whole) || data === shown) return;
      shown = data;
      head.replaceChildren(...[...data.columns, "from"].map((name) => el("th", { scope: "col" }, readable(name))));
      body.replaceChildren(
        ...data.rows.map((row) => el("tr", {}, ...row.cells.map((cell) => el("td", {}, written(cell))), el("td.place", {}, readable(row.place)))),
      );
    },
  };
}

function written(cell) {
  return typeof cell === "number" ? number(cell) : readable(cell ?? "");
}
