// Sorts the table of clusters by a click on a heading, and hides the rows that are not looked for.
{
  const table = report.element("table");
  const rows = [...table.tBodies[0].rows];
  const headings = [...table.tHead.querySelectorAll("th")];

  headings.forEach((heading, column) => {
    const button = report.make("button");
    button.type = "button";
    button.append(...heading.childNodes);
    heading.append(button);
    button.addEventListener("click", () => {
      const down = heading.getAttribute("aria-sort") === "ascending";
      const value = (row) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
      const sign = down ? -1 : 1;
      const compare = heading.dataset.kind === "number" ? (a, b) => a - b : (a, b) => a.localeCompare(b, "en");
      table.tBodies[0].append(...rows.toSorted((a, b) => sign * compare(value(a), value(b))));
      headings.forEach((other) => other.removeAttribute("aria-sort"));
      heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    });
  });

  const text = report.element("find");
  const evidence = report.element("find-evidence");
  const status = report.element("find-status");
  const score = report.element("find-score");
  const words = rows.map((row) => `${row.textContent} ${row.dataset.words}`.toLowerCase());

  const inScore = (row) => {
    if (!score.value) return true;
    const low = row.dataset.score !== "" && Number(row.dataset.score) < report.threshold;
    return score.value === "low" ? low : row.dataset.score !== "" && !low;
  };
  const filter = () => {
    const wanted = text.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    rows.forEach((row, place) => {
      row.hidden = !(
        wanted.every((word) => words[place].includes(word)) &&
        (!evidence.value || row.dataset.evidence === evidence.value) &&
        (!status.value || row.dataset.status === status.value) &&
        inScore(row)
      );
      found += !row.hidden;
    });
    report.element("found").textContent = `${found} of ${rows.length} clusters`;
  };
  report.element("filters").hidden = false;
  report.element("filters").addEventListener("input", filter);
  report.element("filters").addEventListener("submit", (event) => event.preventDefault());
  filter();

  document.addEventListener("clusters", ({ detail }) => {
    for (const row of rows) row.classList.toggle("selected", detail.includes(row.dataset.cluster));
  });
}
