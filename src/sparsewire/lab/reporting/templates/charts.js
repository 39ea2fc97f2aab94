"use strict";
// Unpacks plotly.js and draws each chart when it comes near the screen. The data holds colours by name; which they are
// is read from the style sheet, again whenever the reader turns from light to dark. All texts are set as text.
(async () => {
  const packed = document.getElementById("plotly");
  if (!("DecompressionStream" in window)) return;
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const touch = matchMedia("(pointer: coarse)").matches;
  const drawn = new Map();

  const element = (name, kind, text) => {
    const made = document.createElement(name);
    made.className = kind;
    made.textContent = text;
    return made;
  };

  const colour = (text, style) => {
    const [, name, opacity] = /^sw:([a-z0-9-]+)(?:@([0-9.]+))?$/.exec(text);
    const hex = style.getPropertyValue("--sw-" + name).trim();
    if (!opacity) return hex;
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return `rgba(${red},${green},${blue},${opacity})`;
  };

  // Only under keys that hold colours, so that no name can be mistaken for one.
  const coloured = (value, style, here) => {
    if (typeof value === "string") return here && value.startsWith("sw:") ? colour(value, style) : value;
    if (Array.isArray(value)) return value.map((item) => coloured(item, style, here));
    if (value === null || typeof value !== "object") return value;
    const inside = ([key, item]) => [key, coloured(item, style, /color(scale)?$/.test(key))];
    return Object.fromEntries(Object.entries(value).map(inside));
  };

  const draw = (chart) => {
    const style = getComputedStyle(document.documentElement);
    for (const { plot, panel } of chart.plots) {
      const data = coloured(panel.data, style, false);
      for (const trace of data) trace.visible = !chart.hidden.has(trace.meta);
      const layout = coloured(panel.layout, style, false);
      const still = touch || chart.content.fixed;
      layout.dragmode = still ? false : "zoom";
      const buttons = [["zoom2d", "pan2d", "resetScale2d"]];
      Plotly.react(plot, data, layout, {
        responsive: true, displaylogo: false, plotlyServerURL: "", modeBarButtons: buttons,
        displayModeBar: !still && chart.plots.length === 1 && "hover",
      });
    }
  };

  const swatch = (entry) => {
    const made = element("span", entry.glyph ? "glyph" : "swatch " + entry.dash, entry.glyph || "");
    if (entry.colour) made.style.setProperty("--mark", `var(--sw-${entry.colour})`);
    return made;
  };

  const legend = (chart) => {
    const list = element("div", "names", "");
    for (const entry of chart.content.legend.length > 1 ? chart.content.legend : []) {
      const button = element("button", "", "");
      button.type = "button";
      button.title = "show or hide";
      button.setAttribute("aria-pressed", "true");
      button.append(swatch(entry), element("span", "", entry.name));
      button.addEventListener("click", () => {
        const gone = !chart.hidden.delete(entry.index);
        if (gone) chart.hidden.add(entry.index);
        button.setAttribute("aria-pressed", String(!gone));
        draw(chart);
      });
      list.append(button);
    }
    const { ramp } = chart.content;
    if (ramp) {
      const key = element("span", ramp.late ? "ramp late" : "ramp", "");
      key.append(element("span", "", ramp.low), element("i", "", ""), element("span", "", `${ramp.high} ${ramp.label}`));
      list.append(key);
    }
    return list;
  };

  const begin = (figure) => {
    const live = figure.querySelector(".live");
    const content = JSON.parse(figure.querySelector("script").textContent);
    const chart = { content, hidden: new Set(), plots: [] };
    const panels = element("div", "panels", "");
    for (const panel of content.panels) {
      const holder = element("div", "panel", "");
      if (panel.title) holder.append(element("p", "paneltitle", panel.title));
      const plot = element("div", "plot", "");
      plot.style.height = `${panel.height}px`;
      holder.append(plot);
      panels.append(holder);
      chart.plots.push({ plot, panel });
    }
    live.append(legend(chart), element("p", "axis", content.y), panels, element("p", "axis below", content.x));
    if (content.remark) live.append(element("p", "remark", content.remark));
    live.hidden = false;
    figure.classList.add("drawn");
    try {
      draw(chart);
      drawn.set(figure, chart);
    } catch (fault) { // the picture that stands still is better than none
      console.error(fault);
      figure.classList.remove("drawn");
      live.remove();
    }
  };

  const bytes = Uint8Array.from(atob(packed.textContent), (letter) => letter.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  const library = document.createElement("script");
  library.textContent = await new Response(stream).text();
  packed.remove();
  document.head.append(library);
  if (!window.Plotly) return;

  const near = new IntersectionObserver((entries) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      near.unobserve(target);
      begin(target);
    }
  }, { rootMargin: "1200px 0px" });
  document.querySelectorAll("figure.chart").forEach((figure) => figure.querySelector(".live") && near.observe(figure));
  dark.addEventListener("change", () => drawn.forEach(draw));
})();
