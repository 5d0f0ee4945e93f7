// The balance of a job, as it moves: read = used + filtered + rejected + late.

import { el, number, setText } from "/static/dom.js";

const NAMES = ["read", "used", "filtered", "rejected", "late"];

/** Return the numbers as an element, and update(job). */
export function balance() {
  const values = new Map();
  const cell = (name, label, more = "") => {
    const value = el("dd", {}, "–");
    values.set(name, value);
    return el(`div.${["number", more].filter(Boolean).join(".")}`, {}, el("dt", {}, label), value);
  };
  const root = el(
    "dl.balance", {}, ...NAMES.map((name) => cell(name, name, name)), cell("rate", "rows/s"),
    cell("watermark", "watermark", "wide"),
  );
  return {
    root,
    update(job) {
      for (const [name, value] of values) {
        const found = job.balance[name];
        setText(value, name === "watermark" ? found ?? "–" : number(found));
        value.parentElement.dataset.is = found ? "some" : "none";
      }
    },
  };
}
