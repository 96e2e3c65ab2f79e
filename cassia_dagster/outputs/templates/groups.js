// The groups as rings, from the broadest inside to the most detailed; the list beside them says the same.
{
  const stage = report.element("sunburst");
  stage.hidden = false;
  const chart = echarts.init(stage, null, { renderer: "canvas" });
  const colours = Object.fromEntries(report.clusters.map(({ id, colour }) => [id, colour]));
  const lightness = (hex) => {
    const [r, g, b] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
    return 0.3 * r + 0.59 * g + 0.11 * b;
  };

  const RINGS = [[10, 38], [38, 66], [66, 98]]; // per cent of the radius
  const FONT = "11px system-ui, sans-serif";
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = FONT;
  /** The lines of a name that is so many pixels wide at most, broken at spaces and behind hyphens only. */
  function lines(name, width) {
    const found = [""];
    for (const piece of name.match(/[^\s-]+-?\s*|-+\s*|\s+/g) ?? []) {
      const joined = found.at(-1) + piece;
      if (pen.measureText(joined.trimEnd()).width <= width) found[found.length - 1] = joined;
      else found.push(piece);
    }
    return found.map((line) => line.trimEnd()).filter(Boolean);
  }
  const fits = (name, width) => lines(name, width).every((line) => pen.measureText(line).width <= width);
  /** Whether a ring farther out says the same. */
  const isSaidAgain = ({ name, groups }) => groups.length === 1 && groups[0].name === name;

  /** Only the outermost ring has the colours of the clusters: an inner group is none of its clusters. */
  function node(group, depth, radius) {
    const [from, to] = RINGS[depth];
    const width = ((to - from) * radius) / 100 - 8;
    const outermost = !group.groups.length;
    const colour = outermost ? colours[group.clusters[0]] : report.colour(depth ? "track" : "line");
    return {
      name: group.name,
      value: outermost ? group.size : undefined,
      clusters: group.clusters,
      said: group.said,
      itemStyle: { color: colour },
      label: {
        show: fits(group.name, width) && !isSaidAgain(group),
        formatter: lines(group.name, width).join("\n"),
        color: !outermost ? report.colour("ink") : lightness(colour) > 130 ? "#111" : "#fff",
      },
      children: group.groups.map((inner) => node(inner, depth + 1, radius)),
    };
  }
  function draw() {
    const radius = Math.min(stage.clientWidth, stage.clientHeight) / 2;
    chart.setOption(
      {
        animation: false,
        series: {
          type: "sunburst",
          data: report.groups.map((group) => node(group, 0, radius)),
          sort: null,
          nodeClick: false,
          emphasis: { focus: "ancestor" },
          itemStyle: { borderColor: report.colour("page"), borderWidth: 1.5 },
          label: { rotate: "radial", minAngle: 14, fontSize: 11, lineHeight: 12, fontFamily: "system-ui, sans-serif" },
          levels: [{}, ...RINGS.map(([from, to]) => ({ r0: `${from}%`, r: `${to}%` }))],
        },
      },
      { notMerge: true },
    );
  }
  chart.on("mousemove", ({ data, event }) => data.name && report.tip(event.event, [data.name, data.said]));
  chart.on("mouseout", () => report.tip(null, null));
  chart.on("click", ({ data }) => data.clusters && report.select(data.clusters));
  report.onScheme(draw);
  new ResizeObserver(() => {
    chart.resize();
    draw();
  }).observe(stage);
  draw();
}
