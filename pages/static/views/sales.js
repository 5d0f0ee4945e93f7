// What a shop sells by the hour, earns, and runs out of; and what stands out.

import { el, number, readable, setText } from "/static/dom.js";
import { lines } from "/static/views/parts/lines.js";
import { bar, coarse, dollars, isThere, moment, picker, section, short, spark, tile, withGaps } from "/static/views/parts/marks.js";
import { table } from "/static/views/parts/table.js";

const PERIODS = [["1d", "a day"], ["7d", "7 days"], ["28d", "28 days"]];
const STATES = { ok: ["✓", "in stock"], low: ["▽", "low"], out: ["✕", "out"] };
const money = (value) => `$${short(value)}`;

export function mount(root) {
  const tiles = {
    transactions: tile("Purchases"), drinks: tile("Drinks"), sales: tile("Sales"), profit: tile("Profit"), lost: tile("Could not be sold"),
  };
  const period = picker("Shown");
  const [hourly, cumulative] = [lines({ format: money, label: "Sales by category" }), lines({ height: 190, format: money, label: "Sales added up" })];
  const drinks = lines({ height: 190, format: short, label: "Drinks, and hours that stand out" });
  const hint = el("span.hint");
  const far = table(
    [
      { label: "Hour (UTC)", isText: true, sort: (row) => row.at, text: (row) => moment(row.at) },
      { label: "What", isText: true, sort: (row) => row.name, text: (row) => row.name },
      { label: "Seen", sort: (row) => row.seen, text: (row) => number(row.seen) },
      { label: "Expected", sort: (row) => row.expected, text: (row) => Number(row.expected).toFixed(1) },
      { label: "Deviations", sort: (row) => Math.abs(row.score), text: (row) => `${row.score > 0 ? "▲ +" : "▼ −"}${Math.abs(row.score).toFixed(1)}` },
    ],
    { key: (row) => `${row.at}/${row.name}`, label: "what stands out" },
  );
  let most = 1;
  const products = table(
    [
      { label: "Drink", isText: true, sort: (row) => row.item ?? row.product_id, text: (row) => row.item ?? row.product_id },
      {
        label: "Category", isText: true, sort: (row) => row.category, text: (row) => row.category,
        node: (row) => el("span.of", {}, key(row.color), readable(row.category)),
      },
      { label: "Sales", sort: (row) => Number(row.sales), text: (row) => dollars(row.sales) },
      {
        label: "Over time", sort: (row) => row.spark.at(-1) ?? 0, text: () => "", told: (row) => row.spark.join(),
        node: (row) => (row.spark.length > 1 ? spark(coarse(row.spark), row.color) : el("span", {}, "–")),
      },
      { label: "Drinks", sort: (row) => row.drinks, text: (row) => number(row.drinks) },
      { label: "Profit", sort: (row) => (row.profit === null ? null : Number(row.profit)), text: (row) => dollars(row.profit) },
      { label: "Margin", sort: margin, text: (row) => (margin(row) === null ? "–" : `${(margin(row) * 100).toFixed(1)} %`) },
      {
        label: "In stock", sort: (row) => row.stock?.level ?? null, text: () => "",
        told: (row) => JSON.stringify([row.stock, most]), node: (row) => stock(row, most),
      },
      { label: "Lost", sort: (row) => row.stock?.lost ?? null, text: (row) => (row.stock?.lost ? `${number(row.stock.lost)} · ${dollars(row.stock.lost_value)}` : "–") },
    ],
    { key: (row) => row.product_id, sortBy: 2, label: "drinks" },
  );
  const overTime = section("Sales by category", period.root, hourly.root);
  const addedUp = section("Sales added up", hint, cumulative.root);
  const ofShop = section("Drinks of the whole shop", el("span.hint", {}, "● seen, ○ expected where that is far"), drinks.root);
  const standsOut = section("What stands out", far.search, far.root);
  const whole = el(
    "div.view-parts", {}, el("dl.tiles", {}, ...Object.values(tiles).map((one) => one.root)), overTime,
    el("div.beside", {}, addedUp, ofShop), section("Drinks on sale", products.search, products.root), standsOut,
  );
  let shown = null;
  return {
    query: () => (period.value() ? { period: period.value() } : {}),
    update(data) {
      if (!isThere(data, root, whole) || data === shown) return;
      shown = data;
      tiles.transactions.update(number(data.totals.transactions));
      tiles.drinks.update(number(data.totals.drinks));
      tiles.sales.update(dollars(data.totals.sales));
      const part = Number(data.totals.profit) / Number(data.totals.sales);
      tiles.profit.update(dollars(data.totals.profit), data.totals.profit === null ? "" : `${(part * 100).toFixed(1)} %`);
      tiles.lost.update(dollars(data.totals.lost));
      period.update(PERIODS, data.period);
      const isTimed = data.starts.length > 1;
      for (const one of [overTime, addedUp, ofShop]) one.hidden = !isTimed;
      if (isTimed) drawTimes(data);
      most = Math.max(1, ...data.products.map((row) => row.stock?.level ?? 0));
      products.update(data.products.map((row) => ({ ...row, color: data.colors[row.category] })));
      far.update(data.anomalies);
      standsOut.hidden = !data.anomalies.length;
    },
  };

  function drawTimes(data) {
    const { xs, fill } = withGaps(data.starts, data.bucket);
    const names = Object.keys(data.lines).sort();
    const series = names.map((name) => ({ label: name, color: data.colors[name], values: fill(data.lines[name]) }));
    hourly.update(xs, series);
    setText(hint, `since ${moment(data.starts[0])} UTC`);
    cumulative.update(xs, series.map((one) => ({ ...one, values: addUp(one.values) })));
    const [seen, expected] = [new Map(), new Map()];
    for (const one of data.anomalies.filter((each) => each.is_shop)) {
      seen.set(one.at, one.seen);
      expected.set(one.at, one.expected);
    }
    const mark = getComputedStyle(document.documentElement).getPropertyValue("--bad").trim();
    const values = fill(data.drinks);
    drinks.update(xs, [
      { label: "drinks", values, isArea: true },
      { label: "seen", color: mark, isDots: true, values: xs.map((at) => seen.get(at) ?? null) },
      { label: "expected", color: mark, isDots: true, isHollow: true, values: xs.map((at) => expected.get(at) ?? null) },
    ]);
  }
}

function addUp(values) {
  let sum = 0;
  return values.map((value) => (sum += value));
}

function margin(row) {
  return row.profit === null || !Number(row.sales) ? null : Number(row.profit) / Number(row.sales);
}

function key(color) {
  const dot = el("span.key", { "aria-hidden": "true" });
  dot.style.background = color ?? "";
  return dot;
}

function stock(row, most) {
  if (!row.stock) return el("span", {}, "–");
  const [sign, word] = STATES[row.stock.state];
  return el(
    "span.stock", { "data-state": row.stock.state }, bar(row.stock.level / most), el("span.amount", {}, number(row.stock.level)),
    el("span.word", {}, `${sign} ${word}`),
  );
}
