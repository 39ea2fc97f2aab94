// The table of trials: as many rows as there are, of which only those in sight exist.

import { ask } from "./asking.js";
import { ago, count, duration, metric, node, number, own, plural, replace } from "./words.js";

const ROW = 36;      // pixels, as in page.css
const PAGE = 100;    // rows a question
const BEYOND = 12;   // rows drawn above and below those in sight
const WORDS = { running: "running", stopped: "stopped", done: "done", failed: "failed", diverged: "diverged" };

export class Table {
  /** `wishes`: sorted(name), chosen(row), isChosen(key), look(key) of a drawn trial or null, counted(answer), failed(error). */
  constructor(place, wishes) {
    this.place = place;
    this.wishes = wishes;
    this.columns = [];
    this.total = 0;
    this.pages = new Map();
    this.fresh = new Set();
    this.question = null;  // nothing is asked before the page knows that there is a store
    this.live = {};
    this.head = node("tr", { role: "row" });
    this.body = node("tbody", {});
    this.above = node("tbody", { class: "space", role: "presentation" }, node("tr", {}, node("td", {})));
    this.below = node("tbody", { class: "space", role: "presentation" }, node("tr", {}, node("td", {})));
    this.table = node("table", { class: "grid" }, node("thead", {}, this.head), this.above, this.body, this.below);
    replace(place, this.table);
    let waiting = false;
    const soon = () => {
      if (waiting) return;
      waiting = true;
      requestAnimationFrame(() => { waiting = false; this.draw(); this.load().catch(wishes.failed); });
    };
    place.addEventListener("scroll", soon, { passive: true });
    new ResizeObserver(soon).observe(place);
  }

  /** Asks anew; with `other` the question is another one, and the rows in sight are of no more use. */
  async refresh(question, other) {
    this.question = question;
    if (other) {
      this.pages.clear();
      this.place.scrollTop = 0;
    }
    this.fresh.clear();
    return this.load();
  }

  async load() {
    if (!this.question) return;
    const [first, last] = this.range();
    const wanted = [];
    for (let page = Math.floor(first / PAGE); page <= Math.floor(Math.max(last - 1, first) / PAGE); page++) {
      if (!this.fresh.has(page)) wanted.push(page);
    }
    for (const page of wanted) {
      this.fresh.add(page);
      const question = this.question;
      let answer;
      try {
        answer = await ask("trials", { ...question, offset: page * PAGE, limit: PAGE });
      } catch (trouble) {
        this.fresh.delete(page);
        throw trouble;
      }
      if (question !== this.question) return;
      this.take(page, answer);
    }
  }

  take(page, answer) {
    const more = answer.total - this.total;
    const follows = this.place.scrollTop > ROW && !this.question.sort && more > 0 && this.total > 0;
    this.total = answer.total;
    this.pages.set(page, answer.rows);
    for (const known of this.pages.keys()) if (known * PAGE >= Math.max(this.total, 1)) this.pages.delete(known);
    if (this.pages.size > 30) {  // those farthest from what is in sight are asked for again
      const far = [...this.pages.keys()].sort((a, b) => Math.abs(b - page) - Math.abs(a - page))[0];
      this.pages.delete(far);
      this.fresh.delete(far);
    }
    this.wishes.counted(answer);
    this.draw();
    if (follows) this.place.scrollTop += more * ROW;  // new trials come in above; what is being read stays in sight
  }

  range() {
    const first = Math.max(Math.floor(this.place.scrollTop / ROW) - BEYOND, 0);
    const seen = Math.ceil(Math.max(this.place.clientHeight, 400) / ROW) + 2 * BEYOND;
    return [first, Math.max(Math.min(first + seen, this.total), first)];
  }

  row(index) {
    return this.pages.get(Math.floor(index / PAGE))?.[index % PAGE];
  }

  rows() {
    return [...this.pages.entries()].sort(([a], [b]) => a - b).flatMap(([, rows]) => rows);
  }

  setColumns(columns) {
    this.columns = columns;
    replace(this.head, node("th", { class: "pick", scope: "col" }, node("span", { class: "hidden" }, "drawn")),
      ...columns.map((column) => this.headCell(column)));
    this.draw();
  }

  headCell(column) {
    const { sort, descending } = this.question ?? {};
    const here = column.sort && sort === column.sort;
    const cell = node("th", { scope: "col", class: column.class ?? "" });
    if (here) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
    if (column.sort) {
      cell.append(node("button", { type: "button", class: "sort", title: column.title ?? column.label,
        on: { click: () => this.wishes.sorted(column.sort) } },
      node("span", {}, column.label), node("span", { class: "arrow", "aria-hidden": "true" }, here ? (descending ? "▼" : "▲") : "")));
    } else cell.append(node("span", {}, column.label));
    return cell;
  }

  draw() {
    const [first, last] = this.range();
    const old = new Map([...this.body.rows].map((line) => [line.dataset.key + line.className.split(" ")[0], line]));
    const kept = this.body.contains(document.activeElement) ? document.activeElement : null, focused = kept?.closest("tr").dataset.key;
    const lines = [];
    for (let index = first; index < last; index++) {
      const row = this.row(index);
      lines.push(row ? this.line(row, index, old) : node("tr", { class: "waiting", data: { key: `?${index}` } },
        node("td", { colSpan: this.columns.length + 1 }, "…")));
    }
    this.above.rows[0].style.height = `${first * ROW}px`;
    this.below.rows[0].style.height = `${Math.max(this.total - last, 0) * ROW}px`;
    this.table.setAttribute("aria-rowcount", String(this.total + 1));
    const same = lines.length === this.body.rows.length && lines.every((line, index) => line === this.body.rows[index]);
    if (same) return;
    this.body.replaceChildren(...lines);
    if (kept) {  // who walks through the table by keyboard stays where they are
      const line = lines.find((one) => one.dataset.key === focused);
      (kept.isConnected ? kept : line?.querySelector(kept.localName))?.focus({ preventScroll: true });
    }
  }

  line(row, index, old) {
    const look = this.wishes.look(row.key);
    const version = JSON.stringify([row, look, this.columns.map((column) => column.id)]);
    const before = old.get(row.key + row.state);  // a failed trial may be under way again
    if (before?.version === version) {
      before.setAttribute("aria-rowindex", String(index + 2));
      this.progress(before, row);
      return before;
    }
    const line = node("tr", { class: row.state, data: { key: row.key }, "aria-rowindex": String(index + 2) },
      node("td", { class: "pick" }, this.box(row, look)),
      ...this.columns.map((column) => node("td", { class: column.class ?? "" }, column.cell(row))));
    line.version = version;
    this.progress(line, row);
    return line;
  }

  box(row, look) {
    const box = node("input", { type: "checkbox", checked: this.wishes.isChosen(row.key), "aria-label": `draw ${row.key}`,
      on: { change: () => this.wishes.chosen(row) } });
    const mark = node("span", { class: look ? `swatch look-${look.colour} stroke-${look.stroke}` : "swatch", "aria-hidden": "true" });
    return node("label", { class: "box" }, box, mark);
  }

  /** What a trial under way has told since the row was made. */
  progress(line, row) {
    const told = this.live[row.key];
    const bar = line.querySelector("progress");
    if (!bar || !told) return;
    bar.value = told.fraction;
    const note = line.querySelector(".note");
    const silent = told.silent > 90 && row.state !== "stopped" ? `silent for ${duration(told.silent)}` : "";
    const text = silent || `${Math.round(told.fraction * 100)} %`;
    if (note.textContent !== text) note.textContent = text;
    const seconds = line.querySelector(".running-seconds");
    if (seconds) seconds.textContent = duration(told.seconds);
    line.classList.toggle("silent", Boolean(silent));
  }

  setLive(live) {
    this.live = live;
    for (const line of this.body.rows) {
      if (line.querySelector("progress")) this.progress(line, { key: line.dataset.key, state: line.className });
    }
  }
}

/** The columns that the rows of this question need, in their order. */
export function columnsOf({ experiments, fields, metrics }) {
  const columns = [
    { id: "trial", label: "trial", class: "key", cell: (row) => node("a", { href: `#/trial/${row.run}/${row.seed}`, title: row.key },
      node("span", { class: "run" }, row.run.slice(0, 8)), node("span", { class: "seed" }, ` · ${row.seed}`)) },
    { id: "state", label: "state", sort: "state", class: "state", cell: state },
  ];
  if (experiments > 1) columns.push({ id: "experiment", label: "experiment", sort: "experiment", class: "text", cell: (row) => text(row.experiment) });
  for (const name of fields) {
    columns.push({ id: `f ${name}`, label: name, title: `${name} (of the spec)`, sort: name, class: "value", cell: (row) => value(own(row.fields, name)) });
  }
  for (const name of metrics) {
    columns.push({ id: `m ${name}`, label: name, title: `${name} (metric)`, sort: name, class: "number", cell: (row) => (
      Object.hasOwn(row.metrics, name) ? node("span", {}, metric(row.metrics[name])) : node("span", { class: "none" }, "–")) });
  }
  columns.push(
    { id: "seconds", label: "time", sort: "seconds", class: "number", cell: (row) => node("span", { class: row.state === "running" ? "running-seconds" : "" }, duration(row.seconds)) },
    { id: "started", label: "started", class: "when", cell: (row) => node("span", { title: row.started }, ago(row.started)) },
  );
  return columns;
}

function text(words) {
  return node("span", { class: "cut", title: String(words).slice(0, 500) }, words);
}

function value(found) {
  if (found === undefined) return node("span", { class: "none" }, "–");
  return typeof found === "string" ? text(number(found)) : node("span", { class: "figure" }, number(found));
}

export function chip(name) {
  return node("span", { class: `chip ${WORDS[name] ?? "unknown"}` }, WORDS[name] ?? name);
}

function state(row) {
  if (row.state === "running" || row.state === "stopped") {
    return node("span", { class: "under-way" }, chip(row.state),
      node("progress", { max: 1, value: row.fraction, "aria-label": "how far" }),
      node("span", { class: "note" }, `${Math.round(row.fraction * 100)} %`));
  }
  return row.reason ? node("span", { class: "ended" }, chip(row.state), node("span", { class: "reason", title: row.reason }, row.reason)) : chip(row.state);
}

export function tally(total, running) {
  return running ? `${plural(total, "trial")}, ${count(running)} under way` : plural(total, "trial");
}
