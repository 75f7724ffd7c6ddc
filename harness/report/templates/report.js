"use strict";
(async () => {
  const PAGE = 50;
  const at = (id) => document.getElementById(id);
  at("browse").hidden = false;
  at("count").textContent = "Unpacking the cases …";

  let data;
  try {
    const bytes = Uint8Array.from(atob(at("data").textContent), (char) => char.charCodeAt(0));
    const unpacked = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
    data = JSON.parse(await new Response(unpacked).text());
  } catch (error) {
    at("count").className = "bad";
    at("count").textContent = `The list of cases cannot be unpacked here (${error.message}). ` +
      "It needs Chrome 80, Firefox 113, Safari 16.4 or later; the JSON report has it too.";
    return;
  }

  // Each id is the start of the one before it, and a rest.
  const ids = [];
  data.rest.forEach((rest, k) => ids.push(k ? ids[k - 1].slice(0, data.shared[k]) + rest : rest));
  const byId = new Map(ids.map((id, k) => [id, k]));
  const results = data.results;
  const bad = new Set(data.failed.map((verdict) => data.verdicts.indexOf(verdict)));
  const words = (verdict) => data.verdicts[verdict].replace("_", " ");
  const judged = (k) => results.flatMap((result, t) => (result.verdict[k] === null ? [] : [t]));
  const number = (ratio) => (typeof ratio === "string" ? (ratio === "-inf" ? -Infinity : Infinity) : ratio ?? 0);

  // Texts become nodes, never markup.
  function make(tag, attributes, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  }

  function table(label, head, rows) {
    return make("div", { class: "scroll", tabindex: "0", role: "region", "aria-label": label },
      make("table", {},
        make("thead", {}, make("tr", {}, ...head.map((text) => make("th", { scope: "col" }, text)))),
        make("tbody", {}, ...rows.map(([first, ...rest]) => make("tr", {}, make("th", { scope: "row" }, first),
          ...rest.map((value) => make("td", {}, String(value))))))));
  }

  // A long id breaks after an axis.
  const breaking = (id) => id.split(/(?<=[,/])/).flatMap((part, place) => (place ? [make("wbr", {}), part] : [part]));

  // As Python's shlex.quote.
  const quoted = (text) => (/^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'"'"'`)}'`);

  // What each order sorts by; the order of the report, which is by id, settles ties.
  const rankOf = (k) => Math.min(...judged(k).map((t) => results[t].verdict[k]));
  const ratioOf = (k) => Math.max(0, ...judged(k).map((t) => number(results[t].ratio[k])));
  const keys = { case: (k) => k, verdict: rankOf, error: ratioOf };
  const sorted = {};
  function order(by) {
    if (!sorted[by]) {
      const key = Float64Array.from(ids, (_, k) => keys[by](k));
      sorted[by] = Uint32Array.from(ids, (_, k) => k).sort((a, b) => (key[a] === key[b] ? a - b : key[a] < key[b] ? -1 : 1));
    }
    return sorted[by];
  }

  const sort = { by: "verdict", down: false };
  let page = 0;
  let found = [];

  function choices(select, values) {
    for (const [value, text] of values) select.append(make("option", { value }, text));
  }
  const used = new Set(results.flatMap((result) => result.verdict));
  const tags = [...new Set(data.tags.flat())].sort();
  choices(at("verdict"), data.verdicts.flatMap((_, v) => (used.has(v) ? [[v, words(v)]] : [])));
  choices(at("target"), data.targets.map((target, t) => [t, target]));
  choices(at("tag"), tags.map((tag) => [tag, tag]));

  const headers = [["case", "case"], ["verdict", "verdicts"], ["error", "largest error/bound"]].map(([by, text]) => {
    const button = make("button", { type: "button" }, text);
    button.addEventListener("click", () => {
      sort.down = sort.by === by ? !sort.down : by === "error";
      sort.by = by;
      search();
    });
    return [by, make("th", { scope: "col" }, button)];
  });
  document.querySelector("#list thead tr").append(...headers.map(([, header]) => header));

  // What matrix cases have in common is searched once for all of them.
  let lower = null;
  const texts = (items) => items.map((item) => item.join("\n").toLowerCase());
  const tagTexts = texts(data.tags), entryTexts = texts(data.entries.map((entry) => [entry[2]]));

  function search() {
    lower ??= ids.map((id) => id.toLowerCase());
    const wanted = at("words").value.toLowerCase().split(/\s+/).filter(Boolean).map((word) => ({
      word, tags: tagTexts.map((text) => text.includes(word)), entries: entryTexts.map((text) => text.includes(word)),
    }));
    const verdict = at("verdict").value, target = at("target").value, tag = at("tag").value;
    const among = target === "" ? results : [results[target]];
    const tagged = data.tags.map((each) => tag === "" || each.includes(tag));
    found = order(sort.by).filter((k) =>
      tagged[data.tagged[k]]
      && among.some((result) => (verdict === "" ? result.verdict[k] !== null : result.verdict[k] === Number(verdict)))
      && wanted.every((each) => each.tags[data.tagged[k]] || each.entries[data.entry[k]] || lower[k].includes(each.word)));
    if (sort.down) found.reverse();
    page = 0;
    show();
  }

  function verdicts(k) {
    const cell = make("td", {});
    for (const t of judged(k)) {
      const verdict = results[t].verdict[k];
      const agrees = data.verdicts[verdict] === "agree";
      cell.append(make("div", { class: bad.has(verdict) ? "bad" : agrees ? "good" : "warn" },
        (bad.has(verdict) ? "✗ " : "") + data.targets[t] + ": " + words(verdict)));
    }
    return cell;
  }

  function show() {
    const rows = [...found.slice(page * PAGE, (page + 1) * PAGE)].map((k) => {
      const link = make("a", { href: "#case=" + encodeURIComponent(ids[k]) }, ...breaking(ids[k]));
      return make("tr", {}, make("th", { scope: "row" }, make("code", {}, link)), verdicts(k),
        make("td", { class: "number" }, String(ratioOf(k))));
    });
    document.querySelector("#list tbody").replaceChildren(...rows);
    for (const [by, header] of headers) {
      header.setAttribute("aria-sort", by === sort.by ? (sort.down ? "descending" : "ascending") : "none");
    }
    const pages = Math.max(1, Math.ceil(found.length / PAGE));
    at("count").textContent = `${found.length.toLocaleString("en")} of ${ids.length.toLocaleString("en")} cases`;
    at("page").textContent = `page ${page + 1} of ${pages}`;
    at("previous").disabled = page === 0;
    at("next").disabled = page + 1 >= pages;
  }

  function result(k, t) {
    const column = results[t], verdict = column.verdict[k], quantity = column.quantities[column.quantity[k]];
    const [reason, differences, quantities] = data.details[k]?.results[t] ?? ["", [], []];
    const file = data.entries[data.entry[k]][0];
    const parts = [make("h4", {}, `${data.targets[t]}: ${words(verdict)}${column.equal[k] ? ", bit for bit equal" : ""}`)];
    if (reason) parts.push(make("p", {}, reason));
    if (quantity) parts.push(make("p", {}, `Largest error: ${column.ratio[k]} of its bound, in ${quantity} of step ${column.step[k]}.`));
    if (differences.length) parts.push(make("ul", {}, ...differences.map((text) => make("li", {}, text))));
    if (quantities.length) parts.push(table(`Errors of ${data.targets[t]}`, ["quantity", "error/bound", "ulp", "closer to exact"], quantities));
    if (file !== data.python) {
      parts.push(make("pre", { tabindex: "0", role: "group", "aria-label": `Command that runs it again, ${data.targets[t]}` },
        "bn-harness run " + quoted(`${file}::${ids[k]}`) + data.commands[t]));
    }
    return parts;
  }

  function opened(k) {
    const [file, line, why, source] = data.entries[data.entry[k]];
    const parts = [make("p", { class: "faint" }, `${file}:${line}  ${data.tags[data.tagged[k]].join(", ")}`)];
    if (why) parts.push(make("p", {}, why));
    if (source) {
      parts.push(make("p", {}, "Source: ",
        /^https?:\/\//.test(source) ? make("a", { href: source, rel: "noreferrer" }, source) : source));
    }
    for (const t of judged(k)) parts.push(...result(k, t));
    const yaml = data.details[k]?.yaml;
    if (yaml) parts.push(make("h4", {}, "YAML"), make("pre", { tabindex: "0", role: "group", "aria-label": "YAML of the case" }, yaml));
    return parts;
  }

  function open(focus) {
    const box = at("case"), match = /^#case=(.*)$/.exec(location.hash);
    box.hidden = !match;
    if (!match) return;
    let id = match[1];
    try {
      id = decodeURIComponent(id);
    } catch { /* a broken link is shown as it is */ }
    const k = byId.get(id);
    const title = make("h3", { id: "case-title", tabindex: "-1" }, ...breaking(id));
    const close = make("button", { type: "button" }, "Close");
    close.addEventListener("click", shut);
    box.replaceChildren(title, close, ...(k === undefined
      ? [make("p", { class: "warn" }, "This report does not list the case: it agrees and is counted with its matrix, or was not run.")]
      : opened(k)));
    if (focus) {
      title.focus();
      box.scrollIntoView();
    }
  }

  function shut() {
    const id = at("case-title").textContent;
    history.replaceState(null, "", location.pathname + location.search);
    open(false);
    const link = [...document.querySelectorAll("#list a")].find((each) => each.textContent === id);
    (link || at("words")).focus();
  }

  document.querySelector(".controls").addEventListener("submit", (event) => event.preventDefault());
  at("words").addEventListener("input", search);
  for (const id of ["verdict", "target", "tag"]) at(id).addEventListener("change", search);
  at("previous").addEventListener("click", () => { page -= 1; show(); });
  at("next").addEventListener("click", () => { page += 1; show(); });
  addEventListener("hashchange", () => open(true));
  addEventListener("keydown", (event) => { if (event.key === "Escape" && !at("case").hidden) shut(); });
  search();
  open(Boolean(location.hash));
})();
