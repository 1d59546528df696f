// The profile of the chosen run at the chosen update, and of runs beside it.

const MOST_LINES = 8;
const FLOAT32_ENDS = Math.log10(1.401298464324817e-45);

// The runs that are drawn: the chosen one, or one for each value of a setting.
function linesOf(state) {
  if (state.lines < 0) return { runs: [state.run], left: 0 };
  const runs = runsBeside(state.run, [state.lines]);
  if (runs.length <= MOST_LINES) return { runs, left: 0 };
  const last = runs.length - 1;
  const kept = new Set(Array.from({ length: MOST_LINES }, (_, k) => runs[Math.round((k * last) / (MOST_LINES - 1))]));
  kept.add(state.run);
  return { runs: runs.filter((run) => kept.has(run)), left: runs.length - kept.size };
}

const lineName = (state, run) =>
  state.lines < 0 ? "this run" : `${SETTINGS[state.lines].key} = ${valueOf(run, state.lines)}`;

// What is drawn of each run: its profile at the update, or why there is none.
function drawnLines(state) {
  const { runs, left } = linesOf(state);
  const lines = runs.map((run, style) => {
    const profile = profileOf(run);
    const name = lineName(state, run);
    if (!profile) return { run, name, style, why: "recorded no gradient" };
    const last = profile.updates[profile.updates.length - 1];
    const place = placeOf(profile.updates, state.update);
    if (place < 0) return { run, name, style, profile, why: "not recorded yet" };
    if (state.update > last) return { run, name, style, profile, why: `ended at update ${last}` };
    return { run, name, style, profile, place, norms: normsAt(profile, place) };
  });
  return { lines, left };
}

// The limits of log10 of the norm: over all updates, so that a line moves and the axis does not.
function limits(lines, linear) {
  let [low, high] = [Infinity, -Infinity];
  for (const line of lines) {
    const numbers = linear ? line.norms : line.profile && line.profile.norms;
    for (const value of numbers || []) {
      if (Number.isFinite(value)) [low, high] = [Math.min(low, value), Math.max(high, value)];
    }
  }
  if (low > high) return [-1, 1];
  const margin = linear ? Math.log10(1.05) : Math.max(0.04 * (high - low), 0.1);
  return [low - margin, high + margin];
}

// What is drawn now: pointing at it moves the cursor and the readings, and nothing else.
let seen = null;

function drawProfile(holder, state) {
  const { lines, left } = drawnLines(state);
  const linear = state.scale === "linear";
  const overTime = state.axis === "t";
  const top = limits(lines, linear)[1];
  const y = linear ? [0, 10 ** (top - Math.floor(top))] : limits(lines, false);
  const power = linear ? Math.floor(top) : 0;
  const height = (value) => (linear ? 10 ** (value - power) : value);
  const lags = lines.flatMap((line) => (line.profile ? [line.profile.lags[line.profile.lags.length - 1]] : []));
  const longest = Math.max(1, ...lags);
  const across = (line, lag) => (overTime ? line.profile.T - lag : lag);
  const last = Math.max(2, ...lines.map((line) => (line.profile && line.profile.T) || 2));
  const area = frame(holder, 320, overTime ? [1, last] : [0, longest], y);
  const parts = [profileAxes(area, overTime, linear, power, y, overTime ? [1, last] : [0, longest])];
  for (const line of lines) parts.push(drawLine(area, line, across, height, state));
  const chosen = lines.find((line) => line.run === state.run);
  const cursor = svg("line", { y1: area.box.top, y2: area.box.bottom, class: "cursor" });
  parts.push(cursor);
  const said = `Gradient norm against ${overTime ? "time" : "lag"} at update ${state.update}`;
  const drawn = picture(area, said, parts);
  drawn.addEventListener("pointermove", (event) => {
    const pixel = (event.offsetX * area.width) / drawn.clientWidth;
    const place = area.lagAt(pixel);
    if (chosen && chosen.profile) state.pointAt(overTime ? chosen.profile.T - place : place);
  });
  holder.replaceChildren(drawn);
  const reach = (lag) => area.x(across(chosen, lag));
  seen = { lines, left, chosen, cursor, reach };
  moveCursor(state);
}

function moveCursor(state) {
  const at = cursorOf(seen.chosen, state);
  seen.cursor.style.display = at ? "" : "none";
  if (at) for (const end of ["x1", "x2"]) seen.cursor.setAttribute(end, seen.reach(at.lag));
  writeReadings(state, seen.lines, seen.left, at);
}

function profileAxes(area, overTime, linear, power, y, x) {
  const xTicks = ticks(x[0], x[1], area.width / 90, true).map((k) => [k, String(k)]);
  const yTicks = linear
    ? ticks(y[0], y[1], 5).map((k) => [k, k === 0 ? "0" : magnitude(Math.log10(k) + power)])
    : ticks(y[0], y[1], 6, true).map((k) => [k, powerLabel(k)]);
  const xName = overTime ? "time step t" : "lag T − t (steps back from the last)";
  const parts = [axes(area, xTicks, yTicks, xName, "gradient norm")];
  if (!linear && y[0] < FLOAT32_ENDS && FLOAT32_ENDS < y[1]) {
    const at = area.y(FLOAT32_ENDS);
    parts.push(svg("line", { x1: area.box.left, x2: area.box.right, y1: at, y2: at, class: "end" }));
    parts.push(svg("text", { x: area.box.right, y: at - 4, "text-anchor": "end", class: "soft" }, "float32 ends"));
  }
  return svg("g", {}, parts);
}

function drawLine(area, line, across, height, state) {
  const bold = line.run === state.run && state.lines >= 0 ? " chosen" : "";
  const group = svg("g", { class: `line line-${line.style}${bold}` });
  if (!line.norms || (state.axis === "t" && line.profile.T === null)) return group;
  const theory = line.profile.theory;
  if (theory && line.profile.updates[line.place] === 0 && state.lines < 0) {
    group.append(svg("path", { d: pathOf(area, line, theory, across, height), class: "theory" }));
  }
  group.append(svg("path", { d: pathOf(area, line, line.norms, across, height) }));
  // Few points are seen as points: a single one has no line.
  line.profile.lags.forEach((lag, column) => {
    const lost = statusAt(line.profile, line.place, column) !== "ok";
    const x = area.x(across(line, lag));
    if (lost || !Number.isFinite(line.norms[column])) {
      if (!Number.isNaN(line.norms[column])) {
        group.append(svg("path", { d: `M${x} ${area.box.bottom}v-7`, class: "lost" }));
      }
    } else if (line.profile.lags.length <= 2) {
      group.append(svg("circle", { cx: x, cy: area.y(height(line.norms[column])), r: 3 }));
    }
  });
  return group;
}

function pathOf(area, line, numbers, across, height) {
  let path = "";
  let open = false;
  line.profile.lags.forEach((lag, column) => {
    const value = numbers[column];
    const there = Number.isFinite(value);
    if (there) {
      const at = `${area.x(across(line, lag)).toFixed(1)} ${area.y(height(value)).toFixed(1)}`;
      path += `${open ? "L" : "M"}${at}`;
    }
    open = there;
  });
  return path;
}

// The place of the lag at which values are read.
function cursorOf(line, state) {
  if (!line || !line.profile) return null;
  const column = nearest(line.profile.lags, state.lag);
  return { column, lag: line.profile.lags[column] };
}

const SAID = {
  zero: "exactly zero",
  underflow: "lost to underflow in training",
  inf: "infinite in training",
  nan: "NaN in training",
  cut_off: "cut off by truncation",
};

function reading(line, lag, update) {
  if (line.why) return line.why;
  const column = line.profile.lags.indexOf(lag);
  if (column < 0) return "no such lag";
  const status = statusAt(line.profile, line.place, column);
  const words = status === "ok" ? "" : ` (${SAID[status] || status})`;
  const value = line.norms[column];
  // Not every run records the same updates: the last one before is shown, and said.
  const own = line.profile.updates[line.place];
  const when = own === update ? "" : `, at update ${own}`;
  return `${Number.isNaN(value) ? "no number" : magnitude(value)}${words}${when}`;
}

// The legend, which says the value of each line at the cursor.
function writeReadings(state, lines, left, cursor) {
  const items = lines.map((line) => {
    const swatch = svg("svg", { viewBox: "0 0 30 10", width: 30, height: 10, "aria-hidden": "true" },
      svg("g", { class: `line line-${line.style}` }, svg("path", { d: "M0 5H30" })));
    const said = cursor ? reading(line, cursor.lag, state.update) : line.why || "";
    return html("li", { "aria-current": line.run === state.run && "true" }, swatch, html("span", {}, line.name), html("b", {}, said));
  });
  const where = cursor ? `norm at lag ${cursor.lag}:` : "";
  byId("lines").replaceChildren(html("li", {}, where), ...items);
  const notes = [];
  if (left) notes.push(`${left} more of these runs are left out.`);
  const chosen = lines.find((line) => line.run === state.run);
  if (state.axis === "t" && chosen && chosen.profile && chosen.profile.T === null) {
    notes.push("Lengths differ from update to update: choose lag.");
  }
  const drawn = lines.filter((line) => line.norms);
  if (drawn.some((line) => line.profile.lost[line.place])) {
    notes.push("Short strokes at the bottom: what training lost, or computed as infinite or NaN.");
  }
  if (state.lines < 0 && chosen && chosen.norms && chosen.profile.theory && chosen.profile.updates[chosen.place] === 0) {
    notes.push("Dashed: what theory predicts.");
  }
  byId("profile-note").textContent = notes.join(" ");
  if (cursor && chosen.profile) {
    const time = chosen.profile.T === null ? "" : `, t = ${chosen.profile.T - cursor.lag}`;
    byId("lag-value").textContent = `${cursor.lag}${time}`;
  }
}
