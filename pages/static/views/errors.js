// The 24 hours as a board that flashes what has changed, and weekdays by hours as a heat map.

import { el, number, setText } from "/static/dom.js";
import { isThere, section, tile } from "/static/views/parts/marks.js";

const DAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];
const HOURS = Array.from({ length: 24 }, (_, hour) => String(hour).padStart(2, "0"));

export function mount(root) {
  const tiles = { all: tile("Visitors that met an error"), worst: tile("Worst hour"), dates: tile("Dates") };
  const cells = HOURS.map((hour) => {
    const value = el("span.count", {}, "0");
    return { value, root: el("li", {}, el("span.hour", {}, hour), value), count: null };
  });
  const map = DAYS.map(() => HOURS.map(() => el("td")));
  const heads = DAYS.map((day) => el("th", { scope: "row" }, day.slice(0, 3)));
  const heat = el(
    "table.heat", {},
    el("thead", {}, el("tr", {}, el("td"), ...HOURS.map((hour) => el("th", { scope: "col" }, hour)))),
    el("tbody", {}, ...map.map((row, day) => el("tr", {}, heads[day], ...row))),
  );
  const whole = el(
    "div.view-parts", {},
    el("dl.tiles", {}, ...Object.values(tiles).map((one) => one.root)),
    section("By hour of the day", el("span.hint", {}, "UTC"), el("ol.board", {}, ...cells.map((cell) => cell.root))),
    section("By weekday and hour", el("span.hint", {}, "UTC"), el("div.scroll", { tabIndex: 0, role: "region", "aria-label": "Heat map" }, heat)),
  );
  let shown = null;
  return {
    update(data) {
      if (!isThere(data, root, whole) || data === shown) return;
      shown = data;
      const all = data.hours.reduce((sum, count) => sum + count, 0);
      const worst = data.hours.indexOf(Math.max(...data.hours));
      tiles.all.update(number(all));
      tiles.worst.update(all ? `${HOURS[worst]}:00` : "–", all ? number(data.hours[worst]) : "");
      tiles.dates.update(number(data.times.reduce((sum, count) => sum + count, 0)), [...new Set(data.dates)].join(" – "));
      for (const [hour, cell] of cells.entries()) {
        const count = data.hours[hour];
        if (cell.count === count) continue;
        setText(cell.value, number(count));
        if (cell.count !== null) flash(cell.root);
        cell.count = count;
        cell.root.dataset.is = count ? "some" : "none";
      }
      const most = Math.max(1, ...data.days.flat());
      for (const [day, row] of map.entries()) {
        setText(heads[day], data.times[day] > 1 ? `${DAYS[day].slice(0, 3)} × ${data.times[day]}` : DAYS[day].slice(0, 3));
        for (const [hour, cell] of row.entries()) {
          const count = data.days[day][hour];
          setText(cell, number(count));
          cell.style.setProperty("--heat", `${Math.round((count / most) * 100)}%`);
          cell.dataset.is = count / most > 0.45 ? "hot" : count ? "some" : "none";
        }
      }
    },
  };
}

function flash(element) {
  element.classList.remove("changed");
  element.getBoundingClientRect(); // so that the animation begins anew
  element.classList.add("changed");
}
