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
    for (const table of document.querySelectorAll("[data-newest]")) table.parentElement.scrollLeft = table.scrollWidth;
    for (const button of document.querySelectorAll("[data-opens]")) {
      button.addEventListener("click", () => open(document.getElementById(button.dataset.opens), button.dataset.fills));
    }
    for (const button of document.querySelectorAll("[data-closes]")) {
      button.addEventListener("click", () => button.closest("dialog").close());
    }
    for (const form of document.querySelectorAll("form[data-dag]")) form.addEventListener("submit", start);
    for (const field of document.querySelectorAll("form.filter select")) {
      field.addEventListener("change", () => field.form.requestSubmit());
    }
  });

  // A button beside a row brings its batch and its place along.
  function open(dialog, fills) {
    const form = dialog.querySelector("form"), given = JSON.parse(fills ?? "{}");
    if (given.batch) {
      form.dataset.conf = JSON.stringify({ ...JSON.parse(form.dataset.conf), batch: given.batch });
      form.querySelector("[data-filled=batch]").textContent = given.batch;
    }
    if (given.rows) form.elements.rows.value = given.rows;
    dialog.showModal();
  }

  async function ask(method, address, body) {
    const headers = body ? { "Content-Type": "application/json" } : {};
    return fetch(address, { method, headers, body: body && JSON.stringify(body), credentials: "same-origin" });
  }

  // Start a run through Airflow's own interface, with the reader's session, and say what becomes of it.
  async function start(event) {
    event.preventDefault();
    const form = event.target, words = JSON.parse(form.dataset.words), said = form.querySelector(".said");
    const press = form.querySelector("button.main");
    const tell = (text) => { said.hidden = false; said.textContent = text; };
    press.disabled = true;
    const conf = JSON.parse(form.dataset.conf);
    for (const name of ["rows", "reason"]) if (form.elements[name]) conf[name] = form.elements[name].value;
    if (form.unpause?.checked) await ask("PATCH", form.dataset.dag, { is_paused: false });
    const answer = await ask("POST", `${form.dataset.dag}/dagRuns`, { logical_date: null, conf });
    const run = await answer.json().catch(() => ({}));
    if (!answer.ok) {
      press.disabled = false;
      tell(answer.status === 403 ? words.refused : `${words.failed}${JSON.stringify(run.detail ?? answer.status)}`);
      return;
    }
    const link = document.createElement("a");
    link.href = form.dataset.page + encodeURIComponent(run.dag_run_id);
    link.dataset.airflow = "";
    link.textContent = run.dag_run_id;
    let state = "queued";
    while (state === "queued" || state === "running") {
      tell(`${words[state]} `);
      said.append(link);
      await new Promise((done) => setTimeout(done, 2000));
      const now = await ask("GET", `${form.dataset.dag}/dagRuns/${encodeURIComponent(run.dag_run_id)}`);
      if (now.ok) state = (await now.json()).state;
    }
    tell(`${state === "success" ? words.success : words.ended} `);
    said.append(link);
    if (state === "success") setTimeout(() => location.reload(), 6000); // the pages look at the home every five seconds
  }

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
