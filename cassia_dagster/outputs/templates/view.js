// Which part of the map is seen: its middle, and how many units of the data a pixel is.
function viewOf(stage, { x, y }) {
  const ROOM = 0.9; // of the stage, that all cells together take
  const DEEPEST = 40;
  const bounds = [x, y].map((axis) => [Math.min(...axis), Math.max(...axis)]);
  const span = ([low, high]) => high - low;
  const view = { x: 0, y: 0, unit: 1, whole: 1 };

  return Object.assign(view, {
    isZoomed: () => view.unit < view.whole * 0.999,

    /** Show all cells. */
    fit() {
      view.whole = Math.max(span(bounds[0]) / (stage.clientWidth * ROOM), span(bounds[1]) / (stage.clientHeight * ROOM), 1e-6);
      [view.x, view.y] = bounds.map(([low, high]) => (low + high) / 2);
      view.unit = view.whole;
    },

    /** Go nearer by a factor, or farther, so that a place of the data stays where it is. */
    zoom(factor, [cx, cy] = [view.x, view.y]) {
      const unit = Math.min(view.whole, Math.max(view.whole / DEEPEST, view.unit / factor));
      view.x = cx + ((view.x - cx) * unit) / view.unit;
      view.y = cy + ((view.y - cy) * unit) / view.unit;
      view.unit = unit;
      if (!view.isZoomed()) view.fit();
    },

    /** Move by pixels, to the right and up. */
    move(right, up) {
      view.x += right * view.unit;
      view.y += up * view.unit;
    },

    axes() {
      const [across, down] = [(stage.clientWidth / 2) * view.unit, (stage.clientHeight / 2) * view.unit];
      const axis = { type: "value", show: false };
      return {
        xAxis: { ...axis, min: view.x - across, max: view.x + across },
        yAxis: { ...axis, min: view.y - down, max: view.y + down },
      };
    },

    /** The place of the data at the pointer. */
    at(event) {
      const box = stage.getBoundingClientRect();
      return [
        view.x + (event.clientX - box.left - box.width / 2) * view.unit,
        view.y - (event.clientY - box.top - box.height / 2) * view.unit,
      ];
    },
  });
}
