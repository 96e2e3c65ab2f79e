// What the scripts of the report share: its data, its colours, which clusters are selected, and a tip at the pointer.
"use strict";
const report = {
  ...JSON.parse(document.getElementById("data").textContent),

  /** The element with an id. */
  element: (id) => document.getElementById(id),

  /** A new element with a text, which is never read as markup. */
  make(tag, text = "", className = "") {
    const made = document.createElement(tag);
    made.textContent = text;
    if (className) made.className = className;
    return made;
  },

  /** A colour of the style sheet, as it is in the light or dark scheme in use. */
  colour: (name) => getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim(),

  /** Call a function whenever the colour scheme changes. */
  onScheme: (draw) => matchMedia("(prefers-color-scheme: dark)").addEventListener("change", draw),

  /** Tell all pictures and tables that these clusters are selected, and none other. */
  select: (clusters) => document.dispatchEvent(new CustomEvent("clusters", { detail: clusters })),

  /** Colour the map by a gene. */
  show: (gene) => document.dispatchEvent(new CustomEvent("gene", { detail: gene })),

  /** A button that colours the map by a gene. */
  geneButton(gene) {
    const button = report.make("button", gene, "gene");
    button.type = "button";
    button.title = `Colour the map by ${gene}`;
    button.addEventListener("click", () => report.show(gene));
    return button;
  },

  /** Show lines of text at the pointer, or nothing. */
  tip(event, lines) {
    const tip = report.element("tip");
    tip.hidden = !lines;
    if (!lines) return;
    tip.replaceChildren(...lines.map((line, place) => report.make(place ? "span" : "b", line)));
    const { width, height } = tip.getBoundingClientRect();
    tip.style.left = `${Math.max(8, Math.min(event.clientX + 14, innerWidth - width - 8))}px`;
    tip.style.top = `${event.clientY + 18 + height > innerHeight ? event.clientY - height - 12 : event.clientY + 18}px`;
  },

  /** Save a text or picture under a name. */
  save(name, blob) {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob);
    link.download = name;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  },
};
document.documentElement.classList.add("scripted");

if (report.cells) {
  for (const name of document.querySelectorAll("[data-gene]")) {
    if (Object.hasOwn(report.cells.genes, name.dataset.gene)) name.replaceChildren(report.geneButton(name.dataset.gene));
  }
  for (const button of document.querySelectorAll("button.on-map")) {
    button.hidden = false;
    button.addEventListener("click", () => {
      report.select([button.dataset.cluster]);
      report.element("map").scrollIntoView();
    });
  }
}
