// The small parts of views: sections, tiles with a number, bars, spark lines, pickers, times.

import { el, readable, setText } from "/static/dom.js";

const SVG = "http://www.w3.org/2000/svg";
const MOST_TIMES = 5000;
const NOTHING = "Nothing has been given yet. Start it, or press Demo.";

/** Show that there is nothing, or what went wrong; return whether there is something. */
export function isThere(data, root, whole) {
  const line = data ? data.error : NOTHING;
  if (!line) {
    if (!whole.isConnected) root.replaceChildren(whole);
    return true;
  }
  if (root.firstChild?.textContent !== line) root.replaceChildren(el(data ? "p.reason" : "p.empty", {}, readable(line)));
  return false;
}

/** Return a section with a heading, and what stands beside that. */
export function section(heading, beside, ...children) {
  return el("section", {}, el("div.heading", {}, el("h2", {}, heading), beside), ...children);
}

/** Return a tile: a label with a number below it, or a text if that is said; update(text, more). */
export function tile(label, kind = "figures") {
  const [value, more] = [el("dd"), el("span.more")];
  return {
    root: el(`div.tile.${kind}`, {}, el("dt", {}, label), value, more),
    update(text, beside = "") {
      setText(value, text);
      setText(more, beside);
    },
  };
}

/** Return a bar of a length from 0 to 1, in a colour. */
export function bar(part, color) {
  const made = el("span.bar", { "aria-hidden": "true" }, el("span"));
  made.firstChild.style.width = `${Math.max(0, Math.min(1, part || 0)) * 100}%`;
  if (color) made.firstChild.style.background = color;
  return made;
}

/** Return a spark line of numbers. */
export function spark(values, color) {
  const [width, height] = [96, 22];
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("viewBox", `0 0 ${width} ${height}`);
  drawing.setAttribute("class", "spark");
  drawing.setAttribute("role", "img");
  drawing.setAttribute("aria-label", `from ${round(values[0])} to ${round(values.at(-1))}, at most ${round(Math.max(...values))}`);
  const most = Math.max(...values, 0) || 1;
  const x = (place) => (place / Math.max(values.length - 1, 1)) * (width - 4) + 2;
  const y = (value) => height - 2 - (Math.max(value, 0) / most) * (height - 5);
  const points = values.map((value, place) => `${x(place).toFixed(1)},${y(value).toFixed(1)}`);
  const line = document.createElementNS(SVG, "polyline");
  line.setAttribute("points", points.join(" "));
  const end = document.createElementNS(SVG, "circle");
  end.setAttribute("cx", x(values.length - 1));
  end.setAttribute("cy", y(values.at(-1)));
  end.setAttribute("r", 2);
  if (color) drawing.style.color = color;
  drawing.append(line, end);
  return drawing;
}

function round(value) {
  return Number(value ?? 0).toLocaleString("en", { maximumFractionDigits: 2 });
}

/** Return a picker with a label; update([[value, text], ...], chosen), value() is what was picked, or "". */
export function picker(label, onPick) {
  let picked = "";
  let shown = "";
  const select = el("select", {
    onchange: () => {
      picked = select.value;
      onPick?.(picked);
    },
  });
  return {
    root: el("label.picker", {}, label, select),
    value: () => picked,
    update(choices, chosen) {
      const now = JSON.stringify([choices, chosen]);
      if (now === shown || document.activeElement === select) return;
      shown = now;
      select.replaceChildren(...choices.map(([value, text]) => el("option", { value }, readable(text))));
      select.value = chosen;
    },
  };
}

/** Write a time in seconds since 1970, UTC. */
export function moment(seconds, withDate = true) {
  const [date, time] = new Date(seconds * 1000).toISOString().slice(0, 19).split("T");
  const short = time.endsWith(":00") ? time.slice(0, 5) : time;
  return withDate ? `${date} ${short}` : short;
}

/** Write a window. */
export function span(start, end) {
  if (start === null) return "since the start";
  return `${moment(start)} – ${moment(end, moment(start).slice(0, 10) !== moment(end).slice(0, 10))}`;
}

/** Write a number as people say it. */
export function short(value) {
  return Number(value).toLocaleString("en", { notation: "compact", maximumFractionDigits: 1 });
}

/** Write money to the last digit; a decimal is a text. */
export function dollars(text) {
  if (text === null || text === undefined) return "–";
  const [whole, cents = ""] = String(text).replace("-", "").split(".");
  return `${String(text).startsWith("-") ? "−" : ""}$${whole.replace(/\B(?=(\d{3})+$)/g, ",")}.${cents.padEnd(2, "0")}`;
}

/** Put zeros where windows of this width are missing; return the times, and what fills values of the others in. */
export function withGaps(starts, width) {
  const isSparse = width > 0 && (starts.at(-1) - starts[0]) / width < MOST_TIMES;
  if (!isSparse) return { xs: starts, fill: (values) => values };
  const xs = [];
  for (let at = starts[0]; at <= starts.at(-1); at += width) xs.push(at);
  const places = new Map(xs.map((at, place) => [at, place]));
  return {
    xs,
    fill(values) {
      const filled = xs.map(() => 0);
      for (const [place, value] of values.entries()) if (places.has(starts[place])) filled[places.get(starts[place])] = value;
      return filled;
    },
  };
}

/** Add neighbours up until there are few. */
export function coarse(values, most = 32) {
  const step = Math.ceil(values.length / most);
  const found = [];
  for (let at = 0; at < values.length; at += step) found.push(values.slice(at, at + step).reduce((sum, value) => sum + value, 0));
  return found;
}
