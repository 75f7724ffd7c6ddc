"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const PAGE = 50;
  const RANK = ["crash", "timeout", "diverge", "unsupported", "unjudged", "known", "baseline_inaccurate", "agree"];
  const BAD = new Set(["crash", "timeout", "diverge"]);
  const at = (id) => document.getElementById(id);
  const byId = new Map(data.cases.map((c, k) => [c.i, k]));
  const number = (r) => (typeof r === "number" ? r : r === "-inf" ? -Infinity : Infinity);

  // Texts become nodes, never markup.
  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes || {})) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  // Made when a word is first looked for, since a large report opens sooner without.
  let texts = null;
  function textOf(k) {
    texts ??= data.cases.map((c) =>
      [c.i, c.t.map((t) => data.tags[t]).join(" "), data.entries[c.e].w].join("\n").toLowerCase());
    return texts[k];
  }
  const verdictOf = (c, target) => (c.r[target] || {}).v;
  const rankOf = (c) => Math.min(...Object.values(c.r).map((r) => RANK.indexOf(r.v)));
  const ratioOf = (c) => Math.max(0, ...Object.values(c.r).map((r) => (r.w ? number(r.w[2]) : 0)));
  const keys = {};
  function keyOf(by) {
    if (by === "case") return null;
    keys[by] ??= data.cases.map(by === "verdict" ? rankOf : ratioOf);
    return keys[by];
  }

  const columns = [["case", "case"], ["verdict", "verdicts"], ["error", "largest error/bound"]];
  let sort = { by: "verdict", down: false };
  let page = 0;
  let found = [];

  function fill(select, values) {
    for (const [value, text] of values) select.append(make("option", { value }, text));
  }
  fill(at("verdict"), RANK.map((v) => [v, v.replace("_", " ")]));
  fill(at("target"), data.targets.map((t, k) => [k, t]));
  fill(at("tag"), data.tags.map((t, k) => [k, t]).sort((a, b) => (a[1] < b[1] ? -1 : 1)));

  const headers = columns.map(([by, text]) => {
    const button = make("button", { type: "button" }, text);
    const header = make("th", { scope: "col" }, button);
    button.addEventListener("click", () => {
      sort = { by, down: sort.by === by ? !sort.down : by === "error" };
      search();
    });
    return [by, header];
  });
  document.querySelector("#list thead tr").append(...headers.map((h) => h[1]));

  function search() {
    const words = at("words").value.toLowerCase().split(/\s+/).filter(Boolean);
    const verdict = at("verdict").value, target = at("target").value, tag = at("tag").value;
    found = [];
    data.cases.forEach((c, k) => {
      if (tag !== "" && !c.t.includes(Number(tag))) return;
      if (target !== "" && !(target in c.r)) return;
      if (verdict && !(target !== "" ? [target] : Object.keys(c.r)).some((t) => verdictOf(c, t) === verdict)) return;
      if (!words.length || words.every((word) => textOf(k).includes(word))) found.push(k);
    });
    const key = keyOf(sort.by), sign = sort.down ? -1 : 1;
    // Cases are stored by id: their order settles ties.
    found.sort((a, b) => (key && key[a] !== key[b] ? sign * (key[a] < key[b] ? -1 : 1) : key ? a - b : sign * (a - b)));
    page = 0;
    show();
  }

  function verdicts(c) {
    const cell = make("td");
    for (const [t, r] of Object.entries(c.r)) {
      cell.append(make("div", { class: BAD.has(r.v) ? "bad" : r.v === "agree" ? "good" : "warn" },
        (BAD.has(r.v) ? "✗ " : "") + data.targets[t] + ": " + r.v.replace("_", " ")));
    }
    return cell;
  }

  function show() {
    const rows = found.slice(page * PAGE, (page + 1) * PAGE).map((k) => {
      const c = data.cases[k];
      const link = make("a", { href: "#case=" + encodeURIComponent(c.i) }, c.i);
      const error = ratioOf(c);
      return make("tr", {}, make("th", { scope: "row" }, make("code", {}, link)), verdicts(c),
        make("td", { class: "number" }, error ? String(error) : "0"));
    });
    document.querySelector("#list tbody").replaceChildren(...rows);
    for (const [by, header] of headers) {
      header.setAttribute("aria-sort", by === sort.by ? (sort.down ? "descending" : "ascending") : "none");
    }
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    at("count").textContent = `${found.length.toLocaleString("en")} of ${data.cases.length.toLocaleString("en")} cases`;
    at("page").textContent = `page ${page + 1} of ${pages}`;
    at("previous").disabled = page === 0;
    at("next").disabled = page + 1 >= pages;
  }

  function result(c, t) {
    const r = c.r[t];
    const part = [make("h4", {}, data.targets[t] + ": " + r.v.replace("_", " ") + (r.b ? ", bit for bit equal" : ""))];
    if (r.x) part.push(make("p", {}, r.x));
    if (r.w) part.push(make("p", {}, `Worst element: ${r.w[0]} in step ${r.w[1]}, ${r.w[2]} of its bound, ${r.w[3]} ulp.`));
    if (r.d) part.push(make("ul", {}, ...r.d.map((text) => make("li", {}, text))));
    if (r.q) {
      const head = ["quantity", "error/bound", "ulp", "closer to exact"].map((h) => make("th", { scope: "col" }, h));
      const rows = r.q.map(([name, ...rest]) => make("tr", {}, make("th", { scope: "row" }, name),
        ...rest.map((value) => make("td", {}, String(value)))));
      part.push(make("table", {}, make("thead", {}, make("tr", {}, ...head)), make("tbody", {}, ...rows)));
    }
    if (r.c) part.push(make("p", {}, "Reproduce:"), make("pre", { tabindex: "0" }, r.c));
    return part;
  }

  function open(focus) {
    const box = at("case");
    const match = /^#case=(.*)$/.exec(location.hash);
    let k;
    try {
      k = match ? byId.get(decodeURIComponent(match[1])) : undefined;
    } catch {
      k = undefined;
    }
    box.hidden = k === undefined;
    if (k === undefined) return;
    const c = data.cases[k], entry = data.entries[c.e];
    const title = make("h3", { id: "case-title", tabindex: "-1" }, c.i);
    const close = make("button", { type: "button" }, "Close");
    close.addEventListener("click", shut);
    const parts = [title, close, make("p", { class: "faint" }, `${entry.f}:${entry.l}  ` + c.t.map((t) => data.tags[t]).join(", "))];
    if (entry.w) parts.push(make("p", {}, entry.w));
    if (entry.s) {
      parts.push(make("p", {}, "Source: ",
        /^https?:\/\//.test(entry.s) ? make("a", { href: entry.s, rel: "noreferrer" }, entry.s) : entry.s));
    }
    for (const t of Object.keys(c.r)) parts.push(...result(c, t));
    if (c.y) parts.push(make("h4", {}, "YAML"), make("pre", { tabindex: "0" }, c.y));
    box.replaceChildren(...parts);
    if (focus) {
      title.focus();
      box.scrollIntoView();
    }
  }

  function shut() {
    const id = at("case-title") && at("case-title").textContent;
    history.replaceState(null, "", location.pathname + location.search);
    open(false);
    const link = [...document.querySelectorAll("#list a")].find((a) => a.textContent === id);
    (link || at("words")).focus();
  }

  at("words").addEventListener("input", search);
  for (const id of ["verdict", "target", "tag"]) at(id).addEventListener("change", search);
  at("previous").addEventListener("click", () => { page -= 1; show(); });
  at("next").addEventListener("click", () => { page += 1; show(); });
  addEventListener("hashchange", () => open(true));
  addEventListener("keydown", (event) => { if (event.key === "Escape" && !at("case").hidden) shut(); });
  search();
  open(Boolean(location.hash));
})();
