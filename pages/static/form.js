// The options of a pipeline as a form, with what is wrong beside each field.

import { post } from "/static/ask.js";
import { el, readable, setText } from "/static/dom.js";

const PAUSE = 300;

/** Return the values that a form begins with. */
export function initialValues(pipeline) {
  const options = pipeline.groups.flatMap((group) => group.options);
  return { ...Object.fromEntries(options.map((option) => [option.flag, option.value])), more: pipeline.more };
}

export class Form {
  constructor(pipeline) {
    this.name = pipeline.name;
    this.fields = new Map();
    this.errors = new Map();
    this.command = el("code");
    const copy = el("button.copy", { type: "button", onclick: () => this.copy(copy) }, "Copy");
    this.wrong = el("p.reason", { role: "alert" });
    const groups = pipeline.groups.map((group) => this.group(group));
    const more = {
      title: "Beam and its runners",
      options: [{ flag: "more", kind: "several", help: "other options, as on the command line", value: pipeline.more, metavar: "OPTION ..." }],
    };
    this.root = el(
      "form.options", { noValidate: true, onsubmit: (event) => event.preventDefault(), oninput: () => this.later() },
      el("div.command", {}, this.command, copy), this.wrong, el("div.groups", {}, ...groups, this.group(more)),
    );
  }

  group(group) {
    const usual = group.options.filter((option) => !option.is_rare).map((option) => this.field(option));
    const rare = group.options.filter((option) => option.is_rare).map((option) => this.field(option));
    return el(
      "fieldset", {}, el("legend", {}, group.title), group.is_one && el("p.hint", {}, "one of them at most"), ...usual,
      rare.length > 0 && el("details", {}, el("summary", {}, usual.length ? "More" : `${rare.length} options`), ...rare),
    );
  }

  field(option) {
    const id = `field-${option.flag}`;
    const [help, wrong] = [`${id}-help`, `${id}-wrong`];
    const described = { id, name: option.flag, "aria-describedby": `${help} ${wrong}` };
    let input;
    if (option.kind === "flag") input = el("input", { ...described, type: "checkbox", checked: Boolean(option.value) });
    else if (option.choices && option.kind === "one") {
      const choices = ["", ...option.choices].map((choice) => el("option", { value: choice }, choice || `(${option.default || "default"})`));
      input = el("select", described, ...choices);
      input.value = option.value;
    } else {
      const placeholder = option.default !== "" && option.default !== undefined ? String(option.default) : option.metavar ?? "";
      input = el("input", {
        ...described, type: "text", value: option.value ?? "", placeholder, autocomplete: "off", spellcheck: false, autocapitalize: "off",
      });
    }
    this.fields.set(option.flag, input);
    const error = el("span.wrong", { id: wrong, role: "alert" });
    this.errors.set(option.flag, error);
    const label = el("label", { htmlFor: id }, option.flag === "more" ? "more" : option.flag.slice(2));
    return el(`div.field.${option.kind}`, { "data-flag": option.flag }, label, input, error, el("span.hint", { id: help }, option.help));
  }

  values() {
    const found = {};
    for (const [flag, input] of this.fields) found[flag] = input.type === "checkbox" ? input.checked : input.value;
    return found;
  }

  /** Show what is wrong, by flag; what belongs to no field is told above all. */
  tell(errors) {
    for (const [flag, element] of this.errors) {
      const line = Object.hasOwn(errors, flag) ? errors[flag] : "";
      setText(element, readable(line));
      this.fields.get(flag).setAttribute("aria-invalid", line ? "true" : "false");
      if (line) element.closest("details")?.setAttribute("open", "");
    }
    setText(this.wrong, readable(errors[""] ?? ""));
  }

  later() {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.check(), PAUSE);
  }

  async check() {
    const { ok, content } = await post(`/api/jobs/${this.name}/check`, { values: this.values() });
    if (ok) setText(this.command, readable(content.command));
    this.tell(ok ? {} : content.errors ?? { "": content.message });
  }

  async copy(button) {
    try {
      await navigator.clipboard.writeText(this.command.textContent);
      setText(button, "Copied");
    } catch {
      // A page that is not of this machine, and not encrypted, has no clipboard.
      getSelection().selectAllChildren(this.command);
      setText(button, "Selected");
    }
    setTimeout(() => setText(button, "Copy"), 1500);
  }
}
