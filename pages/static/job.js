// The page of one pipeline: its view, its state and balance, its options, its log, and the records that it could not use.

import { get } from "/static/ask.js";
import { balance } from "/static/balance.js";
import { controls } from "/static/controls.js";
import * as tools from "/static/dom.js";
import { Form } from "/static/form.js";
import { Log } from "/static/log.js";
import { Records } from "/static/records.js";

const { duration, el, readable, setText } = tools;

export class JobPage {
  constructor(pipeline, watched, tick) {
    this.name = pipeline.name;
    this.form = new Form(pipeline);
    this.log = new Log(pipeline.name);
    this.records = new Records(pipeline.name);
    this.balance = balance();
    this.reason = el("p.reason", { role: "alert" });
    this.since = el("p.since");
    this.controls = controls(pipeline.name, () => this.form.values(), (errors) => this.tell(errors), tick);
    this.viewRoot = el("section.view", { "aria-label": `What ${pipeline.name} gives` });
    const [first, ...rest] = pipeline.doc.trim().split("\n\n");
    this.root = el(
      "div.job", {},
      el(
        "header.head", {},
        el("div", {}, el("h1", {}, pipeline.name), el("p.about", {}, first)),
        el("div.actions", {}, this.controls.mark, this.controls.buttons),
      ),
      this.reason, this.balance.root, this.since,
      watched && el("p.watched", {}, `The view shows ${readable(watched)}.`),
      this.viewRoot,
      el(
        "div.below", {},
        el("details.panel", { open: true }, el("summary", {}, "Options"), this.form.root),
        el("details.panel", { open: true }, el("summary", {}, "Log"), this.log.root),
        el("details.panel", {}, el("summary", {}, "Rejected and late records"), this.records.root),
      ),
    );
    this.form.check();
  }

  async mountView() {
    const view = await import(`/static/views/${this.name}.js`);
    this.view = view.mount(this.viewRoot, tools);
  }

  tell(errors) {
    this.form.tell(errors);
    this.told = errors[""] ?? "";
    this.showReason();
  }

  showReason() {
    setText(this.reason, readable(this.job?.reason || stuck(this.job) || this.told || ""));
  }

  async update(job) {
    this.job = job;
    this.controls.update(job);
    this.balance.update(job);
    this.showReason();
    setText(this.since, job.seconds === null ? "" : `run ${job.run} · ${duration(job.seconds)}${job.process ? ` · process ${job.process}` : ""}`);
    if (job.errors && Object.keys(job.errors).length && this.shownErrors !== job.run) {
      this.shownErrors = job.run;
      this.form.tell(job.errors);
    }
    await Promise.all([this.log.update(job), this.records.update(job), this.updateView(job)]);
  }

  async updateView(job) {
    if (!this.view) return;
    const query = new URLSearchParams(this.view.query?.() ?? {});
    this.view.update(await get(`/api/views/${this.name}?${query}`), job);
  }
}

function stuck(job) {
  return job?.stuck ? `stuck: ${job.stuck}` : "";
}
