// Elements, scales and axes. All text goes in as text: nothing of a study is read as markup.

const SVG = "http://www.w3.org/2000/svg";

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes || {})) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === true) node.setAttribute(name, "");
    else if (value !== false && value !== null && value !== undefined) node.setAttribute(name, value);
  }
  node.append(...children.flat().filter((child) => child !== null && child !== ""));
  return node;
}

const html = (tag, attributes, ...children) => fill(document.createElement(tag), attributes, children);
const svg = (tag, attributes, ...children) =>
  fill(document.createElementNS(SVG, tag), attributes, children);
const byId = (name) => document.getElementById(`explorer-${name}`);

// Ticks at round numbers, about so many.
function ticks(low, high, about, whole) {
  const raw = (high - low) / Math.max(about, 1) || 1;
  const power = 10 ** Math.floor(Math.log10(raw));
  let step = [1, 2, 5, 10].map((k) => k * power).find((k) => k >= raw * 0.999);
  if (whole) step = Math.max(1, Math.round(step));
  const found = [];
  for (let k = Math.ceil(low / step - 1e-9); k * step <= high + 1e-9 * step; k += 1) {
    found.push(Number((k * step).toPrecision(12)));
  }
  return found;
}

// 10 to a power as people write it: 0.1, 1, 10, else 10 with a raised power.
function powerLabel(exponent) {
  if (Number.isInteger(exponent) && exponent >= -2 && exponent <= 3) return short(10 ** exponent);
  const raised = [...String(exponent)].map((c) => ("0123456789".includes(c) ? "⁰¹²³⁴⁵⁶⁷⁸⁹"[c] : "⁻"));
  return `10${raised.join("")}`;
}

// A frame with margins, linear scales and what is needed to put marks into it.
function frame(holder, height, x, y) {
  const width = Math.max(280, Math.round(holder.clientWidth || 640));
  const box = { left: 62, right: width - 14, top: 12, bottom: height - 44 };
  const scale = (value, [low, high], from, to) => from + ((value - low) / (high - low || 1)) * (to - from);
  return {
    width,
    height,
    box,
    x: (value) => scale(value, x, box.left, box.right),
    y: (value) => scale(value, y, box.bottom, box.top),
    lagAt: (pixel) => x[0] + ((pixel - box.left) / (box.right - box.left)) * (x[1] - x[0]),
    updateAt: (pixel) => y[0] + ((pixel - box.bottom) / (box.top - box.bottom)) * (y[1] - y[0]),
  };
}

// Ticks are pairs of a place and its label. Over a map no lines of the grid are wanted.
function axes(area, xTicks, yTicks, xName, yName, grid = true) {
  const { box } = area;
  const parts = [];
  for (const [place, label] of yTicks) {
    const y = area.y(place);
    const [end, kind] = grid ? [box.right, "grid"] : [box.left - 4, "tick"];
    parts.push(svg("line", { x1: box.left, x2: end, y1: y, y2: y, class: kind }));
    parts.push(svg("text", { x: box.left - 6, y: y + 4, "text-anchor": "end" }, label));
  }
  for (const [place, label] of xTicks) {
    const x = area.x(place);
    parts.push(svg("line", { x1: x, x2: x, y1: box.bottom, y2: box.bottom + 4, class: "tick" }));
    parts.push(svg("text", { x, y: box.bottom + 17, "text-anchor": "middle" }, label));
  }
  parts.push(svg("path", { d: `M${box.left} ${box.top}V${box.bottom}H${box.right}`, class: "tick" }));
  const middle = (box.top + box.bottom) / 2;
  parts.push(svg("text", { x: (box.left + box.right) / 2, y: box.bottom + 36, "text-anchor": "middle" }, xName));
  parts.push(svg("text", { transform: `translate(13 ${middle}) rotate(-90)`, "text-anchor": "middle" }, yName));
  return svg("g", { class: "axes" }, parts);
}

function picture(area, label, ...children) {
  return svg("svg", {
    viewBox: `0 0 ${area.width} ${area.height}`,
    width: area.width,
    height: area.height,
    role: "img",
    "aria-label": label,
  }, ...children);
}

const isDark = () => window.matchMedia("(prefers-color-scheme: dark)").matches;

// Blue below 1, red above, grey at 1: a colour for -1 to 1.
function diverging(share) {
  const [cold, middle, warm] = isDark()
    ? [[96, 165, 250], [52, 53, 56], [248, 128, 96]]
    : [[20, 80, 160], [244, 244, 242], [178, 40, 24]];
  const end = share < 0 ? cold : warm;
  const weight = Math.min(1, Math.abs(share)) ** 0.6; // so that few decades are seen beside many
  return middle.map((part, k) => Math.round(part + weight * (end[k] - part)));
}

const css = (colour) => `rgb(${colour.join(" ")})`;
// Black or white, whichever is seen better on a colour.
const inkOn = ([r, g, b]) => (0.299 * r + 0.587 * g + 0.114 * b > 140 ? "#111" : "#fff");
