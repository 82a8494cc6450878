"use strict";
(() => {
  const all = (what, from = document) => [...from.querySelectorAll(what)];
  const one = (id) => document.getElementById(id);
  const filter = one("filter"), help = one("help"), matches = one("matches");
  for (const hidden of all(".tools, .zoom")) hidden.hidden = false;

  const search = () => {
    const wanted = filter.value.trim().toLowerCase();
    const out = (node, is) => node.toggleAttribute("data-out", is);
    const has = (node) => !wanted || node.textContent.toLowerCase().includes(wanted);
    let shown = 0;
    for (const output of all("article[data-filter]")) {
      const findings = all("[data-finding]", output);
      const named = has(output.querySelector("header"));
      let any = named;
      for (const finding of findings) {
        const is = named || has(finding);
        out(finding, !is);
        any = any || is;
        shown += is;
      }
      out(output, !any);
    }
    for (const row of all("tr[data-for]")) {
      const target = one(row.dataset.for);
      out(row, !!target && target.closest("[data-out]") !== null);
    }
    for (const name of all("li[data-filter]")) out(name, !has(name));
    matches.textContent = wanted ? shown + (shown === 1 ? " finding" : " findings") : "";
  };
  if (filter) filter.addEventListener("input", search);

  let at = -1;
  const step = (by) => {
    const found = all("[data-finding]").filter((node) => !node.closest("[data-out]"));
    if (!found.length) return;
    const last = document.querySelector(".now");
    if (last) last.classList.remove("now");
    at = last && found.includes(last) ? found.indexOf(last) + by : by > 0 ? 0 : found.length - 1;
    at = Math.min(Math.max(at, 0), found.length - 1);
    found[at].classList.add("now");
    found[at].focus({ preventScroll: true });
    found[at].scrollIntoView({ block: "start" });
  };
  const open = () => { if (!help.open) help.showModal(); };
  if (one("help-open")) one("help-open").addEventListener("click", open);
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.target === filter) {
      if (event.key === "Escape") { filter.value = ""; search(); filter.blur(); }
      return;
    }
    const does = { j: () => step(1), k: () => step(-1), "?": open, "/": () => filter && filter.focus() }[event.key];
    if (does && !help.open) { event.preventDefault(); does(); }
  });

  const reveal = () => {
    let node = null;
    try { node = one(decodeURIComponent(location.hash.slice(1))); } catch { return; }
    for (let up = node; up; up = up.parentElement) if (up.tagName === "DETAILS") up.open = true;
  };
  addEventListener("hashchange", reveal);
  reveal();
  let closed = [];
  addEventListener("beforeprint", () => {
    closed = all("details:not([open])");
    for (const node of closed) node.open = true;
  });
  addEventListener("afterprint", () => { for (const node of closed) node.open = false; });

  for (const figure of all("[data-map]")) {
    const svg = figure.querySelector(".canvas > svg");
    const start = svg.getAttribute("viewBox").split(" ").map(Number);
    let box = [...start];
    const show = () => svg.setAttribute("viewBox", box.map((n) => n.toFixed(2)).join(" "));
    const zoom = (by, x = box[0] + box[2] / 2, y = box[1] + box[3] / 2) => {
      const width = Math.min(Math.max(box[2] * by, start[2] / 400), start[2]);
      const ratio = width / box[2];
      box = [x - (x - box[0]) * ratio, y - (y - box[1]) * ratio, width, box[3] * ratio];
      show();
    };
    const move = (dx, dy) => { box[0] += dx * box[2]; box[1] += dy * box[3]; show(); };
    const rest = () => { box = [...start]; show(); };
    const place = (event) => new DOMPoint(event.clientX, event.clientY).matrixTransform(svg.getScreenCTM().inverse());
    const choose = (name, closer) => {
      for (const old of all(".on", figure)) old.classList.remove("on");
      const row = one(name), shape = figure.querySelector(`[data-at="${CSS.escape(name)}"]`);
      if (!row || !shape) return;
      row.classList.add("on");
      shape.classList.add("on");
      if (closer) {
        const around = shape.getBBox(), side = Math.max(around.width, around.height / start[3] * start[2], start[2] / 60) * 3;
        box = [around.x + around.width / 2 - side / 2, 0, side, side / start[2] * start[3]];
        box[1] = around.y + around.height / 2 - box[3] / 2;
        show();
      } else {
        const list = row.closest(".rows");
        list.scrollTop = row.offsetTop - list.clientHeight / 3;
      }
    };
    figure.addEventListener("click", (event) => {
      const link = event.target.closest("[data-at], [data-show]");
      const button = event.target.closest("[data-zoom]");
      if (link) { event.preventDefault(); choose(link.dataset.at || link.dataset.show, !!link.dataset.show); }
      if (button) ({ in: () => zoom(0.6), out: () => zoom(1 / 0.6), all: rest })[button.dataset.zoom]();
    });
    svg.addEventListener("wheel", (event) => {
      if (!event.ctrlKey && !event.shiftKey && document.activeElement !== svg) return;
      event.preventDefault();
      const point = place(event);
      zoom(event.deltaY > 0 ? 1.2 : 1 / 1.2, point.x, point.y);
    }, { passive: false });
    let held = null;
    svg.addEventListener("pointerdown", (event) => { held = place(event); });
    svg.addEventListener("pointermove", (event) => {
      if (!held || !event.buttons) return;
      const now = place(event);
      box[0] += held.x - now.x;
      box[1] += held.y - now.y;
      show();
    });
    addEventListener("pointerup", () => { held = null; });
    svg.addEventListener("keydown", (event) => {
      const does = {
        "+": () => zoom(0.6), "-": () => zoom(1 / 0.6), 0: rest,
        ArrowLeft: () => move(-0.1, 0), ArrowRight: () => move(0.1, 0), ArrowUp: () => move(0, -0.1), ArrowDown: () => move(0, 0.1),
      }[event.key];
      if (does) { event.preventDefault(); does(); }
    });
  }
})();
