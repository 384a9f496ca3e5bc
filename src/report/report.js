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

data.charts.forEach((chart, index) => addChart(document.getElementById("chart-" + index), chart));

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
