
// carriers.js: what carries the client where no WebSocket gets through. It is delivered behind rollcall.js, in the same module.

const CARRIERS = ["websocket", "events", "poll"];
/** How long a carrier may take to say welcome while there is another one to try. */
const WELCOME_MS = 5000;
/** A carrier that breaks so many times in a row as soon as it is there is none. */
const UNSTEADY_MAX = 3;
/** Longest waits before the tries to go over to a WebSocket. */
const MOVE_WAITS_MS = [3000, 10000, 30000, 120000, 300000];
/** How long going over may take, and how long the stream that was left may take to say so. */
const MOVE_MS = 10000, MOVED_MS = 5000;
const POLL_WAIT_S = 25, POLL_MS = POLL_WAIT_S * 1000 + 10000, POST_MS = 10000;
/** A poll that comes back sooner with nothing was answered by nobody who waits. */
const POLL_EMPTY_MS = 500;
/** Waits between tries of one request: together about as long as a server keeps a client that does not poll. */
const REPEAT_WAITS_MS = [200, 500, 1000, 2000, 3000, 3000];
const POST_LINES_MAX = 256, POST_BYTES_MAX = 262144;
/** The beginning of a message: its number, and the event that it is. */
const BEGINNING = /^\{(?:"n":(\d+),?)?(?:"event":"(\w+)")?/;

/** Which carrier is to be tried: the one that worked, then those behind it. */
class Carriers {
  #all; #at = 0; #known; #unsteady = 0; #storage; #key;

  constructor(allowed, { WebSocket, fetch, storage }, url) {
    const can = (name) => allowed.includes(name) && (name === "websocket" ? WebSocket : fetch);
    this.#all = CARRIERS.filter(can);
    this.#storage = storage;
    this.#key = `rollcall.carrier ${url.origin}${url.pathname}`;
    try {
      // A page may be kept from its storage.
      this.#known = this.#storage()?.getItem(this.#key);
    } catch { /* then it is asked anew */ }
    this.#at = Math.max(0, this.#all.indexOf(this.#known));
  }

  /** Undefined where there is none. */
  get current() {
    return this.#all[this.#at];
  }

  get mayMove() {
    return this.#all[0] === "websocket";
  }

  /** How long the current one may take, where it need not take `ms`. */
  patience(ms) {
    return this.#at + 1 < this.#all.length && this.current !== this.#known ? Math.min(ms, WELCOME_MS) : ms;
  }

  /** The current one failed before it was there. Says whether there is another one to try at once. */
  next(isFirst) {
    // What got through before does so again, as a rule: one failure does not speak against it.
    if (isFirst && this.current === this.#known) return false;
    this.#at += 1;
    if (this.current) return true;
    // None got through: nothing speaks against the first one.
    this.#at = 0;
    return false;
  }

  /** The current one was there, and broke. One that never holds for long is none. */
  broke(steady) {
    this.#unsteady = steady ? 0 : this.#unsteady + 1;
    if (this.#unsteady < UNSTEADY_MAX || this.#at + 1 >= this.#all.length) return;
    this.#unsteady = 0;
    this.#at += 1;
  }

  worked(name) {
    this.#at = this.#all.indexOf(name);
    if (this.#known === name) return;
    this.#known = name;
    try {
      this.#storage()?.setItem(this.#key, name);
    } catch { /* as above */ }
  }
}

/**
 * A client without a WebSocket: it hears by an event stream or by polls, and speaks by posts, one at a time. To the rest of the client it
 * is as a socket is. A post, or a poll, whose answer was lost is sent again: it has a number, and nothing is done or told twice.
 */
class Session {
  bufferedAmount = 0; onmessage = null; onclose = null; onerror = null;
  /** All up to this event has arrived; events of streams have no numbers. */
  ack = 0;
  #env; #url; #credentials; #headers; #isStream;
  #place = null; #lines = []; #post = null; #n = 0; #asksFirst = false; #isOver = false; #fetches = new Set();
  /** While it is about to go over: posts are held back, and then what a poll brings does not count. */
  #isHeld = false; #isFrozen = false; #isMoved = false; #onMoved = null; #waits = new Set();

  constructor(carrier, url, { env, token, credentials }) {
    this.#env = env;
    this.#isStream = carrier === "events";
    this.#url = new URL(carrier, url);
    this.#url.search = url.search;
    this.#url.protocol = this.#url.protocol.replace("ws", "http");
    this.#url.searchParams.delete("binary");
    this.#credentials = credentials;
    this.#headers = token ? { Authorization: `Bearer ${token}` } : {};
    this.#hear().catch((error) => this.#over(1006, String(error?.message ?? error)));
  }

  /** The name of the session, once the server has said it. */
  get name() {
    return this.#place;
  }

  send(line) {
    this.#lines.push(line);
    this.bufferedAmount += line.length;
    // What is said at once goes at once.
    queueMicrotask(() => this.#pump());
  }

  /** Leaves: for good with 4000, as a page that is left, or, with no code, as one who hears nothing. What was sent before goes first. */
  close(code) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#wake();
    if (!this.#place) return this.#abort();
    const leave = () => {
      const query = code === GOODBYE ? `?code=${GOODBYE}` : "";
      return this.#ask("DELETE", this.#at(query), { ms: POST_MS, keepalive: true });
    };
    let left;
    if (code === GOODBYE) {
      left = this.#flush(this.#post).then(leave);
    } else {
      // A page that is about to go does nothing later: what is yet to be said leaves at once, and then it goes.
      if (code !== undefined) this.#flush().catch(() => {});
      left = leave();
    }
    left.catch(() => {}).then(() => this.#abort());
  }

  /** All that was not posted yet. */
  take() {
    this.bufferedAmount = 0;
    return this.#lines.splice(0);
  }

  /** Begins no post any more; resolves when none is unanswered. */
  async hold() {
    this.#isHeld = true;
    await this.#post;
  }

  /** What a poll brings from now on does not count. */
  freeze() {
    this.#isFrozen = true;
  }

  /** It goes on as before. */
  release() {
    this.#isHeld = this.#isFrozen = false;
    if (this.#isMoved) return this.#over(1006, "it went over to a WebSocket that broke");
    this.#wake();
    this.#pump();
  }

  /** Calls `then` once nothing more comes by it. */
  whenMoved(then) {
    if (!this.#isStream || this.#isMoved) return then();
    this.#onMoved = then;
  }

  /** Something else carries its client. */
  retire() {
    this.#isOver = true;
    this.#wake();
    this.#abort();
  }

  // ---------------------------------------------------------------------------------------------- requests

  #at(query) {
    const url = new URL(this.#url);
    url.pathname += `/${this.#place}`;
    url.search = query;
    return url;
  }

  #abort() {
    for (const one of this.#fetches) one.abort();
  }

  /** One request, whose answer is used by `use`; fails where that takes longer than `ms`. */
  async #fetch(method, url, { body, ms, headers = {}, keepalive = false }, use) {
    const one = new AbortController();
    this.#fetches.add(one);
    const timer = this.#env.setTimeout(() => one.abort(), ms);
    try {
      const answer = await this.#env.fetch(url.href, {
        // Whose page this is stands in the referrer where a browser says no origin.
        method, body, headers, keepalive, signal: one.signal, credentials: this.#credentials, cache: "no-store", referrerPolicy: "strict-origin",
      });
      return await use(answer, () => this.#env.clearTimeout(timer));
    } finally {
      this.#env.clearTimeout(timer);
      this.#fetches.delete(one);
    }
  }

  async #ask(method, url, { body, headers, ...more }) {
    const asked = { ...more, body, headers: this.#asksFirst && body !== undefined ? { ...headers, "Content-Type": "application/x-ndjson" } : headers };
    const answer = await this.#fetch(method, url, asked, async (answer) => ({ status: answer.status, text: await answer.text(), later: answer.headers.get("Retry-After") }));
    if (answer.status !== 415 || this.#asksFirst) return answer;
    // A page of strangers has to ask whether it may.
    this.#asksFirst = true;
    return this.#ask(method, url, { body, headers, ...more });
  }

  /** Waits until it is woken, or for about so long. */
  async #wait(ms) {
    if (this.#isOver) return;
    let wait, timer;
    await new Promise((resolve) => {
      this.#waits.add(wait = resolve);
      if (ms !== undefined) timer = this.#env.setTimeout(resolve, ms * (0.5 + this.#env.random() / 2));
    });
    this.#waits.delete(wait);
    this.#env.clearTimeout(timer);
  }

  #wake() {
    for (const wake of this.#waits) wake();
  }

  /** A request of the session, again and again until it is answered; undefined where that is not to be had. */
  async #insist(query, body, ms, gives = () => false) {
    for (const wait of [...REPEAT_WAITS_MS, null]) {
      const answer = await this.#ask("POST", this.#at(query), { body, ms }).catch(() => null);
      if (this.#isOver || gives()) return undefined;
      if (answer?.status === 200) return answer.text;
      if (answer?.status === 404 || answer?.status === 410) return void this.#over(1006, "the session is over");
      if (answer?.status === 413) return void this.#over(1009, answer.text);
      if (wait === null) return void this.#over(1006, answer?.text ?? "no answer");
      await this.#wait(wait);
    }
  }

  // ---------------------------------------------------------------------------------------------- hearing

  #hear() {
    return this.#isStream ? this.#stream() : this.#poll();
  }

  async #stream() {
    const asked = { ms: OPEN_TIMEOUT_MS, headers: this.#headers };
    await this.#fetch("GET", this.#url, asked, async (answer, keep) => {
      const type = answer.headers.get("Content-Type") ?? "";
      if (answer.status !== 200) return this.#refused({ status: answer.status, text: await answer.text(), later: answer.headers.get("Retry-After") });
      if (!type.startsWith("text/event-stream") || !answer.body?.getReader) return this.#over(1006, "there is no stream");
      const reader = answer.body.getReader(), decoder = new TextDecoder();
      for (let rest = ""; !this.#isOver;) {
        const { done, value } = await reader.read();
        if (done) break;
        const events = (rest + decoder.decode(value, { stream: true })).split("\n\n");
        rest = events.pop();
        for (const event of events) {
          const data = /^data: (.*)$/m.exec(event);
          if (data) this.#take(data[1]);
          // From the first event on it may take as long as it likes.
          if (this.#place) keep();
        }
      }
    });
    if (!this.#isMoved) this.#over(1006, "the stream has ended");
  }

  async #poll() {
    const opened = await this.#ask("POST", this.#url, { body: "", ms: OPEN_TIMEOUT_MS, headers: this.#headers });
    if (opened.status !== 200) return this.#refused(opened);
    this.#lines_of(opened.text);
    if (!this.#place) return this.#over(1006, "there is no session");
    while (!this.#isOver) {
      const from = this.#env.now();
      const text = await this.#insist(`?ack=${this.ack}&wait=${POLL_WAIT_S}s`, "", POLL_MS, () => this.#isFrozen);
      if (this.#isFrozen) await this.#wait();
      else if (text) this.#lines_of(text);
      else if (this.#env.now() - from < POLL_EMPTY_MS) await this.#wait(POLL_EMPTY_MS);
    }
  }

  #lines_of(text) {
    for (const line of text.split("\n")) if (line && !this.#isOver) this.#take(line);
  }

  #take(text) {
    if (this.#isOver) return;
    const [, number, event] = BEGINNING.exec(text) ?? [];
    if (number !== undefined) {
      // It has come before.
      if (Number(number) <= this.ack) return;
      this.ack = Number(number);
      text = text.replace(/^\{"n":\d+,?/, "{");
    }
    if (event === "moved") {
      this.#isMoved = true;
      this.#onMoved?.();
      return;
    }
    const begins = event === "welcome" && !this.#place;
    if (begins) this.#place = JSON.parse(text).session;
    this.onmessage?.({ data: text });
    if (begins) this.#pump();
    if (event !== "goodbye") return;
    const { code, reason } = JSON.parse(text);
    this.#place = null;
    this.#over(code, reason);
  }

  /** The server lets nobody in: as it would tell a WebSocket. */
  #refused({ status, text, later }) {
    const code = { 401: UNAUTHORIZED, 403: KICKED, 429: TRY_AGAIN, 503: TRY_AGAIN }[status];
    if (code === undefined) return this.#over(1006, `${status} ${text}`.slice(0, 100));
    const reason = text.trim().slice(0, 200), seconds = Number.parseInt(later, 10);
    if (code !== TRY_AGAIN) this.onmessage?.({ data: JSON.stringify({ event: "goodbye", code, reason }) });
    else if (seconds >= 0) this.onmessage?.({ data: JSON.stringify({ event: "goodbye", code, reason, retry_ms: seconds * 1000 * (1 + this.#env.random() / 4) }) });
    this.#over(code, reason);
  }

  #over(code, reason) {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#wake();
    this.#abort();
    this.onclose?.({ code, reason });
  }

  // ---------------------------------------------------------------------------------------------- speaking

  #pump() {
    if (this.#post || this.#isOver || this.#isHeld || !this.#place || !this.#lines.length) return;
    this.#post = this.#send().finally(() => {
      this.#post = null;
      this.#pump();
    });
  }

  async #send() {
    let size = 0, count = 0;
    for (const { length } of this.#lines) {
      if (count === POST_LINES_MAX || count > 0 && size + length > POST_BYTES_MAX) break;
      size += length;
      count += 1;
    }
    const lines = this.#lines.splice(0, count);
    const text = await this.#insist(`?n=${++this.#n}&answers=events`, lines.join("\n"), POST_MS);
    this.bufferedAmount = Math.max(0, this.bufferedAmount - size);
    if (text) this.#lines_of(text);
  }

  /** What is yet to be said by one that leaves, behind what is on its way. */
  async #flush(post) {
    if (post) await post.catch(() => {});
    const lines = this.#lines.splice(0);
    if (lines.length) await this.#ask("POST", this.#at(`?n=${++this.#n}&answers=events`), { body: lines.join("\n"), ms: POST_MS, keepalive: true });
  }
}

/**
 * A try to go over to a WebSocket. `done` is told what has come by it already, once it carries the session; `failed`: all is as it was;
 * `lost`: nothing carries it any more.
 */
class Move {
  #session; #socket; #env; #timer; #heard = []; #is = "opening"; #tell;

  constructor(session, socket, env, tell) {
    this.#session = session;
    this.#socket = socket;
    this.#env = env;
    this.#tell = tell;
    this.#timer = env.setTimeout(() => this.#fail(), MOVE_MS);
    socket.binaryType = "arraybuffer";
    socket.onopen = () => this.#ask();
    socket.onmessage = ({ data }) => this.#hear(data);
    socket.onclose = socket.onerror = () => this.#fail();
  }

  /** Gives it up, where nothing is to go on. */
  end() {
    if (this.#is !== "over") this.#close();
  }

  async #ask() {
    await this.#session.hold();
    if (this.#is !== "opening") return;
    this.#is = "asking";
    this.#session.freeze();
    this.#socket.send(JSON.stringify({ seq: 0, cmd: "resume", params: { ack: this.#session.ack } }));
  }

  #hear(data) {
    if (this.#is === "moving") return void this.#heard.push(data);
    let answer;
    try {
      answer = JSON.parse(data);
    } catch { /* it is none */ }
    // A close follows a goodbye.
    if (this.#is !== "asking" || answer?.seq !== 0) return;
    if (answer.body?.code !== 200) return this.#fail();
    this.#is = "moving";
    this.#env.clearTimeout(this.#timer);
    this.#timer = this.#env.setTimeout(() => this.#fail(), MOVED_MS);
    this.#session.whenMoved(() => {
      if (this.#is !== "moving") return;
      this.#is = "over";
      this.#env.clearTimeout(this.#timer);
      this.#socket.onopen = null;
      this.#tell.done(this.#heard);
    });
  }

  #close() {
    this.#is = "over";
    this.#env.clearTimeout(this.#timer);
    const socket = this.#socket;
    socket.onopen = socket.onmessage = socket.onclose = null;
    socket.onerror = () => {};
    try {
      socket.close(1000);
    } catch { /* it is closed */ }
  }

  #fail() {
    if (this.#is === "over") return;
    const isLost = this.#is === "moving";
    this.#close();
    if (isLost) return this.#tell.lost();
    this.#session.release();
    this.#tell.failed();
  }
}

/** A command with bytes for what takes text alone. */
function plain({ params, ...command }, data) {
  const bytes = ArrayBuffer.isView(data) ? new Uint8Array(data.buffer, data.byteOffset, data.byteLength) : new Uint8Array(data);
  let text = "";
  for (let at = 0; at < bytes.length; at += 8192) text += String.fromCharCode(...bytes.subarray(at, at + 8192));
  return JSON.stringify({ ...command, params: { ...params, data: { $binary: btoa(text) } } });
}
