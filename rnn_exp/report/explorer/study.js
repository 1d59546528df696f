// The data of the page, decoded where and when it is looked at.

const DATA = JSON.parse(document.getElementById("explorer-data").textContent);
const SETTINGS = DATA.settings;
const RUNS = DATA.runs;
const COUNT = RUNS.name.length;
const SEED = SETTINGS.findIndex((setting) => setting.key === "seed");
const [ZERO, OVER, NONE] = [65533, 65534, 65535];

// The text of a run's value of a setting, such as "0.5".
const valueOf = (run, setting) => SETTINGS[setting].values[RUNS.at[run][setting]];

const decoded = new Map();

// Numbers of 16-bit codes: -Infinity is zero or cut off, NaN is not recorded.
function unpack([low, step, text]) {
  const bytes = Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const view = new DataView(bytes.buffer);
  const special = { [ZERO]: -Infinity, [OVER]: Infinity, [NONE]: NaN };
  return Float64Array.from({ length: bytes.length / 2 }, (_, place) => {
    const code = view.getUint16(2 * place, true);
    return code in special ? special[code] : low + step * code;
  });
}

// The profiles of a run, or null where it recorded none.
function profileOf(run) {
  if (!decoded.has(run)) {
    const packed = DATA.profiles[run];
    decoded.set(run, packed && {
      updates: DATA.grids[packed.updates],
      lags: DATA.grids[packed.lags],
      T: packed.T,
      norms: unpack(packed.norms),
      lost: packed.lost,
      theory: packed.theory && unpack(packed.theory),
    });
  }
  return decoded.get(run);
}

// log10 of the norms of a profile at the place of an update.
function normsAt(profile, place) {
  const width = profile.lags.length;
  return profile.norms.subarray(place * width, (place + 1) * width);
}

// What training saw of the norm at a lag's place, such as "underflow"; "ok" is the usual.
function statusAt(profile, place, column) {
  const stretches = profile.lost[place] || [];
  const found = stretches.find(([first, last]) => first <= column && column <= last);
  return found ? DATA.statuses[found[2]] : "ok";
}

// The place of the last update that is no later; -1 where all are later.
function placeOf(updates, update) {
  let place = updates.length - 1;
  while (place >= 0 && updates[place] > update) place -= 1;
  return place;
}

// The place of the nearest number in an ascending list.
function nearest(list, wanted) {
  let best = 0;
  list.forEach((value, place) => {
    if (Math.abs(value - wanted) < Math.abs(list[best] - wanted)) best = place;
  });
  return best;
}

// The run that has this value of one setting and agrees with another run in as many as can be.
function runWith(like, changes) {
  let best = -1;
  let most = -1;
  for (let run = 0; run < COUNT; run += 1) {
    const at = RUNS.at[run];
    if (Object.entries(changes).some(([setting, place]) => at[setting] !== place)) continue;
    let same = DATA.profiles[run] ? 0.5 : 0;
    for (let k = 0; k < SETTINGS.length; k += 1) same += at[k] === RUNS.at[like][k] ? 1 : 0;
    if (same > most) [best, most] = [run, same];
  }
  return best;
}

// Runs that differ from one in these settings alone, in order.
function runsBeside(run, free) {
  const found = [];
  for (let other = 0; other < COUNT; other += 1) {
    const same = SETTINGS.every((_, k) => free.includes(k) || RUNS.at[other][k] === RUNS.at[run][k]);
    if (same) found.push(other);
  }
  const order = (a, b) => {
    for (const k of free) {
      if (RUNS.at[a][k] !== RUNS.at[b][k]) return RUNS.at[a][k] - RUNS.at[b][k];
    }
    return a - b;
  };
  return found.sort(order);
}

// Groups of runs that differ in their seed alone, in the order of the settings.
function settingGroups() {
  const groups = new Map();
  for (let run = 0; run < COUNT; run += 1) {
    const key = RUNS.at[run].filter((_, k) => k !== SEED).join();
    if (!groups.has(key)) groups.set(key, []);
    groups.get(key).push(run);
  }
  const at = (runs) => RUNS.at[runs[0]].filter((_, k) => k !== SEED);
  const order = (a, b) => {
    const k = at(a).findIndex((place, setting) => place !== at(b)[setting]);
    return k < 0 ? 0 : at(a)[k] - at(b)[k];
  };
  return [...groups.values()].sort(order);
}

// Words and their counts in the order of a list: [["vanishing", 3]].
function counted(words, order) {
  const counts = new Map();
  words.forEach((word) => counts.set(word, (counts.get(word) || 0) + 1));
  const rank = (word) => (order.includes(word) ? order.indexOf(word) : order.length);
  return [...counts].sort(([a], [b]) => rank(a) - rank(b) || (a < b ? -1 : 1));
}

// A power of ten behind an e, as the page writes it: e-07, e12.
const exponential = (digits, power) =>
  `${Number(digits)}e${power < 0 ? `-${String(-power).padStart(2, "0")}` : power}`;

// Three significant digits, as the page writes numbers.
function short(value) {
  if (value === null || Number.isNaN(value)) return "-";
  if (!Number.isFinite(value)) return value > 0 ? "infinite" : "-infinite";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size >= 1e-4 && size < 1e6) return String(Number(value.toPrecision(3)));
  const [digits, power] = value.toExponential(2).split("e");
  return exponential(digits, Number(power));
}

// Rates of one cell as the page writes them: three digits, and more where their distance from each
// other or from 1 needs them, six at most.
function rates(...values) {
  if (values.includes(null)) return values.map(short);
  const apart = (Math.max(...values) - Math.min(...values)) / 2;
  return values.map((value) => {
    const size = Math.floor(Math.log10(Math.abs(value)));
    const distances = [apart, Math.abs(value - 1)].filter((each) => each > 0 && Number.isFinite(each));
    const places = Math.max(0, ...distances.map((each) => -Math.floor(Math.log10(each))));
    if (!(size >= -3 && size <= 5) || places <= 2 - size) return short(value);
    return String(Number(value.toFixed(Math.min(places, 5 - size))));
  });
}

// A number given by its log10, however small: 0.251, 3.2e-71.
function magnitude(exponent) {
  if (exponent === null || Number.isNaN(exponent)) return "-";
  if (!Number.isFinite(exponent)) return exponent < 0 ? "0" : "infinite";
  if (exponent >= -3 && exponent < 4) return short(10 ** exponent);
  let whole = Math.floor(exponent);
  let digits = (10 ** (exponent - whole)).toPrecision(2);
  if (digits === "10") [whole, digits] = [whole + 1, "1"];
  return exponential(digits, whole);
}
