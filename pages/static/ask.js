// Requests to the server: what has not changed is not sent again.

const kept = new Map();

/** Get JSON; what is the same as last time is the very same object. */
export async function get(path) {
  const before = kept.get(path);
  const answer = await fetch(path, { headers: before ? { "If-None-Match": before.tag } : {}, cache: "no-store" });
  if (answer.status === 304) return before.content;
  if (!answer.ok) throw new Error(`${path}: ${answer.status}`);
  const content = await answer.json();
  if (kept.size > 60) kept.clear();
  kept.set(path, { tag: answer.headers.get("ETag") ?? "", content });
  return content;
}

/** Send JSON; return the answer, whether it went well, and what it says. */
export async function post(path, content = {}) {
  const answer = await fetch(path, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(content),
  });
  const text = await answer.text();
  try {
    return { ok: answer.ok, content: JSON.parse(text) };
  } catch {
    return { ok: false, content: { message: text || `the server answered ${answer.status}` } };
  }
}
