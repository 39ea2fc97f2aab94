// The page as a whole: the address says what is shown; every moment that the server tells moves what has changed.

import { ask, follow } from "./asking.js";
import { Curves } from "./curves.js";
import { showConnection, showFacets, showFriendly, showHead, toggled } from "./header.js";
import { Table, columnsOf, tally } from "./table.js";
import { TrialPage } from "./trial.js";
import { paced, plural, replace } from "./words.js";

const at = (id) => document.getElementById(id);
const state = { where: "", sort: "", descending: false };
let overview = null, columns = { fields: [], metrics: [], series: [], facets: [], experiments: 1 };
let moment = { version: undefined, live: {} };

const curves = new Curves({ changed: remember, drawn: () => { table.draw(); unselecting(); }, question: () => ({ where: state.where }) });
const table = new Table(at("table"), {
  sorted,
  chosen: (row) => curves.choose(row),
  isChosen: (key) => curves.chosen.has(key),
  look: (key) => curves.look(key),
  failed: (error) => told(error),
  counted: (answer) => { replace(at("tally"), tally(answer.total, answer.running)); trouble(""); curves.setFirst(firstRows()); again(answer, tableSoon); },
});
const trialPage = new TrialPage(at("trial"));

/** Numbers begin with the largest, texts with the first letter; the second click turns that round, the third ends it. */
function sorted(name) {
  const first = columns.metrics.includes(name) || name === "seconds";
  if (state.sort !== name) Object.assign(state, { sort: name, descending: first });
  else if (state.descending === first) state.descending = !first;
  else Object.assign(state, { sort: "", descending: false });
  changed();
}

function firstRows() { return table.pages.get(0) ?? []; }
function question() { return { where: state.where, sort: state.sort, descending: state.descending ? 1 : "" }; }
function trouble(words) { if (at("trouble").textContent !== words) replace(at("trouble"), words); at("where").setAttribute("aria-invalid", String(Boolean(words))); }

function again(answer, soon) {
  if (answer.again) setTimeout(soon, Math.min(answer.again, 30) * 1000);
}

// What the address says, so that a view can be kept, sent and gone back to.

function remember() {
  const words = new URLSearchParams();
  if (state.where) words.set("where", state.where);
  if (state.sort) words.set("sort", (state.descending ? "-" : "") + state.sort);
  if (curves.series) words.set("curves", JSON.stringify(curves.series));
  if (curves.by) words.set("by", curves.by);
  if (curves.log) words.set("scale", "log");
  const address = `#/${words.size ? `?${words}` : ""}`;
  if (location.hash !== address && !trialPage.here) history.replaceState(null, "", address);
}

function recall() {
  const found = /^#\/trial\/([0-9a-f]{16})\/(-?\d{1,19})$/.exec(location.hash);
  if (found) {
    trialPage.from = overview !== null;
    show(true);
    if (overview) showHead(overview, "", pick);
    trialPage.open(found[1], found[2]);
    scrollTo(0, 0);
    return;
  }
  if (trialPage.here) trialPage.close();
  show(false);
  const words = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const sort = words.get("sort") ?? "";
  Object.assign(state, { where: words.get("where") ?? "", sort: sort.replace(/^-/, ""), descending: sort.startsWith("-") });
  try { curves.series = words.has("curves") ? JSON.parse(words.get("curves")).map(String) : null; } catch { curves.series = null; }
  curves.by = words.get("by") ?? "";
  curves.log = words.get("scale") === "log";
  curves.scaleButtons();
  at("where").value = state.where;
  changed(true);
}

function show(trial) {
  at("trial").hidden = !trial;
  at("lab").hidden = trial || !overview || Boolean(overview.missing);
  at("friendly").hidden = trial || !overview?.missing;
}

// What is asked again, and when.

async function getOverview() {
  const before = overview;
  overview = await ask("overview");
  if (!trialPage.here) { showFriendly(overview); showHead(overview, state.where, pick); showFacets(overview, columns, state.where, pick); } else showHead(overview, "", pick);
  again(overview, overviewSoon);
  if (!trialPage.here && !overview.missing && (!before || before.missing) && moment.version !== undefined) changed(true);
}

async function getColumns() {
  if (overview?.missing) return;
  const asked = state.where;
  const found = await ask("columns", { where: asked });
  if (asked !== state.where) return;
  const before = JSON.stringify([columns.fields, columns.metrics, columns.experiments, state.sort, state.descending]);
  columns = found;
  if (JSON.stringify([found.fields, found.metrics, found.experiments, state.sort, state.descending]) !== before || !table.columns.length) table.setColumns(columnsOf(columns));
  const drawn = curves.names().join("\n");
  curves.setColumns(columns);
  if (drawn !== curves.names().join("\n")) curves.refresh().catch(told);
  if (overview) showFacets(overview, columns, state.where, pick);
  again(found, columnsSoon);
}

async function getTable(other = false) {
  if (!overview?.missing) await table.refresh(question(), other);
}

/** What went wrong, where it can be mended: at the filter if it was asked wrongly. */
function told(error) {
  if (error.name === "AbortError") return;
  if (error.status === 422) trouble(error.message);
  else if (error.status === 0) showConnection("lost");
  else if (error.status !== 503) console.warn(error.message);
}

const safely = (act) => async () => { try { await act(); } catch (error) { told(error); } };
const overviewSoon = paced(safely(getOverview), 900);
const columnsSoon = paced(safely(getColumns), 3000);
const tableSoon = paced(safely(() => (trialPage.here ? null : getTable())), 900);
const curvesSoon = paced(safely(() => (trialPage.here ? trialPage.refresh() : curves.refresh())), 800);

async function changed(first = false) {
  if (!first) remember();
  at("where").value = state.where;
  at("clear").hidden = !state.where;
  table.setColumns(columnsOf(columns));
  if (!overview) return;
  showHead(overview, state.where, pick);
  showFacets(overview, columns, state.where, pick);
  await safely(async () => { await getTable(true); await getColumns(); table.setColumns(columnsOf(columns)); if (curves.by || first) await curves.refresh(); })();
}

function pick(condition) {
  if (trialPage.here) { location.hash = `#/?${new URLSearchParams({ where: condition })}`; return; }
  state.where = toggled(state.where, condition);
  changed();
}

function unselecting() {
  at("unselect").hidden = !curves.chosen.size;
  replace(at("unselect"), `Clear ${plural(curves.chosen.size, "tick")}`);
}

// What the reader does.

let typing = 0;
at("where").addEventListener("input", () => { clearTimeout(typing); typing = setTimeout(() => { state.where = at("where").value.trim(); changedByTyping(); }, 350); });
at("asking").addEventListener("submit", (event) => { event.preventDefault(); clearTimeout(typing); state.where = at("where").value.trim(); changed(); });
at("clear").addEventListener("click", () => { state.where = ""; changed(); at("where").focus(); });
at("unselect").addEventListener("click", () => curves.clear());
addEventListener("hashchange", recall);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => { curves.show(); for (const chart of trialPage.charts.values()) chart.draw(); });

function changedByTyping() {
  const words = at("where").value;
  changed();
  at("where").value = words;  // the blank at the end that is being typed stays
}

// What the server tells.

function hear(next) {
  const before = moment;
  moment = next;
  table.setLive(next.live);
  const other = Object.keys(before.live).join() !== Object.keys(next.live).join();
  const newVersion = before.version !== next.version;
  if (newVersion || other) { overviewSoon(); tableSoon(); }
  if (newVersion) columnsSoon();
  const told = Object.keys(next.live).some((key) => next.live[key].points !== before.live[key]?.points);
  if (told) tableSoon();
  if (trialPage.here ? newVersion || trialPage.key in next.live || trialPage.key in before.live : told && curves.isLive(next.live)) curvesSoon();
  if (other && !columns.series.length) columnsSoon();
}

// A token in the address has been taken by the server, and should not be read over a shoulder.
if (new URLSearchParams(location.search).has("token")) history.replaceState(null, "", location.pathname + location.hash);
await safely(getOverview)();
recall();
follow(hear, showConnection);
