// Tests of rollcall.js with a stand-in for WebSocket, timers and the page. Each file here is an expression: this one a function
// of the module, which makes what the others' tests are made of; theirs are functions of that, which make tests by name.
(({ connect, RollcallError }) => {
  /** A world in which time passes only by `pass`. */
  class World {
    time = 0; timers = []; sockets = []; requests = []; fetches = false; storage = undefined; randoms = 0.5; told = []; unhandled = [];
    /** The page's own clock, which may be set at any time. */
    wall = 1e12;
    window = new EventTarget();
    document = Object.assign(new EventTarget(), { visibilityState: "visible" });
    navigator = { connection: new EventTarget() };

    connect(options = {}) {
      const world = this;
      class Socket {
        bufferedAmount = 0; sent = []; closed = null; isOpen = false;
        constructor(url, protocols) {
          Object.assign(this, { url, protocols });
          world.sockets.push(this);
          assert(world.sockets.filter((socket) => !socket.closed).length === 1, "one socket at a time");
        }
        send(sent) { this.sent.push(typeof sent === "string" ? JSON.parse(sent) : parted(sent)); }
        close(code, reason) {
          // As in Node: an error that nobody listens for ends the process.
          if (!this.isOpen && !this.closed && !this.onerror) world.unhandled.push("closed before it was open");
          if (!this.isOpen && !this.closed) this.onerror?.({ message: "closed before it was open" });
          this.closed ??= { code, reason };
        }
      }
      const env = {
        WebSocket: Socket, window: this.window, document: this.document, navigator: this.navigator,
        setTimeout: (run, ms) => { const id = {}; this.timers.push({ id, at: this.time + ms, run }); return id; },
        clearTimeout: (id) => { this.timers = this.timers.filter((timer) => timer.id !== id); },
        now: () => this.time, wall: () => this.wall + this.time, random: () => this.randoms,
        fetch: this.fetches && ((...asked) => this.request(...asked)), storage: () => this.storage,
      };
      this.me = connect({ url: "ws://test/ws", env, ...options });
      this.me.on("*", (detail, name) => this.told.push({ name, at: this.time, ...detail }));
      return this.me;
    }
    get socket() { return this.sockets.at(-1); }
    async settle() { for (let i = 0; i < 60; i += 1) await null; }
    /** A request of the page; the test answers it. */
    request(href, { method, body, headers, keepalive, credentials, signal }) {
      const { pathname: path, search } = new URL(href);
      const one = { method, path, query: search, body, headers, keepalive, credentials, isOpen: true, isGone: false };
      this.requests.push(one);
      return new Promise((resolve, reject) => {
        signal.addEventListener("abort", () => { one.isGone = true; one.fail(); });
        const answer = async (status, text, fields, more) => {
          one.isOpen = false;
          resolve({ status, headers: { get: (name) => fields[name] ?? null }, text: async () => text, ...more });
          await this.settle();
        };
        one.answer = (text = "", status = 200, fields = {}) => answer(status, text, fields);
        one.fail = async () => { one.isOpen = false; reject(new TypeError("no answer")); one.end?.(); await this.settle(); };
        // An event stream: what comes is read as it comes, cut anywhere.
        one.stream = async () => {
          const chunks = [];
          let wake = () => {};
          const push = (chunk) => { chunks.push(chunk); wake(); };
          const read = async () => {
            while (!chunks.length) await new Promise((resolve) => { wake = resolve; });
            const value = chunks.shift();
            if (value === null && one.isGone) throw new Error("aborted");
            return { done: value === null, value: value ?? undefined };
          };
          one.end = () => push(null);
          one.event = async (...messages) => {
            const bytes = new TextEncoder().encode(messages.map((message) => `:\n\nevent: x\ndata: ${JSON.stringify(message)}\n\n`).join(""));
            for (let at = 0; at < bytes.length; at += 7) push(bytes.subarray(at, at + 7));
            for (let i = 0; i < bytes.length / 7; i += 1) await this.settle();
          };
          await answer(200, "", { "Content-Type": "text/event-stream" }, { body: { getReader: () => ({ read }) } });
        };
      });
    }
    /** The last request of the kind that is not answered. */
    asked(method, path) {
      const found = this.requests.findLast((one) => one.isOpen && one.method === method && `${one.path}${one.query}`.startsWith(path));
      assert(found, `${method} ${path} was asked for, not ${this.requests.filter(({ isOpen }) => isOpen).map((one) => `${one.method} ${one.path}${one.query}`)}`);
      return found;
    }
    async pass(ms) {
      const end = this.time + ms;
      await this.settle();
      for (;;) {
        const next = this.timers.filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)[0];
        if (!next) break;
        this.timers.splice(this.timers.indexOf(next), 1);
        this.time = Math.max(this.time, next.at);
        next.run();
        await this.settle();
      }
      this.time = end;
    }
    async hear(message, bytes) {
      this.socket.isOpen = true;
      const text = JSON.stringify(message);
      this.socket.onmessage?.({ data: bytes ? new Uint8Array([...new TextEncoder().encode(`${text}\0`), ...bytes]).buffer : text });
      await this.settle();
    }
    async welcome(more = {}) {
      await this.settle();
      await this.hear({ event: "welcome", id: "0-1", user: "anna", heartbeat: { interval_ms: 25000, timeout_ms: 20000 }, time_ms: 1e12 + this.time, ...more });
    }
    /** Answers the last command of that name. */
    async answer(cmd, body = {}) {
      const asked = this.socket.sent.findLast((sent) => sent.cmd === cmd);
      assert(asked, `${cmd} was sent`);
      await this.hear({ seq: asked.seq, body: { code: 200, ...body } });
      return asked;
    }
    async lose(code = 1006, reason = "") {
      const { socket } = this;
      socket.closed ??= { code };
      socket.onclose?.({ code, reason });
      await this.settle();
    }
    /** Time passes, and heartbeats are answered. */
    async alive(ms) {
      for (const end = this.time + ms; this.time < end;) {
        await this.pass(Math.min(1000, end - this.time));
        for (const beat of this.sent("heartbeat").filter(({ done }) => !done)) {
          beat.done = true;
          await this.hear({ seq: beat.seq, body: { code: 200, time_ms: 1e12 + this.time } });
        }
      }
    }
    /** The connection breaks, and another one is there. */
    async again() {
      await this.lose();
      await this.pass(this.heard("state").at(-1).wait_ms);
      await this.welcome();
    }
    async look(state) {
      this.document.visibilityState = state;
      this.document.dispatchEvent(new Event("visibilitychange"));
      await this.settle();
    }
    sent(cmd) { return this.socket.sent.filter((sent) => sent.cmd === cmd); }
    heard(name) { return this.told.filter((told) => told.name === name); }
  }

  /** A command with bytes behind it; of a Blob, what it will be. */
  function parted(sent) {
    if (sent instanceof Blob) return { blob: sent };
    const end = sent.indexOf(0);
    return { ...JSON.parse(new TextDecoder().decode(sent.subarray(0, end))), bytes: [...sent.subarray(end + 1)] };
  }
  function assert(truth, what) { if (!truth) throw new Error(what); }
  function same(is, should, what) {
    assert(JSON.stringify(is) === JSON.stringify(should), `${what}: ${JSON.stringify(is)}, not ${JSON.stringify(should)}`);
  }
  const failure = (promise) => promise.then(() => { throw new Error("it was done"); }, (error) => error);
  /** How a promise stands by now: its value, the code of its failure, or `waits`. */
  const stands = (promise) => Promise.race([promise.then((value) => value ?? "done", ({ code }) => code), new Promise((resolve) => setTimeout(resolve, 0, "waits"))]);
  return { World, connect, RollcallError, assert, same, failure, stands };
})
