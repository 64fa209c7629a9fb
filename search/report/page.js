// The tables of the report: a click on a header sorts, the text box above a table filters.
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
