// The head of the page, and the facets under it: how many trials are in which state, how quickly they come.

import { chip } from "./table.js";
import { count, duration, node, rate, replace } from "./words.js";

const STATES = ["running", "stopped", "done", "failed", "diverged"];
const before = new Map();  // facet's name → facet, as last shown
const at = (id) => document.getElementById(id);

/** The words of a filter; quotes keep one together. */
export function split(text) {
  return text.match(/(?:"[^"]*"|'[^']*'|\[[^\]]*\]|[^\s"']|["'])+/g) ?? [];
}

/** The filter with `name=value` in it, in the place of another value; or without it where it was there. */
export function toggled(text, condition) {
  const words = split(text), name = condition.slice(0, condition.indexOf("=") + 1);
  const rest = words.filter((word) => !word.startsWith(name));
  return (words.includes(condition) ? rest : [...rest, condition]).join(" ");
}

export function holds(text, condition) {
  return split(text).includes(condition);
}

/** Store, states, pace. `pick(condition)` toggles one. */
export function showHead(overview, filter, pick) {
  const store = overview.store.replace(/\/+$/, "");
  const cut = store.lastIndexOf("/") + 1;
  replace(at("store"), node("span", { class: "path" }, store.slice(0, cut)), node("span", {}, store.slice(cut) || "/"));
  at("store").title = overview.store.slice(0, 500);
  document.title = `${overview.running ? `${count(overview.running)} running · ` : ""}${store.slice(cut)} – sparsewire`.slice(0, 200);
  const totals = Object.fromEntries(STATES.map((state) => [state, 0]));
  for (const { states } of overview.experiments) {
    for (const [state, many] of Object.entries(states)) totals[state] = (totals[state] ?? 0) + many;
  }
  totals.running = overview.running;
  totals.stopped = overview.stopped;
  replace(at("states"), STATES.filter((state) => state !== "stopped" || totals.stopped).map((state) => node("button", { type: "button", class: `stat ${state}`,
    "aria-pressed": String(holds(filter, `state=${state}`)), on: { click: () => pick(`state=${state}`) } },
  node("span", { class: "amount" }, count(totals[state])), chip(state))));
  const whole = Math.max(Object.values(totals).reduce((sum, many) => sum + many, 0), overview.planned ?? 0, 1);
  replace(at("strip"), [...STATES.slice(2), "stopped", "running"].map((state) => {
    const part = node("span", { class: state });
    part.style.flexGrow = String(totals[state] / whole);
    return part;
  }));
  const pace = [["rate", rate(overview.rate)], ["left", overview.seconds_left === null ? null : duration(overview.seconds_left)]];
  if (overview.planned) pace.unshift(["ended", `${count(overview.ended)} of ${count(overview.planned)}`]);
  replace(at("pace"), pace.filter(([, words]) => words).map(([name, words]) => node("div", {}, node("dt", {}, name), node("dd", {}, words))));
}

/** One row a field that has few values. */
export function showFacets(overview, columns, filter, pick) {
  const named = overview.experiments.filter((one) => one.filter !== null);
  const experiments = named.length > 1 ? [{ name: "experiment", values: named.slice(0, 40).map((one) => ({ label: one.name, filter: one.filter })) }] : [];
  // what has been asked for stays, so that it can be taken back
  const asked = split(filter), now = new Set(columns.facets.map((facet) => facet.name));
  const kept = [...before.values()].filter((facet) => !now.has(facet.name) && facet.values.some((value) => asked.includes(value.filter)));
  const rows = [...experiments, ...columns.facets, ...kept];
  before.clear();
  for (const facet of rows.slice(experiments.length)) before.set(facet.name, facet);
  const focused = document.activeElement?.closest?.("#facets") ? document.activeElement.dataset.key : null;
  replace(at("facets"), rows.map(({ name, values }) => node("div", { class: "facet", role: "group", "aria-label": name },
    node("span", { class: "of", title: name }, name),
    values.map((value) => node("button", { type: "button", class: "choice", title: value.filter, data: { key: value.filter },
      "aria-pressed": String(holds(filter, value.filter)), on: { click: () => pick(value.filter) } }, value.label)))));
  if (focused) [...at("facets").querySelectorAll("button")].find((one) => one.dataset.key === focused)?.focus();
}

export function showConnection(state, message) {
  const words = { live: "live", lost: "reconnecting", refused: message ?? "refused", connecting: "connecting" };
  const place = at("connection");
  if (place.textContent !== words[state]) replace(place, words[state]);
  place.className = `connection ${state}`;
}

export function showFriendly(overview) {
  const friendly = at("friendly");
  friendly.hidden = !overview.missing;
  at("lab").hidden = Boolean(overview.missing);
  if (!overview.missing) return;
  replace(friendly, node("h2", {}, "Nothing here yet"), node("p", {}, overview.missing),
    node("p", {}, "This page fills as soon as a sweep begins, for instance with"),
    node("pre", {}, `sparsewire run demo --store ${overview.store}`));
}
