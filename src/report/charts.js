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

// A page of a run that lasts: loads itself again, where one can see it, and stays at its place.
const kept = location.pathname + " view";
const progress = document.getElementById("progress");
if (progress) {
  const time = progress.querySelector("time"), written = new Date(time.dateTime), reload = +progress.dataset.reload;
  time.textContent = written.toLocaleString();
  const folds = () => [...document.querySelectorAll("details")];
  let view = null;
  try { view = JSON.parse(sessionStorage.getItem(kept)); sessionStorage.removeItem(kept); } catch { /* no storage: begins at the top */ }
  folds().forEach((fold, i) => { fold.open = view?.open[i] ?? fold.open; });
  if (view) addEventListener("load", () => requestAnimationFrame(() => scrollTo(0, view.top)));
  const again = () => {
    if (document.hidden) { document.addEventListener("visibilitychange", again, { once: true }); return; }
    try { sessionStorage.setItem(kept, JSON.stringify({ top: scrollY, open: folds().map(fold => fold.open) })); } catch { /* as above */ }
    location.reload();
  };
  if (reload) setTimeout(again, 1000 * reload);
  if (reload && Date.now() - written > 10_000 * reload)
    progress.querySelector(".note").textContent = "Nothing has been written for long: the run may have ended before its last step.";
}

// Charts: lines over the steps, or over what `axis.place` makes of them, with a legend where there are several.
const ticks = (low, high, count) => {
  const raw = (high - low) / count, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map(m => m * power).find(s => s >= raw);
  const out = [];
  for (let t = Math.ceil(low / step - 1e-9) * step; t <= high + step * 1e-9; t += step) out.push(Math.abs(t) < step * 1e-9 ? 0 : t);
  return out;
};
const overSteps = { place: (line, step) => step, at: x => "at step " + short(x, 4), tick: x => short(x, 4) };
const colours = 8, dashes = ["", "7 4", "2 3"];
const stroke = line => `stroke="var(--line-${line.colour % colours})" stroke-dasharray="${dashes[Math.floor(line.colour / colours) % dashes.length]}"`;
const swatch = line => `<svg class="swatch" aria-hidden="true"><line x1="0" x2="18" y1="5" y2="5" ${stroke(line)}/><\/svg>`;
const nearest = (places, wanted) => places.reduce((best, p, i) => Math.abs(p - wanted) < Math.abs(places[best] - wanted) ? i : best, 0);
// Runs of entries that are finite.
const pieces = values => {
  const out = []; let piece = [];
  values.forEach((v, i) => { if (v !== null) piece.push(i); else if (piece.length) { out.push(piece); piece = []; } });
  return piece.length ? [...out, piece] : out;
};
const addChart = (figure, chart, axis = () => overSteps, isShown = () => true) => {
  const svg = figure.querySelector("svg"), now = figure.querySelector(".now"), several = chart.lines.some(line => line.name);
  const factor = chart.percent ? 100 : 1, unit = chart.percent ? "%" : chart.unit ? " " + chart.unit : "";
  const text = value => value === null ? short(null) : short(factor * value) + unit;
  let legend = null, box = null, cursor = null;
  if (several) { legend = document.createElement("ul"); legend.className = "legend"; figure.append(legend); }
  const shown = () => chart.lines.filter(isShown);
  const placesOf = line => line.step.map(s => axis().place(line, s));
  const say = () => {
    const index = line => cursor === null ? line.mean.length - 1 : nearest(placesOf(line), cursor);
    const where = cursor === null ? "" : axis().at(cursor);
    if (!several) { const line = chart.lines[0]; now.textContent = [text(line.mean[index(line)]), where].join(" ").trim(); return; }
    now.textContent = where;
    legend.innerHTML = shown().map(line => `<li>${swatch(line)}<span title="${html(line.name)}">${html(line.name)}<\/span> <b>${text(line.mean[index(line)])}<\/b><\/li>`).join("");
  };
  const draw = () => {
    const width = svg.clientWidth, height = svg.clientHeight, lines = shown();
    say();
    if (!width) return;
    const values = lines.flatMap(line => [...line.mean, ...(line.low || []), ...(line.high || [])]).filter(v => v !== null);
    let bottom = values.reduce((a, b) => Math.min(a, b), Infinity), top = values.reduce((a, b) => Math.max(a, b), -Infinity);
    if (!values.length) { bottom = 0; top = 1; }
    if (chart.zero) bottom = Math.min(0, bottom);
    if (chart.zero && bottom === top) top = 1;
    if (bottom === top) { bottom -= Math.abs(bottom) * 0.1 || 1; top += Math.abs(top) * 0.1 || 1; }
    const places = lines.map(placesOf), all = places.flat();
    const first = all.reduce((a, b) => Math.min(a, b), Infinity), last = all.reduce((a, b) => Math.max(a, b), -Infinity);
    const left = 50, right = width - 6, up = 10, down = height - 24, span = last - first || 1;
    const x = p => left + (p - first) / span * (right - left), y = v => down - (v - bottom) / (top - bottom) * (down - up);
    box = lines.length ? { left, right, first, span, places: places.reduce((a, b) => b.length > a.length ? b : a) } : null;
    let out = "";
    for (const t of ticks(bottom * factor, top * factor, 5))
      out += `<line class="grid" x1="${left}" x2="${right}" y1="${y(t / factor)}" y2="${y(t / factor)}"/><text x="${left - 8}" y="${y(t / factor) + 4}" text-anchor="end">${short(t)}${chart.percent ? "%" : ""}<\/text>`;
    const size = axis().unit ? axis().unit(last)[0] : 1;
    for (const t of !box ? [] : last > first ? ticks(first / size, last / size, 4).map(tick => tick * size) : [first])
      out += `<text x="${x(t)}" y="${height - 6}" text-anchor="${x(t) > right - 20 ? "end" : "middle"}">${axis().tick(t, last)}<\/text>`;
    lines.forEach((line, k) => {
      for (const p of pieces(line.mean)) {
        const path = (list, heights) => list.map(i => x(places[k][i]).toFixed(1) + "," + y(heights[i]).toFixed(1)).join(" L");
        if (line.low && !several) out += `<path class="band" d="M${path(p, line.high)} L${path([...p].reverse(), line.low)} Z"/>`;
        out += `<path class="line" ${stroke(line)} d="M${path(p, line.mean)}"/>`;
        if (p.length === 1) out += `<circle cx="${x(places[k][p[0]])}" cy="${y(line.mean[p[0]])}" r="3" fill="var(--line-${line.colour % colours})"/>`;
      }
    });
    if (cursor !== null && box) out += `<line class="cursor" x1="${x(cursor)}" x2="${x(cursor)}" y1="${up}" y2="${down}"/>`;
    svg.innerHTML = out;
  };
  const move = to => { cursor = to; draw(); };
  svg.addEventListener("pointermove", event => {
    if (!box) return;
    const wanted = box.first + (event.clientX - svg.getBoundingClientRect().left - box.left) / (box.right - box.left) * box.span;
    move(box.places[nearest(box.places, wanted)]);
  });
  for (const end of ["pointerleave", "blur"]) svg.addEventListener(end, () => move(null));
  svg.addEventListener("keydown", event => {
    const by = { ArrowLeft: -1, ArrowRight: 1, PageDown: -20, PageUp: 20 }[event.key];
    if (!by || !box) return;
    event.preventDefault();
    const count = box.places.length, from = cursor === null ? count - 1 : nearest(box.places, cursor);
    move(box.places[Math.min(Math.max(from + by, 0), count - 1)]);
  });
  say();
  redrawOn(svg, draw);
  return { draw, forget: () => { cursor = null; } };
};
