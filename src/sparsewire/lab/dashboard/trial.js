// One trial's own page: what it was, what it found, how it ended.

import { ask } from "./asking.js";
import { Chart } from "./chart.js";
import { chip } from "./table.js";
import { ago, clean, count, duration, metric, node, number, own, plural, replace } from "./words.js";

const MOST_CHARTS = 24;
const REPAINT = 10_000;  // milliseconds between two pictures of a network that changes

export class TrialPage {
  constructor(place) {
    this.place = place;
    this.here = null;
    this.charts = new Map();
    this.log = false;
    this.range = null;
  }

  async open(run, seed) {
    this.here = { run, seed };
    this.charts.clear();
    this.range = null;
    this.drawn = null;
    this.pictured = -REPAINT;
    replace(this.place, node("p", { class: "remark" }, "…"));
    await this.refresh();
  }

  close() {
    this.here = null;
    replace(this.place);
  }

  get key() {
    return this.here ? `${this.here.run}-${this.here.seed}` : null;
  }

  async refresh() {
    const asked = this.here;
    if (!asked) return;
    let trial;
    try {
      trial = await ask("trial", asked);
    } catch (trouble) {
      if (asked === this.here) replace(this.place, this.back(), node("p", { class: "friendly" }, trouble.message));
      return;
    }
    if (asked !== this.here) return;
    this.build(trial);
    await this.curves(trial);
  }

  back() {
    return node("p", { class: "back" }, node("a", { href: "#/", on: { click: (event) => { if (this.from) { event.preventDefault(); history.back(); } } } }, "← all trials"));
  }

  build(trial) {
    const words = JSON.stringify({ ...trial, picture: Boolean(trial.picture), fraction: 0, note: "", silent: 0, seconds: "fraction" in trial ? 0 : trial.seconds, metrics: 0 });
    if (this.drawn !== words) {
      this.drawn = words;
      this.parts = {
        under: node("div", { class: "under-way wide" }),
        metrics: node("dl", { class: "pairs numbers" }),
        charts: node("div", { class: "charts small" }),
      };
      replace(this.place, this.back(), this.head(trial), this.ending(trial),
        node("div", { class: "two" },
          node("div", {}, section("Metrics", this.parts.metrics), this.picture(trial)),
          node("div", {}, section("Spec", pairs(trial.fields)), section("Where and with what", pairs(trial.environment)), this.artefacts(trial))),
        trial.series.length ? section(this.curvesTitle(), this.parts.charts) : null);
      document.title = `${trial.run.slice(0, 8)} · ${trial.seed} – sparsewire`;
    }
    this.tell(trial);
    this.paint(trial);
    replace(this.parts.metrics, Object.entries(trial.metrics).flatMap(([name, value]) => [node("dt", { title: name }, name), node("dd", { title: number(value, 12) }, metric(value))]));
    if (!Object.keys(trial.metrics).length) replace(this.parts.metrics, node("dd", { class: "remark" }, "fraction" in trial ? "none yet" : "none"));
  }

  head(trial) {
    return node("header", { class: "trial-head" },
      node("p", { class: "kicker" }, trial.experiment),
      node("h2", {}, node("span", { class: "run" }, trial.run), node("span", { class: "seed" }, ` · seed ${trial.seed}`)),
      node("p", { class: "line" }, chip(trial.state), node("span", { class: "remark", title: trial.started },
        "fraction" in trial ? `began ${ago(trial.started)} on ${trial.host}${trial.state === "stopped" ? "; its process is gone, and the next run takes it up again" : ""}` : `took ${duration(trial.seconds)}, began ${ago(trial.started)}`)),
      "fraction" in trial ? this.parts.under : null);
  }

  ending(trial) {
    if (!trial.reason && !trial.traceback) return null;
    return node("section", { class: `ending ${trial.state}` }, node("h3", {}, trial.state === "diverged" ? "Why it stopped" : "What went wrong"),
      node("p", { class: "why" }, trial.reason ?? ""),
      trial.traceback ? node("details", { open: trial.traceback.length < 4000 }, node("summary", {}, "traceback"), node("pre", { tabIndex: 0 }, trial.traceback)) : null);
  }

  tell(trial) {
    if (!("fraction" in trial)) return;
    const silent = trial.silent > 90 ? `; silent for ${duration(trial.silent)}` : "";
    if (!this.parts.under.firstChild) replace(this.parts.under, node("progress", { max: 1, "aria-label": "how far" }), node("span", { class: "note" }));
    const [bar, note] = this.parts.under.children;
    bar.value = trial.fraction;
    note.textContent = clean(`${Math.round(trial.fraction * 100)} %, ${duration(trial.seconds)}${trial.note ? `, ${trial.note}` : ""}${silent}`);
  }

  artefacts(trial) {
    const names = Object.entries(trial.artefacts);
    return names.length ? section("Artefacts", node("dl", { class: "pairs" }, names.flatMap(([name, size]) => [node("dt", {}, name),
      node("dd", {}, size === null ? "file is missing" : bytes(size))]))) : null;
  }

  picture(trial) {
    if (!trial.picture) return null;
    this.parts.link = node("a", { target: "_blank", rel: "noopener" });
    this.parts.painting = node("p", { class: "remark" }, "drawing …");
    this.painted = null;
    return section("Network", node("div", { class: "picture" }, this.parts.link, this.parts.painting));
  }

  /** The network's picture, and of a trial under way a new one now and then, in the place of the old when it is there. */
  paint(trial) {
    if (!trial.picture || trial.picture === this.painted || performance.now() - this.pictured < REPAINT) return;
    this.painted = trial.picture;
    this.pictured = performance.now();
    const { link, painting } = this.parts, key = this.key;
    const address = `api/network?${new URLSearchParams({ ...this.here, of: trial.picture })}`;
    const image = node("img", { alt: "The network: neurons as dots, connections as lines.", decoding: "async" });
    image.addEventListener("load", () => { link.href = address; link.replaceChildren(image); painting.hidden = true; });
    image.addEventListener("error", async () => {
      if (link.firstChild || key !== this.key) return;
      try { const answer = await fetch(address); painting.textContent = answer.ok ? "it cannot be shown" : clean((await answer.json()).error); } catch { painting.textContent = "it could not be drawn"; }
    });
    image.src = address;
  }

  curvesTitle() {
    const scale = ["linear", "log"].map((word) => node("button", { type: "button", class: "choice", "aria-pressed": String(this.log === (word === "log")), on: { click: (event) => {
      this.log = word === "log";
      for (const one of event.currentTarget.parentElement.children) one.setAttribute("aria-pressed", String(one === event.currentTarget));
      this.curves(this.last);
    } } }, word));
    return ["Curves ", node("span", { class: "choices joined", role: "group", "aria-label": "Scale of the values" }, scale)];
  }

  async curves(trial) {
    this.last = trial;
    const names = trial.series.slice(0, MOST_CHARTS);
    if (!names.length) return;
    const key = this.key;
    const answer = await ask("curves", { name: names, key: [key], columns: 500, low: this.range?.[0], high: this.range?.[1] });
    if (key !== this.key) return;
    for (const name of names) {
      if (!this.charts.has(name)) this.charts.set(name, new Chart(clean(name), { zoomed: (low, high) => { this.range = low === null ? null : [low, high]; this.curves(this.last); } }));
      const points = own(answer.curves[key], name) ?? [];
      this.charts.get(name).show([{ key, label: name, look: { colour: 1, stroke: 0 }, points, live: answer.live.includes(key) }], this.log, this.range);
    }
    const wanted = names.map((name) => this.charts.get(name).element);
    if (wanted.some((one, index) => one !== this.parts.charts.children[index])) this.parts.charts.replaceChildren(...wanted);
    if (trial.series.length > MOST_CHARTS) this.parts.charts.append(node("p", { class: "remark" }, `and ${plural(trial.series.length - MOST_CHARTS, "curve")} more`));
  }
}

function section(title, ...content) {
  return node("section", {}, node("h3", {}, title), ...content);
}

function pairs(values) {
  const entries = Object.entries(values);
  if (!entries.length) return node("p", { class: "remark" }, "nothing is known");
  return node("dl", { class: "pairs" }, entries.flatMap(([name, value]) => [node("dt", { title: name }, name), node("dd", {}, value === null ? "none" : typeof value === "string" ? value : number(value, 12))]));
}

function bytes(size) {
  const units = ["bytes", "kB", "MB", "GB"];
  let place = 0, value = size;
  while (value >= 1000 && place < 3) { value /= 1000; place++; }
  return place ? `${value.toPrecision(3)} ${units[place]}` : `${count(size)} bytes`;
}
