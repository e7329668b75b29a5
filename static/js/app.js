// Live refresh, dialogs, ages and shortcuts. Every page works without it.
"use strict";

const ACTIVE_MS = 4000, HIDDEN_MS = 60000, IDLE_MS = 15 * 60 * 1000, MOST_MS = 60000;
const $ = (id) => document.getElementById(id);

// --- Morphing keeps what the reader has opened, typed, sent or drawn ------------------------------
const callbacks = window.Idiomorph.defaults.callbacks;
callbacks.beforeNodeMorphed = (old) => !(old instanceof Element && old.matches("[data-keep], form[data-sent]"));
callbacks.beforeAttributeUpdated = (name, node) => !(name === "open" && node.matches("details, dialog"));

// --- A form that is redrawn as it is filled in --------------------------------------------------
// An answer to what it was before is left out; once it is sent, nothing redraws it.
const outrun = new WeakSet();
for (const kind of ["input", "change"]) {
  document.addEventListener(kind, (event) => { if (event.target.form) outrun.add(event.target.form); });
}
document.addEventListener("htmx:beforeRequest", (event) => {
  // The form is the target, whether it asks itself or one of its buttons does.
  if (event.detail.target.dataset.sent) event.preventDefault();
  else outrun.delete(event.detail.target);
});
document.addEventListener("htmx:beforeSwap", (event) => {
  const form = event.detail.target;
  if (form.dataset.sent || outrun.has(form)) event.detail.shouldSwap = false;
});

// What a button reads in is no change of the form before that.
document.addEventListener("change", (event) => { if (event.target.matches("[data-read-in]")) event.stopPropagation(); }, true);
// A redraw that failed is said at the form until one comes through; a form that is sent needs none.
document.addEventListener("htmx:afterRequest", ({ detail }) => {
  if (detail.target.matches("form.start:not([data-sent])") && !detail.successful) $("not-redrawn").hidden = false;
});
document.addEventListener("htmx:afterSwap", ({ detail }) => {
  if (detail.target.matches("form.start")) $("not-redrawn").hidden = true;
});

// A browser that comes back to a form fills in what was there: one redraw, so that the rest of the form is of that too.
function refilled(field) {
  if (field.matches("[type=radio], [type=checkbox]")) return field.checked !== field.defaultChecked;
  if (field.matches("input, textarea")) return field.value !== field.defaultValue;
  return field.matches("select:has([selected])") && !field.selectedOptions[0]?.defaultSelected;
}
addEventListener("pageshow", () => {
  const form = document.querySelector("form.start");
  // What was refused stays as it was sent back, with its errors.
  if (form && !$("error-summary") && [...form.elements].some(refilled)) htmx.trigger(form, "change");
});

// --- Live refresh: a poll answers 204 while nothing has changed ---------------------------------
let failures = 0, lastAnswer = Date.now(), lastInput = Date.now(), timer = 0;
for (const kind of ["pointerdown", "keydown", "scroll"]) {
  addEventListener(kind, () => { lastInput = Date.now(); }, { passive: true });
}

function pause() {
  if (failures) return Math.min(ACTIVE_MS * 2 ** failures, MOST_MS);
  return document.hidden || Date.now() - lastInput > IDLE_MS ? HIDDEN_MS : ACTIVE_MS;
}
function schedule() {
  clearTimeout(timer);
  if ($("live")) timer = setTimeout(poll, pause());
}
function poll() {
  const live = $("live");
  const busy = live && live.contains(document.activeElement) && document.activeElement.matches("select, [data-armed]");
  if (live && !busy) htmx.trigger(live, "poll");
  schedule();
}
document.addEventListener("visibilitychange", () => { if (!document.hidden) poll(); });

const ofLive = (event) => event.detail.elt && event.detail.elt.id === "live";
document.addEventListener("htmx:afterRequest", (event) => {
  if (!ofLive(event)) return;
  if (event.detail.successful) { failures = 0; lastAnswer = Date.now(); } else failures += 1;
  connection();
  schedule();
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (event.detail.target && event.detail.target.id === "live") { tell(); ages(); document.dispatchEvent(new Event("live:changed")); }
});

function connection() {
  const bar = $("connection");
  if (!bar) return;
  bar.hidden = failures === 0;
  document.body.classList.toggle("offline", failures > 0);
  if (failures) bar.querySelector("[data-fill]").textContent = new Date(lastAnswer).toISOString().slice(11, 19) + " UTC";
}

// --- Title, favicon and announcements say what matters -------------------------------------------
let announced = null;
function tell() {
  const facts = document.querySelector("[data-announce]");
  if (!facts) return;
  const { announce, title, alert } = facts.dataset;
  if (announced !== null && announce && announce !== announced) $("announcer").textContent = announce;
  announced = announce;
  if (title) document.title = title;
  const icon = $("favicon");
  icon.dataset.calm ||= icon.getAttribute("href");
  icon.setAttribute("href", alert ? icon.dataset.alert : icon.dataset.calm);
}

// --- Ages stay true between two answers ---------------------------------------------------------
const UNITS = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
function span(seconds) {
  for (const [index, [length, unit]] of UNITS.entries()) {
    if (seconds < length) continue;
    const finer = UNITS[Math.min(index + 1, 3)], rest = Math.floor((seconds % length) / finer[0]);
    return `${Math.floor(seconds / length)} ${unit}` + (rest && "dh".includes(unit) ? ` ${rest} ${finer[1]}` : "");
  }
  return "0 s";
}
function ages() {
  for (const node of document.querySelectorAll("time.age")) {
    const seconds = Math.floor((Date.now() - Date.parse(node.dateTime)) / 1000);
    const text = seconds >= 0 ? (node.dataset.due ? "due now" : `${span(seconds)} ago`) : `in ${span(-seconds)}`;
    if (node.textContent !== text && !(node.textContent === "due now" && seconds >= 0)) node.textContent = text;
    const limit = node.closest("[data-stale-after]");
    if (limit) limit.classList.toggle("stale", seconds > Number(limit.dataset.staleAfter));
  }
}
setInterval(() => { if (!document.hidden) ages(); }, 1000);

// --- Dialogs: a link to a confirmation page opens it in place -----------------------------------
const dialog = $("dialog");
// A second answer, to a double click or another link, does not change the question under the reader's hands.
document.addEventListener("htmx:beforeSwap", (event) => {
  if (event.detail.target.id === "dialog-body" && dialog.open) event.detail.shouldSwap = false;
});
document.addEventListener("htmx:afterSwap", (event) => {
  if (dialog && event.detail.target.id === "dialog-body" && !dialog.open) {
    dialog.showModal();
    (dialog.querySelector("[autofocus]") || dialog.querySelector("a, button, input")).focus();
  }
});
// The page itself is the way when the dialog cannot be loaded.
for (const kind of ["htmx:sendError", "htmx:responseError", "htmx:timeout"]) {
  document.addEventListener(kind, (event) => {
    const link = event.detail.elt;
    if (link instanceof HTMLAnchorElement) location.assign(link.href);
  });
}
// A press beside a dialog closes it, the end of a selection that began in it does not.
let pressed = null;
document.addEventListener("pointerdown", (event) => { pressed = event.target; });
document.addEventListener("click", (event) => {
  const closer = event.target.closest("[data-close]");
  if (closer && closer.closest("dialog")) { event.preventDefault(); closer.closest("dialog").close(); }
  const opener = event.target.closest("[data-open]");
  if (opener) $(opener.dataset.open).showModal();
  if (event.target instanceof HTMLDialogElement && pressed === event.target) event.target.close();
});

// --- A form is sent once -------------------------------------------------------------------------
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (form.method === "get" || form.method === "dialog") return;
  if (form.dataset.sent) { event.preventDefault(); return; }
  form.dataset.sent = "1";
  setTimeout(() => form.querySelectorAll("button:not([type=button])").forEach((b) => { b.disabled = true; }));
});
function free() {
  for (const form of document.querySelectorAll("form[data-sent]")) {
    delete form.dataset.sent;
    form.querySelectorAll("button").forEach((b) => { b.disabled = false; });
  }
}
addEventListener("pageshow", (event) => { if (event.persisted) free(); });
// Whoever stops a page that does not come may send the form again.
if (window.navigation) navigation.addEventListener("navigateerror", free);
for (const select of document.querySelectorAll("form.filters select")) {
  select.addEventListener("change", () => select.form.requestSubmit());
}
const summary = $("error-summary");
if (summary) summary.focus();

// --- Single-key shortcuts, which can be switched off ---------------------------------------------
const SHORTCUTS = { gd: "/app/", gb: "/app/bots/", gt: "/app/trades/", n: "/app/bots/new/" };
const stored = () => { try { return localStorage.getItem("shortcuts") !== "off"; } catch { return true; } };
const toggle = $("shortcuts");
if (toggle) {
  toggle.checked = stored();
  toggle.addEventListener("change", () => { try { localStorage.setItem("shortcuts", toggle.checked ? "on" : "off"); } catch { /* private mode */ } });
  document.querySelector("[data-open=keyboard]").hidden = false;
}
let typed = "";
document.addEventListener("keydown", (event) => {
  if (!toggle || !stored() || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, select, textarea, [contenteditable]")) return;
  if (event.key === "?") { $("keyboard").showModal(); return; }
  const filter = document.querySelector("form.filters :is(input, select)");
  if (event.key === "/" && filter) { event.preventDefault(); filter.focus(); return; }
  typed = event.key === "g" ? "g" : typed + event.key;
  const to = SHORTCUTS[typed];
  typed = typed === "g" ? "g" : "";
  if (to) location.assign(to);
});

tell();
ages();
schedule();
