// The page at /: everything it shows comes from /rollcall.js and /api/v1. What arrives changes plain data; once a frame,
// at most, the data is drawn. No text ever becomes HTML.
import { connect } from "/rollcall.js";

const $ = (id) => document.getElementById(id);
const facts = Object.fromEntries(document.querySelector("meta[name=rollcall]").content.split(" ").map((fact) => fact.split("=")));
const PEOPLE_MAX = 1000, LOG_ROWS = 60, TALK_MAX = 200, ROW = 48, CHART_POINTS = 120;

/** Who speaks where nobody does: the API. */
const API = "the server";

const query = new URLSearchParams(location.search);
const stored = (key) => sessionStorage.getItem(`rollcall.${key}`);
const store = (key, value) => sessionStorage.setItem(`rollcall.${key}`, value);
/** Whether everybody is taken at their word; a server may have been started anew, and want a token by now. */
let open = facts.auth === "none";
const HOME = query.get("room") || "lobby";

/** A token or a key behind the # reaches no server and no log; it does not stay in the address either. */
function takeHanded() {
  const handed = new URLSearchParams(location.hash.slice(1));
  const taken = ["token", "key"].filter((what) => handed.get(what));
  for (const what of taken) store(what, handed.get(what));
  if (taken.length) history.replaceState(null, "", location.pathname + location.search);
  return taken;
}
takeHanded();

/** Made up, and kept for this window: a reload is the same person, a new window is somebody else. */
function newName() {
  const pick = (words) => words.split(" ")[Math.floor(Math.random() * words.split(" ").length)];
  return `${pick("amber brisk calm clever dapper early fond gentle happy keen lively merry noble quick quiet sunny swift tidy warm witty")}-${
    pick("badger beaver crane dolphin falcon finch fox hare heron ibis lark lynx marten otter owl puffin raven robin seal swan")}`;
}

const NAME_RULE = "any text of up to 128 bytes without *";
const isName = (text) => text !== "" && new TextEncoder().encode(text).length <= 128 && !/[\u0000-\u001f\u007f-\u009f*]/.test(text);

let name = query.get("user") || stored("name") || newName();
store("name", name);

// ---------------------------------------------------------------------------------------------------- what is known

/** By name: {user, state, connections, since, rtt, seen}. Order of arrival, so that nothing jumps. */
const people = new Map();
const rooms = new Map([[HOME, { count: 0, talk: [], unread: 0 }]]);
const log = [];
const toWatch = new Set();
let room = HOME, me = null, drawn = {}, paused = false, passed = 0;
let dirty = new Set();

/** Has these drawn in the next frame. */
function draw(...parts) {
  if (!dirty.size) requestAnimationFrame(frame);
  for (const part of parts) dirty.add(part);
}

function frame() {
  const parts = dirty;
  dirty = new Set();
  if (parts.has("people")) { drawCount(); drawList(); }
  if (parts.has("list")) drawList();
  if (parts.has("talk")) drawTalk();
  if (parts.has("rooms")) drawRooms();
  if (parts.has("log")) drawLog();
}

function saw(user, view) {
  const known = people.get(user);
  if (!known && (view.state === "offline" || people.size >= PEOPLE_MAX)) return;
  const person = known ?? { user, since: Date.now(), seen: performance.now() };
  if (person.state !== view.state) {
    person.since = view.since_ms ?? (known ? Date.now() : view.last_seen_ms ?? Date.now());
    if (person.state === "offline") person.seen = performance.now();
    // The row stays for a moment, so that one sees who went.
    clearTimeout(person.leaving);
    if (view.state === "offline") person.leaving = setTimeout(() => forget(user), 15000);
  }
  if (view.state) person.state = view.state;
  person.connections = view.connections ?? person.connections;
  person.reason = view.reason;
  if (view.info !== undefined) person.role = typeof view.info?.role === "string" ? view.info.role : "";
  if (view.info !== undefined) person.rtt = typeof view.info?.rtt_ms === "number" ? view.info.rtt_ms : null;
  if (!known) {
    people.set(user, person);
    if (!toWatch.size) setTimeout(watchNew, 100);
    toWatch.add(user);
  }
  draw("people");
}

function forget(user) {
  people.delete(user);
  toWatch.delete(user);
  me.unwatch([user]).catch(() => {});
  draw("people");
}

async function watchNew() {
  const users = [...toWatch];
  toWatch.clear();
  const views = await me.watch(users).catch(fail);
  for (const view of views ?? []) saw(view.user, view);
}

// ---------------------------------------------------------------------------------------------------- the connection

let isCut = false, line = null, requests = new AbortController();

/** The line to the server, which one may cut to see what comes of it: then no other one comes about. */
function Line(url, protocols) {
  line = isCut ? { close() {}, send() {} } : new WebSocket(url, protocols);
  const mine = line;
  if (isCut) setTimeout(() => mine.onclose?.({ code: 1006, reason: "" }));
  return line;
}

/** The same of requests, where those carry it. */
function fetchByLine(url, options) {
  if (isCut) return Promise.reject(new TypeError("the line is cut"));
  return fetch(url, { ...options, signal: AbortSignal.any([options.signal, requests.signal]) });
}

function cut(wanted) {
  isCut = wanted;
  $("cut").setAttribute("aria-pressed", String(isCut));
  $("cut").textContent = isCut ? "Mend your line" : "Cut your line";
  if (!isCut) return me.retry();
  line?.close();
  requests.abort();
  requests = new AbortController();
}
$("cut").onclick = () => cut(!isCut);

function start() {
  me?.close();
  for (const { leaving } of people.values()) clearTimeout(leaving);
  people.clear();
  toWatch.clear();
  const token = stored("token");
  me = connect({
    user: open ? name : undefined,
    token: token || undefined,
    heartbeatMs: 5000,
    env: { WebSocket: Line, fetch: fetchByLine },
  });
  window.rollcall = me;
  $("gate").hidden = open || Boolean(token) || facts.side === "admin";
  // Without a token there is no use in trying.
  if (!open && !token) me.close();
  ending = !open && !token ? "waits for a token" : "";
  const mine = me;
  const on = (event, listener) => me.on(event, (detail, name) => mine === me && listener(detail, name));
  on("state", linkChanged);
  on("welcome", welcomed);
  on("presence", (view) => saw(view.user, view));
  on("join", ({ room, user, count }) => {
    // The server may put one into a room.
    if (user === me.user && !rooms.has(room)) rooms.set(room, { count: 0, talk: [], unread: 0 });
    counted(room, count);
    aside(room, `${user} came`);
  });
  on("leave", ({ room, user, count }) => {
    counted(room, count);
    aside(room, `${user} left`);
  });
  on("room", ({ room, count }) => counted(room, count));
  on("left", ({ room }) => takenOut(room));
  on("rejoin", ({ room, count, ...story }) => {
    counted(room, count);
    aside(room, `back; ${meanwhile(room, story)}`);
  });
  on("say", ({ room, from, data, time_ms }) => said(room, { from: from ?? API, text: textOf(data), time: time_ms }));
  on("tell", ({ from, data }) => toast(data?.wave ? `${from} waves at you.` : `${from}: ${textOf(data)}`));
  on("broadcast", ({ data }) => toast(`To everybody: ${textOf(data)}`));
  on("rtt", measured);
  on("carrier", () => linkChanged({ state: me.state }));
  on("closed", ended);
  on("stuck", ({ code, reason, retry }) => {
    if (code === 4401) return gate(`The server said: ${reason || "a token is needed"}.`);
    toast(
      facts.side === "admin" ? "This address is for operators: presence is on the other one (--listen)." : `The server does not answer${code && code !== 1006 ? ` (${code} ${reason})` : ""}.`,
      retry,
    );
  });
  // The client tries these again: there is nothing to do.
  on("warning", ({ error, room }) => {
    if ([429, 503, "timeout"].includes(error.code)) return;
    if (room !== undefined && rooms.has(room)) refused(room, error);
    else fail(error);
  });
  me.on("*", (detail, event) => note(event, detail));
  // What was closed before anybody listened has told nobody.
  linkChanged({ state: me.state });
  for (const each of rooms.keys()) enter(each);
  me.members(HOME, { limit: PEOPLE_MAX }).on("change", ({ users, count }) => {
    if (mine !== me) return;
    counted(HOME, count);
    for (const view of users) if (view.state !== "unknown" && people.get(view.user)?.state !== view.state) saw(view.user, view);
  });
}

function meanwhile(room, { missed, recovered, gap }) {
  if (missed === null) return "the server is a new one";
  if (!missed) return "nothing was missed";
  const lost = recovered ? 0 : gap.to - gap.from + 1;
  if (!lost) return missed === 1 ? "this was said meanwhile" : `these ${missed} were said meanwhile`;
  const what = `${missed} messages were said meanwhile`;
  return lost < missed ? `${what}, and ${missed - lost} of them are kept` : `${what}; the room keeps none (--history "${room}=100")`;
}

const textOf = (data) => data instanceof ArrayBuffer ? `${data.byteLength} bytes` : (typeof data === "string" ? data : typeof data?.text === "string" ? data.text : JSON.stringify(data));

async function enter(name) {
  try {
    const { count, offset } = await me.join(name);
    counted(name, count);
    // What was said before one came, where the room keeps it.
    const { messages } = await me.history(name, { before: offset + 1, limit: TALK_MAX }).catch(() => ({ messages: [] }));
    const known = rooms.get(name);
    if (!known || !messages.length) return;
    const past = messages.map(({ deleted, from, data, time_ms }) => deleted ? { aside: "deleted" } : { from: from ?? API, text: textOf(data), time: time_ms });
    known.talk = [...past, ...known.talk].slice(-TALK_MAX);
    known.total = (known.total ?? 0) + past.length;
    if (name === room) drawn = {};
    draw("talk");
  } catch (error) {
    if (error.code !== "closed") refused(name, error);
  }
}

/** A room that the server keeps this user out of is no room to talk in. */
function refused(name, error) {
  const known = rooms.get(name);
  if (!known || known.refused) return;
  toast(`${name}: ${error.message}`);
  if (name === HOME) {
    known.refused = error.message;
    said(name, { aside: `You can't come into ${name}: ${error.message}` });
    return draw("rooms", "talk");
  }
  rooms.delete(name);
  if (room === name) room = HOME;
  draw("rooms", "talk");
}

function takenOut(name) {
  toast(`You were taken out of ${name}.`);
  if (name === HOME) return;
  rooms.delete(name);
  if (room === name) room = HOME;
  draw("rooms", "talk");
}

function welcomed({ user }) {
  if (user) {
    name = user;
    store("name", name);
  }
  $("gate").hidden = true;
  $("why").textContent = "";
  for (const known of rooms.values()) known.refused = "";
  $("name").value = name;
  $("name").readOnly = !open;
  const others = (query.get("watch") ?? "").split(",").filter(Boolean);
  if (others.length) me.watch(others).then((views) => views.forEach((view) => saw(view.user, view)), fail);
  if (user) saw(user, { state: "online", connections: people.get(user)?.connections ?? 1 });
  hush();
}

/** Why the connection is over for good, in a few words; empty while it is not. */
let ending = "";
/** Tries that led nowhere since the connection was there. */
let tries = 0;

const CARRIED = { websocket: "by WebSocket", events: "by an event stream", poll: "by polls" };
const linked = () => `connected ${CARRIED[me.carrier] ?? ""}`;

function linkChanged({ state, wait_ms: wait }) {
  const link = $("link");
  if (state === "open") tries = 0;
  if (state === "waiting" || state === "stuck") tries += 1;
  // From the second try on it is no longer on its way, but without a server.
  const shown = state === "connecting" && tries > 1 ? "stuck" : state;
  link.dataset.state = shown;
  const texts = { open: linked(), connecting: tries ? "no connection: trying again" : "connecting", stuck: "no connection", closed: ending || "disconnected" };
  link.lastElementChild.textContent = texts[state] ?? `no connection: again in ${Math.max(1, Math.round((wait ?? 0) / 1000))} s`;
  document.body.dataset.link = state;
  draw("people", "rooms");
}

function ended({ code, reason, byServer }) {
  if (!byServer) return;
  if (code === 4401) return gate(`The server said: ${reason || "the token is missing, wrong or over"}.`);
  if (code === 4403 && reason.includes("origin")) {
    ending = "this page may not connect";
    toast(`The server lets in no page of ${location.origin}. Start it with --origin ${location.origin}, or have the proxy in front of it pass on the Host.`, start);
  } else {
    ending = { 4403: "sent away", 4409: "in another window" }[code] ?? "ended by the server";
    const why = { 4403: "You were sent away", 4409: "You came in elsewhere, and this window gave way" }[code] ?? "The server ended it";
    toast(`${why}${reason ? ` (${reason})` : ""}.`, start);
  }
  linkChanged({ state: "closed" });
}

function gate(why) {
  sessionStorage.removeItem("rollcall.token");
  open = false;
  offer();
  ending = "waits for a token";
  me.close();
  linkChanged({ state: "closed" });
  $("gate").hidden = false;
  $("why").textContent = why;
}

let sharedRtt = 0, sharedAt = -Infinity;

function measured({ rtt_ms: rtt }) {
  series.rtt.push(rtt);
  figure("rtt", span(rtt));
  if (me.state === "open") $("link").lastElementChild.textContent = `${linked()} · ${span(rtt)}`;
  // The others see it in the list. In a crowd it would be most of what passes.
  const now = performance.now();
  if (!open || me.user === null || now - sharedAt < (people.size > 50 ? 60000 : 10000)) return;
  if (Math.abs(rtt - sharedRtt) < Math.max(0.5, sharedRtt / 4)) return;
  [sharedRtt, sharedAt] = [rtt, now];
  me.status(undefined, { rtt_ms: Math.round(rtt * 10) / 10 }).catch(fail);
}

const span = (ms) => (ms < 1 ? `${Math.round(ms * 1000)} µs` : ms < 10 ? `${ms.toFixed(1)} ms` : ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

// ---------------------------------------------------------------------------------------------------- people

function counts() {
  const states = [...people.values()].map(({ state }) => state);
  const of = (state) => states.filter((one) => one === state).length;
  // Whatever else a server may say of somebody: here is who is not offline.
  return { online: of("online"), busy: of("busy"), away: of("away"), offline: of("offline"), here: states.length - of("offline") };
}

function drawCount() {
  const of = counts();
  // The server's own counts, where it tells them, are of everybody; without its key only this room is known.
  const here = Math.max(of.here, rooms.get(HOME).count, users);
  const live = me.state === "open", tells = connections > 0;
  $("count").textContent = live || here ? here.toLocaleString("en") : "–";
  $("noun").textContent = `${here === 1 ? "person" : "people"} ${tells ? "here" : `in ${HOME}`} ${live ? "now" : "when last known"}`;
  const all = connections > Math.max(here, 1) + guests.size ? `${connections.toLocaleString("en")} connections in all: some have no name, or are somebody's second one.` : "";
  set($("all"), all);
  $("lead").textContent = !live
    ? `${ending ? `Not connected: ${ending}.` : "Not connected."} Whoever you see here is as it was last known.`
    : here <= 1
      ? "So far that is you. Add a second person, and watch them come, go away and leave."
      : `${of.online.toLocaleString("en")} online${of.busy ? `, ${of.busy.toLocaleString("en")} busy` : ""}${of.away ? `, ${of.away.toLocaleString("en")} away` : ""}. Whoever comes, goes or falls silent shows here within moments.`;
  document.title = live ? `${here} here · rollcall` : "rollcall";
  $("more").textContent = people.size < here
    ? `and ${(here - of.here).toLocaleString("en")} more`
    : of.offline ? `${of.offline} left a moment ago` : "\u00a0";
  drawCrowd();
}

const hue = (user) => {
  let hash = 7;
  for (const char of user) hash = (hash * 31 + char.charCodeAt(0)) >>> 0;
  return hash % 360;
};

const byUser = new Map();
let order = [];

/** Only the rows that can be seen exist; each keeps its person, and glides where another leaves. */
function drawList() {
  const find = $("find").value.trim().toLowerCase();
  const mine = people.get(name);
  order = [...people.values()].filter((one) => one !== mine && (!find || one.user.toLowerCase().includes(find)));
  if (mine && (!find || name.toLowerCase().includes(find))) order.unshift(mine);
  const list = $("list"), rows = $("rows");
  rows.style.height = `${order.length * ROW}px`;
  const first = Math.max(0, Math.floor(list.scrollTop / ROW) - 2);
  const shown = order.slice(first, first + Math.ceil(list.clientHeight / ROW) + 4);
  const keep = new Set(shown.map(({ user }) => user));
  const spare = [];
  for (const [user, row] of byUser) {
    if (!keep.has(user)) { byUser.delete(user); spare.push(row); }
  }
  shown.forEach((person, i) => {
    let row = byUser.get(person.user);
    if (!row) {
      row = spare.pop() ?? newRow(rows);
      byUser.set(person.user, row);
      fresh(row, person);
    }
    fill(row, person);
    const at = `translateY(${(first + i) * ROW}px)`;
    if (row.style.transform !== at) row.style.transform = at;
  });
  for (const row of spare) row.remove();
}

const element = (tag, parent, text) => {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  parent?.append(made);
  return made;
};

/** Writes only what changed: most of a list does not, from one frame to the next. */
const set = (node, text) => { if (node.textContent !== text) node.textContent = text; };

function newRow(rows) {
  const row = element("div", rows);
  row.className = "row";
  row.setAttribute("role", "listitem");
  row.face = element("div", row);
  row.face.className = "face";
  const names = element("div", row);
  const title = element("b", names);
  row.title_ = element("span", title);
  row.you = element("em", title);
  row.detail = element("small", names);
  row.rtt = element("time", row);
  row.wave = element("button", row, "Wave");
  row.wave.onclick = () => me.tell(row.person.user, { wave: true }).then(() => toast(`You waved at ${row.person.user}.`), fail);
  return row;
}

function fresh(row, person) {
  row.person = person;
  const parts = person.user.split(/[-._:@|+/ ]+/).filter(Boolean).map((part) => [...part]);
  row.face.textContent = ((parts[0]?.[0] ?? "?") + (parts[1]?.[0] ?? parts[0]?.[1] ?? "")).toUpperCase();
  row.face.style.background = `hsl(${hue(person.user)} 42% 46%)`;
  row.wave.title = `Wave at ${person.user}`;
  row.wave.setAttribute("aria-label", row.wave.title);
  row.classList.remove("new");
  // It takes its place at once; from then on it glides.
  row.style.transition = "none";
  requestAnimationFrame(() => requestAnimationFrame(() => { row.style.transition = ""; }));
}

function fill(row, person) {
  row.person = person;
  if (row.dataset.user !== person.user) row.dataset.user = person.user;
  if (row.dataset.state !== person.state) row.dataset.state = person.state;
  row.classList.toggle("new", performance.now() - person.seen < 1000 && person.state !== "offline");
  set(row.title_, person.user);
  set(row.you, `${person.role ? ` ${person.role}` : ""}${person.user === name ? " you" : ""}`);
  const devices = person.connections > 1 ? ` · ${person.connections} devices` : "";
  const gone = { timeout: "gone silent", kicked: "sent away", expired: "token over", drain: "server restarts" }[person.reason] ?? "left";
  set(row.detail, person.state === "offline" ? `${gone} · ${ago(person.since)}` : `${person.state}${devices} · ${ago(person.since)}`);
  set(row.rtt, person.state !== "offline" && person.rtt ? span(person.rtt) : "");
  row.wave.hidden = person.user === name || person.state === "offline";
}

function ago(time) {
  const seconds = Math.max(0, (Date.now() - time) / 1000);
  if (seconds < 5) return "just now";
  if (seconds < 60) return `${Math.floor(seconds / 5) * 5} s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min`;
  return seconds < 86400 ? `${Math.floor(seconds / 3600)} h` : `${Math.floor(seconds / 86400)} d`;
}

// ---------------------------------------------------------------------------------------------------- canvases

const paint = {};

function colours() {
  const style = getComputedStyle(document.documentElement);
  for (const key of ["on", "bad", "away", "late", "off", "line", "soft", "ink"]) paint[key] = style.getPropertyValue(`--${key}`).trim();
}

function surface(canvas) {
  const { clientWidth: width, clientHeight: height } = canvas, ratio = window.devicePixelRatio || 1;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(ratio, 0, 0, ratio, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** A dot for everybody, as big as they fit; who just came sends out a ring. */
function drawCrowd() {
  const { pen, width, height } = surface($("crowd"));
  const all = [...people.values()];
  let size = 26;
  while (size > 5 && Math.floor(width / size) * Math.floor(height / size) < all.length) size -= 1;
  const columns = Math.max(1, Math.floor(width / size)), now = performance.now();
  let moving = false;
  const fills = { online: paint.on, busy: paint.bad, away: paint.away, invisible: paint.line, suspect: paint.late, offline: paint.line };
  all.forEach((person, i) => {
    const x = (i % columns) * size + size / 2, y = Math.floor(i / columns) * size + size / 2;
    if (y > height) return;
    const age = still.matches ? 1 : Math.min(1, (now - person.seen) / 700), radius = size * 0.36;
    pen.fillStyle = fills[person.state] ?? paint.off;
    pen.beginPath();
    pen.arc(x, y, radius * (age < 1 ? 1 - (1 - age) ** 3 : 1), 0, 7);
    pen.fill();
    if (age < 1 && person.state !== "offline") {
      moving = true;
      pen.globalAlpha = 1 - age;
      pen.strokeStyle = pen.fillStyle;
      pen.beginPath();
      pen.arc(x, y, radius * (1 + age), 0, 7);
      pen.stroke();
      pen.globalAlpha = 1;
    }
  });
  if (moving && !drawCrowd.next) drawCrowd.next = requestAnimationFrame(() => { drawCrowd.next = 0; drawCrowd(); });
}

const series = { connections: [], messages: [], lateness: [], rtt: [] };
const tones = { connections: "on", messages: "late", lateness: "away", rtt: "on" };

/** When each point of a chart was taken. */
const times = { connections: [], messages: [], lateness: [], rtt: [] };

/** A value at a chart's axis. */
const label = (key, value) => (key === "lateness" || key === "rtt" ? span(value) : value < 10 ? value.toFixed(1).replace(".0", "") : Math.round(value).toLocaleString("en"));

function figure(key, text) {
  $(`v-${key}`).textContent = text;
  times[key].push(Date.now());
  times[key].splice(0, times[key].length - CHART_POINTS);
  drawChart(key);
}

/** Figures that are no longer told are taken down: old ones would be taken for true. */
function forgetFigures() {
  before = null;
  users = connections = lateness.length = 0;
  for (const key of ["connections", "messages", "lateness"]) {
    series[key].length = times[key].length = 0;
    $(`v-${key}`).textContent = "–";
    drawChart(key);
  }
  draw("people");
}

function drawChart(key) {
  const values = series[key];
  values.splice(0, values.length - CHART_POINTS);
  const { pen, width, height } = surface($(`c-${key}`));
  const most = Math.max(...values, 0);
  const top = Math.max(most, Number.MIN_VALUE) * 1.15, step = width / (CHART_POINTS - 1);
  set($(`t-${key}`), most > 0 ? label(key, most) : "");
  set($(`f-${key}`), times[key].length > 1 ? `${ago(times[key][0])} ago`.replace("just now ago", "just now") : "");
  pen.strokeStyle = paint.line;
  pen.lineWidth = 1;
  pen.beginPath();
  for (const y of [0.5, height / 2, height - 0.5]) { pen.moveTo(0, y); pen.lineTo(width, y); }
  pen.stroke();
  if (!values.length) return;
  const x = (i) => width - (values.length - 1 - i) * step, y = (value) => height - 1.5 - (value / top) * (height - 4);
  pen.beginPath();
  values.forEach((value, i) => pen.lineTo(x(i), y(value)));
  pen.strokeStyle = pen.fillStyle = paint[tones[key]];
  pen.lineWidth = 1.75;
  pen.lineJoin = "round";
  pen.stroke();
  pen.lineTo(width, height);
  pen.lineTo(x(0), height);
  pen.globalAlpha = 0.12;
  pen.fill();
  pen.globalAlpha = 1;
  pen.beginPath();
  pen.arc(width - 2.5, y(values.at(-1)), 2.5, 0, 7);
  pen.fill();
}

// ---------------------------------------------------------------------------------------------------- figures

let before = null, users = 0, connections = 0, census = 0;

async function api(path) {
  const key = stored("key");
  const headers = key ? { Authorization: `Bearer ${key}` } : {};
  return fetch(`/api/v1/${path}`, { headers, cache: "no-store", signal: AbortSignal.timeout(8000) });
}

/** Asks for the key of the API, or says why there is nothing to show. */
function noFigures(why, wantsKey) {
  $("key").hidden = false;
  $("key-why").textContent = why;
  for (const field of $("key").querySelectorAll("input,button")) field.hidden = !wantsKey;
}

/** Once a second while somebody looks; where the server wants a key, the page asks for it and goes on without. */
async function poll() {
  const turn = (poll.turn = (poll.turn ?? 0) + 1);
  let again = 1000;
  try {
    if (document.visibilityState === "visible") again = await ask();
  } catch {
    // The server is away: the next answer is the first of a new row.
    forgetFigures();
  }
  // A key that was entered meanwhile has begun another round.
  if (turn !== poll.turn) return;
  clearTimeout(poll.next);
  poll.next = setTimeout(poll, again);
}

async function ask() {
  if (facts.side === "public") {
    noFigures("The charts need the API, which is on the operators' address here (--admin-listen).", false);
    return 60000;
  }
  const wanted = "The charts need the API's key: it stands in the address that the server printed, and `rollcall key` prints it.";
  if (!stored("key") && facts.side === "whole") {
    if ($("key").hidden) noFigures(wanted, true);
    return 1000;
  }
  const answer = await api("stats");
  if (!answer.ok) {
    const wants = answer.status === 401 || answer.status === 403;
    if (wants) sessionStorage.removeItem("rollcall.key");
    forgetFigures();
    noFigures(wants ? `That key is not this server's: it answers ${answer.status}. A server without a key of yours makes a new one at each start; \`rollcall key\` prints it.` : `The API answers ${answer.status}.`, wants);
    return wants ? 1000 : 5000;
  }
  $("key").hidden = true;
  const stats = await answer.json();
  users = stats.users;
  connections = stats.websockets ?? 0;
  draw("people");
  // Who is connected but not in the lobby: another program, another page.
  if (open && users !== counts().here && performance.now() - census > 3000) await everybody();
  const now = performance.now(), messages = (stats.messages_received ?? 0) + (stats.messages_sent ?? 0);
  series.connections.push(stats.connections);
  figure("connections", stats.connections.toLocaleString("en"));
  if (before) {
    const rate = Math.max(0, (messages - before.messages) / ((now - before.now) / 1000));
    series.messages.push(rate);
    figure("messages", rate < 10 ? rate.toFixed(1) : Math.round(rate).toLocaleString("en"));
  }
  before = { now, messages };
  lateness.push(stats.lateness.buckets);
  const late = p99(lateness.at(-1), lateness.length > LATE_POLLS ? lateness.shift() : lateness[0]);
  if (late !== null) {
    series.lateness.push(late);
    figure("lateness", `≤ ${span(late)}`);
  }
  return 1000;
}

async function everybody() {
  let after = "", seen = 0;
  do {
    const page = await (await api(`users?limit=256${after}`)).json();
    for (const view of page.users ?? []) saw(view.user, view);
    seen += page.users?.length ?? PEOPLE_MAX;
    after = page.next && `&after=${encodeURIComponent(page.next)}`;
  } while (after && seen < PEOPLE_MAX);
  census = performance.now();
}

const lateness = [], LATE_POLLS = 10;

/** The 99th percentile, in ms, of what came between two histograms: bucket i ends at 2^i µs. */
function p99(now, then) {
  const counts = now.map((count, i) => count - then[i]), all = counts.reduce((sum, count) => sum + count, 0);
  let seen = 0;
  const bucket = counts.findIndex((count) => (seen += count) >= all * 0.99 && all > 0);
  return bucket < 0 ? null : 2 ** bucket / 1000;
}

// ---------------------------------------------------------------------------------------------------- rooms

function counted(name, count) {
  const known = rooms.get(name);
  if (!known || count === undefined || known.count === count) return;
  known.count = count;
  draw("rooms");
  if (name === HOME) draw("people");
}

function said(name, line) {
  const known = rooms.get(name);
  if (!known) return;
  known.talk.push(line);
  if (known.talk.length > TALK_MAX) known.talk.shift();
  known.total = (known.total ?? 0) + 1;
  if (name !== room) { known.unread += 1; draw("rooms"); } else draw("talk");
}

/** What happened in a room; in a crowd it would drown what is said. */
const aside = (name, text) => (rooms.get(name)?.count ?? 0) <= 30 && said(name, { aside: text });

function drawTalk() {
  const talk = $("talk"), known = rooms.get(room);
  for (const field of $("say").elements) field.disabled = Boolean(known.refused);
  const atEnd = talk.scrollHeight - talk.scrollTop - talk.clientHeight < 60;
  const from = drawn.room === room ? drawn.total : 0;
  if (drawn.room !== room) talk.replaceChildren();
  const news = known.talk.slice(-Math.min(known.talk.length, (known.total ?? 0) - from || Infinity));
  if ((known.total ?? 0) > from) for (const line of news) {
    const item = document.createElement("li");
    if (line.aside) {
      item.className = "aside";
      item.textContent = line.aside;
    } else {
      const who = element("b", item, line.from);
      who.style.color = `hsl(${hue(line.from)} 45% ${dark.matches ? 68 : 38}%)`;
      item.append(line.text);
      if (line.time) item.title = new Date(line.time).toLocaleTimeString();
    }
    talk.append(item);
  }
  while (talk.childElementCount > TALK_MAX) talk.firstElementChild.remove();
  drawn = { room, total: known.total ?? 0 };
  if (atEnd || !from) talk.scrollTop = talk.scrollHeight;
}

function drawRooms() {
  const tabs = $("rooms");
  const wanted = [...rooms.keys()];
  for (const tab of [...tabs.querySelectorAll("button")]) if (!rooms.has(tab.dataset.room)) tab.remove();
  for (const name of wanted) {
    let tab = tabs.querySelector(`[data-room="${CSS.escape(name)}"]`);
    if (!tab) {
      tab = document.createElement("button");
      tab.dataset.room = name;
      tab.setAttribute("role", "tab");
      tab.setAttribute("aria-controls", "talk-panel");
      element("span", tab, `${name} `);
      element("small", tab);
      tab.onclick = () => { room = name; rooms.get(name).unread = 0; draw("rooms", "talk"); };
      tabs.append(tab);
    }
    const { count, unread, refused } = rooms.get(name);
    tab.setAttribute("aria-selected", String(name === room));
    tab.tabIndex = name === room ? 0 : -1;
    set(tab.lastElementChild, refused ? "not let in" : unread ? `${count} · ${unread} new` : String(count));
  }
}

// As in every list of tabs: arrows go through the tabs, Tab goes past them.
$("rooms").onkeydown = (event) => {
  const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  const tabs = [...$("rooms").children], at = tabs.indexOf(document.activeElement);
  if (!step || at < 0) return;
  event.preventDefault();
  const next = tabs[(at + step + tabs.length) % tabs.length];
  next.click();
  next.focus();
};

$("enter").onsubmit = (event) => {
  event.preventDefault();
  const field = event.target.room, name = field.value.trim();
  if (!name) return;
  if (!isName(name)) return toast(`A room's name is ${NAME_RULE}.`);
  field.value = "";
  if (!rooms.has(name)) { rooms.set(name, { count: 0, talk: [], unread: 0 }); enter(name); }
  room = name;
  draw("rooms", "talk");
};

// ---------------------------------------------------------------------------------------------------- the log

const clock = () => new Date().toISOString().slice(11, 22);

function note(event, detail) {
  if (event === "rtt" || (event === "command" || event === "answer") && detail.cmd === "heartbeat") return;
  passed += 1;
  if (paused) return;
  const way = event === "command" ? "out" : ["state", "carrier", "rejoin", "left", "renewed", "warning", "stuck", "closed"].includes(event) ? "self" : "in";
  const { seq, cmd, params, body, ...rest } = detail ?? {};
  const text = way === "out" ? `${cmd} ${brief(params)}` : event === "answer" ? `${body.code} ${cmd} ${brief({ ...body, code: undefined })}` : `${event} ${brief(rest)}`;
  log.unshift({ time: clock(), way, text, detail });
  if (log.length > LOG_ROWS) log.length = LOG_ROWS;
  draw("log");
}

const brief = (value) => (value === undefined ? "" : JSON.stringify(value, plain)?.slice(0, 240) ?? "");

const lines = Array.from({ length: 12 }, () => {
  const line = element("li", $("log"));
  line.tabIndex = 0;
  line.setAttribute("role", "button");
  line.title = "Show all of it";
  const show = () => line.entry && showWhole(line.entry);
  line.onclick = show;
  line.onkeydown = (event) => { if (event.key === "Enter" || event.key === " ") { event.preventDefault(); show(); } };
  return { line, time: element("time", line), way: element("i", line), text: element("span", line) };
});

const plain = (_, inner) => (inner instanceof Error ? inner.message : inner);

/** A line of the log has room for its beginning; here is all of it. */
function showWhole({ time, text, detail }) {
  const whole = $("whole");
  whole.querySelector("code").textContent = `${time} ${text.split(" ", 1)[0]}\n${JSON.stringify(detail, plain, 2)}`;
  whole.hidden = false;
}
$("whole").firstElementChild.onclick = () => { $("whole").hidden = true; };

function drawLog() {
  lines.forEach(({ line, time, way, text }, i) => {
    const entry = log[i];
    if (!entry) return;
    line.entry = entry;
    line.dataset.way = entry.way;
    set(time, entry.time);
    set(way, { out: "→", in: "←", self: "·" }[entry.way]);
    set(text, entry.text);
  });
}

// ---------------------------------------------------------------------------------------------------- what one can do

const toastBox = $("toast");

function toast(text, action) {
  toastBox.firstElementChild.textContent = text;
  toastBox.lastElementChild.hidden = !action;
  toastBox.lastElementChild.onclick = () => { hush(); action?.(); };
  toastBox.hidden = false;
  clearTimeout(toast.timer);
  if (!action) toast.timer = setTimeout(hush, 4000);
}

function hush() {
  toastBox.hidden = true;
}

const fail = (error) => {
  if (!["closed", "lost"].includes(error?.code)) toast(error?.message ?? String(error));
};

/** People of this page's own, each with a connection: a second tab would hide this one, and its user would be away. */
const guests = new Map();
const GUESTS_MAX = 5;

function addGuest() {
  const user = newName(), line = element("li", $("guests")), title = element("b", line, user);
  title.title = "a second connection of this page";
  const guest = connect({ user, away: false });
  guests.set(user, guest);
  guest.join(HOME).catch(fail);
  const buttons = [
    ["Says hello", () => guest.say(HOME, "Hello!").catch(fail)],
    ["Goes away", ({ target }) => {
      const away = target.textContent === "Goes away";
      guest.status(away ? "away" : null).then(() => { target.textContent = away ? "Is back" : "Goes away"; }, fail);
    }],
    ["Leaves", () => guest.close()],
  ];
  for (const [text, act] of buttons) element("button", line, text).onclick = act;
  guest.on("closed", () => {
    guests.delete(user);
    line.remove();
    offer();
  });
  offer();
}

/** What can be tried here: where a token is asked for, nobody comes in by a name alone. */
function offer() {
  const may = open && facts.side !== "admin";
  $("other").hidden = $("again").hidden = !may;
  $("other").disabled = guests.size >= GUESTS_MAX;
  $("other").textContent = guests.size ? "Add one more person" : "Add a second person";
  $("guests").hidden = !guests.size;
  if (!may) for (const guest of guests.values()) guest.close();
}
offer();
$("other").onclick = addGuest;
// A window of its own lies beside this one, so that both can be seen.
$("again").onclick = () => {
  const address = new URL(location.pathname, location.href);
  address.searchParams.set("user", newName());
  if (stored("key")) address.hash = `key=${encodeURIComponent(stored("key"))}`;
  window.open(address, "_blank", "popup,noopener,width=620,height=820");
};

for (const button of document.querySelectorAll("[data-say]")) {
  button.onclick = () => {
    for (const each of document.querySelectorAll("[data-say]")) each.setAttribute("aria-pressed", String(each === button));
    // Online means: as the page's visibility has it.
    me.status(button.dataset.say === "away" ? "away" : null).catch(fail);
  };
}

$("me").onsubmit = (event) => {
  event.preventDefault();
  $("name").blur();
};
$("name").onchange = () => {
  const wanted = $("name").value.trim();
  if (!isName(wanted)) return toast(`A name is ${NAME_RULE}.`);
  if (wanted === name) return;
  name = wanted;
  store("name", name);
  if (query.has("user")) history.replaceState(null, "", `?user=${encodeURIComponent(name)}`);
  start();
};

$("token").onsubmit = (event) => {
  event.preventDefault();
  store("token", event.target.token.value.trim());
  event.target.reset();
  $("why").textContent = "";
  start();
};
$("key").onsubmit = (event) => {
  event.preventDefault();
  store("key", event.target.key.value.trim());
  event.target.reset();
  $("key-why").textContent = "Trying it…";
  poll();
};

$("say").onsubmit = (event) => {
  event.preventDefault();
  const field = event.target.text;
  const text = field.value.trim();
  if (!text) return;
  field.value = "";
  me.say(room, text).catch((error) => { field.value ||= text; fail(error); });
};

$("pause").onclick = ({ target }) => {
  paused = !paused;
  target.setAttribute("aria-pressed", String(paused));
  target.textContent = paused ? "Go on" : "Pause";
};

const identity = open ? 'user: "anna"' : 'token: () => fetch("/my-token").then((answer) => answer.text())';
$("snippet").textContent = [
  '<script type="module">',
  `  import { connect } from "${location.origin}/rollcall.js";`,
  "",
  `  const me = connect({ ${identity} });`,
  '  me.on("presence", ({ user, state }) => console.log(user, "is", state));',
  '  await me.watch(["ben", "carl"]);',
  "</script>",
].join("\n");
$("copy").onclick = () => navigator.clipboard?.writeText($("snippet").textContent).then(() => toast("Copied."), () => toast("This browser copies only on https: select the text."));

const dark = matchMedia("(prefers-color-scheme: dark)");
const redraw = () => {
  colours();
  drawCrowd();
  Object.keys(series).forEach(drawChart);
  draw("list");
};
dark.onchange = redraw;
$("list").onscroll = () => draw("list");
$("find").oninput = () => draw("list");
new ResizeObserver(redraw).observe($("crowd"));
addEventListener("hashchange", () => {
  const taken = takeHanded();
  if (taken.includes("token")) start();
  if (taken.includes("key")) poll();
});
document.addEventListener("visibilitychange", () => document.visibilityState === "visible" && draw("people", "talk", "rooms", "log"));
// "2 min ago" grows by itself.
setInterval(() => draw("list"), 5000);

$("name").value = name;
colours();
drawRooms();
start();
poll();
// What is there at the start does not glide into its place.
setTimeout(() => $("rows").classList.add("glide"), 1000);
