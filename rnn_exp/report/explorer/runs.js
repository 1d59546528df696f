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
  { name: "final rate", text: (runs) => rates(geometric(known(runs, "rate_end")))[0], key: (runs) => geometric(known(runs, "rate_end")) },
  { name: "final loss", text: (runs) => short(average(runs, "loss_end")), key: (runs) => average(runs, "loss_end") },
  { name: "status", text: (runs) => words(runs, "status", []) },
];

function rateText(runs) {
  const rate = geometric(known(runs, "rate"));
  const [low, high] = [RUNS.rate_low[runs[0]], RUNS.rate_high[runs[0]]];
  if (runs.length > 1 || rate === null || low === null || high === null) return rates(rate)[0];
  const said = rates(rate, low, high);
  return `${said[0]} (${said[1]} to ${said[2]})`;
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
  const row = { runs, seen: [], line: html("tr"), toggle: null, below: null };
  fillRow(row, runs, state);
  return row;
}

// Show these runs of a setting: all of them, or those with the seeds that are wanted.
function fillRow(row, seen, state) {
  const open = row.toggle && row.toggle.getAttribute("aria-expanded") === "true";
  const cells = COLUMNS.map((column) => column.text(seen));
  row.seen = seen;
  row.below = null;
  row.toggle = seen.length > 1 && html("button", {
    type: "button", class: "seeds", "aria-expanded": "false", onclick: () => unfold(row, state),
  }, `${seen.length} ${SEED < 0 ? "runs" : "seeds"}`);
  row.line.replaceChildren(...labelled(cells, row.toggle || runButton(seen[0], state, "show")));
  row.text = [...cells, ...seen.map((run) => `${RUNS.name[run]} ${RUNS.end[run]} ${RUNS.note[run]}`)].join(" ").toLowerCase();
  row.pairs = COLUMNS.map((column, k) => `${column.name}=${cells[k]}`.toLowerCase());
  row.keys = COLUMNS.map((column, k) => (column.key ? column.key(seen) : cells[k]));
  row.line.classList.toggle("chosen", seen.includes(state.run));
  if (open && row.toggle) unfold(row, state);
}

// The cells of a row, each with the name of its column: a narrow screen shows it beside the value.
function labelled(cells, button) {
  const named = cells.map((text, k) => html("td", { "data-label": text && COLUMNS[k].name }, text));
  return withRuns(named, html("td", {}, button));
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
    row.below = row.seen.map((run) => {
      const cells = COLUMNS.map((column) => (OTHERS.some((k) => SETTINGS[k].key === column.name) ? "" : column.text([run])));
      const name = SEED < 0 ? RUNS.name[run] : `seed ${valueOf(run, SEED)}`;
      return html("tr", { class: "seed" }, labelled(cells, runButton(run, state, name)));
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

// The runs of a setting whose seeds are all wanted; every run where no seed is named.
function seenOf(runs, seeds) {
  return runs.filter((run) => seeds.every((word) => word.split(",").includes(valueOf(run, SEED))));
}

// Sort and filter as the state says, and say how many rows are left.
function arrangeTable(state) {
  const { column, down } = state.sort;
  const words = state.filter.toLowerCase().split(/\s+/).filter(Boolean);
  const seeds = SEED < 0 ? [] : words.filter((word) => word.startsWith("seed=")).map((word) => word.slice(5));
  const wanted = words.filter((word) => SEED < 0 || !word.startsWith("seed="));
  for (const row of table.rows) {
    const seen = seenOf(row.runs, seeds);
    if (seen.length && seen.join() !== row.seen.join()) fillRow(row, seen, state);
    row.none = !seen.length;
  }
  if (column >= 0) {
    table.rows.sort((a, b) => {
      const [x, y] = [a.keys[column], b.keys[column]];
      return x === null || y === null ? compare(x, y) : (down ? -1 : 1) * compare(x, y);
    });
  }
  let [shown, runs] = [0, 0];
  for (const row of table.rows) {
    row.line.hidden = row.none || !wanted.every((word) => fits(row, word));
    if (!row.line.hidden) [shown, runs] = [shown + 1, runs + row.seen.length];
    if (row.below) unfold(row, state, row.toggle.getAttribute("aria-expanded") === "true");
  }
  table.body.replaceChildren(...table.rows.flatMap((row) => [row.line, ...(row.below || [])]));
  table.heads.forEach((head, k) => {
    if (k === column) head.setAttribute("aria-sort", down ? "descending" : "ascending");
    else head.removeAttribute("aria-sort");
  });
  const noun = GROUPS.length === 1 ? "setting" : "settings";
  byId("count").textContent = `${shown} of ${GROUPS.length} ${noun} (${runs} of ${COUNT} ${COUNT === 1 ? "run" : "runs"})`;
}

// Mark the row and the button of the chosen run.
function markTable(state) {
  for (const row of table.rows) {
    row.line.classList.toggle("chosen", row.seen.includes(state.run));
    for (const line of [row.line, ...(row.below || [])]) {
      const button = line.querySelector("button.show");
      if (button) button.setAttribute("aria-pressed", String(Number(button.dataset.run) === state.run));
    }
  }
}
