// parts.js: what the client is made of. It is delivered behind rollcall.js, in the same module.

const GOODBYE = 4000, KICKED = 4403, UNAUTHORIZED = 4401, REPLACED = 4409, SILENT = 4408;
const GOING_AWAY = 1001, RESTARTED = 1012, TRY_AGAIN = 1013;
/** Answers that another try does not change. */
const FINAL = new Set([400, 403, 404, 413]);

/** May be sent again where a connection was lost before the answer: twice does no harm. */
const REPEATABLE = new Set(["join", "watch", "presence", "who", "history", "status"]);
const isRepeatable = ({ cmd, params }) => REPEATABLE.has(cmd) || cmd === "say" && params?.id !== undefined;
/** Done by the loss itself. */
const UNDOING = new Set(["leave", "unwatch"]);

const TOKEN_TIMEOUT_MS = 10000;
/** All that a subprotocol may be made of; a token is made of less. */
const TOKEN_FORM = /^[\w.~+\-!#$%&'*^`|]*$/;
const TIMER_MS_MAX = 2 ** 31 - 1;
/** Reasons for which a promise fails that nobody has to catch: it was the page's own doing. */
const QUIET = new Set(["left", "closed"]);

const report = (error) => (globalThis.reportError ?? console.error)(error);

/** Listeners by name. */
class Bus {
  #all = new Map(); #run = 0;

  /** Each call is one of its own, also with the same function; what it returns ends just that one. */
  on(name, listener) {
    const one = { listener, listens: true };
    this.#all.set(name, [...(this.#all.get(name) ?? []), one]);
    return () => this.#end(name, one);
  }

  off(name, listener) {
    const one = this.#all.get(name)?.findLast((one) => one.listener === listener);
    if (one) this.#end(name, one);
  }

  #end(name, one) {
    one.listens = false;
    const left = (this.#all.get(name) ?? []).filter((other) => other !== one);
    if (left.length) this.#all.set(name, left);
    else this.#all.delete(name);
  }

  /** What is being told is told no further: something later than that comes. */
  interrupt() {
    this.#run += 1;
  }

  emit(name, detail) {
    const run = this.#run;
    for (const key of [name, "*"]) {
      for (const one of this.#all.get(key) ?? []) {
        if (run !== this.#run) return;
        if (!one.listens) continue;
        // A listener's fault is its own: the connection goes on.
        try {
          const done = one.listener(detail, name);
          if (typeof done?.then === "function") done.then(undefined, report);
        } catch (error) {
          report(error);
        }
      }
    }
  }
}

/** One call that waits until all of some wishes have come true. */
class Wait {
  constructor(wishes, result) {
    this.left = new Set(wishes);
    this.result = result;
    this.promise = new Promise((resolve, reject) => Object.assign(this, { resolve, reject }));
    if (!this.left.size) this.resolve(result());
  }

  done(wish, body) {
    this.left.delete(wish);
    if (!this.left.size) this.resolve(this.result(body));
  }

  fail(error) {
    if (QUIET.has(error.code)) this.promise.catch(() => {});
    this.reject(error);
  }
}

/** A room, a user or a status: what the page wants of it, and what is true of it on this connection. */
class Wish {
  /** Calls that want it and did not take that back, and lists; commands that wait for a room. */
  holds = 0; kept = 0; waits = 0;
  /** null: an answer is missing, so nobody knows. */
  is = false;
  asking = false; tries = 0; due = 0;
  ins = new Set(); outs = new Set();
  constructor(name) {
    this.name = name;
  }

  get isHeld() {
    return this.holds > 0 || this.kept > 0;
  }

  get wanted() {
    return this.isHeld || this.waits > 0;
  }

  /** Everything that changes of it is told. */
  get isLive() {
    return this.is === true && this.asking !== "unwatch";
  }

  settle(waits, body) {
    const all = [...waits];
    waits.clear();
    for (const wait of all) wait.done(this, body);
  }

  fail(error) {
    const all = [...this.ins];
    this.ins.clear();
    for (const wait of all) wait.fail(error);
    return all.length > 0;
  }
}

/** Timers by name. */
class Timers {
  #env; #all = new Map(); #ended = false;

  constructor(env) {
    this.#env = env;
  }

  /** Calls `what` once, with how much too late that was; a later call with the same name replaces it. */
  after(name, ms, what) {
    this.cancel(name);
    if (this.#ended) return;
    const due = this.#env.now() + ms;
    const set = (ms) => this.#all.set(name, { due, id: this.#env.setTimeout(fire, Math.min(ms, TIMER_MS_MAX)) });
    const fire = () => {
      const left = due - this.#env.now();
      if (left > TIMER_MS_MAX) return set(left);
      this.#all.delete(name);
      what(Math.max(0, -left));
    };
    set(ms);
  }

  /** When it is due; undefined where there is none. */
  due(name) {
    return this.#all.get(name)?.due;
  }

  cancel(name) {
    this.#env.clearTimeout(this.#all.get(name)?.id);
    this.#all.delete(name);
  }

  /** None runs from now on. */
  end() {
    for (const name of [...this.#all.keys()]) this.cancel(name);
    this.#ended = true;
  }
}

/** Gets a token, and the next one in time. */
class Tokens {
  #token; #env; #timers; #clock = null;

  constructor(token, env, timers) {
    this.#token = token;
    this.#env = env;
    this.#timers = timers;
  }

  /** A cookie, or nothing, takes its place. */
  get isNone() {
    return this.#token === undefined;
  }

  /** There is no other one to be had. */
  get isFixed() {
    return !this.isNone && typeof this.#token !== "function";
  }

  /** Fails where it takes too long, or where what comes can't be one, such as the page of an error. */
  async get(why) {
    const token = this.#token;
    if (typeof token !== "function") return token;
    // A call that is given up may end at any time: each has a timer of its own.
    const id = {};
    const got = await new Promise((resolve, reject) => {
      this.#timers.after(id, TOKEN_TIMEOUT_MS, () => reject(new Error(`it took over ${TOKEN_TIMEOUT_MS} ms`)));
      Promise.resolve(token(why)).then(resolve, reject);
    }).finally(() => this.#timers.cancel(id));
    if (got === undefined || got === null) return undefined;
    const text = typeof got === "string" ? got.trim() : null;
    if (text === null || !TOKEN_FORM.test(text)) throw new Error("what came can't be one");
    return text;
  }

  /** The page's own clock may be set at any time: only how much time passed is taken from here. */
  setClock(timeMs) {
    if (typeof timeMs === "number") this.#clock = { timeMs, at: this.#env.now() };
  }

  /** Calls `renew` a minute before the end; `tries` that brought none that lasts longer make it wait twice as long each. */
  later(expiresMs, tries, renew) {
    if (!expiresMs || typeof this.#token !== "function") return;
    const now = this.#clock ? this.#clock.timeMs + this.#env.now() - this.#clock.at : this.#env.wall();
    const left = expiresMs - now;
    // Behind the end the server closes the connection, and the next one asks.
    if (left > 0) this.#timers.after("renew", Math.max(1000 * 2 ** tries, left - Math.min(60000, left / 2)), renew);
  }
}

/** Tells what the page lives through, until what it returns is called. */
function follow({ window, document, navigator }, timers, hiddenMs, on) {
  const ends = [];
  const listen = (target, name, listener) => {
    target?.addEventListener?.(name, listener);
    ends.push(() => target?.removeEventListener?.(name, listener));
  };
  const isHidden = () => document?.visibilityState === "hidden";
  const see = () => {
    timers.cancel("hidden");
    // A person who only changes tabs is not away.
    if (isHidden()) return timers.after("hidden", hiddenMs, () => on.auto("away"));
    on.seen();
    on.auto("online");
  };
  listen(window, "online", on.doubt);
  listen(window, "offline", on.offline);
  listen(navigator?.connection, "change", on.doubt);
  // A page that is kept for the way back hears nothing, while the browser goes on answering for it. It may be a reload, too:
  // so it leaves as one does who may be back in a moment.
  listen(window, "pagehide", on.left);
  listen(window, "pageshow", ({ persisted }) => on.back(persisted));
  listen(document, "visibilitychange", () => {
    see();
    if (!isHidden()) on.doubt();
  });
  listen(document, "freeze", () => on.auto("away"));
  listen(document, "resume", () => {
    see();
    on.doubt();
  });
  if (isHidden()) on.auto("away");
  return () => ends.splice(0).forEach((end) => end());
}

/** Whether others would see a difference. */
function differs(one, other) {
  const seen = ({ state, connections, info, last_seen_ms: last }) => JSON.stringify([state, connections, info, state === "offline" && last]);
  return seen(one) !== seen(other);
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
