// The table of runs: a row a setting, its seeds unfolded below; sorted by number, filtered by words.

const GROUPS = settingGroups();
const OTHERS = SETTINGS.map((_, k) => k).filter((k) => k !== SEED);
const number = (text) => (text === "" || Number.isNaN(Number(text)) ? null : Number(text));

const geometric = (numbers) => (numbers.length ? Math.exp(mean(numbers.map(Math.log))) : null);
const known = (runs, column) => runs.map((run) => RUNS[column][run]).filter((value) => value !== null);
const words = (runs, column, order) => {
  const counts = counted(runs.map((run) => RUNS[column][run] || "-"), order);
  return counts.length === 1 ? counts[0][0] : counts.map(([word, count]) => `${count} ${word}`).join(", ");
};
const average = (runs, column) => {
  const found = known(runs, column);
  return found.length ? mean(found) : null;
};

// Each column: its heading, the text of some runs, and by what they are sorted.
const COLUMNS = [
  { name: "gradient", text: (runs) => words(runs, "verdict", DATA.verdicts) },
  ...OTHERS.map((k) => ({
    name: SETTINGS[k].key,
    text: (runs) => valueOf(runs[0], k),
    key: (runs) => RUNS.at[runs[0]][k],
  })),
  { name: "rate", text: rateText, key: (runs) => geometric(known(runs, "rate")) },
  { name: "change", text: (runs) => magnitude(average(runs, "change")), key: (runs) => average(runs, "change") },
  { name: "at the end", text: (runs) => words(runs, "verdict_end", DATA.verdicts) },
  { name: "final rate", text: (runs) => short(geometric(known(runs, "rate_end"))), key: (runs) => geometric(known(runs, "rate_end")) },
  { name: "final loss", text: (runs) => short(average(runs, "loss_end")), key: (runs) => average(runs, "loss_end") },
  { name: "status", text: (runs) => words(runs, "status", []) },
];

function rateText(runs) {
  const rate = short(geometric(known(runs, "rate")));
  if (runs.length > 1 || rate === "-") return rate;
  const [low, high] = [RUNS.rate_low[runs[0]], RUNS.rate_high[runs[0]]];
  return low === null || high === null ? rate : `${rate} (${short(low)} to ${short(high)})`;
}

const table = { rows: [], body: null, heads: [] };

// The table is made once; a choice, a filter or an order only moves, hides or marks its rows.
function makeTable(holder, state) {
  const heads = COLUMNS.map((column, k) => {
    const button = html("button", { type: "button", onclick: () => state.sortBy(k) }, column.name);
    return html("th", { scope: "col" }, button);
  });
  table.heads = heads;
  table.body = html("tbody");
  table.rows = GROUPS.map((runs) => groupRow(runs, state));
  holder.replaceChildren(html("table", {}, html("thead", {}, html("tr", {}, withRuns(heads, html("th", { scope: "col" }, "runs")))), table.body));
}

// What shows the runs stands behind the verdict: a wide table is cut off at its end.
const withRuns = ([verdict, ...others], runs) => [verdict, runs, ...others];

function groupRow(runs, state) {
  const cells = COLUMNS.map((column) => column.text(runs));
  const seeds = runs.length > 1;
  const toggle = seeds && html("button", {
    type: "button", class: "seeds", "aria-expanded": "false", onclick: () => unfold(row, state),
  }, `${runs.length} ${SEED < 0 ? "runs" : "seeds"}`);
  const last = toggle || runButton(runs[0], state, "show");
  const line = html("tr", {}, withRuns(cells.map((text) => html("td", {}, text)), html("td", {}, last)));
  const text = [...cells, ...runs.map((run) => `${RUNS.name[run]} ${RUNS.end[run]} ${RUNS.note[run]}`)].join(" ");
  const pairs = COLUMNS.map((column, k) => `${column.name}=${cells[k]}`.toLowerCase());
  const row = { runs, pairs, line, toggle, below: null, text: text.toLowerCase(), keys: COLUMNS.map((column, k) => (column.key ? column.key(runs) : cells[k])) };
  return row;
}

function runButton(run, state, text) {
  return html("button", {
    type: "button", class: "show", title: RUNS.name[run], "aria-label": `show ${RUNS.name[run]}`,
    "aria-pressed": String(run === state.run), "data-run": run, onclick: () => state.choose({ run }),
  }, text);
}

// Show or hide the seeds of a setting; their rows are made when they are first asked for.
function unfold(row, state, open = row.toggle.getAttribute("aria-expanded") === "false") {
  row.toggle.setAttribute("aria-expanded", String(open));
  if (open && !row.below) {
    row.below = row.runs.map((run) => {
      const cells = COLUMNS.map((column) => html("td", {}, OTHERS.some((k) => SETTINGS[k].key === column.name) ? "" : column.text([run])));
      const name = SEED < 0 ? RUNS.name[run] : `seed ${valueOf(run, SEED)}`;
      return html("tr", { class: "seed" }, withRuns(cells, html("td", {}, runButton(run, state, name))));
    });
    row.line.after(...row.below);
  }
  for (const line of row.below || []) line.hidden = !open || row.line.hidden;
}

function compare(a, b) {
  // What is not known comes last, whichever way the table is sorted.
  if (a === null || b === null) return (a === null) - (b === null);
  return a < b ? -1 : Number(a > b);
}

// A word is anywhere in a row; what has an equals sign is the value of a column.
function fits(row, word) {
  if (!word.includes("=")) return row.text.includes(word);
  return row.pairs.some((pair) => pair === word || pair.endsWith(`.${word}`));
}

// Sort and filter as the state says, and say how many rows are left.
function arrangeTable(state) {
  const { column, down } = state.sort;
  const wanted = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  if (column >= 0) {
    table.rows.sort((a, b) => {
      const [x, y] = [a.keys[column], b.keys[column]];
      return x === null || y === null ? compare(x, y) : (down ? -1 : 1) * compare(x, y);
    });
  }
  let shown = 0;
  for (const row of table.rows) {
    row.line.hidden = !wanted.every((word) => fits(row, word));
    shown += row.line.hidden ? 0 : 1;
    if (row.below) unfold(row, state, row.toggle.getAttribute("aria-expanded") === "true");
  }
  table.body.replaceChildren(...table.rows.flatMap((row) => [row.line, ...(row.below || [])]));
  table.heads.forEach((head, k) => {
    if (k === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  const noun = GROUPS.length === 1 ? "setting" : "settings";
  byId("count").textContent = `${shown} of ${GROUPS.length} ${noun} (${COUNT} ${COUNT === 1 ? "run" : "runs"})`;
}

// Mark the row and the button of the chosen run.
function markTable(state) {
  for (const row of table.rows) {
    row.line.classList.toggle("chosen", row.runs.includes(state.run));
    for (const line of [row.line, ...(row.below || [])]) {
      const button = line.querySelector("button.show");
      if (button) button.setAttribute("aria-pressed", String(Number(button.dataset.run) === state.run));
    }
  }
}
