// The records that a job could not use: newest first, with the reason, the place and the bytes.

import { get } from "/static/ask.js";
import { el, readable } from "/static/dom.js";

export class Records {
  constructor(name) {
    this.name = name;
    this.kinds = ["rejected", "late"].map((kind) => ({ kind, shown: null, root: el("div.records") }));
    this.root = el("div", {}, ...this.kinds.map(({ root }) => root));
  }

  async update() {
    if (!this.root.closest("details")?.open) return;
    for (const each of this.kinds) {
      const records = await get(`/api/jobs/${this.name}/records/${each.kind}`);
      if (records === each.shown) continue;
      each.shown = records;
      const columns = [...new Set(records.flatMap((record) => Object.keys(record)))];
      const cell = (value) => el("td", {}, readable(typeof value === "object" ? JSON.stringify(value) : value));
      each.root.replaceChildren(
        el("h3", {}, each.kind),
        records.length
          ? el(
              "div.scroll", {},
              el(
                "table", {}, el("thead", {}, el("tr", {}, ...columns.map((column) => el("th", { scope: "col" }, readable(column))))),
                el("tbody", {}, ...records.map((record) => el("tr", {}, ...columns.map((column) => cell(record[column]))))),
              ),
            )
          : el("p.hint", {}, "None."),
      );
    }
  }
}
