// Best sellers of a window as bars, spend from window to window, and a table of all.

import { el, number, setText } from "/static/dom.js";
import { lines } from "/static/views/parts/lines.js";
import { bar, dollars, isThere, picker, section, short, span, spark, tile, withGaps } from "/static/views/parts/marks.js";
import { table } from "/static/views/parts/table.js";

const TOP = 12;

export function mount(root) {
  const tiles = { spend: tile("Spend"), products: tile("Products"), rows: tile("Rows") };
  const windows = picker("Window");
  const bars = el("ol.bars");
  const chart = lines({ format: (value) => `$${short(value)}`, label: "Spend from window to window" });
  const hint = el("p.hint");
  const all = table(
    [
      { label: "Product", isText: true, sort: (row) => row.description ?? "", text: (row) => row.description ?? "" },
      { label: "UPC", isText: true, sort: (row) => row.upc ?? "", text: (row) => row.upc ?? "" },
      { label: "Quantity", sort: (row) => Number(row.quantity), text: (row) => number(row.quantity) },
      { label: "By weight", sort: (row) => Number(row.scale), text: (row) => number(row.scale) },
      { label: "Spend", sort: (row) => Number(row.spend), text: (row) => dollars(row.spend) },
      { label: "Rows", sort: (row) => row.rows, text: (row) => number(row.rows) },
      {
        label: "Last windows", sort: (row) => row.spark.at(-1) ?? 0, text: () => "",
        told: (row) => row.spark.join(), node: (row) => (row.spark.length > 1 ? spark(row.spark) : el("span", {}, "–")),
      },
    ],
    { key: (row) => row.upc, sortBy: 4, label: "products" },
  );
  const whole = el(
    "div.view-parts", {},
    el("dl.tiles", {}, ...Object.values(tiles).map((one) => one.root)),
    el("div.beside", {}, section("Best sellers", windows.root, bars), section("Spend over event time", null, chart.root, hint)),
    section("All products", all.search, all.root),
  );
  let shown = null;
  return {
    query: () => (windows.value() ? { window: windows.value() } : {}),
    update(data) {
      if (!isThere(data, root, whole) || data === shown) return;
      shown = data;
      tiles.spend.update(dollars(data.spend), data.final ? "final" : "so far");
      tiles.products.update(number(data.rows.length));
      tiles.rows.update(number(data.rows.reduce((sum, row) => sum + row.rows, 0)));
      windows.update([["", "newest"], ...[...data.windows].reverse().map(([start, end]) => [String(start), span(start, end)])], windows.value());
      const best = [...data.rows].sort((a, b) => Number(b.spend) - Number(a.spend)).slice(0, TOP);
      const most = Number(best[0]?.spend ?? 1);
      bars.replaceChildren(
        ...best.map((row) => el("li", {}, el("span.name", {}, row.description || row.upc), bar(Number(row.spend) / most), el("span.amount", {}, dollars(row.spend)))),
      );
      const timed = data.windows.filter(([start]) => start !== null);
      chart.root.hidden = timed.length < 2;
      setText(hint, timed.length < 2 ? "With an option such as window = 1h there is spend over time." : `Spend of each window; shown above: ${span(...data.chosen)}.`);
      if (timed.length > 1) {
        const starts = timed.map(([start]) => start);
        const { xs, fill } = withGaps(starts, Math.min(...starts.slice(1).map((start, place) => start - starts[place])));
        chart.update(xs, [{ label: "spend", values: fill(timed.map(([, , spend]) => spend)), isArea: true }]);
      }
      all.update(data.rows);
    },
  };
}
