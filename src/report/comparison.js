// Several runs on one page: what their curves are over, and which are shown.
const hidden = new Set();
const clock = (run, step, key) => {
  const { steps, [key]: values } = data.runs[run];
  const above = steps.findIndex(s => s >= step);
  if (above <= 0) return above === 0 ? values[0] : values.at(-1);
  const share = (step - steps[above - 1]) / (steps[above] - steps[above - 1]);
  return values[above - 1] + share * (values[above] - values[above - 1]);
};
const timeUnit = longest => [[1, "s"], [60, "min"], [3600, "h"], [86400, "days"]].findLast(([size]) => longest >= 3 * size || size === 1);
const compact = x => x.toLocaleString("en", { notation: "compact", maximumSignificantDigits: 3 });
const axes = {
  steps: overSteps,
  seconds: {
    place: (line, step) => clock(line.colour, step, "seconds"),
    at: x => { const [size, name] = timeUnit(x); return "at " + short(x / size) + " " + name; },
    unit: longest => timeUnit(longest),
    tick: (x, longest) => { const [size, name] = timeUnit(longest); return short(x / size) + " " + name; },
  },
  pairs: { place: (line, step) => clock(line.colour, step, "pairs"), at: x => "at " + compact(x) + " pairs", tick: x => compact(x) },
};
let over = "steps";
const all = data.charts.map((chart, index) =>
  addChart(document.getElementById("chart-" + index), chart, () => axes[over], line => !hidden.has(line.colour)));
const redrawAll = () => all.forEach(chart => { chart.forget(); chart.draw(); });
for (const input of document.querySelectorAll("input[name=over]")) {
  if (input.checked) over = input.value;
  input.addEventListener("change", () => { over = input.value; redrawAll(); });
}
for (const button of document.querySelectorAll("button[data-run]")) {
  const run = +button.dataset.run;
  button.firstElementChild.innerHTML = swatch({ colour: run });
  button.addEventListener("click", () => {
    const show = hidden.delete(run);
    if (!show) hidden.add(run);
    button.setAttribute("aria-pressed", show);
    redrawAll();
  });
}
