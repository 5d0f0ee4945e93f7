// The balance of a job, as it moves: read = used + filtered + rejected + late.

import { duration, el, number, setText } from "/static/dom.js";

const OUTCOMES = ["read", "used", "filtered", "rejected", "late"];
const DAY = 86_400;

/** Return the numbers as an element, and update(job). */
export function balance() {
  const cells = new Map();
  const cell = (name, label = name) => {
    const value = el("dd", {}, "–");
    const root = el(`div.number.${name}`, {}, el("dt", {}, label), value);
    cells.set(name, { root, value });
    return root;
  };
  const show = (name, given, text) => {
    const { root, value } = cells.get(name);
    setText(value, text);
    root.dataset.is = given ? "some" : "none";
  };
  const outcomes = OUTCOMES.map((name) => cell(name));
  const duplicate = cell("duplicate", "duplicates");
  duplicate.hidden = true;
  const lag = el("small");
  const watermark = cell("watermark");
  watermark.classList.add("wide");
  watermark.append(lag);
  const root = el("dl.balance", {}, ...outcomes, duplicate, cell("rate", "rows/s"), watermark);
  return {
    root,
    update({ balance: found }) {
      for (const name of [...OUTCOMES, "duplicate"]) show(name, found.counts[name], number(found.counts[name]));
      duplicate.hidden = !found.counts.duplicate;
      show("rate", found.rate, number(found.rate));
      show("watermark", found.watermark !== null, time(found.watermark));
      setText(lag, found.is_final ? "" : behind(found));
    },
  };
}

function time(seconds) {
  const date = new Date((seconds ?? NaN) * 1000);
  return Number.isNaN(date.getTime()) ? "–" : date.toISOString().slice(0, 19).replace("T", " ");
}

/** Say how far the watermark is behind the clock, unless old data is replayed; of files, how much was read. */
function behind({ percent, lag }) {
  if (percent !== null) return `${percent} % of the input read`;
  if (lag === null || Math.abs(lag) > DAY) return "";
  return lag >= 0 ? `${duration(lag)} behind the clock` : "ahead of the clock";
}
