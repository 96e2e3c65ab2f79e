// The map of the cells: coloured by what the reader chooses, with a selection, a tip, zoom, and pictures to save.
if (report.cells) {
  const cells = unpackCells(report.cells);
  const { n, x, y, codes, colourings, genes } = cells;
  const stage = report.element("map-canvas");
  const select = report.element("colour-by");
  const geneField = report.element("gene");
  report.element("explorer").hidden = false;
  const chart = echarts.init(stage, null, { renderer: "canvas" });
  const view = viewOf(stage, cells);
  const state = { by: "0", gene: Object.keys(genes)[0] ?? "", focus: null };
  const legend = legendOf(cells, state, focus);

  const isActive = (cell) => !state.focus || state.focus.values.has(codes[state.focus.by][cell]);

  /** Select the cells of some values of a colouring; of none, all. */
  function focus(by, values) {
    state.focus = values.length ? { by, values: new Set(values) } : null;
    report.select(by === 0 ? values.map((code) => report.clusters[code].id) : []);
  }

  // --- drawing ---

  const pointSize = () => Math.min(10, Math.max(3.5, 220 / Math.sqrt(n)) * Math.sqrt(view.whole / view.unit));
  function scatter({ cells: members, colour }) {
    const data = new Float32Array(members.length * 2);
    members.forEach((cell, place) => data.set([x[cell], y[cell]], place * 2));
    return {
      type: "scatter",
      data,
      dimensions: ["x", "y"],
      large: true,
      largeThreshold: 0,
      silent: true,
      symbolSize: pointSize(),
      itemStyle: { color: colour, opacity: 1 },
    };
  }
  const keys = () => ({
    type: "scatter",
    silent: true,
    symbolSize: 1,
    itemStyle: { color: "transparent" },
    // Only given labels have keys of their own; all else is read by cluster.
    data: cells.keys[Number(state.by) >= 2 ? state.by : 0],
    label: {
      show: true,
      opacity: 1,
      distance: 7,
      formatter: ({ name }) => name,
      color: report.colour("ink"),
      textBorderColor: report.colour("page"),
      textBorderWidth: 3,
      fontSize: 14,
      fontWeight: 700,
      fontFamily: "system-ui, sans-serif",
    },
  });
  function draw() {
    const all = cells.layersOf(state);
    const faded = { cells: all.flatMap((layer) => layer.cells.filter((cell) => !isActive(cell))), colour: report.colour("faded") };
    const active = state.focus ? all.map((layer) => ({ ...layer, cells: layer.cells.filter(isActive) })) : all;
    const series = [...[faded, ...active].filter((layer) => layer.cells.length).map(scatter), keys()];
    const grid = { left: 0, right: 0, top: 0, bottom: 0 };
    chart.setOption({ animation: false, grid, ...view.axes(), series }, { notMerge: true });
  }
  let framed = 0;
  function look() {
    stage.classList.toggle("zoomed", view.isZoomed());
    cancelAnimationFrame(framed);
    framed = requestAnimationFrame(draw);
  }
  const titles = { score: () => "score", gene: () => `expression of ${state.gene}` };
  function refresh() {
    select.value = state.by;
    report.element("gene-field").hidden = state.by !== "gene";
    if (state.by === "gene") geneField.value = state.gene;
    const title = titles[state.by]?.() ?? colourings[state.by].name;
    stage.setAttribute("aria-label", `UMAP of ${n.toLocaleString("en")} cells, coloured by ${title}`);
    legend.fillLegend(report.element("map-legend"));
    legend.fillCard(report.element("map-card"));
    draw();
  }

  // --- what it is coloured by, and what is selected ---

  select.append(
    ...colourings.map((one, by) => new Option(one.name, String(by))),
    new Option("score", "score"),
    ...(state.gene ? [new Option("a gene", "gene")] : []),
  );
  report.element("genes").append(...Object.keys(genes).map((gene) => new Option(gene, gene)));
  select.addEventListener("change", () => {
    state.by = select.value;
    refresh();
  });
  geneField.addEventListener("change", () => {
    const wanted = geneField.value.trim().toLowerCase();
    const gene = Object.keys(genes).find((one) => one.toLowerCase() === wanted);
    if (gene) report.show(gene);
    else report.element("map-legend").replaceChildren(report.make("p", `${geneField.value} is not among the markers that this file carries.`));
  });
  document.addEventListener("gene", ({ detail }) => {
    Object.assign(state, { by: "gene", gene: detail });
    refresh();
    report.element("map").scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("clusters", ({ detail }) => {
    const chosen = report.clusters.flatMap(({ id }, code) => (detail.includes(id) ? [code] : []));
    // Nothing selected among clusters leaves what is selected among labels.
    if (chosen.length || state.focus?.by === 0) state.focus = chosen.length ? { by: 0, values: new Set(chosen) } : null;
    refresh();
  });
  report.element("map-controls").addEventListener("submit", (event) => event.preventDefault());
  report.element("save-map").addEventListener("click", () => {
    const drawn = chart.getDataURL({ type: "png", pixelRatio: 2, backgroundColor: report.colour("page") });
    const bytes = Uint8Array.from(atob(drawn.split(",")[1]), (letter) => letter.charCodeAt(0));
    report.save(`${report.name}_umap.png`, new Blob([bytes], { type: "image/png" }));
  });

  // --- pointing, zooming, moving ---

  function nearest(event) {
    const [dx, dy] = view.at(event);
    let best = -1;
    let least = (Math.max(6, pointSize()) * view.unit) ** 2;
    for (let cell = 0; cell < n; cell++) {
      const distance = (x[cell] - dx) ** 2 + (y[cell] - dy) ** 2;
      if (distance < least && isActive(cell)) [best, least] = [cell, distance];
    }
    return best;
  }
  function describe(cell) {
    const { id, label, score } = report.clusters[codes[0][cell]];
    const given = colourings.slice(2).map((one, place) => `${one.name}: ${one.values[codes[place + 2][cell]].name}`);
    const gene = state.by === "gene" ? [`${state.gene}: ${cells.expressionOf(state.gene)[cell].toFixed(2)}`] : [];
    return [`Cluster ${id}: ${label}`, score === null ? "not scored" : `score ${score}`, ...gene, ...given];
  }
  const change = (how) => {
    how();
    look();
  };
  report.element("zoom-in").addEventListener("click", () => change(() => view.zoom(1.5)));
  report.element("zoom-out").addEventListener("click", () => change(() => view.zoom(1 / 1.5)));
  report.element("zoom-all").addEventListener("click", () => change(view.fit));

  let held = null;
  stage.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, y: event.clientY, moved: false };
  });
  stage.addEventListener("pointermove", (event) => {
    if (!held || !event.buttons) {
      const cell = nearest(event);
      report.tip(event, cell < 0 ? null : describe(cell));
      return;
    }
    const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
    if (!held.moved && Math.hypot(dx, dy) <= 4) return;
    if (view.isZoomed()) change(() => view.move(-dx, dy));
    held = { x: event.clientX, y: event.clientY, moved: true };
  });
  stage.addEventListener("pointerleave", () => report.tip(null, null));
  stage.addEventListener("click", (event) => {
    const moved = held?.moved;
    held = null;
    if (moved) return;
    const cell = nearest(event);
    const code = codes[0][cell];
    const again = state.focus?.by === 0 && state.focus.values.has(code);
    focus(0, cell < 0 || again ? [] : [code]);
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      change(() => view.zoom(Math.exp(-event.deltaY / 200), view.at(event)));
    },
    { passive: false },
  );
  const moves = { ArrowLeft: [-40, 0], ArrowRight: [40, 0], ArrowUp: [0, 40], ArrowDown: [0, -40] };
  stage.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") change(() => view.zoom(1.5));
    else if (event.key === "-") change(() => view.zoom(1 / 1.5));
    else if (event.key === "Escape") focus(0, []);
    else if (moves[event.key] && view.isZoomed()) change(() => view.move(...moves[event.key]));
    else return;
    event.preventDefault();
  });
  report.onScheme(refresh);
  new ResizeObserver(() => {
    chart.resize();
    change(view.fit);
  }).observe(stage);
  view.fit();
  refresh();
}
