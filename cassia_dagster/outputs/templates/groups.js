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

  /** Only the outermost ring has the colours of the clusters: an inner group is none of its clusters. */
  function node(group, depth) {
    const outermost = !group.groups.length;
    const colour = outermost ? colours[group.clusters[0]] : report.colour(depth ? "track" : "line");
    return {
      name: group.name,
      value: outermost ? group.size : undefined,
      clusters: group.clusters,
      said: group.said,
      itemStyle: { color: colour },
      label: { color: !outermost ? report.colour("ink") : lightness(colour) > 130 ? "#111" : "#fff" },
      children: group.groups.map((inner) => node(inner, depth + 1)),
    };
  }
  function draw() {
    const radius = Math.min(stage.clientWidth, stage.clientHeight) / 200;
    // Words would be broken into pieces; the list below has them.
    const show = radius > 2.2;
    const ring = (from, to) => ({ r0: `${from}%`, r: `${to}%`, label: { width: (to - from) * radius - 10 } });
    chart.setOption(
      {
        animation: false,
        series: {
          type: "sunburst",
          data: report.groups.map((group) => node(group, 0)),
          sort: null,
          nodeClick: false,
          emphasis: { focus: "ancestor" },
          itemStyle: { borderColor: report.colour("page"), borderWidth: 1.5 },
          label: { show, rotate: "radial", overflow: "break", minAngle: 14, fontSize: 11, lineHeight: 12, fontFamily: "system-ui, sans-serif" },
          levels: [{}, ring(12, 38), ring(38, 66), ring(66, 98)],
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
