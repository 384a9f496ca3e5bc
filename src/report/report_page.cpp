#include "report/report_page.hpp"

namespace vlalign {

const std::string_view report_style = R"css(
:root {
  color-scheme: light dark;
  --page: #f5f6f8; --card: #ffffff; --ink: #15181e; --muted: #586070; --line: #e1e5eb; --track: #e9ecf2;
  --accent: #3554d1; --accent-soft: #e6ebff; --good: #1f7a3a; --good-soft: #e3f5e7; --mark: #c2410c;
  --shadow: 0 1px 2px rgb(16 24 40 / 6%), 0 4px 16px rgb(16 24 40 / 5%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #0e1116; --card: #171b22; --ink: #e9ecf1; --muted: #9ba5b4; --line: #2a313c; --track: #262d38;
    --accent: #93a8ff; --accent-soft: #222b4a; --good: #74d68b; --good-soft: #17321f; --mark: #fdac7c;
    --shadow: none;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; }
body {
  margin: 0; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, "Noto Sans", "Liberation Sans", sans-serif;
}
main { max-width: 1080px; margin: 0 auto; padding: 40px 24px 64px; }
h1 { font-size: clamp(1.7rem, 4.5vw, 2.5rem); line-height: 1.15; letter-spacing: -0.02em; margin: 0 0 8px; }
h2 { font-size: 1.4rem; letter-spacing: -0.01em; margin: 56px 0 4px; }
h3 { font-size: 1.02rem; margin: 28px 0 4px; }
p { margin: 0 0 12px; max-width: 46rem; }
h1, h2, h3, p, td, th, dd, dt, li { overflow-wrap: anywhere; }
.lead { font-size: 1.08rem; color: var(--muted); }
.muted, .note { color: var(--muted); }
.note { font-size: 0.92rem; }
.card { background: var(--card); border: 1px solid var(--line); border-radius: 16px; box-shadow: var(--shadow); padding: 22px; }

.headline { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 320px), 1fr)); gap: 18px; margin: 28px 0 22px; }
.headline h2 { font-size: 1.05rem; margin: 0; letter-spacing: 0; }
.headline .big { font-size: clamp(3rem, 9vw, 4.2rem); font-weight: 750; letter-spacing: -0.04em; line-height: 1.1; color: var(--accent); }
.headline .what { margin: 0 0 12px; }
.bar { position: relative; height: 10px; border-radius: 5px; background: var(--track); margin: 0 0 6px; }
.bar i { position: absolute; inset: 0 auto 0 0; border-radius: 5px; background: var(--accent); min-width: 3px; }
.bar b { position: absolute; top: -4px; bottom: -4px; width: 3px; margin-left: -1.5px; border-radius: 2px; background: var(--mark); }
.chance { color: var(--mark); font-size: 0.88rem; white-space: nowrap; }
.more { display: flex; flex-wrap: wrap; gap: 4px 28px; margin: 14px 0 0; padding: 14px 0 0; border-top: 1px solid var(--line); }
.more div { display: flex; flex-direction: column; }
.more strong { font-size: 1.25rem; line-height: 1.3; }
.more dt { font-size: 0.85rem; color: var(--muted); }
.more dd { margin: 0; }
.headline .note { margin: 14px 0 0; }
.explain { border-left: 4px solid var(--accent); }
.explain p { margin: 0; max-width: none; }

table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 9px 12px; text-align: right; border-top: 1px solid var(--line); vertical-align: top; }
thead th { border-top: 0; font-size: 0.85rem; color: var(--muted); font-weight: 600; }
th:first-child, td:first-child { text-align: left; padding-left: 0; font-weight: 500; }
th:last-child, td:last-child { padding-right: 0; }
td .chance { display: block; }
.tables { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 420px), 1fr)); gap: 18px; margin-top: 16px; }
.tables h3 { margin-top: 0; }
.tables + .note { margin-top: 16px; max-width: none; }

.thumb {
  display: inline-block; flex: none; width: 64px; height: 64px; border-radius: 10px; background-color: #fff;
  background-repeat: no-repeat; border: 1px solid var(--line); print-color-adjust: exact; -webkit-print-color-adjust: exact;
}
.pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 320px), 1fr)); gap: 14px; margin-top: 12px; }
.example { display: flex; gap: 16px; padding: 16px; min-width: 0; }
.example > div { flex: 1; min-width: 0; }
.example .thumb { width: 72px; height: 72px; }
.example ol { list-style: none; margin: 0; padding: 0; font-size: 0.93rem; }
.example li { display: flex; gap: 8px; justify-content: space-between; padding: 2px 8px; border-radius: 6px; margin-left: -8px; }
.example li.right { background: var(--good-soft); color: var(--good); font-weight: 650; }
.example bdi { min-width: 0; display: -webkit-box; -webkit-line-clamp: 2; -webkit-box-orient: vertical; overflow: hidden; }
.example .cosine { color: var(--muted); font-weight: 400; font-variant-numeric: tabular-nums; flex: none; }
.rank { font-size: 0.85rem; color: var(--muted); margin: 6px 0 0; }
.captions { display: grid; gap: 10px; margin-top: 12px; }
.captions .card { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 12px 20px; align-items: center; padding: 14px 18px; }
.captions .query { margin: 0; font-weight: 600; }
.captions .query .rank { display: block; font-weight: 400; }
.strip { display: flex; flex-wrap: wrap; gap: 8px; }
.strip .thumb { position: relative; }
.strip .right { outline: 3px solid var(--good); outline-offset: 1px; }
.strip .right::after {
  content: "✓"; position: absolute; right: -8px; top: -8px; width: 20px; height: 20px; border-radius: 50%;
  background: var(--good); color: var(--card); font: 700 13px/20px system-ui, sans-serif; text-align: center;
}
@media (max-width: 640px) {
  main { padding: 24px 16px 48px; }
  .card { padding: 16px; border-radius: 14px; }
  .captions .card { grid-template-columns: minmax(0, 1fr); }
  .strip .thumb { width: 44px; height: 44px; border-radius: 8px; }
  .strip { gap: 7px; }
  th, td { padding: 8px 6px; }
}

.matrix { display: grid; grid-template-columns: minmax(0, 640px) minmax(220px, 1fr); gap: 28px; align-items: start; margin-top: 12px; }
@media (max-width: 860px) { .matrix { grid-template-columns: minmax(0, 1fr); } }
canvas { display: block; width: 100%; border-radius: 8px; }
canvas:focus-visible, button:focus-visible { outline: 3px solid var(--accent); outline-offset: 2px; }
.readout { margin-top: 20px; min-height: 9rem; }
.readout .pair { display: flex; gap: 12px; align-items: center; margin: 0 0 8px; min-height: 68px; }
.readout .pair span:last-child { min-width: 0; overflow-wrap: anywhere; }
.readout strong { font-size: 1.5rem; }
.scale { display: grid; grid-template-columns: auto 1fr auto; gap: 10px; align-items: center; font-size: 0.85rem; color: var(--muted); margin-top: 12px; }
.scale span { height: 10px; border-radius: 5px; }
.map { position: relative; margin-top: 12px; padding: 0; overflow: hidden; }
.map canvas { border-radius: 16px; cursor: grab; touch-action: pan-y; }
.map canvas.zoomed { touch-action: none; }
.map .buttons { position: absolute; right: 12px; top: 12px; display: flex; gap: 6px; }
button {
  font: inherit; min-width: 40px; height: 40px; border: 1px solid var(--line); border-radius: 10px; color: var(--ink);
  background: var(--card); cursor: pointer;
}
.map .label { margin: 0; padding: 12px 18px; border-top: 1px solid var(--line); max-width: none; min-height: 3.2rem; }

.curves { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 310px), 1fr)); gap: 18px; margin-top: 16px; }
.curves figure { margin: 0; padding: 16px 18px 10px; min-width: 0; }
.curves figcaption { display: flex; justify-content: space-between; gap: 12px; font-weight: 600; }
.curves figcaption span { color: var(--accent); font-variant-numeric: tabular-nums; white-space: nowrap; }
.curves svg { display: block; width: 100%; height: 190px; overflow: visible; touch-action: pan-y; }
.curves .grid { stroke: var(--line); } .curves .band { fill: var(--accent); opacity: 0.16; }
.curves .line { fill: none; stroke: var(--accent); stroke-width: 2; stroke-linejoin: round; }
.curves .cursor { stroke: var(--muted); stroke-dasharray: 3 3; }
.curves text { fill: var(--muted); font-size: 11.5px; font-variant-numeric: tabular-nums; }
.facts { display: grid; grid-template-columns: repeat(auto-fill, minmax(min(100%, 230px), 1fr)); gap: 16px 24px; margin: 0; }
.facts dt { font-size: 0.85rem; color: var(--muted); }
.facts dd { margin: 0; font-weight: 600; }
footer { margin-top: 48px; color: var(--muted); font-size: 0.88rem; }
)css";

const std::string_view report_script = R"js(
"use strict";
(() => {
const data = JSON.parse(document.getElementById("data").textContent);
const css = name => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const html = text => text.replace(/[&<>"']/g, c => "&#" + c.charCodeAt(0) + ";");
const short = (value, digits = 3) => {
  if (value === null) return "not finite";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(1).replace(".0e", "e").replace("e+", "e");
  return size >= 1e3 ? Math.round(value).toLocaleString("en") : String(+value.toPrecision(digits));
};
const redraws = [];
const redrawOn = (element, draw) => {
  redraws.push(draw);
  let width = -1;  // drawing may change the height, which must not draw again
  new ResizeObserver(() => {
    if (element.clientWidth !== width) { width = element.clientWidth; requestAnimationFrame(draw); }
  }).observe(element);
};
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => redraws.forEach(draw => draw()));

// Thumbnails: one contact sheet, shown by the style sheet in the page and copied from in the canvases.
const sheet = new Image();
const sheetUri = document.querySelector("#sheet-style")?.textContent.match(/url\((.*?)\)/);
if (sheetUri) { sheet.onload = () => redraws.forEach(draw => draw()); sheet.src = sheetUri[1]; }
const thumbPosition = i => {
  const { columns, rows } = data.sheet;
  const at = (place, count) => count > 1 ? 100 * place / (count - 1) : 0;
  return at(i % columns, columns) + "% " + at(Math.floor(i / columns), rows) + "%";
};
const drawThumb = (context, i, x, y, size) => {
  const { side, columns } = data.sheet;
  context.save();
  context.beginPath(); context.roundRect(x, y, size, size, size * 0.14); context.clip();
  context.fillStyle = "#fff"; context.fillRect(x, y, size, size);
  if (sheet.complete && sheet.naturalWidth)
    context.drawImage(sheet, i % columns * side, Math.floor(i / columns) * side, side, side, x, y, size, size);
  context.restore();
};
// The canvas at the device's resolution, its context in CSS pixels.
const prepare = (canvas, width, height) => {
  const ratio = devicePixelRatio || 1;
  canvas.style.height = height + "px";
  canvas.width = Math.round(width * ratio); canvas.height = Math.round(height * ratio);
  const context = canvas.getContext("2d");
  context.scale(ratio, ratio);
  context.clearRect(0, 0, width, height);
  return context;
};

// Training curves.
const ticks = (low, high, count) => {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw);
  const out = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) out.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  return out;
};
for (const [index, curve] of data.curves.entries()) {
  const figure = document.getElementById("curve-" + index), svg = figure.querySelector("svg");
  const value = figure.querySelector("figcaption span");
  const finite = [...curve.low, ...curve.high].filter(v => v !== null);
  let bottom = Math.min(...finite), top = Math.max(...finite);
  if (!finite.length) { bottom = 0; top = 1; }
  if (curve.zero) bottom = Math.min(0, bottom);
  if (bottom === top) { bottom -= Math.abs(bottom) * 0.1 || 1; top += Math.abs(top) * 0.1 || 1; }
  const last = curve.mean.length - 1;
  let box = null, cursor = null;
  const show = i => { value.textContent = short(curve.mean[i]) + (curve.unit ? " " + curve.unit : "") + (i === last ? "" : " at step " + short(curve.step[i], 4)); };
  const draw = () => {
    const width = svg.clientWidth, height = svg.clientHeight;
    if (!width) return;
    const left = 50, right = width - 6, up = 10, down = height - 24;
    const first = curve.step[0], span = curve.step[last] - first || 1;
    const x = s => left + (s - first) / span * (right - left), y = v => down - (v - bottom) / (top - bottom) * (down - up);
    box = { x, left, right, first, span };
    let out = "";
    for (const t of ticks(bottom, top, 5))
      out += `<line class="grid" x1="${left}" x2="${right}" y1="${y(t)}" y2="${y(t)}"/><text x="${left - 8}" y="${y(t) + 4}" text-anchor="end">${short(t)}<\/text>`;
    for (const t of last > 0 ? ticks(first, first + span, 4) : [first])
      out += `<text x="${x(t)}" y="${height - 6}" text-anchor="${x(t) > right - 20 ? "end" : "middle"}">${short(t, 4)}<\/text>`;
    const pieces = []; let piece = [];
    curve.mean.forEach((m, i) => { if (m !== null) piece.push(i); else if (piece.length) { pieces.push(piece); piece = []; } });
    if (piece.length) pieces.push(piece);
    for (const p of pieces) {
      const path = (list, values) => list.map(i => x(curve.step[i]).toFixed(1) + "," + y(values[i]).toFixed(1)).join(" L");
      out += `<path class="band" d="M${path(p, curve.high)} L${path([...p].reverse(), curve.low)} Z"/>`;
      out += `<path class="line" d="M${path(p, curve.mean)}"/>`;
      if (p.length === 1) out += `<circle cx="${x(curve.step[p[0]])}" cy="${y(curve.mean[p[0]])}" r="3" fill="currentColor"/>`;
    }
    if (cursor !== null) out += `<line class="cursor" x1="${x(curve.step[cursor])}" x2="${x(curve.step[cursor])}" y1="${up}" y2="${down}"/>`;
    svg.innerHTML = out;
  };
  svg.addEventListener("pointermove", event => {
    if (!box) return;
    const wanted = box.first + (event.clientX - svg.getBoundingClientRect().left - box.left) / (box.right - box.left) * box.span;
    cursor = curve.step.reduce((best, s, i) => Math.abs(s - wanted) < Math.abs(curve.step[best] - wanted) ? i : best, 0);
    show(cursor); draw();
  });
  svg.addEventListener("pointerleave", () => { cursor = null; show(last); draw(); });
  show(last);
  redrawOn(svg, draw);
}

// Similarity matrices.
const stops = [[13, 8, 60], [70, 20, 130], [150, 40, 125], [222, 75, 90], [251, 150, 80], [252, 240, 170]];
const colour = t => {
  const place = Math.min(Math.max(t, 0), 1) * (stops.length - 1), i = Math.min(Math.floor(place), stops.length - 2);
  return "rgb(" + stops[i].map((c, k) => Math.round(c + (stops[i + 1][k] - c) * (place - i))).join(",") + ")";
};
for (const [index, test] of data.tests.entries()) {
  if (!test.matrix) continue;
  const canvas = document.getElementById("matrix-" + index), readout = document.getElementById("readout-" + index);
  const { pictures, captions, cosines } = test.matrix, n = pictures.length;
  const low = Math.min(...cosines), high = Math.max(...cosines);
  const bar = document.getElementById("scale-" + index);
  bar.children[0].textContent = low.toFixed(2); bar.children[2].textContent = high.toFixed(2);
  bar.children[1].style.background = "linear-gradient(to right," + stops.map(s => "rgb(" + s + ")").join(",") + ")";
  let size = 0, left = 0, top = 0, at = [0, 0];
  const draw = () => {
    const width = canvas.clientWidth;
    if (!width) return;
    const roomy = width / n > 13;
    left = roomy ? 22 : 14; top = roomy ? 118 : 4;
    size = (width - left - 1) / n;
    const context = prepare(canvas, width, top + size * n + 1);
    for (let r = 0; r < n; ++r) {
      for (let c = 0; c < n; ++c) {
        context.fillStyle = colour((cosines[r * n + c] - low) / (high - low || 1));
        context.fillRect(left + c * size, top + r * size, size + 0.5, size + 0.5);
      }
      const thumb = Math.min(size - 1, left - 4);
      drawThumb(context, pictures[r], left - thumb - 3, top + r * size + (size - thumb) / 2, thumb);
    }
    if (roomy) {
      context.fillStyle = css("--muted"); context.font = Math.min(11, size * 0.7) + "px system-ui, sans-serif";
      for (let c = 0; c < n; ++c) {
        const text = captions[c].length > 21 ? captions[c].slice(0, 20) + "…" : captions[c];
        context.save();
        context.translate(left + (c + 0.5) * size, top - 5); context.rotate(-Math.PI / 2);
        context.textBaseline = "middle"; context.fillText(text, 0, 0, top - 8);
        context.restore();
      }
    }
    context.lineWidth = 2; context.strokeStyle = "#fff";
    context.strokeRect(left + at[1] * size, top + at[0] * size, size, size);
    context.lineWidth = 1; context.strokeStyle = "#000";
    context.strokeRect(left + at[1] * size - 1.5, top + at[0] * size - 1.5, size + 3, size + 3);
  };
  const show = (r, c) => {
    at = [Math.min(Math.max(r, 0), n - 1), Math.min(Math.max(c, 0), n - 1)];
    const value = cosines[at[0] * n + at[1]];
    readout.innerHTML = `<p class="pair"><span class="thumb" style="background-position:${thumbPosition(pictures[at[0]])}"><\/span>` +
      `<span>“<bdi>${html(captions[at[1]])}<\/bdi>”<\/span><\/p><p><strong>${value.toFixed(3)}<\/strong> ` +
      `<span class="muted">cosine${at[0] === at[1] ? ", a pair that belongs together" : ""}<\/span><\/p>`;
    draw();
  };
  const pointer = event => {
    const box = canvas.getBoundingClientRect();
    const c = Math.floor((event.clientX - box.left - left) / size), r = Math.floor((event.clientY - box.top - top) / size);
    if (r >= 0 && c >= 0 && r < n && c < n) show(r, c);
  };
  canvas.addEventListener("pointermove", pointer);
  canvas.addEventListener("pointerdown", pointer);
  canvas.addEventListener("keydown", event => {
    const move = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (move) { event.preventDefault(); show(at[0] + move[0], at[1] + move[1]); }
  });
  show(0, 0);
  redrawOn(canvas, draw);
}

// Maps of the joint space.
for (const [index, test] of data.tests.entries()) {
  if (!test.map) continue;
  const canvas = document.getElementById("map-" + index), label = document.getElementById("map-label-" + index);
  const hint = label.textContent, points = test.map;
  const range = k => {
    const values = points.flatMap(p => [p.picture[k], p.caption[k]]), low = Math.min(...values);
    return { low, span: Math.max(...values) - low || 1 };
  };
  const axes = [range(0), range(1)];
  let zoom = 1, centre = [0.5, 0.5], chosen = -1, width = 0, height = 0;
  const margin = 34, buttons = 30;  // room around the points, and above them for the buttons
  const extent = () => [width - 2 * margin, height - 2 * margin - buttons];
  const toUnit = (x, y) => [(x - margin) / extent()[0], (y - margin - buttons) / extent()[1]];
  const place = point => [0, 1].map(k => {
    const along = (point[k] - axes[k].low) / axes[k].span, unit = k ? 1 - along : along;
    return margin + k * buttons + (0.5 + (unit - centre[k]) * zoom) * extent()[k];
  });
  const thumbSize = () => Math.min(Math.max(width / 30, 18), 34) * Math.min(zoom ** 0.6, 3);
  const draw = () => {
    width = canvas.clientWidth;
    if (!width) return;
    height = Math.round(Math.min(Math.max(width * 0.62, 340), 640));
    const context = prepare(canvas, width, height), size = thumbSize(), order = points.map((_, i) => i);
    if (chosen >= 0) order.push(...order.splice(chosen, 1));
    context.strokeStyle = css("--muted"); context.globalAlpha = 0.35;
    for (const p of points) {
      context.beginPath(); context.moveTo(...place(p.picture)); context.lineTo(...place(p.caption)); context.stroke();
    }
    context.globalAlpha = 1;
    for (const i of order) {
      const [x, y] = place(points[i].picture);
      drawThumb(context, points[i].thumb, x - size / 2, y - size / 2, size);
      context.strokeStyle = css("--line"); context.lineWidth = 1;
      context.beginPath(); context.roundRect(x - size / 2, y - size / 2, size, size, size * 0.14); context.stroke();
    }
    for (const i of order) {
      const [x, y] = place(points[i].caption);
      context.beginPath(); context.arc(x, y, i === chosen ? 6 : 3.5, 0, 7);
      context.fillStyle = css("--mark"); context.fill();
      context.strokeStyle = css("--card"); context.lineWidth = 1; context.stroke();
    }
    if (chosen >= 0) {
      const [x, y] = place(points[chosen].picture), end = place(points[chosen].caption);
      context.strokeStyle = css("--mark"); context.lineWidth = 2.5;
      context.beginPath(); context.roundRect(x - size / 2, y - size / 2, size, size, size * 0.14); context.stroke();
      context.beginPath(); context.moveTo(x, y); context.lineTo(...end); context.stroke();
    }
    canvas.classList.toggle("zoomed", zoom > 1);
  };
  const zoomBy = (factor, x = width / 2, y = height / 2) => {
    const next = Math.min(Math.max(zoom * factor, 1), 16), under = toUnit(x, y);
    centre = centre.map((c, k) => Math.min(Math.max(c + (under[k] - 0.5) * (1 / zoom - 1 / next), 0), 1));
    zoom = next;
    if (zoom === 1) centre = [0.5, 0.5];
    draw();
  };
  const choose = event => {
    const box = canvas.getBoundingClientRect(), x = event.clientX - box.left, y = event.clientY - box.top;
    let best = -1, nearest = Math.max(thumbSize() / 2, 14);
    points.forEach((p, i) => {
      for (const [u, v] of [place(p.picture), place(p.caption)]) {
        const distance = Math.hypot(u - x, v - y);
        if (distance < nearest) { nearest = distance; best = i; }
      }
    });
    if (best === chosen) return;
    chosen = best;
    label.textContent = best < 0 ? hint : points[best].text;
    draw();
  };
  const fingers = new Map();
  canvas.addEventListener("pointerdown", event => { fingers.set(event.pointerId, event); choose(event); });
  canvas.addEventListener("pointermove", event => {
    const before = fingers.get(event.pointerId);
    if (!before) { choose(event); return; }
    const others = [...fingers.values()].filter(f => f.pointerId !== event.pointerId);
    if (others.length) {
      const box = canvas.getBoundingClientRect(), o = others[0];
      const apart = f => Math.hypot(f.clientX - o.clientX, f.clientY - o.clientY) || 1;
      zoomBy(apart(event) / apart(before), (event.clientX + o.clientX) / 2 - box.left, (event.clientY + o.clientY) / 2 - box.top);
    } else if (zoom > 1) {
      const moved = [event.clientX - before.clientX, event.clientY - before.clientY];
      centre = centre.map((c, k) => Math.min(Math.max(c - moved[k] / extent()[k] / zoom, 0), 1));
      draw();
    }
    fingers.set(event.pointerId, event);
  });
  for (const end of ["pointerup", "pointercancel", "pointerleave"])
    canvas.addEventListener(end, event => fingers.delete(event.pointerId));
  canvas.addEventListener("dblclick", event => {
    const box = canvas.getBoundingClientRect();
    zoomBy(2, event.clientX - box.left, event.clientY - box.top);
  });
  canvas.addEventListener("wheel", event => {
    if (!event.ctrlKey && zoom === 1) return;
    event.preventDefault();
    const box = canvas.getBoundingClientRect();
    zoomBy(Math.exp(-event.deltaY / 300), event.clientX - box.left, event.clientY - box.top);
  }, { passive: false });
  const [closer, away, whole] = canvas.parentElement.querySelectorAll("button");
  closer.onclick = () => zoomBy(1.6);
  away.onclick = () => zoomBy(1 / 1.6);
  whole.onclick = () => zoomBy(0);
  redrawOn(canvas, draw);
}
})();
)js";

}  // namespace vlalign
