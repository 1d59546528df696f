// Two maps: lag by update of the chosen run, and two settings of all runs.

const FARTHEST = 12; // powers of ten: nothing beyond is learned from, or stays finite, in float32

// log10 of each norm over that at lag 0 of the same update.
function relative(profile) {
  const width = profile.lags.length;
  const start = profile.lags.indexOf(0);
  return profile.norms.map((value, k) => {
    const first = start < 0 ? NaN : profile.norms[k - (k % width) + start];
    return Number.isFinite(first) ? value - first : NaN;
  });
}

// The frame around the chosen update: a slider moves it, and draws no map again.
let here = null;

function moveHeat(state) {
  if (!here) return;
  const row = placeOf(here.profile.updates, state.update);
  const [top, bottom] = [row + 0.5, row - 0.5].map(here.area.y);
  here.box.setAttribute("y", top);
  here.box.setAttribute("height", Math.max(bottom - top, 2));
}

function drawHeat(holder, state) {
  const profile = profileOf(state.run);
  const said = byId("heat-note");
  if (!profile) {
    here = null;
    holder.replaceChildren(html("p", { class: "note" }, "This run recorded no gradient."));
    said.textContent = "";
    return;
  }
  const numbers = relative(profile);
  const [width, rows] = [profile.lags.length, profile.updates.length];
  let most = 0.3;
  for (const value of numbers) if (Number.isFinite(value)) most = Math.max(most, Math.abs(value));
  const lastLag = profile.lags[width - 1];
  const area = frame(holder, 300, [-0.5, lastLag + 0.5], [-0.5, rows - 0.5]);
  const parts = [heatImage(area, numbers, width, rows, most), heatAxes(area, profile)];
  const box = svg("rect", { x: area.box.left, width: area.box.right - area.box.left, class: "here" });
  parts.push(box);
  here = { profile, area, box };
  moveHeat(state);
  if (RUNS.status[state.run] === "diverged") {
    const at = { x: area.box.left + 8, y: area.box.top + 14, class: "written" };
    parts.push(svg("text", at, RUNS.end[state.run]));
  }
  const drawn = picture(area, "Gradient norm by lag and update, relative to lag 0", parts);
  drawn.classList.add("pressed");
  drawn.addEventListener("click", (event) => {
    const [x, y] = [event.offsetX, event.offsetY].map((k) => (k * area.width) / drawn.clientWidth);
    const place = Math.round(area.updateAt(y));
    state.moveTo({ update: profile.updates[Math.max(0, Math.min(rows - 1, place))], lag: Math.round(area.lagAt(x)) });
  });
  holder.replaceChildren(drawn);
  byId("heat-scale").replaceChildren(scaleBar(most));
  const bad = numbers.some((value) => !Number.isFinite(value));
  said.textContent = [
    "Norm over that at lag 0 of the same update: blue is smaller, red larger.",
    bad ? "Grey: zero, cut off, or not finite." : "",
  ].join(" ");
}

function heatImage(area, numbers, width, rows, most) {
  const canvas = html("canvas", { width, height: rows });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(width, rows);
  const none = isDark() ? [110, 110, 112] : [160, 160, 160];
  numbers.forEach((value, k) => {
    const [column, row] = [k % width, rows - 1 - Math.floor(k / width)];
    const colour = Number.isFinite(value) ? diverging(value / most) : none;
    pixels.data.set([...colour, 255], 4 * (row * width + column));
  });
  context.putImageData(pixels, 0, 0);
  const { left, right, top, bottom } = area.box;
  const size = { x: left, y: top, width: right - left, height: bottom - top };
  return svg("image", { ...size, preserveAspectRatio: "none", class: "cells", href: canvas.toDataURL() });
}

function heatAxes(area, profile) {
  const lastLag = profile.lags[profile.lags.length - 1];
  const xTicks = ticks(0, lastLag, area.width / 90, true).map((k) => [k, String(k)]);
  const yTicks = ticks(0, profile.updates.length - 1, 6, true).map((k) => [k, String(profile.updates[k])]);
  return axes(area, xTicks, yTicks, "lag T − t (steps back from the last)", "update", false);
}

function scaleBar(most) {
  const canvas = html("canvas", { width: 101, height: 1 });
  const context = canvas.getContext("2d");
  const pixels = context.createImageData(101, 1);
  for (let k = 0; k <= 100; k += 1) pixels.data.set([...diverging(k / 50 - 1), 255], 4 * k);
  context.putImageData(pixels, 0, 0);
  const ends = [-most, 0, most].map((value) => html("span", {}, `${magnitude(value)}×`));
  const bar = html("img", { src: canvas.toDataURL(), alt: "colours from smaller (blue) to larger (red)" });
  return html("div", { class: "scale" }, bar, html("div", {}, ends));
}

// What a cell of the overview can show: a word a run, or a number whose distance from 0 is coloured.
const MEASURES = {
  verdict: { name: "gradient at update 0", words: "verdict" },
  verdict_end: { name: "gradient at the end", words: "verdict_end" },
  change: { name: "change over the sequence, update 0", numbers: "change", farthest: FARTHEST, say: magnitude },
  change_end: { name: "change over the sequence, at the end", numbers: "change_end", farthest: FARTHEST, say: magnitude },
  rate: { name: "rate per step, update 0", numbers: "rate", log: true, farthest: 0.3, say: magnitude },
};
const SIGNS = { vanishing: "↓", stable: "=", exploding: "↑", undetermined: "?" };
const SHARES = { vanishing: -0.7, stable: 0, exploding: 0.7 };

const mean = (numbers) => numbers.reduce((sum, value) => sum + value, 0) / numbers.length;

// The text, the words for readers, and the colour (-1 to 1, or null) of a cell.
function summaryOf(runs, measure) {
  if (measure.words) {
    const words = runs.map((run) => RUNS[measure.words][run] || "no verdict");
    const counts = counted(words, DATA.verdicts);
    const sign = (word) => SIGNS[word] || "–";
    const text = counts.length === 1
      ? sign(counts[0][0])
      : counts.map(([word, count]) => `${count}${sign(word)}`).join(" ");
    const shares = words.filter((word) => word in SHARES).map((word) => SHARES[word]);
    return { text, said: counts.map(([word, count]) => `${count} ${word}`).join(", "), share: shares.length ? mean(shares) : null };
  }
  const known = runs.map((run) => RUNS[measure.numbers][run]).filter((value) => value !== null);
  if (!known.length) return { text: "–", said: "not known", share: null };
  const value = mean(measure.log ? known.map(Math.log10) : known);
  const said = `${measure.say(value)}, mean of ${known.length} ${known.length === 1 ? "run" : "runs"}`;
  return { text: measure.say(value), said, share: value / measure.farthest };
}

function drawMap(holder, state) {
  const [across, down] = [state.mapX, state.mapY];
  const measure = MEASURES[state.measure];
  const others = SETTINGS.map((_, k) => k).filter((k) => k !== across && k !== down && k !== SEED);
  const cells = new Map();
  for (const run of runsBeside(state.run, [across, down, SEED].filter((k) => k >= 0))) {
    const at = RUNS.at[run];
    const key = `${across < 0 ? 0 : at[across]},${down < 0 ? 0 : at[down]}`;
    if (!cells.has(key)) cells.set(key, []);
    cells.get(key).push(run);
  }
  const values = (setting) => (setting < 0 ? [""] : SETTINGS[setting].values);
  const head = html("tr", {}, html("td", {}), values(across).map((value) => html("th", { scope: "col" }, value)));
  // The largest value of the setting that goes up is at the top, as in a plot.
  const rows = values(down).map((value, row) => html("tr", {},
    html("th", { scope: "row" }, value),
    values(across).map((_, column) => mapCell(cells.get(`${column},${row}`), measure, state)))).reverse();
  const upward = down < 0 ? "" : `${SETTINGS[down].key} ↑, `;
  const rightward = across < 0 ? "" : `${SETTINGS[across].key} →`;
  const held = others.map((k) => `${SETTINGS[k].key} = ${valueOf(state.run, k)}`).join(", ");
  byId("map-axes").textContent = `${upward}${rightward}${held ? `; held: ${held}` : ""}`;
  // The buttons are new ones: who pressed one by key stays where they were.
  const pressed = [...holder.querySelectorAll("button")].indexOf(document.activeElement);
  holder.replaceChildren(html("table", { class: "map", "aria-labelledby": "explorer-map-axes" }, html("thead", {}, head), html("tbody", {}, rows)));
  if (pressed >= 0) holder.querySelectorAll("button")[pressed]?.focus();
}

function mapCell(runs, measure, state) {
  if (!runs) return html("td", {}, "");
  const { text, said, share } = summaryOf(runs, measure);
  const seed = SEED < 0 ? -1 : RUNS.at[state.run][SEED];
  const target = runs.find((run) => seed >= 0 && RUNS.at[run][SEED] === seed) ?? runs[0];
  const button = html("button", {
    type: "button",
    title: said,
    "aria-label": `${said}: show ${RUNS.name[target]}`,
    "aria-pressed": String(runs.includes(state.run)),
    onclick: () => state.choose({ run: target }),
  }, text);
  if (share !== null) {
    const colour = diverging(share);
    button.style.background = css(colour);
    button.style.color = inkOn(colour);
  }
  return html("td", {}, button);
}
