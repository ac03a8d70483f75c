// Everything here adds to pages that already work without it.
(() => {
  "use strict";
  const $ = (sel, from = document) => from.querySelector(sel);
  const $$ = (sel, from = document) => [...from.querySelectorAll(sel)];
  const tail = (url) => url.pathname + url.search;
  const say = (text) => { const s = $("#status"); if (s) s.textContent = text; };
  const store = (key, value) => {
    try { return value === undefined ? localStorage.getItem(key) : localStorage.setItem(key, value); } catch { return null; }
  };

  // Times: the server writes UTC; the viewer reads their own zone.
  // Spelled here, for a page would wait longer for the browser's own formatter than for all of its rows.
  const DAYS = "Sun Mon Tue Wed Thu Fri Sat".split(" "), MONTHS = "Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec".split(" ");
  const two = (n) => String(n).padStart(2, "0");
  const local = (from) => {
    const today = new Date().toDateString();
    $$("time[data-show]", from).forEach((el) => {
      const at = new Date(el.dateTime), show = el.dataset.show;
      if (isNaN(at)) return;
      const day = `${DAYS[at.getDay()]} ${at.getDate()} ${MONTHS[at.getMonth()]}`;
      const minute = `${two(at.getHours())}:${two(at.getMinutes())}`, clock = `${minute}:${two(at.getSeconds())}`;
      const part = show === "near" && at.toDateString() === today ? "clock" : show;
      el.textContent = part === "clock" ? clock : part === "minute" ? minute : part === "day" ? day : `${day}, ${clock}`;
    });
  };

  // Theme: auto, light, dark. The server writes the chosen one into the page, so that none flashes and no script
  // goes before the first paint; the admin keeps it under the same key of the browser's store, and is followed.
  const themes = ["auto", "light", "dark"], root = document.documentElement;
  const wear = (theme) => {
    root.dataset.theme = theme;
    store("theme", theme);
    document.cookie = `theme=${theme}; path=/; max-age=31536000; samesite=lax`;
  };
  const cycle = () => {
    wear(themes[(themes.indexOf(root.dataset.theme) + 1) % 3]);
    say(`Theme: ${root.dataset.theme}`);
  };
  const chosen = store("theme");
  if (themes.includes(chosen) && chosen !== root.dataset.theme) wear(chosen);

  // Run tree (treegrid): roving tabindex over visible rows.
  const rows = (grid) => $$("tbody tr:not([hidden])", grid);
  const level = (row) => +row.getAttribute("aria-level");
  const below = (row) => {
    const out = [];
    for (let r = row.nextElementSibling; r && level(r) > level(row); r = r.nextElementSibling) out.push(r);
    return out;
  };
  const roam = (row) => {
    if (!row) return;
    $$("tr[tabindex='0']", row.closest("table")).forEach((r) => { r.tabIndex = -1; });
    row.tabIndex = 0;
    row.focus();
    row.scrollIntoView({ block: "nearest" });
  };
  // How a tree is folded stands in the address, so that whatever reads it again finds it as it was left.
  const folded = (row, open) => {
    const at = new URL(location), id = row.id.slice("row-".length);
    for (const name of ["open", "closed"]) at.searchParams.delete(name, id);
    at.searchParams.append(open ? "open" : "closed", id);
    return at;
  };
  const fold = (row, open) => {
    if (!row.hasAttribute("aria-expanded")) return;
    if (row.dataset.more) { $(".c-tree__fold", row).click(); return; }
    history.replaceState(history.state, "", folded(row, open));
    unfold(row, open);
  };
  const unfold = (row, open) => {
    row.setAttribute("aria-expanded", open);
    let shut = Infinity;
    below(row).forEach((r) => {
      if (level(r) <= shut) shut = Infinity;
      r.hidden = !open || level(r) > shut;
      if (shut === Infinity && r.getAttribute("aria-expanded") === "false") shut = level(r);
    });
  };
  const parent = (row) => {
    let r = row.previousElementSibling;
    while (r && level(r) >= level(row)) r = r.previousElementSibling;
    return r;
  };
  const next = (grid, row, sel) => {
    const all = rows(grid), at = all.indexOf(row), hit = (r) => r.matches(sel);
    return all.slice(at + 1).find(hit) || all.find(hit);
  };
  const toLevel = (grid, row, shown) => {
    const at = new URL(location);
    for (const name of ["open", "closed", "from"]) at.searchParams.delete(name);
    at.searchParams.set("level", shown);
    if ($$("tr[data-kind]", grid).length < +grid.getAttribute("aria-rowcount")) {
      htmx.ajax("GET", tail(at), { target: "#traces-tree", swap: "outerHTML", push: "true" })
        .then(() => roam($("[role='treegrid'] tr[tabindex='0']")));
      return;
    }
    history.replaceState(history.state, "", at);
    $$("tr[aria-expanded]", grid).reverse().forEach((r) => unfold(r, level(r) < shown));
    if (row.hidden) roam(rows(grid)[0]);
  };
  const treeKeys = (e, grid, row) => {
    const all = rows(grid), at = all.indexOf(row), open = row.getAttribute("aria-expanded");
    switch (e.key) {
      case "ArrowDown": case "j": roam(all[at + 1]); break;
      case "ArrowUp": case "k": roam(all[at - 1]); break;
      case "Home": roam(all[0]); break;
      case "End": roam(all.at(-1)); break;
      case "ArrowRight": if (open === "false") fold(row, true); else if (open) roam(all[at + 1]); break;
      case "ArrowLeft": if (open === "true") fold(row, false); else roam(parent(row)); break;
      case "Enter": if (e.target !== row) return false; $("a[data-open]", row)?.click(); break;
      case "f": roam(next(grid, row, ".c-finding")); break;
      case "e": roam(next(grid, row, "[data-status='error']")); break;
      case "l": roam(next(grid, row, "[data-kind='llm']")); break;
      default:
        if (!/^[1-9]$/.test(e.key)) return false;
        toLevel(grid, row, +e.key);
    }
    return true;
  };

  // A stretch of a strip is chosen by drawing over its columns; a click takes one of them.
  let drawn = null;
  const column = (e) => e.target.closest?.("[data-brush] a");
  document.addEventListener("dragstart", (e) => { if (column(e)) e.preventDefault(); });
  document.addEventListener("pointerdown", (e) => { drawn = column(e); });
  document.addEventListener("pointerup", (e) => {
    const end = column(e);
    if (!drawn || !end || drawn === end || drawn.parentNode !== end.parentNode) return;
    const pair = drawn.compareDocumentPosition(end) & Node.DOCUMENT_POSITION_FOLLOWING ? [drawn, end] : [end, drawn];
    const [first, last] = pair.map((a) => new URL(a.getAttribute("href"), location.href));
    first.searchParams.set("q", first.searchParams.get("q").replace(/until:\S+/, last.searchParams.get("q").match(/until:\S+/)[0]));
    location.href = first;
  });

  // A browser takes what is half covered for seen; in a matrix its first column may stand on that half.
  document.addEventListener("focusin", (e) => {
    if (e.target.matches(".c-matrix :focus-visible")) e.target.scrollIntoView({ block: "nearest", inline: "nearest" });
  });

  // What takes more than a second says so on its button.
  document.addEventListener("submit", (e) => {
    const button = e.submitter;
    if (!button?.dataset.busy) return;
    button.textContent = button.dataset.busy;
    button.setAttribute("aria-disabled", "true");
    say(button.dataset.busy);
  });

  // Lists: j and k walk, Enter opens.
  const listStep = (by) => {
    const links = $$("[data-rows] a[data-open]");
    const at = links.indexOf(document.activeElement);
    links[Math.max(0, Math.min(links.length - 1, at + by))]?.focus();
    return links.length > 0;
  };

  const follow = (sel) => { const el = $(sel); el?.click(); return !!el; };
  const go = { h: "/", t: "/traces/", g: "/registry/", r: "/routing/", c: "/campaigns/", f: "/feedback/", d: "/diagnostics/", p: "/fleet/" };
  let pending = 0;
  const pageKeys = (e) => {
    if (pending && Date.now() - pending < 1200 && go[e.key]) { pending = 0; location.href = go[e.key]; return true; }
    pending = e.key === "g" ? Date.now() : 0;
    switch (e.key) {
      case "/": { const f = $("[data-filter]") || $("#search"); f?.focus(); f?.select(); return !!f; }
      case "?": return follow("[data-help]");
      case "j": return listStep(1);
      case "k": return listStep(-1);
      case "[": return follow("[data-previous]");
      case "]": return follow("[data-next]");
      case ".": return follow("[data-held]");
      case "r": return follow("[data-record]");
      case "Escape": { const row = $("tr[aria-selected='true']"); if (row?.hasAttribute("tabindex")) roam(row); return !!row; }
      default: return false;
    }
  };

  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || store("keys") === "off" && /^[^A-Z]$/.test(e.key)) return;
    const el = e.target;
    if (el.closest("input, textarea, select, [contenteditable], dialog")) return;
    const row = el.closest("[role='treegrid'] tbody tr");
    if ((row && treeKeys(e, row.closest("table"), row)) || pageKeys(e)) e.preventDefault();
  });

  // The list's filter: a suggestion fills the word being written; a finished one is a link and is followed.
  document.addEventListener("click", (e) => {
    const el = e.target.closest("[data-fill]"), field = $("[data-filter]");
    if (!el || !field || e.ctrlKey || e.metaKey || !el.dataset.fill.endsWith(":")) return;
    e.preventDefault();
    field.value = field.value.replace(/\S*$/, el.dataset.fill);
    field.focus();
    field.dispatchEvent(new Event("input", { bubbles: true }));
  });

  // Newer rows come by themselves while the reader is at the top and on no row; else they are held and counted.
  const busy = () => scrollY > 8 || document.activeElement?.closest?.("[data-rows], .c-filter");
  document.addEventListener("htmx:afterSettle", (e) => {
    const held = $("[data-held]");
    if (held && e.target.id === "traces-held" && !busy()) held.click();
  });

  // A part that is replaced keeps the place of whoever is in it: else the focus would fall to the top of the page,
  // every five seconds where the page reads itself again. And what it says anew is said aloud, once.
  const named = (el) => el.tagName + (el.id || el.getAttribute("href") || el.name || el.textContent.trim());
  const alike = (part, name) => $$("a, button, input, select, summary, [tabindex]", part).filter((el) => named(el) === name);
  const told = (part) => $$("[data-say]", part).map((el) => el.textContent.trim().replace(/\s+/g, " "));
  let asked = null, place = null, said = [];
  document.addEventListener("htmx:beforeRequest", () => { asked = document.activeElement; });
  document.addEventListener("htmx:beforeSwap", ({ detail: { target } }) => {
    const el = document.activeElement === document.body ? asked : document.activeElement;
    const name = el && target.contains(el) && named(el);
    place = name && { name, nth: alike(target, name).indexOf(el) };
    said = told(target);
  });
  document.addEventListener("htmx:afterSettle", (e) => {
    if (!e.target.isConnected) return;
    const news = told(e.target).filter((text) => !said.includes(text));
    if (news.length) say(news.join(" "));
    if (place && document.activeElement === document.body) {
      const el = alike(e.target, place.name)[place.nth] || $("h1, h2", e.target) || e.target;
      if (!el.matches("a, button, input, select, summary, [tabindex]")) el.tabIndex = -1;
      el.focus({ preventScroll: true });
    }
    place = null;
  });

  document.addEventListener("click", (e) => {
    const el = e.target.closest("[data-copy], [data-theme-cycle], [data-help], [data-close], [data-keys], .c-tree__fold");
    if (!el) return;
    if (el.dataset.copy !== undefined) {
      navigator.clipboard?.writeText(el.dataset.copy).then(() => say("Copied"), () => say("The browser refused to copy"));
    } else if (el.matches("[data-theme-cycle]")) cycle();
    else if (el.matches("[data-help]")) { const d = $("#keys"); if (!d?.showModal) return; d.showModal(); }
    else if (el.matches("[data-close]")) el.closest("dialog").close();
    else if (el.matches("[data-keys]")) { store("keys", store("keys") === "off" ? "on" : "off"); say(`Single keys are ${store("keys")}`); }
    else {
      const row = el.closest("tr");
      if (row.dataset.more || e.ctrlKey || e.metaKey) return;
      fold(row, row.getAttribute("aria-expanded") !== "true");
    }
    e.preventDefault();
  });

  // A link that fills a part of the page and becomes its address. Wired up by the click, not beforehand: a tree has
  // hundreds of them, and the page would wait for that.
  document.addEventListener("click", (e) => {
    const link = e.target.closest("a[data-into]");
    if (!link || !window.htmx || e.ctrlKey || e.metaKey || e.shiftKey) return;
    e.preventDefault();
    htmx.ajax("GET", inTree(link), { source: link, target: link.dataset.into, swap: "outerHTML", push: "true" })
      .then(() => { if (link.dataset.turn) $("[role='treegrid']").scrollIntoView({ block: link.dataset.turn }); });
  });
  // Its address with the tree as it stands: other rows may have been opened and closed since the link was written.
  const inTree = (link) => {
    if (link.matches(".c-tree__fold")) return tail(folded(link.closest("tr"), true));
    const to = new URL(link.href);
    if (link.dataset.into === "#traces-panel") {
      for (const [name, value] of new URL(location).searchParams) {
        if (["open", "closed", "level", "from", "find"].includes(name)) to.searchParams.append(name, value);
      }
    }
    return tail(to);
  };
  // An action under way is read again as the reader has it: the step and the tab they chose, the tree as it stands.
  const asLeft = () => {
    const at = new URL(location), step = $("tr[aria-selected='true'] a[data-open]");
    if (step) at.pathname = new URL(step.href).pathname;
    return tail(at);
  };
  document.addEventListener("htmx:configRequest", (e) => {
    if (e.target.matches?.("[data-live]")) e.detail.path = asLeft();
  });
  // What the reader did meanwhile would be lost in the answer; the next one knows it.
  document.addEventListener("htmx:beforeSwap", (e) => {
    const asked = e.detail.requestConfig;
    if (!asked?.elt.matches("[data-live]")) return;
    if (asked.path !== asLeft() || $("#traces-tree .htmx-request:not([data-live])")) e.detail.shouldSwap = false;
  });
  // What is being written there is not taken away by it.
  document.addEventListener("input", (e) => { if (e.target.form) e.target.form.dataset.written = ""; });

  // What was asked for last is what stands: its row is marked before its panel arrives, and an earlier answer is dropped.
  const forPanel = (detail) => detail.target?.id === "traces-panel" && detail.requestConfig?.verb === "get";
  document.addEventListener("htmx:beforeRequest", (e) => {
    if (!forPanel(e.detail)) return;
    const { pathname } = new URL(e.detail.requestConfig.path, location);
    $$("[role='treegrid'] a[data-open]").forEach((step) => {
      step.closest("tr").setAttribute("aria-selected", step.pathname === pathname);
    });
  });
  document.addEventListener("htmx:beforeSwap", (e) => {
    const step = forPanel(e.detail) && $("tr[aria-selected='true'] a[data-open]");
    if (step && step.pathname !== new URL(e.detail.requestConfig.path, location).pathname) e.detail.shouldSwap = false;
  });
  // A hidden page asks seldom; one poll in twelve (60 s instead of 5 s) goes out.
  let held = 0;
  document.addEventListener("htmx:beforeRequest", (e) => {
    if (e.detail.requestConfig?.triggeringEvent !== undefined || !e.target.matches?.("[hx-trigger*='every']")) return;
    const writing = e.target.matches("[data-live]") && $("#traces-tree form[data-written]");
    if (writing || document.hidden && ++held % 12) e.preventDefault();
  });
  document.addEventListener("htmx:afterSettle", (e) => local(e.target));
  // Said once while the server is away, and taken back by its next answer.
  document.addEventListener("htmx:sendError", () => {
    const a = $("#alerts");
    if (a && !a.dataset.away) a.textContent = a.dataset.away = "No answer from the server. What you see is the last state received.";
  });
  document.addEventListener("htmx:afterOnLoad", () => {
    const a = $("#alerts");
    if (!a?.dataset.away) return;
    if (a.textContent === a.dataset.away) a.textContent = "";
    delete a.dataset.away;
  });
  local(document);
  // With the first frame, which lays out the page anyway.
  requestAnimationFrame(() => $(".l-bar__nav [aria-current]")?.scrollIntoView({ inline: "center", block: "nearest" }));
})();
