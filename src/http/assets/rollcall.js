// rollcall.js: presence for a web page. An ES module without dependencies; types in rollcall.d.ts.
//
//   import { connect } from "https://presence.example.org/rollcall.js";
//   const me = connect({ user: "anna" });
//   me.on("presence", ({ user, state }) => …);
//   await me.watch(["ben"]);

/** Longest wait before the nth try, in ms; the wait is a random part of it, so that a crowd comes back spread out. */
const WAITS_MS = [1000, 2000, 5000, 12000, 30000];
/** Failures in a row after which a person is asked. */
const FAILURES_MAX = 5;
/** A connection that held for less than this counts as a failure. */
const STEADY_MS = 10000;
const OPEN_TIMEOUT_MS = 10000;
/** How long an answer may take where there is reason to doubt: after a sleep, or when the network changed. */
const PROBE_MS = 5000;
/** A timer this late means that the page slept. */
const SLEPT_MS = 2000;
const QUEUE_MAX = 512;
const BUFFERED_BYTES_MAX = 65536;
const USERS_PER_COMMAND = 256;
const HIDDEN_MS = 1500;
const TIMER_MS_MAX = 2 ** 31 - 1;

const KICKED = 4403, UNAUTHORIZED = 4401, REPLACED = 4409, SILENT = 4408, GOING_AWAY = 1001;

/** May be sent again where a connection was lost before the answer: twice does no harm. */
const REPEATABLE = new Set(["join", "watch", "presence", "who", "status"]);
/** Done by the loss itself. */
const UNDOING = new Set(["leave", "unwatch"]);

/** A command that was not done. `code` is the server's (400, 403, 429, …), or `timeout`, `lost`, `busy`, `closed`. */
export class RollcallError extends Error {
  constructor(code, message, cmd) {
    super(message);
    this.name = "RollcallError";
    this.code = code;
    this.cmd = cmd;
  }
}

/** Connects, and stays connected. */
export function connect(options = {}) {
  return new Rollcall(options);
}

export class Rollcall {
  /** The server's name for this connection, and who the server says it belongs to. */
  id = null;
  user = null;
  /** `connecting`, `open`, `waiting` for the next try, `stuck` until `retry()`, `closed` for good. */
  state = "connecting";
  /** The last round trip, in ms. */
  rtt = null;

  #options; #env; #url;
  #socket = null; #welcomed = false; #openedAt = 0;
  #failures = 0; #goodbye = null; #attempt = 0;
  #seq = 0; #queue = []; #asked = new Map();
  #rooms = new Map(); #watched = new Map(); #status = { chosen: null, auto: "online", info: undefined, told: "online" };
  #listeners = new Map(); #timers = new Map(); #heartbeat = { interval_ms: 25000, timeout_ms: 20000 };
  #skew = 0; #unhook = [];

  constructor(options) {
    this.#options = options;
    const g = globalThis;
    this.#env = {
      WebSocket: g.WebSocket, document: g.document, window: g.window,
      setTimeout: (f, ms) => g.setTimeout(f, ms), clearTimeout: (id) => g.clearTimeout(id),
      now: () => g.performance.now(), wall: () => Date.now(), random: () => Math.random(),
      ...options.env,
    };
    this.#url = new URL(options.url ?? new URL("/ws", import.meta.url), g.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    if (options.user) this.#url.searchParams.set("user", options.user);
    if (options.info !== undefined) this.#status.info = options.info;
    this.#hook();
    // After the caller had the time to listen.
    queueMicrotask(() => this.#connect());
  }

  // ------------------------------------------------------------------------------------------------ listening

  /** Calls `listener(detail, name)` at each event of that name, `*` for all; returns what stops that. */
  on(name, listener) {
    if (!this.#listeners.has(name)) this.#listeners.set(name, new Set());
    this.#listeners.get(name).add(listener);
    return () => this.off(name, listener);
  }

  off(name, listener) {
    this.#listeners.get(name)?.delete(listener);
  }

  #emit(name, detail) {
    for (const key of [name, "*"]) {
      for (const listener of [...(this.#listeners.get(key) ?? [])]) {
        try {
          listener(detail, name);
        } catch (error) {
          // A listener's fault is its own: the connection goes on.
          (globalThis.reportError ?? console.error)(error);
        }
      }
    }
  }

  #become(state, detail = {}) {
    if (this.state === state && state !== "waiting") return;
    this.state = state;
    this.#emit("state", { state, ...detail });
  }

  // ------------------------------------------------------------------------------------------------ commands

  /** Is in the room from now on, also after a reconnect. */
  join(room) {
    if (!this.#rooms.has(room)) this.#rooms.set(room, { place: null });
    return this.request("join", { room });
  }

  leave(room) {
    this.#rooms.delete(room);
    // A connection that is gone is in no room.
    return this.#welcomed ? this.request("leave", { room }) : Promise.resolve({ code: 200 });
  }

  who(room, { limit, after } = {}) {
    return this.request("who", { room, limit, after });
  }

  say(room, data, { echo } = {}) {
    return this.request("say", { room, data, echo });
  }

  tell(user, data) {
    return this.request("tell", { user, data });
  }

  /** Watches users from now on, also after a reconnect. Resolves to what is true of them now. */
  async watch(users, { suspect = false } = {}) {
    users = [...users];
    for (const user of users) this.#watched.set(user, { ...this.#watched.get(user), suspect });
    return this.#inParts("watch", users, { suspect });
  }

  async unwatch(users) {
    users = [...users];
    for (const user of users) this.#watched.delete(user);
    if (this.#welcomed) await this.#inParts("unwatch", users);
  }

  presence(users) {
    return this.#inParts("presence", [...users]);
  }

  /** Says `online` or `away`; `null` leaves it to the page's visibility again. `info` is JSON for all to see. */
  status(state, info) {
    if (state !== undefined) this.#status.chosen = state;
    if (info !== undefined) this.#status.info = info;
    return this.#tellStatus(info !== undefined);
  }

  /** Measures a round trip, in ms. */
  async ping(timeoutMs = PROBE_MS) {
    await this.request("heartbeat", undefined, { timeoutMs });
    return this.rtt;
  }

  /** Any command. Rejects with a RollcallError. */
  request(cmd, params, { timeoutMs = this.#options.timeoutMs ?? 10000 } = {}) {
    return new Promise((resolve, reject) => {
      if (this.state === "closed") return reject(new RollcallError("closed", "the connection is closed for good", cmd));
      if (this.#queue.length >= QUEUE_MAX) return reject(new RollcallError("busy", "too many commands wait", cmd));
      const asked = { cmd, params, resolve, reject, seq: 0, sentAt: 0 };
      asked.timer = this.#env.setTimeout(() => {
        this.#forget(asked);
        const where = this.state === "open" ? `no answer within ${timeoutMs} ms` : "not connected in time";
        reject(new RollcallError("timeout", where, cmd));
      }, timeoutMs);
      this.#queue.push(asked);
      this.#pump();
    });
  }

  async #inParts(cmd, users, more) {
    const parts = [];
    for (let i = 0; i < users.length; i += USERS_PER_COMMAND) {
      parts.push(this.request(cmd, { users: users.slice(i, i + USERS_PER_COMMAND), ...more }));
    }
    const views = (await Promise.all(parts)).flatMap((body) => body.users ?? []);
    if (cmd === "watch") for (const view of views) this.#learn(view);
    return views;
  }

  #forget(asked) {
    this.#env.clearTimeout(asked.timer);
    this.#asked.delete(asked.seq);
    const at = this.#queue.indexOf(asked);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  /** Sends what waits, as far as the socket takes it. */
  #pump() {
    while (this.#queue.length && this.#welcomed) {
      if (this.#socket.bufferedAmount > BUFFERED_BYTES_MAX) return this.#after("pump", 50, () => this.#pump());
      this.#write(this.#queue.shift());
    }
  }

  #write(asked) {
    asked.seq = ++this.#seq;
    asked.sentAt = this.#env.now();
    this.#asked.set(asked.seq, asked);
    const { seq, cmd, params } = asked;
    this.#socket.send(JSON.stringify({ seq, cmd, params }));
    this.#emit("command", { seq, cmd, params: cmd === "auth" ? {} : params });
  }

  // ------------------------------------------------------------------------------------------------ connecting

  /** Tries again now: after `stuck`, or instead of waiting. */
  retry() {
    if (this.state === "closed" || this.#socket) return;
    this.#failures = 0;
    this.#connect();
  }

  /** Leaves for good. */
  close(reason = "done") {
    this.#end({ code: 1000, reason, final: true, byServer: false });
  }

  async #connect() {
    this.#cancel("retry");
    // One at a time: who comes while one is there, or in the making, has nothing to do.
    if (this.#socket || this.state === "closed") return;
    const attempt = ++this.#attempt;
    this.#become("connecting");
    const url = new URL(this.#url);
    const protocols = ["rollcall.v1"];
    let token;
    try {
      token = await this.#token("connect");
    } catch (error) {
      if (attempt === this.#attempt) this.#failed({ code: UNAUTHORIZED, reason: `no token: ${error?.message ?? error}` });
      return;
    }
    if (attempt !== this.#attempt || this.state === "closed" || this.#socket) return;
    if (token && this.#options.tokenIn === "query") url.searchParams.set("token", token);
    else if (token) protocols.push(`bearer.${token}`);
    let socket;
    try {
      socket = new this.#env.WebSocket(url.href, protocols);
    } catch (error) {
      return this.#end({ code: 0, reason: error.message, final: true, byServer: false });
    }
    this.#socket = socket;
    this.#goodbye = null;
    this.#after("open", OPEN_TIMEOUT_MS, () => this.#lost(socket, { code: 1006, reason: "no answer" }));
    socket.onmessage = ({ data }) => socket === this.#socket && this.#hear(data, token);
    socket.onclose = ({ code, reason }) => this.#lost(socket, { code, reason });
    // A close follows each error and knows more. Where none does, this one does.
    socket.onerror = () => socket === this.#socket
      && this.#after("error", 1000, () => this.#lost(socket, { code: 1006, reason: "error" }));
  }

  async #token(why) {
    const { token } = this.#options;
    return typeof token === "function" ? token(why) : token;
  }

  /** A socket is done with. Only the first call for it counts. */
  #lost(socket, { code, reason }) {
    if (socket !== this.#socket) return;
    socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
    try {
      socket.close();
    } catch { /* it is closed */ }
    const steady = this.#welcomed && this.#env.now() - this.#openedAt >= STEADY_MS;
    this.#socket = null;
    this.#welcomed = false;
    for (const name of ["open", "error", "beat", "silence", "pump", "renew"]) this.#cancel(name);
    for (const asked of [...this.#queue, ...this.#asked.values()]) {
      if (!UNDOING.has(asked.cmd)) continue;
      this.#forget(asked);
      asked.resolve({ code: 200 });
    }
    for (const asked of [...this.#asked.values()].reverse()) {
      this.#asked.delete(asked.seq);
      if (REPEATABLE.has(asked.cmd)) {
        this.#queue.unshift(asked);
      } else {
        this.#forget(asked);
        asked.reject(new RollcallError("lost", "the connection was lost before the answer", asked.cmd));
      }
    }
    for (const room of this.#rooms.values()) room.before = room.place;
    if (steady) this.#failures = 0;
    this.#failed({ code: this.#goodbye?.code ?? code, reason: this.#goodbye?.reason || reason, was: this.#goodbye, steady });
  }

  /** Decides what comes after a connection, or a try. */
  #failed({ code, reason, was = null, steady = false }) {
    const renewable = code === UNAUTHORIZED && typeof this.#options.token === "function";
    const sentAway = was !== null && was.retry_ms === undefined && code !== SILENT;
    if (!renewable && (sentAway || [KICKED, REPLACED, UNAUTHORIZED].includes(code))) {
      return this.#end({ code, reason, final: true, byServer: true });
    }
    if (!steady && code !== GOING_AWAY) this.#failures += 1;
    if (this.#failures >= FAILURES_MAX) {
      const detail = { code, reason, failures: this.#failures, retry: () => this.retry() };
      this.#become("stuck", detail);
      return this.#emit("stuck", detail);
    }
    const most = WAITS_MS[Math.min(this.#failures, WAITS_MS.length - 1)];
    // The server has spread its own times already.
    const wait = was?.retry_ms ?? this.#env.random() * most;
    this.#become("waiting", { code, reason, wait_ms: wait, failures: this.#failures });
    this.#after("retry", wait, () => this.#connect());
  }

  #end(detail) {
    if (this.state === "closed") return;
    const socket = this.#socket;
    this.#socket = null;
    this.#welcomed = false;
    if (socket) {
      socket.onopen = socket.onmessage = socket.onclose = socket.onerror = null;
      try {
        socket.close(1000, detail.reason.slice(0, 40));
      } catch { /* it is closed */ }
    }
    for (const name of [...this.#timers.keys()]) this.#cancel(name);
    for (const unhook of this.#unhook.splice(0)) unhook();
    this.#become("closed", detail);
    for (const asked of [...this.#queue, ...this.#asked.values()]) {
      this.#forget(asked);
      asked.reject(new RollcallError("closed", `the connection is closed for good: ${detail.reason}`, asked.cmd));
    }
    this.#emit("closed", detail);
  }

  // ------------------------------------------------------------------------------------------------ hearing

  #hear(text, token) {
    this.#cancel("silence");
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return;
    }
    if (message?.body) return this.#answered(message);
    const { event, ...detail } = message ?? {};
    switch (event) {
      case undefined: return;
      case "welcome": return this.#welcome(detail, token);
      case "goodbye": this.#goodbye = detail; break;
      case "say": this.#reached(detail.room, detail); break;
      case "presence":
        if (!this.#learn(detail)) return;
        break;
    }
    this.#emit(event, detail);
  }

  #answered({ seq, body }) {
    const asked = this.#asked.get(seq);
    if (!asked) return;
    this.#forget(asked);
    if (asked.cmd === "heartbeat") {
      this.rtt = this.#env.now() - asked.sentAt;
      this.#emit("rtt", { rtt_ms: this.rtt, time_ms: body.time_ms });
    }
    this.#emit("answer", { seq, cmd: asked.cmd, body });
    if (body.code !== 200) return asked.reject(new RollcallError(body.code, body.error ?? `code ${body.code}`, asked.cmd));
    if (asked.cmd === "join" || asked.cmd === "say") this.#reached(asked.params.room, body, asked.cmd === "join");
    asked.resolve(body);
  }

  /** What was last heard of in a room; after a reconnect also what was missed. */
  #reached(name, { epoch, offset, count }, joined = false) {
    const room = this.#rooms.get(name);
    if (!room || epoch === undefined) return;
    const { before } = room;
    if (joined && before) {
      delete room.before;
      const after = { epoch, offset };
      const missed = before.epoch === epoch ? Math.max(0, offset - before.offset) : null;
      this.#emit("rejoin", { room: name, count, before, after, missed });
    }
    if (room.place?.epoch !== epoch || offset > room.place.offset) room.place = { epoch, offset };
  }

  /** Whether this says something new of a user who is watched. */
  #learn(view) {
    const known = this.#watched.get(view.user);
    if (!known) return true;
    if (known.version > view.version) return false;
    this.#watched.set(view.user, { suspect: known.suspect, version: view.version, state: view.state, connections: view.connections });
    return true;
  }

  #welcome(detail, token) {
    this.#cancel("open");
    this.#welcomed = true;
    this.#openedAt = this.#env.now();
    this.id = detail.id;
    this.user = detail.user ?? null;
    this.#heartbeat = { ...this.#heartbeat, ...detail.heartbeat };
    this.#skew = (detail.time_ms ?? this.#env.wall()) - this.#env.wall();
    this.#status.told = "online";
    const again = [];
    // What still waits for its answer from before goes by itself: once each.
    const asked = (cmd) => this.#queue.filter((waiting) => waiting.cmd === cmd).map(({ params }) => params);
    const joining = new Set(asked("join").map(({ room }) => room));
    const watching = new Set(asked("watch").flatMap(({ users }) => users));
    for (const room of this.#rooms.keys()) if (!joining.has(room)) again.push(this.request("join", { room }));
    for (const suspect of [false, true]) {
      const users = [...this.#watched].filter(([user, known]) => known.suspect === suspect && !watching.has(user));
      again.push(this.#rewatch(users.map(([user]) => user), suspect));
    }
    again.push(this.#tellStatus(this.#status.info !== undefined));
    Promise.allSettled(again).then((done) => {
      const failed = done.filter(({ status }) => status === "rejected").map(({ reason }) => reason);
      for (const error of failed) if (error.code !== "closed") this.#emit("warning", { error });
    });
    this.#become("open", { user: this.user, id: this.id });
    this.#emit("welcome", detail);
    this.#pump();
    this.#beatLater();
    this.#renewLater(detail.expires_ms ?? expiry(token));
  }

  /** What changed while nobody told us is told as if it happened now. */
  async #rewatch(users, suspect) {
    const known = new Map(users.map((user) => [user, this.#watched.get(user)]));
    for (const view of await this.#inParts("watch", users, { suspect })) {
      const before = known.get(view.user);
      if (before && (before.state !== view.state || before.version !== view.version)) this.#emit("presence", view);
    }
  }

  // ------------------------------------------------------------------------------------------------ heartbeat

  #beatLater() {
    const ours = this.#options.heartbeatMs ?? Infinity;
    this.#after("beat", Math.min(ours, this.#heartbeat.interval_ms), (late) => {
      this.#probe(late > SLEPT_MS ? PROBE_MS : this.#heartbeat.timeout_ms);
      this.#beatLater();
    });
  }

  /** Sends a heartbeat; where nothing at all is heard for so long after it, the server is gone. */
  #probe(timeoutMs) {
    if (!this.#welcomed) return;
    this.ping(Math.max(timeoutMs, PROBE_MS)).catch(() => {});
    if (this.#timers.has("silence") && timeoutMs > PROBE_MS) return;
    const socket = this.#socket;
    const before = socket.bufferedAmount;
    this.#after("silence", timeoutMs, (late) => {
      // While the page slept it could hear nothing; and what drains is alive.
      if (late > SLEPT_MS || socket.bufferedAmount < before) return this.#probe(timeoutMs);
      this.#lost(socket, { code: 1006, reason: `the server was silent for ${timeoutMs} ms` });
    });
  }

  // ------------------------------------------------------------------------------------------------ tokens

  #renewLater(expiresMs) {
    if (!expiresMs || typeof this.#options.token !== "function") return;
    const left = expiresMs - (this.#env.wall() + this.#skew);
    this.#after("renew", Math.max(500, left - Math.min(60000, left / 2)), () => this.#renew(expiresMs));
  }

  async #renew(expiresMs) {
    const socket = this.#socket;
    try {
      const token = await this.#token("renew");
      if (socket !== this.#socket || !token) return;
      const body = await this.request("auth", { token });
      if (body.user) this.user = body.user;
      this.#emit("renewed", { user: this.user, expires_ms: body.expires_ms });
      this.#renewLater(body.expires_ms ?? expiry(token));
    } catch (error) {
      // Until the old one is over there is time for more tries.
      this.#emit("warning", { error });
      if (socket === this.#socket && socket) this.#renewLater(expiresMs);
    }
  }

  // ------------------------------------------------------------------------------------------------ the page

  #hook() {
    const { window, document } = this.#env;
    const listen = (target, name, listener) => {
      target?.addEventListener?.(name, listener);
      this.#unhook.push(() => target?.removeEventListener?.(name, listener));
    };
    const doubt = () => (this.#welcomed ? this.#probe(PROBE_MS) : this.#socket || this.state === "connecting" || this.retry());
    listen(window, "online", doubt);
    listen(window, "offline", () => this.#probe(PROBE_MS));
    listen(window, "pageshow", ({ persisted }) => persisted && doubt());
    if (this.#options.away === false) return;
    const see = () => {
      this.#cancel("hidden");
      if (document.visibilityState !== "hidden") return this.#auto("online");
      // Who only changes tabs is not away.
      this.#after("hidden", this.#options.hiddenMs ?? HIDDEN_MS, () => this.#auto("away"));
    };
    listen(document, "visibilitychange", see);
    listen(document, "freeze", () => this.#auto("away"));
    listen(document, "resume", () => {
      see();
      doubt();
    });
    if (document?.visibilityState === "hidden") see();
  }

  #auto(state) {
    this.#status.auto = state;
    this.#tellStatus(false).catch((error) => this.#emit("warning", { error }));
  }

  async #tellStatus(withInfo) {
    const status = this.#status;
    const state = status.chosen ?? status.auto;
    // Nobody has no status; who isn't connected tells it when it is.
    if (!withInfo && state === status.told) return { code: 200, state };
    if (!this.#welcomed) return { code: 200, state };
    if (this.user === null) return { code: 200, state };
    status.told = state;
    try {
      return await this.request("status", { state, info: withInfo ? status.info : undefined });
    } catch (error) {
      status.told = null;
      throw error;
    }
  }

  // ------------------------------------------------------------------------------------------------ timers

  /** Calls `what` once, with how much too late that was; a later call with the same name replaces it. */
  #after(name, ms, what) {
    this.#cancel(name);
    const due = this.#env.now() + ms;
    const fire = () => {
      const left = due - this.#env.now();
      if (left > TIMER_MS_MAX) return void this.#timers.set(name, this.#env.setTimeout(fire, TIMER_MS_MAX));
      this.#timers.delete(name);
      what(Math.max(0, -left));
    };
    this.#timers.set(name, this.#env.setTimeout(fire, Math.min(ms, TIMER_MS_MAX)));
  }

  #cancel(name) {
    this.#env.clearTimeout(this.#timers.get(name));
    this.#timers.delete(name);
  }
}

/** When a token ends, in Unix ms, as it says itself; only the server can verify that. */
function expiry(token) {
  try {
    const [, payload] = token.split(".");
    const { exp } = JSON.parse(atob(payload.replace(/-/g, "+").replace(/_/g, "/")));
    return exp ? exp * 1000 : undefined;
  } catch {
    return undefined;
  }
}
