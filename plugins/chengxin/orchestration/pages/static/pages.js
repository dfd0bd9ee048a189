// Follow Airflow's theme, open Airflow's pages from inside its frame, draw the charts. Everything else is made on the server.
"use strict";
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const charts = [];

  function theme() {
    let chosen = null;
    try { chosen = localStorage.getItem("theme"); } catch { /* no storage in this frame */ }
    return chosen === "dark" || chosen === "light" ? chosen : dark.matches ? "dark" : "light";
  }

  function colour(name) {
    return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
  }

  // Series name a colour of the page (good, bad, ...); axes and text take the page's own.
  function dress(option) {
    const axis = { axisLine: { lineStyle: { color: colour("line") } }, axisLabel: { color: colour("dim"), hideOverlap: true }, splitLine: { lineStyle: { color: colour("line") } } };
    const dressed = { animation: false, grid: { left: 8, right: 14, top: 34, bottom: 4, containLabel: true },
      textStyle: { fontFamily: getComputedStyle(document.body).fontFamily },
      tooltip: { trigger: "axis", confine: true, backgroundColor: colour("card"), borderColor: colour("line"), textStyle: { color: colour("ink") } },
      legend: { type: "scroll", textStyle: { color: colour("dim") }, top: 0, icon: "roundRect", itemWidth: 12, itemHeight: 8 }, ...option };
    dressed.xAxis = { ...axis, splitLine: { show: false }, ...option.xAxis };
    dressed.yAxis = { ...axis, ...option.yAxis };
    dressed.series = option.series.map((s) => (s.colour ? { ...s, itemStyle: { color: colour(s.colour) } } : s));
    return dressed;
  }

  function draw() {
    for (const chart of charts) chart.drawn.setOption(dress(chart.option), true);
  }

  function apply() {
    document.documentElement.dataset.theme = theme();
    draw();
  }

  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", (event) => { if (event.key === "theme") apply(); });

  addEventListener("DOMContentLoaded", () => {
    for (const place of document.querySelectorAll(".chart")) {
      const option = JSON.parse(place.querySelector("script").textContent);
      place.textContent = "";
      charts.push({ drawn: echarts.init(place, null, { renderer: "svg" }), option });
    }
    draw();
    addEventListener("resize", () => charts.forEach((chart) => chart.drawn.resize()));
    for (const field of document.querySelectorAll("form.filter select")) {
      field.addEventListener("change", () => field.form.requestSubmit());
    }
  });

  // Airflow shows these pages in a frame that may not move the window; an anchor of the window's own document may.
  document.addEventListener("click", (event) => {
    const link = event.target.closest("a[data-airflow]");
    if (!link || window.parent === window || event.ctrlKey || event.metaKey || event.button !== 0) return;
    event.preventDefault();
    const anchor = window.parent.document.createElement("a");
    anchor.href = link.href;
    window.parent.document.body.append(anchor);
    anchor.click();
    anchor.remove();
  });
})();
