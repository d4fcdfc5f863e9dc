// rollcall.js: presence for a web page. An ES module without dependencies; types in rollcall.d.ts.
//
//   import { connect } from "https://presence.example.org/rollcall.js";
//   const me = connect({ user: "anna" });
//   me.on("presence", ({ user, state }) => …);
//   await me.watch(["ben"]);
//
// Two kinds of things are asked of the server. What is wanted (rooms, watches, a status) is a set that the page changes at
// any time; each connection is brought to it, again and again where the server refuses for now. What is done once (say, tell,
// who, …) waits in a queue, behind what is wanted of the room that it is about.

/** Longest wait before the nth try, in ms; the wait is a random part of it, so that a crowd comes back spread out. */
const WAITS_MS = [1000, 2000, 5000, 12000, 30000];
/** Failures in a row after which a person is asked; tries go on, so far apart at least. */
const FAILURES_ASK = 5;
const STUCK_MS = 30000;
/** A connection that held for less than this counts as a failure. */
const STEADY_MS = 10000;
const OPEN_TIMEOUT_MS = 10000;
const COMMAND_TIMEOUT_MS = 10000;
/** How long an answer may take where there is reason to doubt: after a sleep, or when the network changed. */
const PROBE_MS = 5000;
/** A timer this late means that the page slept. */
const SLEPT_MS = 2000;
const QUEUE_MAX = 512;
/** Commands about what is wanted that wait for their answers: a new connection may not send many at once. */
const WISHES_ASKED_MAX = 32;
const BUFFERED_BYTES_MAX = 65536;
const USERS_PER_COMMAND = 256;
const HIDDEN_MS = 1500;
/** States of the user, which outlast the connection that said them. */
const OWN_STATES = new Set(["busy", "invisible"]);

/** A command that was not done. `code` is the server's (400, 403, 429, …), or `timeout`, `lost`, `busy`, `left`, `closed`. */
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
  /** `connecting`, `open`, `waiting` for the next try, `stuck`: it fails again and again; `closed` for good. */
  state = "connecting";
  /** The last round trip, in ms. */
  rtt = null;
  /** What carries it: `websocket`, `events` or `poll`; null while nothing does. */
  carrier = null;

  #options; #env; #url; #bus = new Bus();
  #socket = null; #welcomed = false; #wasWelcomed = false; #openedAt = 0; #pending = false; #asleep = false;
  #failures = 0; #tries = 0; #goodbye = null; #turnedAway = false; #attempt = 0;
  #seq = 0; #queue = []; #asked = new Map(); #wishesAsked = 0; #calm = 0; #stirred = false;
  #rooms = new Map(); #streams = new Map(); #watched = new Map(); #lists = new Set();
  #status = Object.assign(new Wish("status"), { chosen: null, said: 0, heard: 0, mine: false, auto: "online", told: null, info: undefined, until: Infinity, infoTold: true });
  #timers; #heartbeat = { interval_ms: 25000, timeout_ms: 20000 };
  #tokens; #unhook;
  #carriers; #carried = null; #takesBytes = true; #move = null; #moves = 0;

  constructor(options = {}) {
    this.#options = options;
    const g = globalThis;
    this.#env = {
      WebSocket: g.WebSocket, fetch: g.fetch?.bind(g), storage: () => g.sessionStorage, document: g.document, window: g.window, navigator: g.navigator, crypto: g.crypto,
      setTimeout: (f, ms) => g.setTimeout(f, ms), clearTimeout: (id) => g.clearTimeout(id),
      now: () => g.performance.now(), wall: () => Date.now(), random: () => Math.random(),
      ...options.env,
    };
    this.#url = new URL(options.url ?? new URL("/ws", import.meta.url), g.location?.href);
    this.#url.protocol = this.#url.protocol.replace("http", "ws");
    if (options.user) this.#url.searchParams.set("user", options.user);
    this.#url.searchParams.set("binary", "true");
    this.#carriers = new Carriers(options.carriers ?? CARRIERS, this.#env, this.#url);
    if (options.info !== undefined) Object.assign(this.#status, { info: options.info, infoTold: false });
    this.#timers = new Timers(this.#env);
    this.#tokens = new Tokens(options.token, this.#env, this.#timers);
    this.#hook();
    // After the caller had the time to listen.
    queueMicrotask(() => this.#connect());
  }

  // ------------------------------------------------------------------------------------------------ listening

  /** Calls `listener(detail, name)` at each event of that name, `*` for all; returns what stops that. */
  on(name, listener) {
    return this.#bus.on(name, listener);
  }

  off(name, listener) {
    this.#bus.off(name, listener);
  }

  #emit(name, detail) {
    // A listener may close it in the middle of what is told: nothing comes behind `closed`.
    if (this.state === "closed" && name !== "state" && name !== "closed") return;
    this.#bus.emit(name, detail);
  }

  #become(state, detail = {}) {
    const again = this.state === state && state !== "waiting" && state !== "stuck";
    if (again || this.state === "closed") return;
    this.state = state;
    this.#emit("state", { state, ...detail });
  }

  // ------------------------------------------------------------------------------------------------ what is wanted

  /** Is in the room from now on, also after a reconnect, until `leave` was called as often. Resolves once it is in. */
  join(room) {
    return this.#enter(room, "holds");
  }

  leave(room) {
    const wish = this.#rooms.get(room);
    if (wish?.holds) wish.holds -= 1;
    if (!wish || wish.isHeld) return Promise.resolve({ code: 200 });
    wish.given = false;
    return this.#until(wish, wish.outs);
  }

  /** Watches users from now on, also after a reconnect, until `unwatch` was called as often. Resolves to what is true of them. */
  watch(users, { suspect = false } = {}) {
    const names = [...new Set(users)];
    const wishes = names.map((user) => this.#hold(user, suspect));
    const missing = wishes.filter((wish) => !wish.isLive || wish.suspect !== wish.told);
    const wait = new Wait(missing, () => wishes.map((wish) => wish.view ?? wish.before).filter(Boolean));
    for (const wish of missing) wish.ins.add(wait);
    if (this.state === "closed") wait.fail(this.#over("watch"));
    return wait.promise;
  }

  unwatch(users) {
    const gone = [...new Set(users)].map((user) => this.#release(user)).filter((wish) => wish && !wish.isHeld);
    const wait = new Wait(gone, () => undefined);
    for (const wish of gone) wish.outs.add(wait);
    return wait.promise;
  }

  /** Says `online`, `away`, `busy` or `invisible`; `null` leaves it to the page's visibility. `info`: JSON, for all; `ttl`: its seconds. */
  status(state, info, { ttl } = {}) {
    const status = this.#status;
    if (state !== undefined) status.chosen = state;
    // A state that is chosen is said, also where this connection is in it: another one of this user may have said `busy` or `invisible`.
    if (state) status.said += 1;
    if (info !== undefined) {
      Object.assign(status, { info, infoTold: false, until: ttl === undefined ? Infinity : this.#env.now() + ttl * 1000 });
    }
    // Nobody has no status.
    if (this.#welcomed && this.user === null) return Promise.resolve({ code: 200, state: this.#shown() });
    status.due = 0;
    return this.#until(status, status.ins);
  }

  #shown() {
    return this.#status.chosen ?? this.#status.auto;
  }

  #wish(all, name) {
    if (!all.has(name)) all.set(name, new Wish(name));
    return all.get(name);
  }

  /** A room, and what is said there. */
  #wishRoom(name) {
    const wish = this.#wish(this.#rooms, name);
    wish.stream ??= this.#streams.get(name) ?? new Stream(name, {
      tell: (message) => this.#emit("say", message),
      rejoin: (detail) => this.#emit("rejoin", detail),
      gap: (room) => this.#missed(room),
      // Past the queue: what the page says next waits for nothing here.
      history: (params) => this.#askNow("history", params),
      wait: (ms) => new Promise((resolve) => this.#timers.after({}, ms * (0.5 + this.#env.random()), resolve)),
    });
    this.#streams.delete(name);
    return wish;
  }

  #enter(room, by) {
    const wish = this.#wishRoom(room);
    wish[by] += 1;
    return this.#until(wish, wish.ins);
  }

  #hold(user, suspect = false, by = "holds") {
    const wish = this.#wish(this.#watched, user);
    wish.suspect = suspect || (wish.isHeld && wish.suspect);
    wish[by] += 1;
    this.#stir();
    return wish;
  }

  #release(user, by = "holds") {
    const wish = this.#watched.get(user);
    if (wish?.[by]) wish[by] -= 1;
    this.#stir();
    return wish;
  }

  #until(wish, waits) {
    const wait = new Wait([wish], (body) => body);
    waits.add(wait);
    if (this.state === "closed" && waits === wish.ins) wish.fail(this.#over("request"));
    this.#stir();
    return wait.promise;
  }

  #over(cmd, reason) {
    return new RollcallError("closed", `the connection is closed for good${reason ? `: ${reason}` : ""}`, cmd);
  }

  /** Brings the connection towards what is wanted, once the page has said all that it has to say now. */
  #stir() {
    if (this.#stirred) return;
    this.#stirred = true;
    queueMicrotask(() => {
      this.#stirred = false;
      this.#reconcile();
      this.#pump();
    });
  }

  #reconcile() {
    for (const all of [this.#rooms, this.#watched]) {
      for (const wish of all.values()) {
        if (wish.isHeld || wish.given) wish.settle(wish.outs, { code: 200 });
        if (wish.given && !wish.wanted) wish.settle(wish.ins, { code: 200 });
        if (wish.wanted || wish.given) continue;
        wish.fail(new RollcallError("left", "it was taken back before it was done"));
        if (this.#welcomed && (wish.asking || wish.is !== false)) continue;
        all.delete(wish.name);
        wish.settle(wish.outs, { code: 200 });
      }
    }
    if (!this.#welcomed) return;
    const now = this.#env.now();
    if (now < this.#calm) return this.#stirAt(this.#calm);
    if (this.#socket.bufferedAmount > BUFFERED_BYTES_MAX) return this.#stirAt(now + 50);
    let next = Infinity;
    const ready = (wish) => {
      if (wish.asking) return false;
      if (wish.due > now) next = Math.min(next, wish.due);
      return wish.due <= now;
    };
    for (const room of this.#rooms.values()) {
      const joins = room.wanted && (room.is !== true || room.ins.size > 0);
      if (!joins && (room.wanted || room.given) || !ready(room)) continue;
      this.#ask(joins ? "join" : "leave", { room: room.name, since: joins ? room.stream.before : undefined }, [room]);
    }
    const parts = new Map();
    for (const user of this.#watched.values()) {
      const cmd = !user.isHeld ? "unwatch" : user.is !== true || user.told !== user.suspect ? "watch" : null;
      if (!cmd || !ready(user)) continue;
      const size = user.part ?? USERS_PER_COMMAND, key = `${cmd} ${user.suspect} ${size}`;
      const part = parts.get(key) ?? [];
      part.push(user);
      parts.set(key, part);
      if (part.length < size) continue;
      parts.delete(key);
      this.#watchPart(cmd, part);
    }
    for (const [key, part] of parts) this.#watchPart(key.split(" ")[0], part);
    if (this.user !== null && ready(this.#status)) this.#tellStatus();
    if (next < Infinity) this.#stirAt(next);
  }

  #stirAt(time) {
    this.#timers.after("stir", Math.max(0, time - this.#env.now()), () => this.#stir());
  }

  #watchPart(cmd, part) {
    const { suspect } = part[0];
    this.#ask(cmd, { users: part.map(({ name }) => name), suspect: cmd === "watch" ? suspect : undefined }, part);
  }

  #tellStatus() {
    const status = this.#status, state = this.#shown();
    const left = Math.ceil((status.until - this.#env.now()) / 1000);
    if (left <= 0) status.infoTold = true;
    const says = state !== status.told || status.said !== status.heard;
    if (!says && status.infoTold) return status.settle(status.ins, { code: 200, state });
    // `info` goes alone where it can: `online` beside it would end what another connection of this user said.
    const params = says ? { state } : {};
    if (!status.infoTold) params.info = status.info;
    if (!status.infoTold && left < Infinity) params.info_ttl = left;
    status.asks = { state: params.state, info: params.info, said: status.said };
    status.mine ||= OWN_STATES.has(params.state);
    this.#ask("status", params, [status]);
  }

  /** Asks for what is wanted of some wishes, and takes in the answer. */
  #ask(cmd, params, wishes) {
    if (!this.#welcomed || this.#wishesAsked >= WISHES_ASKED_MAX) return;
    this.#wishesAsked += 1;
    // Calls from now on wait for an answer of their own.
    const waits = wishes.map((wish) => [wish, new Set(wish.ins)]);
    for (const wish of wishes) wish.asking = cmd;
    const asked = { cmd, params, sentAt: 0, seq: 0, wishes };
    const done = (settle) => {
      this.#wishesAsked -= 1;
      for (const wish of wishes) wish.asking = false;
      settle();
      this.#stir();
    };
    asked.resolve = (body) => done(() => {
      for (const view of cmd === "watch" ? body.users ?? [] : []) {
        const wish = this.#watched.get(view.user);
        if (wish) this.#look(wish, view, false);
      }
      for (const [wish, ins] of waits) {
        Object.assign(wish, { tries: 0, due: 0, part: undefined });
        if (!this.#became(wish, cmd, params, body)) continue;
        if (UNDOING.has(cmd)) {
          wish.settle(wish.outs, body);
        } else {
          for (const wait of ins) if (wish.ins.delete(wait)) wait.done(wish, body);
        }
      }
    });
    asked.reject = (error) => done(() => this.#refused(cmd, wishes, error));
    this.#expire(asked, this.#options.timeoutMs ?? COMMAND_TIMEOUT_MS);
    this.#write(asked);
  }

  /** A wish came true, or is undone; false where it has to be asked for once more. */
  #became(wish, cmd, params, body) {
    if (cmd === "join") {
      const fresh = wish.is !== true;
      wish.is = true;
      wish.stream.enter(body);
      for (const list of this.#lists) if (list.room === wish.name) list.entered(body, fresh);
    } else if (cmd === "watch") {
      Object.assign(wish, { is: true, told: params.suspect, before: undefined });
      for (const list of this.#lists) list.watched?.(wish.name, wish.view);
    } else if (cmd === "status") {
      const { state, info, said } = wish.asks;
      if (info === wish.info) wish.infoTold = true;
      if (state === undefined) return true;
      const was = wish.told;
      wish.told = state;
      // The first `online` says only that this one is back; the next one ends `busy` or `invisible`, its own or whoever's where it was chosen.
      if (state === "online" && OWN_STATES.has(body.state) && was !== "online" && (wish.mine || wish.heard !== said)) {
        wish.heard = said - 1;
        return false;
      }
      wish.heard = said;
      wish.mine &&= state !== "online";
    } else {
      wish.is = false;
      wish.view = undefined;
      wish.stream?.forget();
    }
    return true;
  }

  #refused(cmd, wishes, error) {
    // Nobody stays nobody on every connection of this page, unless it is about to show a token.
    const shows = [...this.#queue, ...this.#asked.values()].some((asked) => asked.cmd === "auth");
    const isNobody = error.code === 401 && cmd === "join" && this.user === null && !shows;
    const final = FINAL.has(error.code) || isNobody, undoing = UNDOING.has(cmd);
    if (final && undoing) {
      // It was not there: that is as well.
      for (const wish of wishes) {
        wish.is = false;
        wish.settle(wish.outs, { code: 200 });
      }
      return;
    }
    if (final && wishes.length > 1) {
      // One of them is at fault: the others shall not suffer for it.
      for (const wish of wishes) wish.part = Math.ceil(wishes.length / 2);
      return;
    }
    const [first] = wishes;
    const names = wishes.map(({ name }) => name);
    const about = cmd === "status" ? {} : cmd === "join" || cmd === "leave" ? { room: first.name } : { users: names };
    if (final) {
      if (cmd === "status" && first.asks.info !== undefined) {
        Object.assign(first, { infoTold: true, info: undefined });
      } else if (cmd === "status") {
        Object.assign(first, { told: first.asks.state, heard: first.asks.said });
      } else {
        Object.assign(first, { holds: 0, kept: 0, is: false });
        (cmd === "join" ? this.#rooms : this.#watched).delete(first.name);
        for (const list of this.#lists) list.refused(about, error);
      }
      if (!first.fail(error)) this.#emit("warning", { error, ...about });
      return;
    }
    if (first.tries === 0) this.#emit("warning", { error, ...about });
    const now = this.#env.now(), unsure = undoing || error.code === 503 || error.code === "timeout";
    const spread = 0.5 + this.#env.random() / 2;
    for (const wish of wishes) {
      // It may have been done, or not.
      if (unsure && cmd === "status") wish.told = null;
      else if (unsure && !wish.given) wish.is = null;
      wish.due = now + spread * WAITS_MS[Math.min(wish.tries, 3)];
      wish.tries += 1;
      // There may be room for some of them. A part waits as one, so that it is asked for as one.
      if (error.code === 429 && cmd === "watch") wish.part = Math.ceil(wishes.length / 2);
    }
    // Too much at once: the next ones wait as well, though not for as long.
    if (error.code === 429) this.#calm = now + 500 + this.#env.random() * 500;
  }

  // ------------------------------------------------------------------------------------------------ commands

  who(room, { limit, after } = {}) {
    return this.request("who", { room, limit, after }).then((body) => ({ ...body, users: (body.users ?? []).map((view) => this.#newest(view)) }));
  }

  /** Says it once, also where the connection is lost before the answer: its `id` tells the server that it is the same. */
  say(room, data, { echo, id = newId(this.#env) } = {}) {
    return this.request("say", { room, data, echo, id });
  }

  /** What the room keeps of what was said: the newest, or those before an offset, or after one. */
  history(room, { before, after, limit } = {}) {
    return this.request("history", { room, before, after, limit }).then((body) => ({ ...body, messages: (body.messages ?? []).map(revived) }));
  }

  tell(user, data) {
    return this.request("tell", { user, data });
  }

  async presence(users) {
    const all = [...users], parts = [];
    for (let i = 0; i < all.length; i += USERS_PER_COMMAND) {
      parts.push(this.request("presence", { users: all.slice(i, i + USERS_PER_COMMAND) }));
    }
    return (await Promise.all(parts)).flatMap((body) => body.users ?? []).map((view) => this.#newest(view));
  }

  /** Measures a round trip, in ms. */
  async ping(timeoutMs = PROBE_MS) {
    await this.request("heartbeat", undefined, { timeoutMs });
    return this.rtt;
  }

  /** Any command. Rejects with a RollcallError. */
  request(cmd, params, { timeoutMs = this.#options.timeoutMs ?? COMMAND_TIMEOUT_MS, repeat = true } = {}) {
    return new Promise((resolve, reject) => {
      if (this.state === "closed") return reject(this.#over(cmd));
      if (this.#queue.length >= QUEUE_MAX) return reject(new RollcallError("busy", "too many commands wait", cmd));
      const asked = { cmd, params, resolve, reject, seq: 0, sentAt: 0, repeat };
      const room = this.#rooms.get(params?.room);
      if (room?.isHeld && cmd !== "join" && cmd !== "leave") {
        asked.room = room;
        room.waits += 1;
      }
      this.#expire(asked, timeoutMs);
      this.#queue.push(asked);
      this.#pump();
    });
  }

  /** A command that passes the queue, and is not sent again. */
  #askNow(cmd, params) {
    return new Promise((resolve, reject) => {
      if (!this.#welcomed) return reject(new RollcallError("lost", "the connection was lost", cmd));
      const asked = { cmd, params, resolve, reject, repeat: false };
      this.#expire(asked, this.#options.timeoutMs ?? COMMAND_TIMEOUT_MS);
      this.#write(asked);
    });
  }

  /** Ends the wait for an answer in time. While the page slept it could hear nothing: it waits again. */
  #expire(asked, timeoutMs) {
    const due = this.#env.now() + timeoutMs;
    asked.timer = this.#env.setTimeout(() => {
      if (this.#env.now() - due > SLEPT_MS) return this.#expire(asked, timeoutMs);
      const sent = this.#asked.has(asked.seq);
      this.#forget(asked);
      const where = this.state === "open" ? `no answer within ${timeoutMs} ms` : "not connected in time";
      asked.reject(new RollcallError("timeout", where, asked.cmd));
      // Either the command takes its time, or the line is dead.
      if (sent && asked.cmd !== "heartbeat") this.#probe(PROBE_MS);
    }, timeoutMs);
  }

  #forget(asked) {
    this.#env.clearTimeout(asked.timer);
    this.#asked.delete(asked.seq);
    this.#unhold(asked);
    const at = this.#queue.indexOf(asked);
    if (at >= 0) this.#queue.splice(at, 1);
  }

  #unhold(asked) {
    if (!asked.room) return;
    asked.room.waits -= 1;
    asked.room = undefined;
    this.#stir();
  }

  /** Sends what waits, as far as the socket takes it; in order, but for what waits for its room. */
  #pump() {
    for (let at = 0; at < this.#queue.length && this.#welcomed;) {
      const asked = this.#queue[at], { room } = asked;
      if (room && room.is !== true && this.#rooms.get(room.name) === room) {
        at += 1;
        continue;
      }
      if (this.#socket.bufferedAmount > BUFFERED_BYTES_MAX) return this.#timers.after("pump", 50, () => this.#pump());
      // What comes behind waits as well, so that the order is kept.
      if (!this.#takesBytes && isBlob(asked.params?.data)) return void this.#read(asked);
      this.#queue.splice(at, 1);
      this.#unhold(asked);
      this.#write(asked);
    }
  }

  /** Bytes that are yet to be read, for what takes text alone. */
  async #read(asked) {
    if (asked.isRead) return;
    asked.isRead = true;
    try {
      asked.params = { ...asked.params, data: await asked.params.data.arrayBuffer() };
    } catch (error) {
      this.#forget(asked);
      asked.reject(new RollcallError(400, `the data can't be read: ${error?.message ?? error}`, asked.cmd));
    }
    this.#pump();
  }

  #write(asked) {
    if (!this.#socket) return;
    asked.seq = ++this.#seq;
    asked.sentAt = this.#env.now();
    this.#asked.set(asked.seq, asked);
    const { seq, cmd, params } = asked, { data, ...others } = params ?? {};
    const form = this.#takesBytes ? framed : plain;
    this.#socket.send(isBinary(data) ? form({ seq, cmd, params: others }, data) : JSON.stringify({ seq, cmd, params }));
    this.#emit("command", { seq, cmd, params: cmd === "auth" ? {} : params });
  }

  // ------------------------------------------------------------------------------------------------ lists

  /** The members of a room, kept right: joins it until the list is closed. */
  members(room, { limit = LIST_MAX } = {}) {
    for (const kept of this.#lists) if (kept.room === room && kept.limit === limit) return new List(kept);
    const kept = new Members(room, limit, {
      ...this.#link(),
      who: (after) => this.request("who", { room, limit: Math.min(USERS_PER_COMMAND, limit), after }, { repeat: false }),
      newest: (view) => this.#newest(view),
      hides: () => this.#env.document?.visibilityState === "hidden",
      now: () => this.#env.now(), random: () => this.#env.random(),
      leave: () => {
        const wish = this.#rooms.get(room);
        if (wish?.kept) wish.kept -= 1;
        this.#stir();
      },
    });
    this.#keep(kept);
    this.#enter(room, "kept").catch((error) => kept.refused({ room }, error));
    return new List(kept);
  }

  /** Users and what is true of them, kept right: watches them until the list is closed. */
  users(names) {
    const kept = new Users([...new Set(names)], this.#link());
    this.#keep(kept);
    kept.begin();
    return new List(kept);
  }

  /** All that a list may do here. */
  #link() {
    const id = {};
    return {
      hold: (user) => {
        const wish = this.#hold(user, false, "kept");
        return wish.isLive ? wish.view : undefined;
      },
      mayHold: (user) => this.#watched.has(user) || this.#watched.size < LIST_WATCHES_MAX,
      release: (user) => void this.#release(user, "kept"),
      after: (ms, what) => this.#timers.after(id, ms, what),
      cancel: () => this.#timers.cancel(id),
      forget: (kept) => this.#lists.delete(kept),
    };
  }

  #keep(kept) {
    if (this.state !== "closed") this.#lists.add(kept);
  }

  // ------------------------------------------------------------------------------------------------ connecting

  /** Tries again now: after `stuck`, or instead of waiting. */
  retry() {
    if (this.state === "closed" || this.#socket || this.#pending) return;
    this.#failures = 0;
    this.#tries = 0;
    if (this.state === "stuck") this.#become("connecting");
    this.#connect();
  }

  /** Leaves for good: others see it at once, without the time that a reload may take. */
  close(reason = "done") {
    this.#end({ code: GOODBYE, reason, final: true, byServer: false });
  }

  async #connect() {
    this.#timers.cancel("retry");
    // One at a time: who comes while one is there, or in the making, has nothing to do.
    if (this.#socket || this.#pending || this.state === "closed") return;
    const attempt = ++this.#attempt;
    this.#pending = true;
    this.#asleep = false;
    if (this.state !== "stuck") this.#become("connecting");
    const url = new URL(this.#url);
    const protocols = ["rollcall.v1"];
    let token;
    try {
      token = await this.#tokens.get("connect");
    } catch (error) {
      if (attempt !== this.#attempt) return;
      this.#pending = false;
      return this.#failed({ code: UNAUTHORIZED, reason: `no token: ${error?.message ?? error}` });
    }
    if (attempt !== this.#attempt || this.state === "closed") return;
    this.#pending = false;
    const { tokenIn, user } = this.#options, header = tokenIn === "query" ? undefined : token;
    if (token && !header) url.searchParams.set("token", token);
    else if (token) protocols.push(`bearer.${token}`);
    // So that it neither comes in as online, to be away a moment later, nor as what lingers of the connection before.
    const shown = this.#shown();
    url.searchParams.set("state", shown);
    this.#status.came = shown;
    this.#status.mine ||= OWN_STATES.has(shown);
    const carrier = this.#carriers.current;
    let socket;
    try {
      if (!carrier) throw new Error("there is nothing that could carry it here");
      // A page elsewhere sends a cookie where that alone says who it is: the server then has to name its origin.
      const credentials = token || user ? "same-origin" : "include";
      socket = carrier === "websocket" ? new this.#env.WebSocket(url.href, protocols) : new Session(carrier, url, { env: this.#env, token: header, credentials });
    } catch (error) {
      return this.#end({ code: 0, reason: error.message, final: true, byServer: false });
    }
    this.#socket = socket;
    this.#takesBytes = carrier === "websocket";
    this.#goodbye = null;
    this.#turnedAway = false;
    this.#timers.after("open", this.#carriers.patience(OPEN_TIMEOUT_MS), () => this.#lost(socket, { code: 1006, reason: "no answer" }));
    this.#listen(socket, token);
  }

  #listen(socket, token) {
    socket.binaryType = "arraybuffer";
    socket.onmessage = ({ data }) => socket === this.#socket && this.#hear(data, token);
    socket.onclose = ({ code, reason }) => this.#lost(socket, { code, reason });
    // A close follows each error and knows more. Where none does, this one does.
    socket.onerror = (event) => {
      if (socket !== this.#socket) return;
      // Outside of browsers one is told that a server is full.
      this.#turnedAway = /\b(429|503)\b/.test(event?.message ?? "");
      this.#timers.after("error", 1000, () => this.#lost(socket, { code: 1006, reason: "error" }));
    };
  }

  /** Lets go of the socket, and of what is true of it alone. False where it is not the one any more. */
  #drop(socket, code, reason) {
    if (!socket || socket !== this.#socket) return false;
    socket.onopen = socket.onmessage = socket.onclose = null;
    // One that is closed before it is open makes an error of that; in Node it would end the process.
    socket.onerror = () => {};
    try {
      socket.close(code, reason);
    } catch { /* it is closed */ }
    this.#socket = this.carrier = null;
    this.#move?.end();
    this.#move = null;
    this.#wasWelcomed = this.#welcomed;
    this.#welcomed = false;
    for (const name of ["open", "error", "beat", "silence", "pump", "renew", "stir", "move"]) this.#timers.cancel(name);
    for (const asked of [...this.#asked.values()]) if (asked.wishes) this.#forget(asked);
    this.#wishesAsked = this.#calm = 0;
    for (const wish of [...this.#rooms.values(), ...this.#watched.values(), this.#status]) {
      wish.stream?.lost();
      // The server gives it again, and then what was missed is told.
      if (wish.given && wish.stream) this.#streams.set(wish.name, wish.stream);
      if (wish.view) Object.assign(wish, { before: wish.view, view: undefined });
      Object.assign(wish, { is: false, asking: false, due: 0, tries: 0, given: false });
    }
    this.#status.told = null;
    this.#status.infoTold = this.#status.info === undefined;
    for (const list of this.#lists) list.lost();
    return true;
  }

  /** A socket is done with. Only the first call for it counts. */
  #lost(socket, { code, reason }) {
    const steady = this.#welcomed && this.#env.now() - this.#openedAt >= STEADY_MS;
    const was = this.#goodbye, welcomed = this.#welcomed;
    if (!this.#drop(socket)) return;
    this.#requeue();
    this.#stir();
    if (!was && !this.#turnedAway && code !== TRY_AGAIN) {
      // Perhaps something on the way lets this carrier alone not through.
      if (!welcomed && this.#carriers.next(this.#failures === 0)) return void this.#connect();
      if (welcomed && code === 1006) this.#carriers.broke(steady);
    }
    if (steady) this.#failures = this.#tries = this.#moves = 0;
    this.#failed({ code: was?.code ?? code, reason: was?.reason || reason, was, steady });
  }

  /** Commands without an answer are sent again, or have failed. */
  #requeue() {
    for (const asked of [...this.#queue, ...this.#asked.values()]) {
      if (!UNDOING.has(asked.cmd)) continue;
      this.#forget(asked);
      asked.resolve({ code: 200 });
    }
    for (const asked of [...this.#asked.values()].reverse()) {
      this.#asked.delete(asked.seq);
      if (asked.repeat && isRepeatable(asked)) {
        const room = this.#rooms.get(asked.params?.room);
        if (room?.isHeld && asked.cmd !== "join") {
          asked.room = room;
          room.waits += 1;
        }
        this.#queue.unshift(asked);
      } else {
        this.#forget(asked);
        asked.reject(new RollcallError("lost", "the connection was lost before the answer", asked.cmd));
      }
    }
  }

  /** Decides what comes after a connection, or a try. */
  #failed({ code, reason, was = null, steady = false }) {
    if (this.state === "closed") return;
    const { giveUp } = this.#options;
    // A function has another one; and a cookie may be renewed by the site.
    const badToken = code === UNAUTHORIZED && this.#tokens.isFixed;
    const sentAway = was !== null && was.retry_ms === undefined && code !== SILENT && code !== UNAUTHORIZED;
    if (sentAway || badToken || code === KICKED || code === REPLACED) {
      return this.#end({ code, reason, final: true, byServer: true });
    }
    const told = Number.isFinite(was?.retry_ms) ? Math.max(0, was.retry_ms) : null;
    // A server that says that it can't just now does not fail.
    const failed = !steady && told === null && !this.#turnedAway && ![GOING_AWAY, RESTARTED, TRY_AGAIN].includes(code);
    if (!steady) this.#tries += 1;
    if (failed) this.#failures += 1;
    // Nobody but the person can get another cookie.
    if (code === UNAUTHORIZED && this.#tokens.isNone && !this.#wasWelcomed) this.#failures = Math.max(this.#failures, giveUp ?? FAILURES_ASK);
    this.#wasWelcomed = false;
    const most = code === RESTARTED && steady ? 100 : WAITS_MS[Math.min(this.#tries, WAITS_MS.length - 1)];
    // The server has spread its own times already.
    let wait = told ?? this.#env.random() * most;
    const detail = { code, reason, failures: this.#failures };
    if (this.#failures < (giveUp ?? FAILURES_ASK)) {
      this.#become("waiting", { ...detail, wait_ms: wait });
    } else {
      const asks = this.state !== "stuck";
      wait = giveUp === undefined ? told ?? STUCK_MS * (1 + this.#env.random()) : null;
      if (wait !== null) detail.wait_ms = wait;
      this.#become("stuck", detail);
      if (asks) this.#emit("stuck", { ...detail, retry: () => this.retry() });
      if (wait === null) return;
    }
    // A listener may have closed it, or tried again.
    if (!this.#socket && !this.#pending) this.#timers.after("retry", wait, () => this.#connect());
  }

  #end(detail) {
    if (this.state === "closed") return;
    this.#attempt += 1;
    this.#pending = false;
    this.state = "closed";
    this.#drop(this.#socket, detail.byServer ? 1000 : GOODBYE, String(detail.reason).slice(0, 40));
    this.#timers.end();
    this.#unhook();
    this.#bus.interrupt();
    this.#emit("state", { state: "closed", ...detail });
    for (const asked of [...this.#queue, ...this.#asked.values()]) {
      this.#forget(asked);
      asked.reject(this.#over(asked.cmd, detail.reason));
    }
    for (const wish of [...this.#rooms.values(), ...this.#watched.values(), this.#status]) {
      wish.fail(this.#over("request", detail.reason));
      wish.settle(wish.outs, { code: 200 });
    }
    this.#emit("closed", detail);
  }

  // ------------------------------------------------------------------------------------------------ hearing

  #hear(heard, token) {
    this.#timers.cancel("silence");
    let message;
    try {
      message = unframed(heard);
    } catch {
      return;
    }
    if (message?.body) return this.#answered(message);
    const { event, ...detail } = message ?? {};
    switch (event) {
      case undefined: return;
      case "welcome": return this.#welcome(detail, token);
      case "goodbye": this.#goodbye = detail; break;
      case "say": {
        const stream = this.#rooms.get(detail.room)?.stream;
        if (!stream) break;
        return stream.hear(detail);
      }
      case "presence": {
        const wish = this.#watched.get(detail.user);
        // A user who is watched no more is no news; a view that is older than the known one is none either.
        if (wish && (!this.#look(wish, detail, true) || !wish.isHeld)) return;
        break;
      }
    }
    if (event === "join" || event === "leave" || event === "room") {
      for (const list of this.#lists) if (list.room === detail.room) list.hear(event, detail);
    }
    this.#emit(event, detail);
    // Older servers say it by giving the place.
    const ordered = detail.by === "server" || detail.epoch !== undefined;
    if (ordered && event !== "say" && this.user !== null && detail.user === this.user) this.#ordered(event, detail);
  }

  /** The server put this user into a room, or out of it. What it gave it gives again; what it took is not wanted any more. */
  #ordered(event, { room: name, ...place }) {
    const room = event === "join" ? this.#wishRoom(name) : this.#rooms.get(name);
    if (event === "join") {
      const fresh = room.is !== true;
      Object.assign(room, { given: true, is: true });
      room.stream.enter(place, true);
      for (const list of this.#lists) if (list.room === name) list.entered(place, fresh);
    } else if (event === "leave") {
      // A join that is under way was asked for by who did not know; its answer says what holds.
      if (room?.asking === "join") {
        room.is = false;
        for (const list of this.#lists) if (list.room === name) list.lost();
      } else if (room) {
        Object.assign(room, { given: false, is: false, holds: 0, kept: 0 });
        this.#rooms.delete(name);
        const error = new RollcallError("left", "the server took this user out of the room", "join");
        room.fail(error);
        room.settle(room.outs, { code: 200 });
        for (const list of this.#lists) list.refused({ room: name }, error);
      }
      this.#emit("left", { room: name, by: "server" });
    }
    this.#stir();
  }

  #answered({ seq, body }) {
    const asked = this.#asked.get(seq);
    if (!asked) return;
    this.#forget(asked);
    if (asked.cmd === "heartbeat") {
      this.rtt = this.#env.now() - asked.sentAt;
      this.#tokens.setClock(body.time_ms);
      this.#emit("rtt", { rtt_ms: this.rtt, time_ms: body.time_ms });
    }
    this.#emit("answer", { seq, cmd: asked.cmd, body });
    if (body.code !== 200) return asked.reject(new RollcallError(body.code, body.error ?? `code ${body.code}`, asked.cmd));
    // What it hears of itself comes as an event.
    if (asked.cmd === "say" && asked.params.echo === false) this.#rooms.get(asked.params.room)?.stream.spoke(body);
    if (asked.cmd === "auth" && body.user) this.user = body.user;
    asked.resolve(body);
  }

  /** Tells lists of a gap before something said. What this page said itself may be it, as long as it is not answered: the next gap tells. */
  #missed(name) {
    if (this.#rooms.get(name)?.is !== true) return;
    if ([...this.#asked.values()].some(({ cmd, params }) => cmd === "say" && params.room === name)) return;
    for (const list of this.#lists) if (list.room === name) list.gap();
  }

  /** Takes in what is said of a user who is watched; false where it is older than what is known. */
  #look(wish, view, isEvent) {
    if (wish.view?.version > view.version) return false;
    const { before } = wish;
    wish.before = undefined;
    wish.view = { info: null, ...view };
    for (const list of this.#lists) list.saw(wish.view);
    // A change that nobody told us of is told as if it happened now.
    if (before && !isEvent && wish.isHeld && differs(before, view)) this.#emit("presence", view);
    return true;
  }

  /** The known view of a user, unless this one is newer. */
  #newest(view) {
    // A page of `who` has no versions: what was watched on this connection is as new at least.
    const known = this.#watched.get(view.user)?.view;
    if (!known || known.version <= view.version) return view;
    const { reason, ...rest } = known;
    return { ...view, ...rest, since_ms: rest.since_ms ?? (rest.state === view.state ? view.since_ms : undefined) };
  }

  #welcome(detail, token) {
    this.#timers.cancel("open");
    this.#welcomed = true;
    this.#carriedBy(this.#carriers.current);
    this.#openedAt = this.#env.now();
    this.id = detail.id;
    this.user = detail.user ?? null;
    this.#heartbeat = { ...this.#heartbeat, ...detail.heartbeat };
    this.#tokens.setClock(detail.time_ms);
    const status = this.#status;
    // That it is back the address has said. `online` ends `busy` and `invisible` as well: it is told only where that is meant.
    if (status.came === "online" && !status.mine) status.told = "online";
    this.#beatLater();
    this.#renewLater(detail.expires_ms ?? expiry(token), 0);
    this.#reconcile();
    this.#pump();
    if (this.user === null) status.settle(status.ins, { code: 200, state: this.#shown() });
    this.#become("open", { user: this.user, id: this.id });
    if (this.carrier !== "websocket") this.#moveLater();
    this.#emit("welcome", detail);
  }

  // ------------------------------------------------------------------------------------------------ carriers

  #carriedBy(carrier) {
    const before = this.#carried;
    this.carrier = this.#carried = carrier;
    this.#carriers.worked(carrier);
    if (carrier !== before) this.#emit("carrier", { carrier, before });
  }

  /** Looks again whether a WebSocket gets through, after longer and longer waits. */
  #moveLater() {
    if (!this.#carriers.mayMove) return;
    const most = MOVE_WAITS_MS[Math.min(this.#moves, MOVE_WAITS_MS.length - 1)];
    this.#moves += 1;
    this.#timers.after("move", most * (0.5 + this.#env.random() / 2), () => this.#tryToMove());
  }

  /** The network is another one, perhaps. */
  #moveSoon() {
    if (!this.#welcomed || this.#move || this.carrier === "websocket") return;
    this.#moves = 0;
    this.#moveLater();
  }

  /** The session goes over to a WebSocket if one gets through; until then it goes on as it is. */
  #tryToMove() {
    const session = this.#socket;
    const url = new URL(this.#url);
    url.searchParams.delete("user");
    url.searchParams.set("session", session.name);
    let socket;
    try {
      socket = new this.#env.WebSocket(url.href, ["rollcall.v1"]);
    } catch {
      return;
    }
    this.#move = new Move(session, socket, this.#env, {
      done: (heard) => this.#moved(session, socket, heard),
      failed: () => {
        this.#move = null;
        this.#moveLater();
      },
      lost: () => this.#lost(session, { code: 1006, reason: "the WebSocket broke that it went over to" }),
    });
  }

  #moved(session, socket, heard) {
    this.#move = null;
    this.#socket = socket;
    this.#openedAt = this.#env.now();
    this.#listen(socket);
    for (const line of session.take()) socket.send(line);
    session.retire();
    this.#carriedBy("websocket");
    for (const text of heard) if (socket === this.#socket) this.#hear(text);
  }

  // ------------------------------------------------------------------------------------------------ heartbeat

  #beatLater() {
    const ours = this.#options.heartbeatMs ?? Infinity;
    this.#timers.after("beat", Math.min(ours, this.#heartbeat.interval_ms), (late) => {
      this.#probe(late > SLEPT_MS ? PROBE_MS : this.#heartbeat.timeout_ms);
      this.#beatLater();
    });
  }

  /** Sends a heartbeat; where nothing at all is heard for so long after it, the server is gone. */
  #probe(timeoutMs) {
    if (!this.#welcomed) return;
    const socket = this.#socket;
    if (!socket) return;
    // What waited before this heartbeat did: that the heartbeat itself leaves says nothing of the server.
    const before = socket.bufferedAmount;
    // Past the queue, which may be full.
    const beat = { cmd: "heartbeat", resolve() {}, reject() {}, repeat: false };
    this.#expire(beat, Math.max(timeoutMs, PROBE_MS));
    this.#write(beat);
    // A second doubt does not put the end off.
    if (this.#timers.due("silence") <= this.#env.now() + timeoutMs) return;
    this.#timers.after("silence", timeoutMs, (late) => {
      // While the page slept it could hear nothing; and what drains is alive.
      if (late > SLEPT_MS || socket.bufferedAmount < before) return this.#probe(timeoutMs);
      this.#lost(socket, { code: 1006, reason: `the server was silent for ${timeoutMs} ms` });
    });
  }

  // ------------------------------------------------------------------------------------------------ tokens

  #renewLater(expiresMs, tries) {
    this.#tokens.later(expiresMs, tries, () => this.#renew(expiresMs, tries));
  }

  async #renew(expiresMs, tries) {
    const socket = this.#socket;
    try {
      const token = await this.#tokens.get("renew");
      if (socket !== this.#socket) return;
      if (!token) throw new Error("there is no next token");
      const body = await this.request("auth", { token });
      this.#emit("renewed", { user: this.user, expires_ms: body.expires_ms });
      const next = body.expires_ms ?? expiry(token);
      this.#renewLater(next, next > expiresMs ? 0 : tries + 1);
    } catch (error) {
      if (socket !== this.#socket || !socket) return;
      // Until the old one is over there is time for more tries.
      this.#emit("warning", { error });
      this.#renewLater(expiresMs, tries + 1);
    }
  }

  // ------------------------------------------------------------------------------------------------ the page

  #hook() {
    const doubt = () => {
      this.#moveSoon();
      return this.#welcomed ? this.#probe(PROBE_MS) : this.retry();
    };
    this.#unhook = follow(this.#env, this.#timers, this.#options.hiddenMs ?? HIDDEN_MS, {
      doubt,
      offline: () => this.#probe(PROBE_MS),
      left: () => this.#sleep(),
      back: (persisted) => (persisted || this.#asleep) && doubt(),
      seen: () => this.#lists.forEach((list) => list.wake?.()),
      auto: (state) => this.#auto(state),
    });
  }

  #sleep() {
    this.#asleep = true;
    this.#attempt += 1;
    this.#pending = false;
    this.#timers.cancel("retry");
    if (this.#drop(this.#socket, 1000, "the page is left")) this.#requeue();
    this.#become("waiting", { code: 1000, reason: "the page is left", failures: this.#failures });
  }

  #auto(state) {
    if (this.#options.away === false) return;
    this.#status.auto = state;
    this.#stir();
  }
}
