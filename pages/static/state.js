// The state of a job as a mark: a shape and a word, so that nobody needs the colour.

import { el, setText } from "/static/dom.js";

const SHAPES = { stopped: "○", starting: "◌", running: "▶", draining: "◔", done: "✓", failed: "✕" };

/** Return a mark: its dot, its whole, and update(state). */
export function stateMark() {
  const dot = el("span.dot", { "aria-hidden": "true" });
  const word = el("span.word");
  const whole = el("span.state", { role: "status" }, el("span.dot", { "aria-hidden": "true" }), word);
  return {
    dot,
    whole,
    update(state) {
      for (const each of [dot, whole.firstChild]) {
        setText(each, SHAPES[state]);
        each.dataset.state = state;
      }
      whole.dataset.state = state;
      setText(word, state);
    },
  };
}
