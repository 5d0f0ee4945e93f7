// One pipeline on the page of all.

import { balance } from "/static/balance.js";
import { controls } from "/static/controls.js";
import { el, readable, setText } from "/static/dom.js";
import { initialValues } from "/static/form.js";

export class Card {
  constructor(pipeline, tick) {
    const values = initialValues(pipeline);
    this.reason = el("p.reason", { role: "alert" });
    this.controls = controls(pipeline.name, () => values, (errors) => this.tell(errors), tick);
    this.balance = balance();
    this.root = el(
      "article.card", { id: pipeline.name },
      el("header", {}, el("h2", {}, el("a", { href: `/${pipeline.name}` }, pipeline.name)), this.controls.mark),
      el("p.about", {}, pipeline.doc.split("\n")[0]),
      this.balance.root, this.reason, this.controls.buttons,
    );
  }

  tell(errors) {
    this.told = Object.entries(errors).map(([flag, line]) => `${flag} ${line}`.trim()).join("; ");
    setText(this.reason, readable(this.told));
  }

  update(job) {
    this.controls.update(job);
    this.balance.update(job);
    setText(this.reason, readable(job.reason || (job.stuck && `stuck: ${job.stuck}`) || this.told || ""));
  }
}
