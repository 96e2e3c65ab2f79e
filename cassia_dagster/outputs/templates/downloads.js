// Saves the tables that are in this file.
{
  const list = report.element("saves");
  list.hidden = false;
  for (const button of list.querySelectorAll("button")) {
    const { name, type, text } = report.downloads[button.dataset.download];
    button.addEventListener("click", () => report.save(name, new Blob([text], { type })));
  }
}
