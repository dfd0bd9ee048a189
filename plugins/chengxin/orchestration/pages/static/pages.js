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
    for (const dialog of document.querySelectorAll("dialog")) dialog.addEventListener("close", () => closed(dialog));
    document.querySelector("#told button").addEventListener("click", () => { document.getElementById("told").hidden = true; });
    const kept = remembered();
    if (kept) announce(kept);
    for (const form of document.querySelectorAll("form[data-dag]")) form.addEventListener("submit", start);
    const bar = document.querySelector("[data-review]");
    if (bar) review(bar);
    for (const field of document.querySelectorAll("form.filter select")) {
      field.addEventListener("change", () => field.form.requestSubmit());
    }
  });

  // A button beside a row or a line brings along what it is about: data set, batch, place.
  function open(dialog, fills) {
    const form = dialog.querySelector("form"), given = JSON.parse(fills ?? "{}");
    if (!form.dataset.runs) {
      form.reset();
      say(form, "");
      ready(form, true);
    }
    if (given.dag) form.dataset.dag = given.dag;
    if (given.conf) form.dataset.conf = JSON.stringify(given.conf);
    if (given.batch) form.dataset.conf = JSON.stringify({ ...JSON.parse(form.dataset.conf), batch: given.batch });
    for (const name of ["dag", "batch", "subject"]) {
      const place = form.querySelector(`[data-filled=${name}]`);
      if (place && given[name]) place.textContent = given[name];
    }
    if (given.rows) form.elements.rows.value = given.rows;
    dialog.showModal();
    offer(form);
  }

  // The run of a DAG that is switched off would only queue: Airflow is asked, and the dialog offers to switch it on.
  async function offer(form) {
    const dag = form.dataset.dag, place = form.querySelector("[data-paused]");
    place.hidden = true;
    const answer = await ask("GET", `${form.dataset.api}${encodeURIComponent(dag)}`), known = answer?.ok ? await answer.json() : {};
    if (form.dataset.dag !== dag || !known.is_paused || !place.hidden) return;
    place.hidden = false;
    form.elements.unpause.checked = true;
  }

  function ready(form, yes) {
    form.querySelector("button.main").hidden = !yes;
    form.querySelector("button.main").disabled = false;
    form.querySelector("[data-closes]").textContent = JSON.parse(form.dataset.words).close;
    delete form.dataset.ended;
  }

  // What became of a press stands in its dialog, and where that was closed meanwhile, at the foot of the page.
  function say(form, text, link) {
    const said = form.querySelector(".said");
    said.textContent = text;
    if (link) said.append(" ", anchor(link));
    if (text && !form.closest("dialog").open) announce({ text, link });
    form.dataset.last = JSON.stringify({ text, link });
  }

  function anchor(link) {
    const made = document.createElement("a");
    made.href = link.href;
    if (link.airflow) made.dataset.airflow = "";
    made.textContent = link.text;
    return made;
  }

  function announce({ text, link }) {
    const told = document.getElementById("told");
    told.querySelector("span").textContent = text;
    const old = told.querySelector("a"), fresh = link ? anchor(link) : document.createElement("a");
    fresh.hidden = !link;
    old.replaceWith(fresh);
    told.hidden = false;
  }

  function remembered() {
    try {
      const kept = sessionStorage.getItem("chengxin-told");
      sessionStorage.removeItem("chengxin-told");
      return kept && JSON.parse(kept);
    } catch { return null; /* no storage in this frame */ }
  }

  // The page shows what it was before the run; so it is loaded again, and keeps saying what came of it.
  function closed(dialog) {
    const form = dialog.querySelector("form");
    if (form.dataset.ended) {
      try { sessionStorage.setItem("chengxin-told", form.dataset.last); } catch { /* no storage in this frame */ }
      location.reload();
    } else if (form.dataset.runs) {
      announce(JSON.parse(form.dataset.last));
    }
  }

  async function ask(method, address, body) {
    const headers = body ? { "Content-Type": "application/json" } : {};
    try {
      return await fetch(address, { method, headers, body: body && JSON.stringify(body), credentials: "same-origin" });
    } catch { return null; /* nobody there */ }
  }

  // Start a run through Airflow's own interface, with the reader's session, and say what becomes of it.
  async function start(event) {
    event.preventDefault();
    const form = event.target, words = JSON.parse(form.dataset.words), dag = form.dataset.dag;
    form.querySelector("button.main").disabled = true;
    say(form, words.starting);
    const conf = JSON.parse(form.dataset.conf);
    for (const field of form.elements) if (field.name && field.name !== "unpause") conf[field.name] = field.value;
    const refusal = await begin(form, words, `${form.dataset.api}${encodeURIComponent(dag)}`, conf);
    if (refusal.text) {
      say(form, refusal.text);
      form.querySelector("button.main").disabled = false;
      return;
    }
    const run = encodeURIComponent(refusal.run), link = { href: `${form.dataset.page}${dag}/runs/${run}`, airflow: true, text: words.run };
    form.dataset.runs = "1";
    ready(form, false);
    const well = await follow(form, words, `${form.dataset.told}${encodeURIComponent(dag)}/${run}`, link);
    delete form.dataset.runs;
    form.dataset.ended = "1";
    form.querySelector("[data-closes]").textContent = words.finish;
    form.querySelector(".said").classList.toggle("well", well);
  }

  // Return the run that was started, or the text that says why none was.
  async function begin(form, words, address, conf) {
    if (form.elements.unpause?.checked) {
      const switched = await ask("PATCH", address, { is_paused: false });
      if (!switched?.ok) return { text: switched ? (words[switched.status === 403 ? "unpause" : switched.status] ?? words.failed + switched.status) : words.offline };
    }
    const answer = await ask("POST", `${address}/dagRuns`, { logical_date: null, conf });
    if (!answer) return { text: words.offline };
    const run = await answer.json().catch(() => ({}));
    if (answer.ok) return { run: run.dag_run_id };
    const detail = typeof run.detail === "string" ? run.detail : JSON.stringify(run.detail ?? "");
    return { text: words[answer.status] ?? `${words.failed}${answer.status} ${detail}` };
  }

  // Tell how far a run is until nothing more is to be told; return whether it did what was asked.
  async function follow(form, words, address, run) {
    for (;;) {
      const answer = await ask("GET", address);
      if (answer && !answer.ok && answer.status < 500) {
        say(form, words[answer.status === 401 ? 401 : "lost"], run);
        return false;
      }
      const now = answer?.ok ? await answer.json() : { text: words.waits };
      const link = now.href ? { href: form.dataset.page.replace(/\/dags\/$/, "") + now.href, airflow: true, text: words.answer } : run;
      const reload = now.done && !form.closest("dialog").open;
      say(form, now.text, reload ? { href: location.href, text: words.reload } : link);
      if (now.done) return now.well;
      await new Promise((done) => setTimeout(done, 2000));
    }
  }

  // Clerical review: one name a screen; answers are kept here until they are submitted as one run.
  function review(bar) {
    const cases = [...document.querySelectorAll(".asked")], answers = [], over = document.querySelector("[data-over]");
    const submit = bar.querySelector("[data-submit]");
    let at = 0;
    function show() {
      cases.forEach((one, place) => { one.hidden = place !== at; });
      over.hidden = at < cases.length;
      bar.querySelector("[data-place]").textContent = `${Math.min(at + 1, cases.length)} / ${cases.length}`;
      if (!submit) return;
      const given = answers.filter((one) => one.outcome);
      submit.disabled = !given.length;
      submit.querySelector("[data-count]").textContent = given.length;
      submit.dataset.fills = JSON.stringify({ conf: { answers: given } });
    }
    function say(button, about, outcome) {
      if (!button || button.disabled) return;
      answers.push({ about, outcome });
      at += 1;
      show();
    }
    function press(key) {
      const one = cases[at];
      if (key === "z") {
        if (!at) return;
        answers.pop();
        at -= 1;
        show();
      } else if (one && key === "0") say(one.querySelector("[data-none]"), one.dataset.case, "different");
      else if (one && key === " ") say(one.querySelector("[data-unsure]"), one.dataset.case, "unsure");
      else if (one && /^[1-5]$/.test(key)) {
        const button = one.querySelectorAll("[data-about]")[key - 1];
        say(button, button?.dataset.about, "same");
      }
    }
    for (const one of cases) {
      one.querySelectorAll("[data-about]").forEach((button, place) => button.addEventListener("click", () => press(String(place + 1))));
      one.querySelector("[data-none]").addEventListener("click", () => press("0"));
      one.querySelector("[data-unsure]").addEventListener("click", () => press(" "));
      one.querySelector("[data-back]").addEventListener("click", () => press("z"));
    }
    addEventListener("keydown", (event) => {
      if (document.querySelector("dialog[open]") || event.ctrlKey || event.metaKey || event.altKey) return;
      const key = event.key.toLowerCase();
      if (!/^[0-5z ]$/.test(key)) return;
      event.preventDefault();
      press(key);
    });
    show();
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
