for (const heading of document.querySelectorAll("table.sortable th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => {
    const table = heading.closest("table"), body = table.tBodies[0], place = heading.cellIndex;
    const up = heading.getAttribute("aria-sort") === "descending";
    const numeric = heading.dataset.sort === "number";
    const value = (row) => {
      const cell = row.cells[place];
      return numeric ? parseFloat(cell.dataset.value) : cell.dataset.value || cell.textContent.trim();
    };
    const compare = (a, b) => {
      const [x, y] = [value(a), value(b)];
      if (numeric && (isNaN(x) || isNaN(y))) return isNaN(x) - isNaN(y);
      return (numeric ? x - y : x.localeCompare(y)) * (up ? 1 : -1);
    };
    for (const other of table.tHead.rows[0].cells) other.removeAttribute("aria-sort");
    heading.setAttribute("aria-sort", up ? "ascending" : "descending");
    body.append(...[...body.rows].sort(compare));
  });
}
