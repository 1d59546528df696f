// The state, what the controls do to it, and the address that keeps it.

const MARK = "#explorer&";
const byValues = SETTINGS.map((_, k) => k).filter((k) => k !== SEED)
  .sort((a, b) => SETTINGS[b].values.length - SETTINGS[a].values.length);

const state = {
  run: Math.max(0, DATA.profiles.findIndex((profile) => profile !== null)),
  update: 0,
  lag: 0,
  lines: byValues.length ? byValues[0] : SEED,
  axis: "lag",
  scale: "log",
  measure: "verdict",
  mapX: byValues.length ? byValues[0] : -1,
  mapY: byValues.length > 1 ? byValues[1] : -1,
  sort: { column: -1, down: false },
  filter: "",
  choose(changes) {
    Object.assign(state, changes);
    render();
  },
  moveTo(changes) {
    Object.assign(state, changes);
    syncControls();
    drawProfile(byId("profile"), state);
    moveHeat(state);
    keep();
  },
  pointAt(lag) {
    state.lag = Math.max(0, Math.round(lag));
    moveCursor(state);
    syncLag();
    keep();
  },
  sortBy(column) {
    const same = state.sort.column === column;
    state.sort = { column, down: same && !state.sort.down };
    arrangeTable(state);
    keep();
  },
};

// --- the address -------------------------------------------------------------------------------

const KEYS = ["update", "lag"];
const CHOICES = { axis: ["lag", "t"], scale: ["log", "linear"], measure: Object.keys(MEASURES) };
const NAMED = { lines: "lines", mapX: "right", mapY: "up" };
const ALONE = "none";

function written() {
  const parts = new URLSearchParams({ run: RUNS.name[state.run] });
  for (const key of KEYS) parts.set(key, state[key]);
  for (const key of Object.keys(CHOICES)) parts.set(key, state[key]);
  for (const [key, name] of Object.entries(NAMED)) parts.set(name, state[key] < 0 ? ALONE : SETTINGS[state[key]].key);
  if (state.sort.column >= 0) parts.set("sort", `${state.sort.down ? "-" : ""}${COLUMNS[state.sort.column].name}`);
  if (state.filter) parts.set("filter", state.filter);
  return MARK + parts;
}

// Take from the address what this study has; the rest stays as it is.
function read() {
  if (!location.hash.startsWith(MARK)) return false;
  const parts = new URLSearchParams(location.hash.slice(MARK.length));
  const run = RUNS.name.indexOf(parts.get("run"));
  if (run >= 0) state.run = run;
  for (const key of KEYS) {
    const value = Number(parts.get(key));
    if (parts.has(key) && Number.isInteger(value) && value >= 0) state[key] = value;
  }
  for (const [key, allowed] of Object.entries(CHOICES)) {
    if (allowed.includes(parts.get(key))) state[key] = parts.get(key);
  }
  for (const [key, name] of Object.entries(NAMED)) {
    const found = SETTINGS.findIndex((setting) => setting.key === parts.get(name));
    if (key === "lines" ? found >= 0 || parts.get(name) === ALONE : byValues.includes(found)) state[key] = found;
  }
  // One setting both ways would be a diagonal.
  if (state.mapX === state.mapY && byValues.length > 1) state.mapY = byValues.find((k) => k !== state.mapX);
  const sort = parts.get("sort") || "";
  const down = sort.startsWith("-");
  state.sort = { column: COLUMNS.findIndex((column) => column.name === sort.slice(down ? 1 : 0)), down };
  state.filter = parts.get("filter") || "";
  return true;
}

let [waiting, touched] = [0, false];
function keep() {
  // A page that is only read keeps its address: opened again, it begins at its top.
  if (!touched) return;
  // Browsers limit how often an address may change: a slider that moves is one change.
  clearTimeout(waiting);
  waiting = setTimeout(() => history.replaceState(null, "", written()), 150);
}

// --- the controls ------------------------------------------------------------------------------

function option(value, text, chosen) {
  return html("option", { value, selected: value === chosen }, text);
}

function makeControls() {
  byId("settings").replaceChildren(...SETTINGS.map((setting, k) => {
    const select = html("select", {
      "data-setting": k,
      onchange: (event) => state.choose({ run: runWith(state.run, { [k]: Number(event.target.value) }) }),
    }, setting.values.map((value, place) => option(place, value)));
    return html("label", {}, html("span", {}, setting.key), select);
  }));
  const names = [option(-1, "this run alone"), ...SETTINGS.map((setting, k) => option(k, `one for each ${setting.key}`))];
  byId("beside").replaceChildren(...names);
  byId("beside").addEventListener("change", (event) => state.choose({ lines: Number(event.target.value) }));
  for (const [name, key, other] of [["map-x", "mapX", "mapY"], ["map-y", "mapY", "mapX"]]) {
    byId(name).replaceChildren(...byValues.map((k) => option(k, SETTINGS[k].key)));
    byId(name).addEventListener("change", (event) => {
      const value = Number(event.target.value);
      // The same setting both ways is a diagonal: the two change places.
      state.choose(state[other] === value ? { [key]: value, [other]: state[key] } : { [key]: value });
    });
  }
  byId("measure").replaceChildren(...Object.entries(MEASURES).map(([key, measure]) => option(key, measure.name)));
  byId("measure").addEventListener("change", (event) => state.choose({ measure: event.target.value }));
  for (const key of ["axis", "scale"]) {
    for (const radio of byId("root").querySelectorAll(`input[name="explorer-${key}"]`)) {
      radio.addEventListener("change", () => state.choose({ [key]: radio.value }));
    }
  }
  byId("update").addEventListener("input", (event) => {
    const { updates } = profileOf(state.run);
    state.moveTo({ update: updates[Number(event.target.value)] });
  });
  byId("lag").addEventListener("input", (event) => state.pointAt(profileOf(state.run).lags[Number(event.target.value)]));
  const [first] = byValues;
  const example = first === undefined ? "" : ` or ${SETTINGS[first].key}=${SETTINGS[first].values[0]}`;
  byId("filter").placeholder = `vanishing${example}`;
  byId("filter").addEventListener("input", (event) => {
    state.filter = event.target.value;
    arrangeTable(state);
    keep();
  });
  byId("copy").addEventListener("click", copy);
}

function syncLag() {
  const profile = profileOf(state.run);
  byId("lag").disabled = !profile;
  if (profile) {
    byId("lag").max = profile.lags.length - 1;
    byId("lag").value = nearest(profile.lags, state.lag);
  }
}

function syncControls() {
  for (const select of byId("settings").querySelectorAll("select")) {
    select.value = RUNS.at[state.run][Number(select.dataset.setting)];
  }
  byId("beside").value = state.lines;
  byId("map-x").value = state.mapX;
  byId("map-y").value = state.mapY;
  byId("measure").value = state.measure;
  byId("filter").value = state.filter;
  for (const key of ["axis", "scale"]) {
    byId("root").querySelector(`input[name="explorer-${key}"][value="${state[key]}"]`).checked = true;
  }
  const profile = profileOf(state.run);
  byId("update").disabled = !profile;
  byId("update-value").textContent = profile ? String(state.update) : "none recorded";
  if (profile) {
    byId("update").max = profile.updates.length - 1;
    byId("update").value = nearest(profile.updates, state.update);
    byId("update").setAttribute("aria-valuetext", `update ${state.update}`);
  }
  syncLag();
}

async function copy() {
  const text = RUNS.command[state.run];
  const said = byId("copied");
  try {
    await navigator.clipboard.writeText(text);
    said.textContent = "Copied.";
  } catch {
    // Not every page may write to the clipboard: the command is marked for the reader's own copy.
    getSelection().selectAllChildren(byId("command"));
    said.textContent = "Marked: copy it with Ctrl+C.";
  }
}

// --- what is seen ------------------------------------------------------------------------------

// How a run stands: "finished", "diverged at update 3, time 38, backward", "failed: ...".
function ended(run) {
  const [status, end] = [RUNS.status[run], RUNS.end[run]];
  return end.startsWith(status) ? end : [status, end].filter(Boolean).join(": ");
}

function writeFacts() {
  const run = state.run;
  const [rate, ...ends] = rates(RUNS.rate[run], RUNS.rate_low[run], RUNS.rate_high[run]);
  const interval = RUNS.rate_low[run] === null ? "" : ` (95 % ${ends[0]} to ${ends[1]})`;
  const start = [RUNS.verdict[run] || "no verdict", RUNS.why[run]].filter(Boolean).join(": ");
  const facts = [
    ["gradient at update 0", start],
    ["rate", RUNS.rate[run] === null ? "-" : `${rate} per step back${interval}`],
    ["change", RUNS.change[run] === null ? "-" : `${magnitude(RUNS.change[run])} times, from the last step to the first`],
    ["at the end", [RUNS.verdict_end[run] || "-", RUNS.rate_end[run] === null ? "" : `rate ${rates(RUNS.rate_end[run])[0]}`].filter(Boolean).join(", ")],
    ["final loss", short(RUNS.loss_end[run])],
    ["status", ended(run)],
  ];
  if (RUNS.note[run]) facts.push(["note", RUNS.note[run]]);
  byId("run").textContent = RUNS.name[run];
  byId("facts").replaceChildren(...facts.flatMap(([name, said]) => [html("dt", {}, name), html("dd", {}, said)]));
  byId("command").textContent = RUNS.command[run] || "No command was recorded.";
  byId("copy").hidden = !RUNS.command[run];
  byId("copied").textContent = "";
}

function render() {
  const profile = profileOf(state.run);
  if (profile) state.update = profile.updates[nearest(profile.updates, state.update)];
  syncControls();
  writeFacts();
  drawProfile(byId("profile"), state);
  drawHeat(byId("heat"), state);
  if (byValues.length) drawMap(byId("map"), state);
  markTable(state);
  keep();
}

function start() {
  byId("root").hidden = false;
  byId("contents").hidden = false;
  byId("map-part").hidden = !byValues.length;
  byId("map-y").parentElement.hidden = byValues.length < 2;
  touched = read();
  makeControls();
  makeTable(byId("table"), state);
  arrangeTable(state);
  render();
  if (touched) byId("root").scrollIntoView();
  for (const type of ["input", "change", "click"]) {
    byId("root").addEventListener(type, () => { touched = true; }, { capture: true });
  }
  window.addEventListener("hashchange", () => {
    if (read()) {
      touched = true;
      arrangeTable(state);
      render();
    }
  });
  const redraw = () => {
    drawProfile(byId("profile"), state);
    drawHeat(byId("heat"), state);
    if (byValues.length) drawMap(byId("map"), state);
  };
  window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  let width = byId("profile").clientWidth;
  new ResizeObserver(() => {
    if (byId("profile").clientWidth !== width) {
      width = byId("profile").clientWidth;
      redraw();
    }
  }).observe(byId("profile"));
}

start();
