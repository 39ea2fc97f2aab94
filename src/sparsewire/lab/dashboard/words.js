// Values as words, and words as elements. Whatever comes from a store is text here, and never anything else.

// Control, formatting and private characters, lone surrogates: none of them may recolour, hide or turn text around.
const UNSEEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/gu;

export function clean(text) {
  return String(text).replace(UNSEEN, (found) => (found === "\n" || found === "\t" ? found : "\ufffd"));
}

/** An element; what is given as text becomes a text node. `properties` are set on the element, never parsed. */
export function node(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name === "class") made.className = value;
    else if (name === "on") for (const [event, act] of Object.entries(value)) made.addEventListener(event, act);
    else if (name === "data") Object.assign(made.dataset, value);
    else if (name === "role" || name.startsWith("aria-")) made.setAttribute(name, clean(value));
    else if (name === "title") made.title = clean(value);
    else made[name] = value;
  }
  made.append(...children.flat().filter((child) => child !== null && child !== undefined)
    .map((child) => (child instanceof Node ? child : document.createTextNode(clean(child)))));
  return made;
}

export function replace(parent, ...children) {
  parent.replaceChildren(...children.flat().filter((child) => child !== null && child !== undefined)
    .map((child) => (child instanceof Node ? child : document.createTextNode(clean(child)))));
}

/** What a mapping holds itself: a metric may be called "constructor". */
export function own(mapping, name) {
  return mapping && Object.hasOwn(mapping, name) ? mapping[name] : undefined;
}

/** A number with four significant digits, as people read it. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || value === "") return "–";
  if (typeof value === "boolean") return value ? "yes" : "no";
  if (typeof value !== "number") {
    return { nan: "not a number", inf: "∞", "-inf": "−∞" }[value] ?? clean(value);
  }
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return count(value);
  const size = Math.abs(value);
  const text = size !== 0 && (size < 1e-4 || size >= 1e9) ? value.toExponential(digits - 2) : short(value, digits);
  return text.replace("-", "−");
}

function short(value, digits) {
  const whole = Math.floor(Math.log10(Math.abs(value))) + 1;  // below 0 where zeros follow the point: they count for nothing
  return String(Number(value.toFixed(Math.max(digits - whole, 0))));
}

/** A metric: as many decimals in every row, so that columns can be compared by eye. */
export function metric(value) {
  if (typeof value !== "number") return number(value);
  const size = Math.abs(value);
  if (Number.isInteger(value) && size > 100) return number(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replace("-", "−");
  return value.toFixed(size >= 1000 ? 1 : size >= 100 ? 2 : size >= 10 ? 3 : 4).replace("-", "−");
}

export function count(value) {
  return String(Math.abs(value)).replace(/\B(?=(\d{3})+$)/g, ",").replace(/^/, value < 0 ? "−" : "");
}

export function plural(amount, word) {
  return `${count(amount)} ${word}${amount === 1 ? "" : "s"}`;
}

export function duration(seconds) {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return "–";
  if (seconds < 0.95) return `${Math.round(seconds * 1000)} ms`;
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 99.5) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.round(hours / 24)} days`;
}

export function ago(text) {
  const then = Date.parse(text);
  if (Number.isNaN(then)) return clean(text || "–");
  const seconds = Math.max((Date.now() - then) / 1000, 0);
  return seconds < 60 ? "just now" : seconds < 172800 ? `${duration(seconds)} ago` : new Date(then).toISOString().slice(0, 10);
}

export function rate(perSecond) {
  if (perSecond === null || perSecond === undefined) return null;
  if (perSecond >= 0.95) return `${perSecond.toFixed(perSecond < 9.5 ? 1 : 0)} a second`;
  if (perSecond * 60 >= 0.95) return `${(perSecond * 60).toFixed(perSecond * 60 < 9.5 ? 1 : 0)} a minute`;
  return `${(perSecond * 3600).toFixed(1)} an hour`;
}

/** Runs `act` at most once in `wait` milliseconds and never twice at a time; the last call is never lost. */
export function paced(act, wait) {
  let running = false, wanted = false, last = -Infinity, timer = 0;
  async function run() {
    timer = 0; running = true; wanted = false; last = performance.now();
    try { await act(); } finally {
      running = false;
      if (wanted) later();
    }
  }
  function later() {
    wanted = true;
    if (!running && !timer) timer = setTimeout(run, Math.max(0, last + wait - performance.now()));
  }
  return later;
}
