// The panel of curves: which numbers, of which trials or groups of trials, on which scale.

import { ask } from "./asking.js";
import { Chart, lookOf } from "./chart.js";
import { clean, node, number, own, plural, replace } from "./words.js";

const UNASKED = 8;   // trials drawn where none was chosen
const MOST = 60;     // trials drawn at once

export class Curves {
  /** `wishes`: changed() after anything that belongs into the address; drawn() when other trials are drawn. */
  constructor(wishes) {
    this.wishes = wishes;
    this.series = null;      // null: the first two
    this.log = false;
    this.by = "";
    this.range = null;
    this.chosen = new Map(); // key → row
    this.first = [];
    this.columns = { fields: [], series: [], experiments: 1 };
    this.places = new Map(); // key → place of its look
    this.charts = new Map();
    this.emphasis = null;
    this.turn = 0;
    this.at = Object.fromEntries(["series", "group", "scale", "whole", "charts", "legend", "remark"].map((id) => [id, document.getElementById(id)]));
    this.at.group.addEventListener("change", () => { this.by = this.at.group.value; this.range = null; this.changed(); });
    this.at.whole.addEventListener("click", () => this.zoom(null, null));
    this.scaleButtons();
  }

  changed() {
    this.forget(this.drawnKeys());
    this.wishes.changed();
    this.wishes.drawn();
    this.refresh();
  }

  names() {
    const known = this.columns.series;
    return (this.series ?? known.slice(0, 2)).filter((name) => known.includes(name));
  }

  setColumns(columns) {
    this.columns = columns;
    const shown = new Set(this.names());
    replace(this.at.series, columns.series.map((name) => node("button", { type: "button", class: "choice", title: name,
      "aria-pressed": String(shown.has(name)), on: { click: () => this.toggle(name) } }, name)));
    const groups = ["", ...columns.experiments > 1 ? ["experiment"] : [], ...columns.fields];
    if (this.by && !groups.includes(this.by)) groups.push(this.by);
    replace(this.at.group, groups.map((name) => node("option", { value: name, selected: name === this.by }, name || "nothing")));
  }

  toggle(name) {
    const now = this.names();
    this.series = now.includes(name) ? now.filter((one) => one !== name) : this.columns.series.filter((one) => one === name || now.includes(one));
    this.setColumns(this.columns);
    this.changed();
  }

  scaleButtons() {
    replace(this.at.scale, [["linear", false], ["log", true]].map(([word, log]) => node("button", { type: "button", class: "choice",
      "aria-pressed": String(this.log === log), on: { click: () => { this.log = log; this.scaleButtons(); this.wishes.changed(); this.show(); } } }, word)));
  }

  zoom(low, high) {
    this.range = low === null ? null : [low, high];
    this.at.whole.hidden = !this.range;
    this.show();
    this.refresh();
  }

  choose(row) {
    if (this.chosen.has(row.key)) this.chosen.delete(row.key);
    else if (this.chosen.size < MOST) this.chosen.set(row.key, row);
    if (this.chosen.size) this.by = "";
    this.setColumns(this.columns);
    this.changed();
  }

  clear() {
    this.chosen.clear();
    this.changed();
  }

  /** The rows at the top of the table, which are drawn where none was chosen. */
  setFirst(rows) {
    const before = this.drawnKeys().join();
    for (const row of rows) if (this.chosen.has(row.key)) this.chosen.set(row.key, row);
    this.first = rows.slice(0, UNASKED);
    if (this.drawnKeys().join() !== before) { this.forget(this.drawnKeys()); this.wishes.drawn(); this.refresh(); }
  }

  drawn() {
    return this.by ? [] : this.chosen.size ? [...this.chosen.values()] : this.first;
  }

  drawnKeys() {
    return this.drawn().map((row) => row.key);
  }

  look(key) {
    if (this.by || !this.drawn().some((row) => row.key === key)) return null;
    return this.placed(key);
  }

  placed(key) {
    if (!this.places.has(key)) {
      const taken = new Set(this.places.values());
      let place = 0;
      while (taken.has(place)) place++;
      this.places.set(key, place);
    }
    return lookOf(this.places.get(key));
  }

  forget(keys) {
    for (const key of this.places.keys()) if (!keys.includes(key)) this.places.delete(key);
  }

  isLive(live) {
    return this.by ? false : this.drawn().some((row) => row.key in live);
  }

  async refresh() {
    const turn = ++this.turn, names = this.names(), rows = this.drawn();
    this.arrange(names);
    const columns = Math.max(Math.round([...this.charts.values()][0]?.canvas.clientWidth ?? 600), 100);
    const [low, high] = this.range ?? [null, null];
    const question = { name: names, columns, low, high };
    if (!names.length || (!this.by && !rows.length)) { this.lines = {}; this.legend([]); this.show(); return; }
    const answer = this.by
      ? await ask("groups", { ...question, by: this.by, ...this.wishes.question() })
      : await ask("curves", { ...question, key: rows.map((row) => row.key) });
    if (turn !== this.turn) return;
    if (this.by) this.takeGroups(answer);
    else this.takeCurves(rows, answer);
    this.show();
  }

  takeCurves(rows, answer) {
    this.forget(rows.map((row) => row.key));
    const differs = this.differing(rows);
    const found = rows.map((row) => ({ key: row.key, row, label: this.label(row, differs), look: this.placed(row.key) }));
    this.lines = Object.fromEntries(this.names().map((name) => [name, found.flatMap((line) => {
      const points = own(answer.curves[line.key], name);
      return points?.length ? [{ ...line, points, live: answer.live.includes(line.key) }] : [];
    })]));
    this.legend(found);
    const unasked = !this.chosen.size && this.first.length;
    replace(this.at.remark, unasked ? `The first ${plural(rows.length, "trial")} of the table; tick others to draw those. Drag over a chart to look closer.`
      : `${plural(rows.length, "trial")} drawn. Drag over a chart to look closer.`);
  }

  takeGroups(answer) {
    this.forget(answer.groups.map((group) => `=${group.name}`));
    const found = answer.groups.map((group) => ({ key: `=${group.name}`, label: `${this.by} ${number(group.name)}`, count: group.trials, look: this.placed(`=${group.name}`), bands: group.bands }));
    this.lines = Object.fromEntries(this.names().map((name) => [name, found.flatMap((line) => (
      own(line.bands, name)?.length ? [{ ...line, points: line.bands[name], live: false }] : []))]));
    this.legend(found);
    const part = answer.trials < answer.total ? `${plural(answer.trials, "trial")}, spread evenly over the ${number(answer.total)} that fit the filter` : plural(answer.trials, "trial");
    const more = answer.more ? `; ${plural(answer.more, "group")} more not drawn` : "";
    replace(this.at.remark, `Mean of each group, with a band from its lowest to its highest trial; ${part}${more}.`);
  }

  /** What tells the drawn trials from each other: fields that differ between them, the experiment if that does. */
  differing(rows) {
    const values = (of) => new Set(rows.map(of)).size;
    return { experiment: values((row) => row.experiment) > 1, fields: this.columns.fields.filter((name) => values((row) => own(row.fields, name)) > 1).slice(0, 4) };
  }

  label(row, differs) {
    const fields = differs.fields.filter((name) => own(row.fields, name) !== undefined);
    const parts = fields.map((name) => `${name} ${number(own(row.fields, name))}`);
    if (differs.experiment) parts.unshift(row.experiment);
    if (!parts.length) parts.push(row.run.slice(0, 8));
    return [...parts, `seed ${row.seed}`].join(" · ");
  }

  legend(entries) {
    const old = document.activeElement?.closest?.("#legend") ? document.activeElement.dataset.key : null;
    replace(this.at.legend, entries.slice(0, 30).map((entry) => this.entry(entry)));
    if (entries.length > 30) this.at.legend.append(node("li", { class: "remark" }, `and ${entries.length - 30} more`));
    if (old) [...this.at.legend.querySelectorAll("a, button")].find((one) => one.dataset.key === old)?.focus();
  }

  entry({ key, row, label, count, look }) {
    const on = { pointerenter: () => this.emphasise(key), pointerleave: () => this.emphasise(null), focusin: () => this.emphasise(key), focusout: () => this.emphasise(null) };
    const swatch = node("span", { class: `swatch drawn look-${look.colour} stroke-${look.stroke}`, "aria-hidden": "true" });
    const words = row ? node("a", { href: `#/trial/${row.run}/${row.seed}`, title: label, data: { key } }, label) : node("span", { title: label }, label);
    return node("li", { on }, swatch, words, count ? node("span", { class: "remark" }, ` n = ${count}`) : null);
  }

  emphasise(key) {
    this.emphasis = key;
    for (const chart of this.charts.values()) { chart.emphasis = key; chart.draw(); }
  }

  /** A chart for each name, kept where there is one already. */
  arrange(names) {
    for (const name of this.charts.keys()) if (!names.includes(name)) this.charts.delete(name);
    for (const name of names) if (!this.charts.has(name)) this.charts.set(name, new Chart(clean(name), { zoomed: (low, high) => this.zoom(low, high) }));
    const wanted = names.map((name) => this.charts.get(name).element);
    if (wanted.length !== this.at.charts.childElementCount || wanted.some((one, index) => one !== this.at.charts.children[index])) {
      this.at.charts.replaceChildren(...wanted);
    }
    if (!names.length) replace(this.at.charts, node("p", { class: "remark" }, this.columns.series.length ? "Choose what to draw." : "No trial has told a curve yet."));
  }

  show() {
    for (const [name, chart] of this.charts) chart.show(own(this.lines, name) ?? [], this.log, this.range);
  }
}
