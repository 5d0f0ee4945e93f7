// Lines over event time: each has a colour and a pattern of its own, and its name in the legend.

import { el, readable } from "/static/dom.js";
import { moment } from "/static/views/parts/marks.js";

const PATTERNS = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 2, 1, 2, 1, 2]];
const BORDERS = ["solid", "dashed", "dotted", "dashed", "dotted"];
const DAY = 86400;
const MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** Return {root, update(xs, series)}; a series is {label, color, values, isArea, isDots}. */
export function lines({ height = 240, format, label }) {
  const root = el("div.chart", { role: "img", "aria-label": label });
  let chart = null;
  let shape = "";
  let last = null;

  function color(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  }

  function make(series) {
    chart?.destroy();
    const grid = { stroke: color("--line"), width: 1 };
    const axis = { stroke: color("--ink-3"), grid, ticks: { show: false }, font: `12px ${color("--sans") || "sans-serif"}` };
    chart = new window.uPlot(
      {
        width: Math.max(root.clientWidth, 200), height, padding: [12, 24, 0, 0],
        tzDate: (seconds) => window.uPlot.tzDate(new Date(seconds * 1000), "Etc/UTC"),
        cursor: { y: false, points: { size: 7 } },
        legend: { markers: { width: 2, fill: "transparent", dash: (_, place) => BORDERS[(place - 1) % BORDERS.length] } },
        scales: { x: { time: true }, y: { range: (_, low, high) => [Math.min(0, low), high > 0 ? high * 1.06 : 1] } },
        axes: [{ ...axis, space: 76, values: ticks }, { ...axis, values: (_, ticks) => ticks.map(format), size: 62 }],
        series: [
          { label: "UTC", value: (plot, seconds) => moment(seconds ?? plot.data[0].at(-1)) },
          ...series.map((one, place) => ({
            label: readable(one.label), stroke: one.color || color("--accent"), width: one.isDots ? 0 : 2,
            dash: PATTERNS[place % PATTERNS.length], fill: one.isArea ? `${one.color || color("--accent")}26` : undefined,
            paths: one.isDots ? () => null : undefined,
            points: one.isDots ? { show: true, size: one.size ?? 9, width: 2, fill: one.isHollow ? color("--surface") : one.color } : { show: false },
            // Where nobody points, the newest.
            value: (plot, value, at, place) => (place === null ? told(plot.data[at].at(-1)) : told(value)),
          })),
        ],
      },
      data(last.xs, series), root,
    );
  }

  function told(value) {
    return value === null || value === undefined ? "–" : format(value);
  }

  function data(xs, series) {
    return [xs, ...series.map((one) => one.values)];
  }

  function again() {
    if (last) make(last.series);
  }

  new ResizeObserver(() => {
    const width = Math.max(root.clientWidth, 200);
    if (chart && chart.width !== width) chart.setSize({ width, height });
  }).observe(root);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", again);

  return {
    root,
    update(xs, series) {
      last = { xs, series };
      const now = JSON.stringify(series.map((one) => [one.label, one.color]));
      if (chart === null || now !== shape) {
        shape = now;
        make(series);
      } else chart.setData(data(xs, series));
    },
  };
}

/** Write times of an axis, each date where it begins. */
function ticks(_, found, axis, space, step) {
  let before = "";
  return found.map((seconds) => {
    const time = new Date(seconds * 1000);
    const date = `${time.getUTCDate()} ${MONTHS[time.getUTCMonth()]}${step > 20 * DAY ? ` ${time.getUTCFullYear()}` : ""}`;
    if (step >= DAY) return date;
    const clock = time.toISOString().slice(11, step < 60 ? 19 : 16);
    const told = date === before ? clock : `${clock}\n${date}`;
    before = date;
    return told;
  });
}
