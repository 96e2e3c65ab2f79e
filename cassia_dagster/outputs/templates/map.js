// The map of the cells: coloured by what the reader chooses, with a selection, a tip, zoom and a card of one cluster.
if (report.cells) {
  const MISSING = "#8a8f98";
  const LEVELS = 10;
  const { n, colourings, genes } = report.cells;
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const numbers = (text) => new Uint16Array(bytes(text).buffer);
  const x = numbers(report.cells.x);
  const y = numbers(report.cells.y);
  const codes = colourings.map((one) => numbers(one.codes));
  const clusterOf = (cell) => report.clusters[codes[0][cell]];

  const stage = report.element("map-canvas");
  const select = report.element("colour-by");
  const geneField = report.element("gene");
  const legend = report.element("map-legend");
  const card = report.element("map-card");
  report.element("explorer").hidden = false;
  const chart = echarts.init(stage, null, { renderer: "canvas" });

  const state = { by: "0", gene: Object.keys(genes)[0] ?? "", focus: null };
  const isActive = (cell) => !state.focus || state.focus.values.has(codes[state.focus.by][cell]);

  // --- what is coloured how ---

  const unpacked = new Map();
  function expressionOf(gene) {
    if (!unpacked.has(gene)) {
      const { detected, levels, highest } = genes[gene];
      const bits = bytes(detected);
      const found = bytes(levels);
      const values = new Float32Array(n);
      let next = 0;
      for (let cell = 0; cell < n; cell++) {
        if ((bits[cell >> 3] >> (cell & 7)) & 1) values[cell] = (found[next++] * highest) / 255;
      }
      unpacked.set(gene, values);
    }
    return unpacked.get(gene);
  }

  /** Values that are numbers: one a cell, NaN where there is none, and the end of their scale. */
  function continuous() {
    if (state.by === "gene") return { values: expressionOf(state.gene), highest: genes[state.gene].highest || 1 };
    return { values: Float32Array.from(codes[0], (code) => report.clusters[code].score ?? NaN), highest: 100 };
  }

  /** Cells by colour, in the order in which they are drawn. */
  function layers() {
    if (state.by === "score" || state.by === "gene") {
      const { values, highest } = continuous();
      const levels = Array.from({ length: LEVELS + 1 }, () => []);
      for (let cell = 0; cell < n; cell++) {
        const value = values[cell];
        const level = Number.isNaN(value) ? 0 : value <= 0 ? 1 : Math.min(LEVELS, 1 + Math.ceil((value / highest) * (LEVELS - 1)));
        levels[level].push(cell);
      }
      return levels.map((cells, level) => ({ cells, colour: level ? report.colour(`s${level - 1}`) : MISSING }));
    }
    const { values } = colourings[state.by];
    const groups = values.map(({ colour }) => ({ cells: [], colour }));
    codes[state.by].forEach((code, cell) => groups[code].cells.push(cell));
    // The smallest on top, or nobody would see them.
    return groups.toSorted((a, b) => b.cells.length - a.cells.length);
  }

  function keysOf(by) {
    const members = colourings[by].values.map(() => []);
    codes[by].forEach((code, cell) => members[code].push(cell));
    const quantile = (cells, axis, part) => cells.map((cell) => axis[cell]).sort((a, b) => a - b)[Math.floor(cells.length * part)];
    return members.flatMap((cells, code) => {
      if (!cells.length) return [];
      const [mx, my] = [quantile(cells, x, 0.5), quantile(cells, y, 0.5)];
      const far = (cell) => Math.abs(x[cell] - mx) + Math.abs(y[cell] - my);
      const home = cells.reduce((best, cell) => (far(cell) < far(best) ? cell : best));
      const spread = [x, y].map((axis) => quantile(cells, axis, 0.8) - quantile(cells, axis, 0.2));
      // A key would hide a group as small as itself: it stands above.
      const position = Math.max(...spread) < 1800 ? "top" : "inside";
      return [{ value: [x[home], y[home]], name: colourings[by].values[code].key, label: { position } }];
    });
  }
  const keys = colourings.map((_, by) => keysOf(by));

  // --- the view: its middle, and how many units of the data a pixel is ---

  const bounds = { x: [Math.min(...x), Math.max(...x)], y: [Math.min(...y), Math.max(...y)] };
  const view = { x: 0, y: 0, unit: 1, fit: 1 };
  function fit() {
    const room = 0.9;
    view.fit = Math.max(
      (bounds.x[1] - bounds.x[0]) / (stage.clientWidth * room),
      (bounds.y[1] - bounds.y[0]) / (stage.clientHeight * room),
      1e-6,
    );
    Object.assign(view, { x: (bounds.x[0] + bounds.x[1]) / 2, y: (bounds.y[0] + bounds.y[1]) / 2, unit: view.fit });
  }
  const axes = () => {
    const [across, down] = [(stage.clientWidth / 2) * view.unit, (stage.clientHeight / 2) * view.unit];
    const axis = { type: "value", show: false };
    return {
      xAxis: { ...axis, min: view.x - across, max: view.x + across },
      yAxis: { ...axis, min: view.y - down, max: view.y + down },
    };
  };
  const dataAt = (event) => {
    const box = stage.getBoundingClientRect();
    return [
      view.x + (event.clientX - box.left - box.width / 2) * view.unit,
      view.y - (event.clientY - box.top - box.height / 2) * view.unit,
    ];
  };
  const zoomed = () => view.unit < view.fit * 0.999;
  const pointSize = () => Math.min(10, Math.max(3.5, 220 / Math.sqrt(n)) * Math.sqrt(view.fit / view.unit));
  let framed = 0;
  function look() {
    stage.classList.toggle("zoomed", zoomed());
    cancelAnimationFrame(framed);
    framed = requestAnimationFrame(draw);
  }
  function zoom(factor, [cx, cy] = [view.x, view.y]) {
    const unit = Math.min(view.fit, Math.max(view.fit / 40, view.unit / factor));
    view.x = cx + ((view.x - cx) * unit) / view.unit;
    view.y = cy + ((view.y - cy) * unit) / view.unit;
    view.unit = unit;
    if (!zoomed()) fit();
    look();
  }

  // --- drawing ---

  function series() {
    const scatter = (cells, colour) => {
      const data = new Float32Array(cells.length * 2);
      cells.forEach((cell, place) => data.set([x[cell], y[cell]], place * 2));
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
    };
    const all = layers();
    const faded = all.flatMap(({ cells }) => cells.filter((cell) => !isActive(cell)));
    const drawn = [{ cells: faded, colour: report.colour("faded") }];
    for (const { cells, colour } of all) drawn.push({ cells: state.focus ? cells.filter(isActive) : cells, colour });
    return [...drawn.filter(({ cells }) => cells.length).map(({ cells, colour }) => scatter(cells, colour)), labels()];
  }
  const labels = () => ({
    type: "scatter",
    silent: true,
    symbolSize: 1,
    itemStyle: { color: "transparent" },
    data: keys[Number(state.by) >= 2 ? state.by : 0],
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
    const grid = { left: 0, right: 0, top: 0, bottom: 0 };
    chart.setOption({ animation: false, grid, ...axes(), series: series() }, { notMerge: true });
  }
  const titleOf = () =>
    state.by === "gene" ? `expression of ${state.gene}` : state.by === "score" ? "score" : colourings[state.by].name;
  function refresh() {
    select.value = state.by;
    report.element("gene-field").hidden = state.by !== "gene";
    if (state.by === "gene") geneField.value = state.gene;
    stage.setAttribute("aria-label", `UMAP of ${n.toLocaleString("en")} cells, coloured by ${titleOf()}`);
    fillLegend();
    fillCard();
    draw();
  }

  // --- legend and card ---

  const swatch = (colour) => {
    const made = report.make("span", "", "dot");
    made.style.background = colour;
    return made;
  };
  const isChosen = (by, code) => state.focus?.by === by && state.focus.values.has(code);
  function focus(by, values) {
    state.focus = values.length ? { by, values: new Set(values) } : null;
    const chosen = by === 0 ? values.map((code) => report.clusters[code].id) : [];
    report.select(chosen);
  }
  function entry(by, code) {
    const { key, line, colour, n: count } = colourings[by].values[code];
    const button = report.make("button");
    button.type = "button";
    button.setAttribute("aria-pressed", String(isChosen(by, code)));
    button.append(swatch(colour), report.make("b", key), report.make("span", line), report.make("small", count.toLocaleString("en")));
    button.addEventListener("click", () => {
      state.pressed = code;
      focus(by, isChosen(by, code) ? [] : [code]);
    });
    return button;
  }
  function fillLegend() {
    if (state.by !== "score" && state.by !== "gene") {
      const by = Number(state.by);
      const list = report.make("ul");
      list.append(
        ...colourings[by].values.map((_, code) => {
          const item = report.make("li");
          item.append(entry(by, code));
          return item;
        }),
      );
      const held = legend.contains(document.activeElement) ? state.pressed : -1;
      legend.replaceChildren(list);
      legend.querySelectorAll("button")[held]?.focus();
      return;
    }
    const { values, highest } = continuous();
    const ramp = report.make("span", "", "steps");
    ramp.append(...Array.from({ length: LEVELS }, (_, level) => swatch(report.colour(`s${level}`))));
    const scale = report.make("p", "", "scale");
    scale.append(report.make("span", "0"), ramp, report.make("span", highest.toLocaleString("en")));
    const missing = values.filter(Number.isNaN).length;
    const detected = values.filter((value) => value > 0).length;
    const said =
      state.by === "gene"
        ? `Log-normalised; detected in ${((100 * detected) / n).toFixed(0)} % of the cells shown.`
        : `Each cell has the score of its cluster.${missing ? " Grey: not scored." : ""}`;
    const heading = report.make("h3", state.by === "gene" ? state.gene : "Score", state.by === "gene" ? "gene" : "");
    legend.replaceChildren(heading, scale, report.make("p", said, "muted"));
    if (state.by === "gene") legend.append(meansOf(values));
  }
  /** In which clusters the gene is found, the highest first. */
  function meansOf(values) {
    const sums = report.clusters.map(() => ({ n: 0, sum: 0, found: 0 }));
    codes[0].forEach((code, cell) => {
      sums[code].n += 1;
      sums[code].sum += values[cell];
      sums[code].found += values[cell] > 0;
    });
    const means = sums.map(({ n: size, sum, found }, code) => ({ code, mean: sum / size, share: found / size }));
    const list = report.make("ul");
    const shown = means.filter(({ share }) => share > 0).sort((a, b) => b.mean - a.mean).slice(0, 6);
    list.append(
      ...shown.map(({ code, mean, share }) => {
        const item = report.make("li");
        const button = entry(0, code);
        button.lastChild.textContent = `${mean.toFixed(2)} in ${(100 * share).toFixed(0)} %`;
        item.append(button);
        return item;
      }),
    );
    return list;
  }
  function fillCard() {
    card.replaceChildren();
    card.hidden = !state.focus;
    if (!state.focus) return;
    const [code, ...others] = state.focus.values;
    const clear = report.make("button", "Clear the selection");
    clear.type = "button";
    clear.addEventListener("click", () => focus(0, []));
    if (state.focus.by === 0 && !others.length) {
      const { id, label, anchor, score, evidence, n_cells: cells, markers } = report.clusters[code];
      const link = report.make("a", "Read the argument");
      link.href = `#${anchor}`;
      const best = report.make("p", "Best markers: ");
      markers.forEach((gene, place) => best.append(place ? ", " : "", Object.hasOwn(genes, gene) ? report.geneButton(gene) : gene));
      const said = `${cells.toLocaleString("en")} cells; ${score === null ? "not scored" : `score ${score}`}; evidence: ${evidence}`;
      card.append(report.make("h3", `Cluster ${id}: ${label}`), report.make("p", said), best, link, " ", clear);
    } else {
      const chosen = [...state.focus.values].map((one) => colourings[state.focus.by].values[one].name);
      card.append(report.make("h3", `${colourings[state.focus.by].name}: ${chosen.join(", ")}`), clear);
    }
  }

  // --- what the reader does ---

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
    else legend.replaceChildren(report.make("p", `${geneField.value} is not among the markers that this file carries.`));
  });
  document.addEventListener("gene", ({ detail }) => {
    Object.assign(state, { by: "gene", gene: detail });
    refresh();
    report.element("map").scrollIntoView({ block: "nearest" });
  });
  document.addEventListener("clusters", ({ detail }) => {
    const chosen = report.clusters.flatMap(({ id }, code) => (detail.includes(id) ? [code] : []));
    if (chosen.length || !state.focus || state.focus.by === 0) {
      state.focus = chosen.length ? { by: 0, values: new Set(chosen) } : null;
    }
    refresh();
  });
  report.element("map-controls").addEventListener("submit", (event) => event.preventDefault());
  report.element("zoom-in").addEventListener("click", () => zoom(1.5));
  report.element("zoom-out").addEventListener("click", () => zoom(1 / 1.5));
  report.element("zoom-all").addEventListener("click", () => {
    fit();
    look();
  });
  report.element("save-map").addEventListener("click", () => {
    const drawn = chart.getDataURL({ type: "png", pixelRatio: 2, backgroundColor: report.colour("page") });
    report.save(`${report.name}_umap.png`, new Blob([bytes(drawn.split(",")[1])], { type: "image/png" }));
  });

  function nearest(event) {
    const [dx, dy] = dataAt(event);
    let best = -1;
    let least = (Math.max(6, pointSize()) * view.unit) ** 2;
    for (let cell = 0; cell < n; cell++) {
      const distance = (x[cell] - dx) ** 2 + (y[cell] - dy) ** 2;
      if (distance < least && isActive(cell)) [best, least] = [cell, distance];
    }
    return best;
  }
  function describe(cell) {
    const { id, label, score } = clusterOf(cell);
    const given = colourings.slice(2).map((one, place) => `${one.name}: ${one.values[codes[place + 2][cell]].name}`);
    const gene = state.by === "gene" ? [`${state.gene}: ${expressionOf(state.gene)[cell].toFixed(2)}`] : [];
    return [`Cluster ${id}: ${label}`, score === null ? "not scored" : `score ${score}`, ...gene, ...given];
  }
  let held = null;
  stage.addEventListener("pointerdown", (event) => {
    held = { x: event.clientX, y: event.clientY, moved: false };
  });
  stage.addEventListener("pointermove", (event) => {
    if (held && event.buttons) {
      const [dx, dy] = [event.clientX - held.x, event.clientY - held.y];
      if (held.moved || Math.hypot(dx, dy) > 4) {
        if (zoomed()) {
          view.x -= dx * view.unit;
          view.y += dy * view.unit;
          look();
        }
        held = { x: event.clientX, y: event.clientY, moved: true };
      }
      return;
    }
    const cell = nearest(event);
    report.tip(event, cell < 0 ? null : describe(cell));
  });
  stage.addEventListener("pointerleave", () => report.tip(null, null));
  stage.addEventListener("click", (event) => {
    const moved = held?.moved;
    held = null;
    if (moved) return;
    const cell = nearest(event);
    const code = cell < 0 ? -1 : codes[0][cell];
    focus(0, cell < 0 || isChosen(0, code) ? [] : [code]);
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      if (!event.ctrlKey && !event.metaKey) return;
      event.preventDefault();
      zoom(Math.exp(-event.deltaY / 200), dataAt(event));
    },
    { passive: false },
  );
  const moves = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, 1], ArrowDown: [0, -1] };
  stage.addEventListener("keydown", (event) => {
    if (event.key === "+" || event.key === "=") zoom(1.5);
    else if (event.key === "-") zoom(1 / 1.5);
    else if (event.key === "Escape") focus(0, []);
    else if (moves[event.key] && zoomed()) {
      view.x += moves[event.key][0] * 40 * view.unit;
      view.y += moves[event.key][1] * 40 * view.unit;
      look();
    } else return;
    event.preventDefault();
  });
  report.onScheme(refresh);
  new ResizeObserver(() => {
    chart.resize();
    fit();
    look();
  }).observe(stage);
  fit();
  refresh();
}
