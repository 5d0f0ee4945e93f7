// Any tables as they are.

export function mount(root, { el, readable }) {
  return {
    update(data) {
      if (!data) return root.replaceChildren(el("p.empty", {}, "Nothing has been given yet. Start it, or press Demo."));
      if (data.error) return root.replaceChildren(el("p.reason", {}, readable(data.error)));
      if (data === root.shown) return undefined;
      root.shown = data;
      return root.replaceChildren(...data.map((table) => section(table, el, readable)));
    },
  };
}

function section(table, el, readable) {
  const columns = Object.keys(table.rows[0] ?? {});
  const row = (tag, texts) => el("tr", {}, ...texts.map((text) => el(tag, {}, readable(text))));
  return el(
    "section", {}, el("h2", {}, readable(table.name)),
    el(
      "div.scroll", {},
      el("table", {}, el("thead", {}, row("th", columns)), el("tbody", {}, ...table.rows.map((each) => row("td", Object.values(each))))),
    ),
  );
}
