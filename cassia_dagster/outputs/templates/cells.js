// The cells that this file carries, unpacked: their places, what they are, and into which colours they fall.
function unpackCells(packed) {
  const MISSING = "#8a8f98";
  const LEVELS = 10;
  const SMALL = 1800; // of 65,535, the longer side of the map
  const { n, colourings, genes } = packed;
  const bytes = (text) => Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0));
  const numbers = (text) => new Uint16Array(bytes(text).buffer);
  const [x, y] = [numbers(packed.x), numbers(packed.y)];
  const codes = colourings.map((one) => numbers(one.codes));

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

  /** Whether cells are coloured by a number, and not by one of several names. */
  const isNumber = (by) => by === "score" || by === "gene";

  /** Numbers of the cells, NaN where there is none, and the end of their scale. */
  function scaleOf({ by, gene }) {
    if (by === "gene") return { values: expressionOf(gene), highest: genes[gene].highest || 1 };
    return { values: Float32Array.from(codes[0], (code) => report.clusters[code].score ?? NaN), highest: 100 };
  }

  function levelOf(value, highest) {
    if (Number.isNaN(value)) return 0;
    return value <= 0 ? 1 : Math.min(LEVELS, 1 + Math.ceil((value / highest) * (LEVELS - 1)));
  }

  /** Cells by colour, in the order in which they are drawn. */
  function layersOf(state) {
    if (isNumber(state.by)) {
      const { values, highest } = scaleOf(state);
      const levels = Array.from({ length: LEVELS + 1 }, () => []);
      values.forEach((value, cell) => levels[levelOf(value, highest)].push(cell));
      return levels.map((cells, level) => ({ cells, colour: level ? report.colour(`s${level - 1}`) : MISSING }));
    }
    const groups = colourings[state.by].values.map(({ colour }) => ({ cells: [], colour }));
    codes[state.by].forEach((code, cell) => groups[code].cells.push(cell));
    // The smallest on top, or nobody would see them.
    return groups.toSorted((a, b) => b.cells.length - a.cells.length);
  }

  /** Where the keys of a colouring stand: on the cell that is nearest to the middle of each group. */
  function keysOf(by) {
    const members = colourings[by].values.map(() => []);
    codes[by].forEach((code, cell) => members[code].push(cell));
    const quantile = (cells, axis, part) => cells.map((cell) => axis[cell]).sort((a, b) => a - b)[Math.floor(cells.length * part)];
    return members.flatMap((cells, code) => {
      if (!cells.length) return [];
      const middle = [x, y].map((axis) => quantile(cells, axis, 0.5));
      const far = (cell) => Math.abs(x[cell] - middle[0]) + Math.abs(y[cell] - middle[1]);
      const home = cells.reduce((best, cell) => (far(cell) < far(best) ? cell : best));
      const spread = [x, y].map((axis) => quantile(cells, axis, 0.8) - quantile(cells, axis, 0.2));
      // A key would hide a group as small as itself: it stands above.
      const position = Math.max(...spread) < SMALL ? "top" : "inside";
      return [{ value: [x[home], y[home]], name: colourings[by].values[code].key, label: { position } }];
    });
  }

  return { n, x, y, codes, colourings, genes, LEVELS, isNumber, expressionOf, scaleOf, layersOf, keys: colourings.map((_, by) => keysOf(by)) };
}
