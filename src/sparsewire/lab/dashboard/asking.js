// Asking the server: answers as JSON, and events for as long as the page is seen.

export class Trouble extends Error {
  constructor(status, message) { super(message); this.status = status; }
}

/** The answer to a question; `parameters` may hold arrays. `signal` takes the question back. */
export async function ask(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== null && one !== undefined && one !== "") query.append(name, String(one));
    }
  }
  let answer;
  try {
    answer = await fetch(`api/${path}?${query}`, { signal, headers: { accept: "application/json" } });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Trouble(0, "the dashboard's server cannot be reached");
  }
  if (!answer.ok) {
    const told = (answer.headers.get("content-type") ?? "").startsWith("application/json")
      ? (await answer.json()).error : await answer.text();
    throw new Trouble(answer.status, String(told).trim());
  }
  return answer.json();
}

const SILENCE = 25_000;  // the server says something every ten seconds
const AGAIN = 1_000;

/** Calls `told` with every moment, and `state` with "live", "lost" or "refused"; rests while nobody looks at the page. */
export function follow(told, state) {
  let source = null, timer = 0, heard = 0;

  function open() {
    clearTimeout(timer);
    timer = 0;
    if (source || document.hidden) return;
    source = new EventSource("events");
    heard = Date.now();
    source.addEventListener("moment", (event) => { heard = Date.now(); state("live"); told(JSON.parse(event.data)); });
    source.addEventListener("alive", () => { heard = Date.now(); state("live"); });
    source.addEventListener("error", lost);
  }

  function close() {
    if (source) source.close();
    source = null;
  }

  async function lost() {
    close();
    state("lost");
    // an EventSource does not tell why it failed; a request does
    try { await ask("overview"); } catch (trouble) { if (trouble.status === 400 || trouble.status === 403) state("refused", trouble.message); }
    if (!timer) timer = setTimeout(open, AGAIN);
  }

  document.addEventListener("visibilitychange", () => (document.hidden ? close() : open()));
  addEventListener("pagehide", close);
  addEventListener("pageshow", open);
  addEventListener("online", open);
  setInterval(() => { if (source && Date.now() - heard > SILENCE) lost(); }, 5_000);
  open();
}
