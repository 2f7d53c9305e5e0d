"use strict";
(() => {
  const byId = (id) => document.getElementById(id);
  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

  // Colours of a figure are names of the page's variables, so that light and dark share one figure.
  function coloured(value, key) {
    if (Array.isArray(value)) return value.map((one) => coloured(one, key));
    if (value && typeof value === "object")
      return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, coloured(v, k)]));
    if ((key === "color" || key === "fillcolor") && typeof value === "string") return colour(value) || value;
    return value;
  }

  function axis(given) {
    const title = { text: given.title, font: { size: 13 } };
    return { gridcolor: colour("rule"), zeroline: false, automargin: true, ...given, title };
  }

  function draw(plot, figure) {
    const data = coloured(figure.data), layout = coloured(figure.layout);
    if (plot.dataset.x === "hours") data.forEach((trace) => { if (trace.hours) trace.x = trace.hours; });
    const xaxis = axis({ ...layout.xaxis, ...(plot.dataset.x === "hours" ? { title: "hours at work" } : {}) });
    const font = { family: "system-ui, sans-serif", size: 13, color: colour("ink") };
    const paper = { paper_bgcolor: "rgba(0,0,0,0)", plot_bgcolor: "rgba(0,0,0,0)", hovermode: "closest", font };
    const legend = { orientation: "h", x: 0, y: 1.02, yanchor: "bottom", font: { size: 12 } };
    const margin = { l: 52, r: 12, t: 10, b: 48 };
    plot.textContent = "";
    window.Plotly.newPlot(plot, data, { ...layout, ...paper, legend, margin, xaxis, yaxis: axis(layout.yaxis) },
      { responsive: true, displayModeBar: false });
  }

  async function loadPlotly() {
    const packed = Uint8Array.from(atob(byId("plotly").textContent), (letter) => letter.charCodeAt(0));
    const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
    const script = document.createElement("script");
    script.text = await new Response(stream).text();
    document.head.append(script);
  }

  async function drawAll() {
    const plots = [...document.querySelectorAll(".plot")];
    if (!plots.length) return;
    if (typeof DecompressionStream === "undefined") {
      plots.forEach((plot) => { plot.textContent = "This browser is too old to draw figures; the tables say the same."; });
      return;
    }
    await loadPlotly();
    const figures = JSON.parse(byId("figures").textContent);
    const all = () => plots.forEach((plot) => draw(plot, figures[plot.dataset.figure]));
    all();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", all);
    document.querySelectorAll("[data-axis]").forEach((button) => button.addEventListener("click", () => {
      const plot = byId(button.dataset.for);
      plot.dataset.x = button.dataset.axis;
      press(button, document.querySelectorAll(`[data-for="${button.dataset.for}"]`));
      draw(plot, figures[plot.dataset.figure]);
    }));
  }

  function press(chosen, all) {
    all.forEach((one) => one.setAttribute("aria-pressed", String(one === chosen)));
  }

  function showAncestor(node) {
    press(node, document.querySelectorAll(".ancestor"));
    byId("ancestor").replaceChildren(byId("ancestor-" + node.dataset.ancestor).content.cloneNode(true));
  }

  document.querySelectorAll(".ancestor").forEach((node) => {
    node.addEventListener("click", () => showAncestor(node));
    node.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") { event.preventDefault(); showAncestor(node); }
    });
  });
  document.querySelectorAll("pre").forEach((pre) => {
    if (!navigator.clipboard) return;
    const button = document.createElement("button"), text = pre.textContent;
    button.textContent = "copy";
    button.addEventListener("click", () => navigator.clipboard.writeText(text.trim()).then(() => { button.textContent = "copied"; }));
    pre.prepend(button);
  });
  drawAll();
})();
