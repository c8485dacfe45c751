"use strict";
// Tables whose headings say so are sorted by them; a missing figure comes last.
for (const heading of document.querySelectorAll("table.sortable th[data-sort]")) {
  const button = document.createElement("button");
  button.type = "button";
  button.append(...heading.childNodes);
  heading.append(button);
  button.addEventListener("click", () => {
    const table = heading.closest("table"), body = table.tBodies[0], place = heading.cellIndex;
    const numeric = heading.dataset.sort === "number", now = heading.getAttribute("aria-sort");
    const up = now ? now === "descending" : !numeric;
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

// Search: everything that has an anchor, and what the pages beside this one have.
for (const search of document.querySelectorAll("search")) {
  const field = search.querySelector("input"), list = search.querySelector("ul");
  const targets = [...document.querySelectorAll("main [id]")].map((one) => {
    const around = one.matches("figure") ? one : one.closest("section");
    return { href: "#" + one.id, name: (one.querySelector("figcaption") ?? one).textContent.trim(), text: around ? around.textContent : "" };
  });
  for (const link of search.querySelectorAll("a[hidden]")) {
    targets.push({ href: link.getAttribute("href"), name: link.textContent.trim(), text: "" });
    link.remove();
  }
  const found = () => {
    const wanted = field.value.trim().toLocaleLowerCase();
    const named = [], within = [];
    for (const one of wanted ? targets : []) {
      if (one.name.toLocaleLowerCase().includes(wanted)) named.push(one);
      else if (one.text.toLocaleLowerCase().includes(wanted)) within.push(one);
    }
    const items = [...named, ...within].slice(0, 12).map((one) => {
      const item = document.createElement("li"), link = document.createElement("a");
      link.href = one.href;
      link.textContent = one.name;
      link.addEventListener("click", close);
      item.append(link);
      return item;
    });
    if (wanted && !items.length) {
      items.push(document.createElement("li"));
      items[0].textContent = "Nothing on these pages";
    }
    list.replaceChildren(...items);
  };
  const close = () => {
    field.value = "";
    list.replaceChildren();
  };
  field.addEventListener("input", found);
  search.addEventListener("keydown", (event) => {
    const links = [...list.querySelectorAll("a")], place = links.indexOf(document.activeElement);
    if (event.key === "Escape") {
      close();
      field.focus();
    } else if (event.key === "ArrowDown" && links.length) {
      event.preventDefault();
      links[Math.min(place + 1, links.length - 1)].focus();
    } else if (event.key === "ArrowUp" && place >= 0) {
      event.preventDefault();
      (links[place - 1] ?? field).focus();
    } else if (event.key === "Enter" && event.target === field && links.length) {
      links[0].click();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !event.target.closest("input")) {
      event.preventDefault();
      field.focus();
    }
  });
  search.hidden = false;
}

// A link to something within a closed table opens it; so does printing.
const opened = () => {
  const target = location.hash && document.getElementById(decodeURIComponent(location.hash.slice(1)));
  const details = target && target.closest("details");
  if (details) details.open = true;
};
addEventListener("hashchange", opened);
opened();

// Lines over time are drawn from the table below them, whose cells say how a figure is written.
// Colours alone do not tell ten lines apart; the first is that of segments that have ended.
const DASHES = [[2, 5], [], [], [], [], [9, 4], [9, 4], [9, 4], [3, 3], [3, 3], [3, 3]];
const draw = (frame) => {
  const table = frame.querySelector("details table"), style = getComputedStyle(document.body), colour = (name) => style.getPropertyValue(name);
  const rows = [...table.tBodies[0].rows], heads = [...table.tHead.rows[0].cells].slice(1);
  const number = (cell) => (cell.dataset.value === "" || isNaN(cell.dataset.value) ? null : parseFloat(cell.dataset.value));
  const data = [rows.map((_, place) => place), ...heads.map((_, line) => rows.map((row) => number(row.cells[line + 1])))];
  const short = new Intl.NumberFormat(document.body.dataset.language, { notation: "compact" });
  const font = "12px " + style.fontFamily;
  const axis = { stroke: colour("--muted"), font, grid: { stroke: colour("--rule"), width: 1 }, ticks: { show: false } };
  const area = document.createElement("div");
  area.className = "drawn";
  area.setAttribute("role", "img");
  area.setAttribute("aria-label", frame.querySelector("figcaption").textContent.trim() + ", as lines; the table below has the figures");
  frame.querySelector(".drawn")?.remove();
  frame.insertBefore(area, frame.querySelector("details"));
  new uPlot({
    width: area.clientWidth, height: 150, padding: [8, 36, 0, 0],
    cursor: { drag: { x: false, y: false } },
    scales: { x: { time: false }, y: { range: (_, low, high) => [Math.min(low, 0), high * 1.05 || 1] } },
    axes: [
      { ...axis, space: 70, size: 26, incrs: [1, 2, 3, 6, 12, 24], values: (_, at) => at.map((x) => rows[x]?.cells[0].dataset.short ?? "") },
      { ...axis, size: 52, values: (_, at) => at.map((y) => short.format(y)) },
    ],
    series: [
      { label: "Snapshot", value: (_, x) => (x == null ? rows[rows.length - 1].cells[0].textContent : rows[x].cells[0].textContent) },
      ...heads.map((head, line) => ({
        label: head.textContent, stroke: colour("--line-" + head.dataset.colour), width: 2, dash: DASHES[head.dataset.colour], points: { size: 5 },
        value: (_, y, __, place) => rows[place ?? rows.length - 1].cells[line + 1].textContent,
      })),
    ],
  }, data, area);
};
const frames = [...document.querySelectorAll("[data-chart]")];
const drawAll = () => frames.forEach(draw);
if (frames.length) {
  drawAll();
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let width = innerWidth;
  addEventListener("resize", () => {
    if (innerWidth !== width) drawAll();
    width = innerWidth;
  });
}
