// The flow of each region since the start and in the last minutes; each region keeps its colour.

import { el, number, readable, setText } from "/static/dom.js";
import { lines } from "/static/views/parts/lines.js";
import { bar, isThere, moment, picker, section, short, tile } from "/static/views/parts/marks.js";

const RANKINGS = [["count", "Busiest"], ["volume", "Greatest volume"], ["mean", "Greatest means"]];
const STEPS = 10;

export function mount(root) {
  const tiles = { sum: tile("Volume since the start"), count: tile("Transfers"), first: tile("Busiest", "text") };
  const lasts = picker("Last");
  const chart = lines({ format: short, label: "Flow of each region over event time" });
  const [start, last] = [el("ol.bars"), el("ol.bars")];
  const [startRanks, lastRanks] = [el("div.ranks"), el("div.ranks")];
  const lastHint = el("span.hint");
  const hint = el("p.hint", {}, "With an option such as last = 5m there is flow over time.");
  const flow = section("Flow over event time", lasts.root, chart.root, hint);
  const newest = section("In the last minutes", lastHint, last, lastRanks);
  const whole = el(
    "div.view-parts", {},
    el("dl.tiles", {}, ...Object.values(tiles).map((one) => one.root)), flow,
    el("div.beside", {}, section("Since the start", null, start, startRanks), newest),
  );
  let shown = null;
  return {
    query: () => (lasts.value() ? { last: lasts.value() } : {}),
    update(data) {
      if (!isThere(data, root, whole) || data === shown) return;
      shown = data;
      tiles.sum.update(number(data.sum));
      tiles.count.update(number(data.count));
      const first = data.ranks.start.find((row) => row.ranking === "count");
      tiles.first.update(readable(first?.account_region ?? "–"), first ? `${number(first.value)} transfers` : "");
      lasts.update(data.lasts.map((name) => [name, name]), data.last);
      lasts.root.hidden = data.lasts.length < 2;
      const isTimed = data.ends.length > 1;
      chart.root.hidden = !isTimed;
      hint.hidden = isTimed;
      const names = Object.keys(data.colors).filter((name) => data.flow[name]);
      if (isTimed) chart.update(data.ends, names.map((name) => ({ label: name, color: data.colors[name], values: data.flow[name] })));
      fill(start, data.rows, data.colors);
      rank(startRanks, data.ranks.start, data.colors);
      newest.hidden = !data.newest;
      if (data.newest) {
        setText(lastHint, `${data.last} up to ${moment(data.newest.window[1])} UTC`);
        fill(last, data.newest.rows, data.colors);
        rank(lastRanks, data.ranks.last, data.colors);
      }
    },
  };
}

function fill(list, rows, colors) {
  const most = Math.max(...rows.map((row) => Number(row.sum)), 0) || 1;
  list.replaceChildren(
    ...rows.slice(0, STEPS).map((row) => {
      const share = row.share === null ? "" : ` · ${(Number(row.share) * 100).toFixed(1)} %`;
      return el(
        "li", {}, el("span.name", {}, readable(row.account_region)), bar(Number(row.sum) / most, colors[row.account_region]),
        el("span.amount", {}, `${number(row.sum)}${share}`),
      );
    }),
  );
}

function rank(root, rows, colors) {
  const lists = RANKINGS.map(([ranking, heading]) => [heading, rows.filter((row) => row.ranking === ranking)]).filter(([, found]) => found.length);
  root.replaceChildren(
    ...lists.map(([heading, found]) =>
      el(
        "div", {}, el("h3", {}, heading),
        el("ol", {}, ...found.map((row) => {
          const dot = el("span.key", { "aria-hidden": "true" });
          dot.style.background = colors[row.account_region] ?? "";
          return el("li", {}, dot, el("span.name", {}, readable(row.account_region)), el("span.amount", {}, amount(row)));
        })),
      ),
    ),
  );
}

function amount(row) {
  return row.ranking === "mean" ? number(Number(row.value).toFixed(2)) : number(row.value);
}
