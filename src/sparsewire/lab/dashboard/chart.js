// One chart of curves or bands on a canvas, with a cross-hair that tells values.

import { clean, node, number } from "./words.js";

const DASHES = [[], [6, 3], [1.5, 2.5]];
const MARGIN = { left: 52, right: 14, top: 10, bottom: 26 };

/** What curves look like: five hues that everybody can tell apart, then the same with other strokes. */
export function lookOf(place) {
  return { colour: (place % 5) + 1, stroke: Math.floor(place / 5) % 3 };
}

function nice(low, high, most) {
  const raw = (high - low) / Math.max(most, 1);
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((size) => size >= raw * 0.999) ?? power * 10;
  const ticks = [];
  // between numbers that are nearly equal, steps are lost in rounding and the loop would never end
  if (!(step > Math.max(Math.abs(low), Math.abs(high)) * 1e-12)) return ticks;
  for (let index = Math.ceil(low / step - 1e-9); index * step <= high + step * 1e-9; index++) ticks.push(Number((index * step).toPrecision(12)));
  return ticks;
}

function decades(low, high) {
  const ticks = [];
  const first = Math.floor(Math.log10(low)), last = Math.ceil(Math.log10(high));
  const factors = last - first <= 2 ? [1, 2, 5] : [1];
  const every = Math.max(Math.ceil((last - first) / 6), 1);
  for (let power = first; power <= last; power += every) for (const factor of factors) {
    const tick = factor * 10 ** power;
    if (tick >= low * 0.999 && tick <= high * 1.001) ticks.push(Number(tick.toPrecision(6)));
  }
  return ticks.length > 1 ? ticks : nice(low, high, 4);
}

export class Chart {
  /** `wishes`: zoomed(low, high) or (null, null); emphasised(key or null). */
  constructor(name, wishes) {
    this.name = name;
    this.wishes = wishes;
    this.lines = [];
    this.log = false;
    this.emphasis = null;
    this.at = null;
    this.atStep = null;
    this.canvas = node("canvas", { tabIndex: 0, role: "img" });
    this.tip = node("div", { class: "tip", hidden: true });
    this.note = node("p", { class: "hidden", role: "status" });
    this.element = node("figure", { class: "chart" }, node("figcaption", { title: name }, name),
      node("div", { class: "plot" }, this.canvas, this.tip), this.note);
    this.listen();
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  listen() {
    const at = (event) => event.clientX - this.canvas.getBoundingClientRect().left;
    let from = null;
    this.canvas.addEventListener("pointerdown", (event) => { if (event.button === 0 && event.pointerType !== "touch") { from = at(event); this.canvas.setPointerCapture(event.pointerId); } });
    this.canvas.addEventListener("pointermove", (event) => { this.drag = from === null ? null : [from, at(event)]; this.point(at(event)); });
    this.canvas.addEventListener("pointerup", (event) => {
      const to = at(event);
      if (from !== null && Math.abs(to - from) > 6 && this.scale) {
        const [low, high] = [this.step(Math.min(from, to)), this.step(Math.max(from, to))];
        if (high > low) this.wishes.zoomed(low, high);
      }
      from = null;
      this.drag = null;
      this.draw();
    });
    this.canvas.addEventListener("pointerleave", () => this.point(null));
    this.canvas.addEventListener("dblclick", () => this.wishes.zoomed(null, null));
    this.canvas.addEventListener("blur", () => this.point(null));
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) {
    const steps = [...new Set(this.lines.flatMap((line) => line.points.map((point) => point[0])))].sort((a, b) => a - b);
    if (!steps.length || !this.scale) return;
    const zoom = { "+": 0.25, "=": 0.25, "-": 1 }[event.key];
    if (zoom && (zoom < 1 || this.range)) {  // who has no pointer looks closer around the step that was read
      const { x0, x1 } = this.scale, middle = this.atStep ?? (x0 + x1) / 2;
      return this.wishes.zoomed(middle - zoom * (x1 - x0), middle + zoom * (x1 - x0));
    }
    const here = steps.findIndex((step) => step >= (this.atStep ?? steps[0]));
    const jump = event.shiftKey ? 10 : 1;
    const to = { ArrowRight: this.atStep === null ? here : here + jump, ArrowLeft: here - jump, Home: 0, End: steps.length - 1 }[event.key];
    if (event.key === "Escape") { this.wishes.zoomed(null, null); this.point(null); return; }
    if (to === undefined) return;
    event.preventDefault();
    this.point(this.scale.x(steps[Math.min(Math.max(to, 0), steps.length - 1)]), true);
  }

  /** lines: {key, label, look, points: [step, value] or [step, mean, low, high, count], live}. */
  show(lines, log, range) {
    this.lines = lines;
    this.log = log;
    this.range = range;
    const what = lines.length === 1 ? "1 curve" : `${lines.length} curves`;
    this.canvas.setAttribute("aria-label", clean(`${this.name}: ${what}. Arrow keys read the values, plus and minus look closer and back.`));
    this.draw();
  }

  usable(value) {
    return value !== null && Number.isFinite(value) && (!this.log || value > 0);
  }

  /** From where to where the points lie, of a range of steps or of all. */
  extent(range) {
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const { points } of this.lines) for (const point of points) {
      if (range && (point[0] < range[0] || point[0] > range[1])) continue;
      x0 = Math.min(x0, point[0]); x1 = Math.max(x1, point[0]);
      for (const value of point.length > 2 ? [point[2], point[3]] : [point[1]]) {
        if (this.usable(value)) { y0 = Math.min(y0, value); y1 = Math.max(y1, value); }
      }
    }
    return [x0, x1, y0, y1];
  }

  scales(width, height) {
    let [x0, x1, y0, y1] = this.extent(this.range);
    if (!(y1 >= y0)) [x0, x1, y0, y1] = this.extent(null);  // between two points there is the line from one to the other
    if (this.range) [x0, x1] = this.range;
    if (!(x1 >= x0) || !(y1 >= y0)) return null;
    if (x1 === x0) { x0 -= 1; x1 += 1; }
    const [a, b] = this.log ? [Math.log(y0), Math.log(y1)] : [y0, y1];
    const pad = b - a > Math.abs(a) * 1e-10 ? (b - a) * 0.05 : Math.abs(a) * 0.05 || 1;  // what differs by rounding is level
    const [low, high] = [a - pad, b + pad];
    const right = width - MARGIN.right, bottom = height - MARGIN.bottom;
    return {
      x0, x1, low: this.log ? Math.exp(low) : low, high: this.log ? Math.exp(high) : high,
      x: (step) => MARGIN.left + (step - x0) / (x1 - x0) * (right - MARGIN.left),
      y: (value) => bottom - ((this.log ? Math.log(value) : value) - low) / (high - low) * (bottom - MARGIN.top),
    };
  }

  step(pixel) {
    const { x0, x1 } = this.scale;
    return x0 + (pixel - MARGIN.left) / (this.width - MARGIN.right - MARGIN.left) * (x1 - x0);
  }

  draw() {
    const width = this.canvas.clientWidth, height = this.canvas.clientHeight, dense = devicePixelRatio || 1;
    if (!width || !height) return;
    [this.width, this.height] = [width, height];
    if (this.canvas.width !== Math.round(width * dense) || this.canvas.height !== Math.round(height * dense)) {
      this.canvas.width = Math.round(width * dense);
      this.canvas.height = Math.round(height * dense);
    }
    const pen = this.canvas.getContext("2d"), style = getComputedStyle(this.element);
    const colour = (name) => style.getPropertyValue(`--sw-${name}`).trim();
    pen.setTransform(dense, 0, 0, dense, 0, 0);
    pen.clearRect(0, 0, width, height);
    this.scale = this.scales(width, height);
    pen.font = `12px ${style.getPropertyValue("--data")}`;
    if (!this.scale) {
      pen.fillStyle = colour("muted");
      pen.textAlign = "center";
      pen.fillText(this.log && this.lines.length ? "nothing above zero" : "no numbers yet", width / 2, height / 2);
      return;
    }
    this.grid(pen, colour);
    pen.save();
    pen.beginPath();
    pen.rect(MARGIN.left - 1, 0, width - MARGIN.left - MARGIN.right + 8, height - MARGIN.bottom + 1);
    pen.clip();
    const order = [...this.lines].sort((a, b) => (a.key === this.emphasis) - (b.key === this.emphasis));
    for (const line of order) this.line(pen, line, colour);
    pen.restore();
    this.cross(pen, colour);
  }

  grid(pen, colour) {
    const { x0, x1, low, high, x, y } = this.scale;
    const bottom = this.height - MARGIN.bottom, right = this.width - MARGIN.right;
    pen.lineWidth = 1;
    pen.fillStyle = colour("muted");
    pen.textAlign = "right";
    pen.textBaseline = "middle";
    const rows = this.log ? decades(low, high) : nice(low, high, Math.max((bottom - MARGIN.top) / 44, 2));
    for (const tick of rows) {
      const at = Math.round(y(tick)) + 0.5;
      pen.strokeStyle = colour("hair");
      pen.beginPath(); pen.moveTo(MARGIN.left, at); pen.lineTo(right, at); pen.stroke();
      pen.fillText(number(tick), MARGIN.left - 8, at);
    }
    pen.textBaseline = "top";
    const columns = nice(x0, x1, Math.max((right - MARGIN.left) / 90, 2)).filter((tick) => Number.isInteger(tick) || x1 - x0 < 3);
    for (const tick of columns) {
      const at = x(tick);
      pen.textAlign = at > right - 16 ? "right" : at < MARGIN.left + 10 ? "left" : "center";
      pen.fillText(number(tick), pen.textAlign === "right" ? right : at, bottom + 8);
    }
    pen.strokeStyle = colour("faint");
    pen.beginPath(); pen.moveTo(MARGIN.left, bottom + 0.5); pen.lineTo(right, bottom + 0.5); pen.stroke();
  }

  line(pen, { key, look, points, live }, colour) {
    const { x, y } = this.scale;
    const pale = this.emphasis !== null && this.emphasis !== key;
    const hue = colour(`series-${look.colour}`);
    pen.globalAlpha = pale ? 0.18 : 1;
    if (points[0]?.length > 2) {
      const good = points.filter((point) => this.usable(point[2]) && this.usable(point[3]));
      pen.fillStyle = hue;
      pen.globalAlpha = pale ? 0.04 : 0.16;
      pen.beginPath();
      good.forEach((point, index) => (index ? pen.lineTo(x(point[0]), y(point[3])) : pen.moveTo(x(point[0]), y(point[3]))));
      for (const point of good.toReversed()) pen.lineTo(x(point[0]), y(point[2]));
      pen.fill();
      pen.globalAlpha = pale ? 0.18 : 1;
    }
    pen.strokeStyle = hue;
    pen.fillStyle = hue;
    pen.lineWidth = this.emphasis === key ? 2.6 : this.lines.length > 20 ? 1.1 : 1.7;
    pen.lineJoin = "round";
    pen.setLineDash(DASHES[look.stroke]);
    pen.beginPath();
    let open = false, run = 0, last = null;
    for (const [step, value] of points) {
      if (!this.usable(value)) { open = false; run = 0; continue; }
      if (open) pen.lineTo(x(step), y(value)); else pen.moveTo(x(step), y(value));
      open = true;
      run += 1;
      last = [step, value];
    }
    pen.stroke();
    pen.setLineDash([]);
    if (last && (live || points.length === 1 || run === 1)) {
      pen.beginPath(); pen.arc(x(last[0]), y(last[1]), live ? 3.4 : 2.6, 0, 7); pen.fill();
    }
    pen.globalAlpha = 1;
  }

  point(pixel, aloud = false) {
    this.at = pixel;
    if (pixel === null) this.atStep = null;
    this.draw();
    if (pixel === null) { this.tip.hidden = true; return; }
    if (aloud) this.note.textContent = this.tip.innerText;
  }

  /** The values nearest to the pointer: of each line the one at the step that is nearest over all. */
  nearest() {
    const step = this.step(this.at), { x0, x1 } = this.scale;
    let best = null;
    for (const { points } of this.lines) for (const point of points) {
      if (point[0] < x0 || point[0] > x1) continue;
      if (this.usable(point[1]) && (best === null || Math.abs(point[0] - step) < Math.abs(best - step))) best = point[0];
    }
    const slack = Math.abs(this.step(this.at + 5) - step);
    const values = [];
    for (const line of this.lines) {
      let near = null;
      for (const point of line.points) {
        if (this.usable(point[1]) && Math.abs(point[0] - best) <= slack && (near === null || Math.abs(point[0] - best) < Math.abs(near[0] - best))) near = point;
      }
      if (near) values.push({ line, near });
    }
    return { step: best, values: values.sort((a, b) => b.near[1] - a.near[1]) };
  }

  cross(pen, colour) {
    if (this.drag) {
      pen.fillStyle = colour("activating");
      pen.globalAlpha = 0.14;
      pen.fillRect(Math.min(...this.drag), MARGIN.top, Math.abs(this.drag[1] - this.drag[0]), this.height - MARGIN.top - MARGIN.bottom);
      pen.globalAlpha = 1;
    }
    if (this.at === null) return;
    const { step, values } = this.nearest();
    if (step === null) { this.tip.hidden = true; return; }
    this.atStep = step;
    const { x, y } = this.scale;
    pen.strokeStyle = colour("muted");
    pen.lineWidth = 1;
    pen.beginPath(); pen.moveTo(Math.round(x(step)) + 0.5, MARGIN.top); pen.lineTo(Math.round(x(step)) + 0.5, this.height - MARGIN.bottom); pen.stroke();
    for (const { line, near } of values.slice(0, 12)) {
      pen.fillStyle = colour("paper");
      pen.strokeStyle = colour(`series-${line.look.colour}`);
      pen.lineWidth = 2;
      pen.beginPath(); pen.arc(x(near[0]), y(near[1]), 3.6, 0, 7); pen.fill(); pen.stroke();
    }
    this.tell(step, values, x(step));
  }

  tell(step, values, at) {
    const lines = values.slice(0, 10).map(({ line, near }) => node("div", { class: "told" },
      node("span", { class: `swatch drawn look-${line.look.colour} stroke-${line.look.stroke}` }),
      node("span", { class: "who" }, line.label),
      node("span", { class: "value" }, number(near[1]) + (near.length > 2 && near[4] > 1 ? ` (${number(near[2])} – ${number(near[3])}, n = ${near[4]})` : ""))));
    if (values.length > 10) lines.push(node("div", { class: "more" }, `and ${values.length - 10} more`));
    this.tip.replaceChildren(node("div", { class: "step" }, `step ${number(step)}`), ...lines);
    this.tip.hidden = false;
    // on the side with more room, and no wider than that, so that it never hides what it tells of
    const right = at < this.width / 2, room = Math.max(right ? this.width - at : at, 160) - 14;
    this.tip.style.maxWidth = `${Math.min(room, 400)}px`;
    this.tip.style.left = `${right ? at + 14 : Math.max(at - 14 - this.tip.offsetWidth, 0)}px`;
  }
}
