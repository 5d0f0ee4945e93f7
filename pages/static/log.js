// The last lines that a job has printed.

import { get } from "/static/ask.js";
import { el, readable, setText } from "/static/dom.js";

const MOST = 500;

export class Log {
  constructor(name) {
    this.name = name;
    this.run = 0;
    this.last = 0;
    this.lines = el("ol.log", { tabIndex: 0, "aria-label": `Log of ${name}` });
    this.command = el("code.ran");
    this.none = el("p.hint", {}, "Nothing yet.");
    this.root = el("div", {}, this.command, this.none, this.lines);
  }

  async update(job) {
    setText(this.command, job.command ? `$ ${readable(job.command)}` : "");
    const { run, lines } = await get(`/api/jobs/${this.name}/log?run=${this.run}&after=${this.last}`);
    if (run !== this.run) {
      this.run = run;
      this.last = 0;
      this.lines.replaceChildren();
    }
    const isAtEnd = this.lines.scrollTop + this.lines.clientHeight >= this.lines.scrollHeight - 8;
    for (const [number, text] of lines) {
      if (number <= this.last) continue;
      this.last = number;
      const kind = /^(failed|wrong usage):/.test(text) ? "bad" : /^(warning|rejected):/.test(text) ? "odd" : "";
      this.lines.append(el(kind ? `li.${kind}` : "li", {}, readable(text)));
    }
    while (this.lines.childElementCount > MOST) this.lines.firstChild.remove();
    if (lines.length && isAtEnd) this.lines.scrollTop = this.lines.scrollHeight;
    this.none.hidden = this.lines.childElementCount > 0;
  }
}
