// The page: navigation, and one card for all pipelines or the whole of one.

import { get } from "/static/ask.js";
import { el } from "/static/dom.js";
import { Card } from "/static/card.js";
import { JobPage } from "/static/job.js";
import { stateMark } from "/static/state.js";

const PAUSE = 500;
const name = location.pathname.slice(1);
const main = document.getElementById("main");
const lost = document.getElementById("lost");

const { pipelines, watched } = await get("/api/forms");
const marks = new Map();
document.getElementById("nav").append(
  ...pipelines.map((pipeline) => {
    const mark = stateMark();
    marks.set(pipeline.name, mark);
    return el(
      "a", { href: `/${pipeline.name}`, "aria-current": pipeline.name === name ? "page" : null }, mark.dot, pipeline.name,
    );
  }),
);

document.querySelector("nav [aria-current]")?.scrollIntoView({ block: "nearest", inline: "center" });

const shown = new Map();
if (name) {
  const page = new JobPage(pipelines.find((pipeline) => pipeline.name === name), watched, tick);
  shown.set(name, page);
  main.append(page.root);
  await page.mountView();
} else {
  const cards = el("div.cards");
  for (const pipeline of pipelines) {
    const card = new Card(pipeline, tick);
    shown.set(pipeline.name, card);
    cards.append(card.root);
  }
  main.append(el("h1.home", {}, "Pipelines"), cards);
}

let timer = 0;
let isAsking = false;

/** Ask how things stand, show it, and do so again after a pause; not while nobody looks. */
async function tick() {
  clearTimeout(timer);
  if (!document.hidden && !isAsking) {
    isAsking = true;
    try {
      for (const job of await get("/api/jobs")) {
        marks.get(job.name)?.update(job.state);
        await shown.get(job.name)?.update(job);
      }
      lost.hidden = true;
    } catch (error) {
      lost.hidden = false;
    }
    isAsking = false;
  }
  clearTimeout(timer);
  timer = setTimeout(tick, PAUSE);
}

document.addEventListener("visibilitychange", () => document.hidden || tick());
await tick();
