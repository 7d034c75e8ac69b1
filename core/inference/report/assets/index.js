"use strict";
// A click on a heading sorts the studies: figures by size, names by the alphabet, what is not known last.
const table = document.getElementById("index");
const body = table.tBodies[0];
const columns = [...table.tHead.rows[0].cells];

const valueOf = (row, column) => row.cells[column]?.dataset.value ?? "";

function sortBy(column) {
  const head = columns[column];
  const rising = head.getAttribute("aria-sort") === (column ? "descending" : "none") || (column === 0 && head.getAttribute("aria-sort") === "descending");
  for (const other of columns) if (other.hasAttribute("aria-sort")) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", rising ? "ascending" : "descending");
  const compare = (a, b) => {
    const [x, y] = [valueOf(a, column), valueOf(b, column)];
    if (x === "" || y === "") return (x === "") - (y === "");
    const order = column ? Number(x) - Number(y) : x.localeCompare(y, undefined, { numeric: true });
    return rising ? order : -order;
  };
  body.append(...[...body.rows].sort(compare));
}

columns.forEach((head, column) => head.querySelector("button")?.addEventListener("click", () => sortBy(column)));
