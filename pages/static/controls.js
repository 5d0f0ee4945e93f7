// START, demo and STOP of a job.

import { post } from "/static/ask.js";
import { el, setText } from "/static/dom.js";
import { stateMark } from "/static/state.js";

const ALIVE = ["starting", "running", "draining"];

/** Return the buttons and the state; values() gives the form, onErrors gets what is wrong with it. */
export function controls(name, values, onErrors, tick) {
  const mark = stateMark();
  const act = async (action, demo = false) => {
    for (const button of [start, demoButton, stop]) button.disabled = true;
    const { ok, content } = await post(`/api/jobs/${name}/${action}`, action === "stop" ? {} : { values: values(), demo });
    onErrors(ok ? {} : { "": content.message, ...content.errors });
    await tick();
  };
  const start = el("button.start", { type: "button", onclick: () => act("start") }, "Start");
  const demoButton = el(
    "button.demo", { type: "button", title: "Start it with its simulator as input", onclick: () => act("start", true) }, "Demo",
  );
  const stop = el("button.stop", { type: "button", onclick: () => act("stop") }, "Stop");
  return {
    mark: mark.whole,
    buttons: el("div.buttons", {}, start, demoButton, stop),
    update(job) {
      mark.update(job.state);
      const isAlive = ALIVE.includes(job.state);
      start.disabled = demoButton.disabled = isAlive;
      stop.disabled = !isAlive;
      setText(stop, job.state === "draining" ? "Stop at once" : "Stop");
    },
  };
}
