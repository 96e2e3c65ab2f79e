// Sorts the table of clusters by a click on a heading; without it the table stays as it is.
for (const table of document.querySelectorAll("table.sortable")) {
  const body = table.tBodies[0];
  table.tHead.querySelectorAll("th").forEach((heading, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      const value = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
      const sign = down ? -1 : 1;
      const compare = heading.dataset.kind === "number" ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en");
      body.append(...[...body.rows].sort((a, b) => sign * compare(value(a), value(b))));
      table.tHead.querySelectorAll("th").forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  });
}
