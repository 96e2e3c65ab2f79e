// The legend beside the map, and the card of what is selected on it.
function legendOf(cells, state, focus) {
  const { n, codes, colourings, genes } = cells;
  const MOST_MEANS = 6;
  let pressed = -1;

  const swatch = (colour) => {
    const made = report.make("span", "", "dot");
    made.style.background = colour;
    return made;
  };
  const isChosen = (by, code) => state.focus?.by === by && state.focus.values.has(code);
  const listOf = (parts) => {
    const list = report.make("ul");
    for (const part of parts) list.appendChild(report.make("li")).append(part);
    return list;
  };

  /** A line that selects the cells of one value. */
  function entry(by, code, said) {
    const { key, line, colour, n: count } = colourings[by].values[code];
    const button = report.make("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(isChosen(by, code)));
    const parts = [report.make("b", key), report.make("span", line), report.make("small", said ?? count.toLocaleString("en"))];
    button.append(swatch(colour), ...parts);
    button.addEventListener("click", () => {
      pressed = code;
      focus(by, isChosen(by, code) ? [] : [code]);
    });
    return button;
  }

  /** In which clusters the gene is found, the highest first. */
  function means(values) {
    const sums = report.clusters.map((_, code) => ({ code, n: 0, sum: 0, found: 0 }));
    codes[0].forEach((code, cell) => {
      sums[code].n += 1;
      sums[code].sum += values[cell];
      sums[code].found += values[cell] > 0;
    });
    const shown = sums.filter(({ found }) => found).sort((a, b) => b.sum / b.n - a.sum / a.n).slice(0, MOST_MEANS);
    return listOf(
      shown.map((one) => entry(0, one.code, `${(one.sum / one.n).toFixed(2)} in ${((100 * one.found) / one.n).toFixed(0)} %`)),
    );
  }

  function scale(element) {
    const { values, highest } = cells.scaleOf(state);
    const isGene = state.by === "gene";
    const ramp = report.make("span", "", "steps");
    ramp.append(...Array.from({ length: cells.LEVELS }, (_, level) => swatch(report.colour(`s${level}`))));
    const line = report.make("p", "", "scale");
    line.append(report.make("span", "0"), ramp, report.make("span", highest.toLocaleString("en")));
    const detected = values.filter((value) => value > 0).length;
    const said = isGene
      ? `Log-normalised; detected in ${((100 * detected) / n).toFixed(0)} % of the cells shown.`
      : `Each cell has the score of its cluster.${values.some(Number.isNaN) ? " Grey: not scored." : ""}`;
    element.replaceChildren(report.make("h3", isGene ? state.gene : "Score", isGene ? "gene" : ""), line, report.make("p", said, "muted"));
    if (isGene) element.append(means(values));
  }

  function fillLegend(element) {
    if (cells.isNumber(state.by)) return scale(element);
    const by = Number(state.by);
    const held = element.contains(document.activeElement) ? pressed : -1;
    element.replaceChildren(listOf(colourings[by].values.map((_, code) => entry(by, code))));
    element.querySelectorAll("button")[held]?.focus();
  }

  function fillCard(element) {
    element.replaceChildren();
    element.hidden = !state.focus;
    if (!state.focus) return;
    const clear = report.make("button", "Clear the selection");
    clear.type = "button";
    clear.addEventListener("click", () => focus(0, []));
    const { by, values } = state.focus;
    if (by !== 0 || values.size > 1) {
      const chosen = [...values].map((code) => colourings[by].values[code].name);
      element.append(report.make("h3", `${colourings[by].name}: ${chosen.join(", ")}`), clear);
      return;
    }
    const [code] = values;
    const { id, label, anchor, score, evidence, n_cells: size, markers } = report.clusters[code];
    const link = report.make("a", "Read the argument");
    link.href = `#${anchor}`;
    const best = report.make("p", "Best markers: ");
    markers.forEach((gene, place) => best.append(place ? ", " : "", Object.hasOwn(genes, gene) ? report.geneButton(gene) : gene));
    const said = `${size.toLocaleString("en")} cells; ${score === null ? "not scored" : `score ${score}`}; evidence: ${evidence}`;
    element.append(report.make("h3", `Cluster ${id}: ${label}`), report.make("p", said), best, link, " ", clear);
  }

  return { fillLegend, fillCard };
}
