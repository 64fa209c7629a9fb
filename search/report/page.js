// The report in use: a click on a header sorts, the text box above a table filters, figures fit a phone.
"use strict";

const collator = new Intl.Collator(undefined, { numeric: true });

// "3.000M" -> 3, "1:02:05" -> 3725. The numbers of one column share their unit.
const numberIn = (text) => text.split(":").reduce((sum, part) => 60 * sum + parseFloat(part), 0);

function sortBy(header) {
  const isNumber = header.classList.contains("number");
  const direction = header.getAttribute("aria-sort") === "ascending" ? "descending" : "ascending";
  const sign = direction === "ascending" ? 1 : -1;
  const compare = isNumber ? (a, b) => a.key - b.key : (a, b) => collator.compare(a.key, b.key);
  const body = header.closest("table").tBodies[0];
  const rows = [...body.rows].map((row) => {
    const text = row.cells[header.cellIndex].textContent;
    return { row, isEmpty: text === "", key: isNumber ? numberIn(text) : text };
  });
  // What has no value comes last, either way.
  rows.sort((a, b) => a.isEmpty - b.isEmpty || (a.isEmpty ? 0 : sign * compare(a, b)));
  body.append(...rows.map(({ row }) => row));
  for (const other of header.parentNode.cells) other.removeAttribute("aria-sort");
  header.setAttribute("aria-sort", direction);
}

function filterRows(filter) {
  const words = filter.querySelector("input").value.toLowerCase().split(/\s+/);
  const rows = filter.closest("section").querySelector("tbody").rows;
  let shown = 0;
  for (const row of rows) {
    row.words ??= [...row.cells].map((cell) => cell.textContent.toLowerCase()).join(" ");
    row.hidden = !words.every((word) => row.words.includes(word));
    shown += !row.hidden;
  }
  filter.querySelector("output").textContent =
    `${shown.toLocaleString("en")} of ${rows.length.toLocaleString("en")} shown`;
}

for (const button of document.querySelectorAll("th button"))
  button.addEventListener("click", () => sortBy(button.closest("th")));
for (const filter of document.querySelectorAll(".filter"))
  filter.addEventListener("input", () => filterRows(filter));

const phone = window.matchMedia("(max-width: 640px)"); // as in page.css

// A colour bar at the bottom right, where few networks are: expensive ones are seldom bad.
const insidePlot = { x: 1, xanchor: "right", y: 0, yanchor: "bottom", orientation: "h", len: 0.6 };

// The layout of a figure on a phone: buttons below it, as the legend needs its head; dragging scrolls the page.
function onPhone(layout) {
  Object.assign(layout, { dragmode: false, margin: { ...layout.margin, l: 4, r: 16, b: 4 } });
  layout.font.size = 11;
  for (const menu of layout.updatemenus ?? [])
    Object.assign(menu, { y: 0, yanchor: "top", pad: { t: 80 } });
  if (layout.coloraxis) layout.coloraxis.colorbar = { ...insidePlot, thickness: 10 };
  for (const [name, axis] of Object.entries(layout))
    if (name.startsWith("xaxis") && axis.type === "log") axis.tickangle = 90;
  return layout;
}

// Many names would cover each other; a tap on a point shows its name, too.
const withoutNames = (trace) =>
  trace.mode === "markers+text" && trace.x.length > 3 ? { ...trace, mode: "markers" } : trace;

const figures = [...document.querySelectorAll(".js-plotly-plot")].map((figure) => ({
  figure,
  data: figure.data,
  layout: structuredClone(figure.layout),
}));

function fitFigures() {
  for (const { figure, data, layout } of figures) {
    const copy = structuredClone(layout);
    if (phone.matches) Plotly.react(figure, data.map(withoutNames), onPhone(copy));
    else Plotly.react(figure, data, copy);
  }
}

if (phone.matches) fitFigures();
phone.addEventListener("change", fitFigures); // it was turned
