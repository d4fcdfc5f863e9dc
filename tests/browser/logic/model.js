// The beliefs of a page, checked against the truth of a server that is written down here: rooms with positions, users with
// versions, by a WebSocket, an event stream or polls, any request or answer of which may be lost; any delay between two messages, messages that are left out, snapshots behind events, lines that are cut, refusals, orders, big rooms, restarts.
(({ connect, assert, same }) => {
  const STEPS = 60, BIG = 6, SMALL = 5, STORM = 4;
  const ROOMS = ["red", "green", "blue"], OTHERS = ["ben", "carl", "dora", "eve", "fred", "gil", "hugo", "ida"];
  const STATES = ["online", "away", "offline"];
  const WELCOME = { id: "1", user: "anna", heartbeat: { interval_ms: 25000, timeout_ms: 20000 } };

  function dice(seed) {
    let state = seed * 2654435761 + 1;
    const next = () => {
      state = (state + 0x6d2b79f5) | 0;
      let x = Math.imul(state ^ (state >>> 15), 1 | state);
      x = (x + Math.imul(x ^ (x >>> 7), 61 | x)) ^ x;
      return ((x ^ (x >>> 14)) >>> 0) / 4294967296;
    };
    return { next, below: (n) => Math.floor(next() * n), of: (all) => all[Math.floor(next() * all.length)], chance: (p) => next() < p };
  }

  /** Time, and what is due. */
  class Time {
    now = 0; due = [];
    after(ms, run) {
      const one = { at: this.now + ms, nth: (this.nth = (this.nth ?? 0) + 1), run };
      this.due.push(one);
      return one;
    }
    cancel(one) {
      const at = this.due.indexOf(one);
      if (at >= 0) this.due.splice(at, 1);
    }
    async settle() { for (let i = 0; i < 12; i += 1) await null; }
    async pass(ms) {
      const end = this.now + ms;
      await this.settle();
      for (;;) {
        let next = null;
        for (const one of this.due) if (one.at <= end && (!next || one.at < next.at || one.at === next.at && one.nth < next.nth)) next = one;
        if (!next) break;
        this.cancel(next);
        this.now = next.at;
        next.run();
        await this.settle();
      }
      this.now = end;
    }
  }

  class Room {
    epoch; offset = 0; membership = 0; members = new Set(); big = false; touched = new Map(); ticks = false; told = 0;
    constructor(epoch) { this.epoch = epoch; }
  }

  /** One line to one page; the server's half of it. */
  class Server {
    rooms = new Map(); line = null; refuses = 0; delays = true; epochs = 0; version = 1000; given = new Set(); kicks = 0; withholds = 0; owes = new Set(); tells = 0;
    constructor(time, roll) {
      Object.assign(this, { time, roll });
      this.users = new Map(OTHERS.map((user) => [user, { state: "online", version: this.version++ }]));
      this.users.set("anna", { state: "online", version: this.version++ });
    }
    delay() { return this.delays ? this.roll.of([0, 1, 5, 40, 200]) : 1; }
    /** In order, each after a while. */
    send(line, make) {
      line.last = Math.max(line.last, this.time.now + this.delay());
      this.time.after(line.last - this.time.now, () => {
        const message = line === this.line && make();
        if (message) line.socket.onmessage?.({ data: JSON.stringify(message) });
      });
    }
    event(message) { if (this.line) this.send(this.line, () => message); }
    open(socket, session) {
      const line = this.line = { socket, last: this.time.now, rooms: new Set(), watched: new Set(), pages: [], says: [], tells: [] };
      // Polls are answered with it at once.
      if (!session || socket.isStream) this.send(line, () => ({ event: "welcome", ...WELCOME, session, time_ms: 1e12 + this.time.now }));
      for (const room of this.given) this.order("join", room);
      return line;
    }
    /** The line is gone; presence keeps the member for a while, or not. */
    cut(code = 1006) {
      const { line } = this;
      if (!line) return;
      this.line = null;
      if (this.roll.chance(0.5)) for (const room of [...line.rooms]) this.change(room, "anna", false);
      line.socket.onclose?.({ code, reason: "" });
    }
    restart() {
      this.cut();
      this.rooms.clear();
      this.version -= 500;
      for (const [user, known] of this.users) if (user !== "anna") known.version = this.version++;
      for (const user of OTHERS) if (this.roll.chance(0.5)) this.change(this.roll.of(ROOMS), user, true);
    }
    place(room) { return { count: room.members.size, epoch: room.epoch, offset: room.offset, membership: room.membership }; }
    room(name) {
      if (!this.rooms.has(name)) this.rooms.set(name, new Room(++this.epochs));
      return this.rooms.get(name);
    }
    change(name, user, isIn, by) {
      const room = this.room(name);
      if (room.members.has(user) === isIn) return;
      room.members[isIn ? "add" : "delete"](user);
      room.membership += 1;
      const hears = this.line?.rooms.has(name);
      room.touched.set(user, isIn);
      if (by && user === "anna") this.event({ event: isIn ? "join" : "leave", room: name, user, ...this.place(room), by });
      else if (!room.big && room.members.size <= BIG && hears && this.withholds > 0) {
        this.withholds -= 1;
        this.owes.add(name);
      } else if (!room.big && room.members.size <= BIG && hears) {
        this.event({ event: isIn ? "join" : "leave", room: name, user, count: room.members.size, membership: room.membership });
      }
      if (!room.big && room.members.size <= BIG) room.told = room.membership;
      if (room.members.size > BIG && !room.big) room.big = true;
      if (room.big && !room.ticks) { room.ticks = true; this.time.after(1000, () => this.tick(name, room)); }
      if (!room.big) room.touched.clear();
      if (!room.members.size) this.rooms.delete(name);
    }
    tick(name, room) {
      room.ticks = false;
      if (this.rooms.get(name) !== room) return;
      const { size: count } = room.members, { membership, touched } = room;
      room.touched = new Map();
      const event = { event: "room", room: name, count, membership, epoch: room.epoch, offset: room.offset, since: room.told };
      room.told = membership;
      if (count < SMALL) {
        room.big = false;
        Object.assign(event, { list: true, members: [...room.members] });
      } else if (touched.size > STORM) {
        event.list = false;
      } else {
        const of = (is) => [...touched].filter(([, isIn]) => isIn === is).map(([user]) => user);
        Object.assign(event, { list: true, joined: of(true), left: of(false) });
      }
      if (!this.line?.rooms.has(name)) return;
      // A page in the making is asked for anew, and one that became small again is whole.
      if (!event.joined) for (const page of this.line.pages) page.stale ||= page.room === name;
      this.event(event);
    }
    /** What was left out is followed by something that tells so; again at the end, since it says nothing beside a say of the page's own. */
    shows() {
      for (const name of this.owes) {
        const room = this.rooms.get(name);
        if (!room) continue;
        room.offset += 2;
        if (this.line?.rooms.has(name)) this.event({ event: "say", room: name, from: "ben", data: 1, epoch: room.epoch, offset: room.offset });
      }
    }
    /** Somebody else says something. */
    talk(name) {
      if (this.line) {
        this.line.tells.push(++this.tells);
        this.event({ event: "tell", from: "ben", data: this.tells });
      }
      const room = this.rooms.get(name);
      if (!room) return;
      room.offset += 1;
      if (!this.line?.rooms.has(name)) return;
      this.event({ event: "say", room: name, from: "ben", data: 1, epoch: room.epoch, offset: room.offset });
      this.line.says.push(`${name} ${room.epoch} ${room.offset}`);
    }
    /** The page does not want to hear what is on its way from there. */
    forgive(name) { if (this.line) this.line.says = this.line.says.filter((say) => !say.startsWith(`${name} `)); }
    order(cmd, name) {
      if (cmd === "join") {
        this.line?.rooms.add(name);
        const room = this.room(name);
        if (room.members.has("anna")) this.event({ event: "join", room: name, user: "anna", ...this.place(room), by: "server" });
        else this.change(name, "anna", true, "server");
      } else {
        this.change(name, "anna", false, "server");
        this.line?.rooms.delete(name);
        this.given.delete(name);
      }
    }
    view(user) {
      const { state, version } = this.users.get(user) ?? { state: "offline", version: 1 };
      return { user, state, version, connections: state === "offline" ? 0 : 1, last_seen_ms: null, info: null };
    }
    status(user, state) {
      const known = this.users.get(user);
      if (known.state === state) return;
      Object.assign(known, { state, version: this.version++ });
      if (this.line?.watched.has(user)) this.event({ event: "presence", ...this.view(user), reason: "closed" });
    }
    hear(line, { seq, cmd, params = {} }) {
      this.time.after(this.delay(), () => {
        if (line !== this.line) return;
        const say = (body) => this.send(line, () => ({ seq, body: { code: 200, ...body } }));
        if (cmd !== "heartbeat" && this.refuses > 0) {
          this.refuses -= 1;
          return say({ code: this.roll.of([503, 429]), error: "later" });
        }
        const { room: name, users } = params;
        switch (cmd) {
          case "heartbeat": return say({ time_ms: 1e12 + this.time.now });
          case "join": line.rooms.add(name); this.change(name, "anna", true); return say(this.place(this.room(name)));
          case "leave": {
            const known = line.rooms.delete(name) && this.rooms.get(name);
            this.given.delete(name);
            this.change(name, "anna", false);
            return say(known ? this.place(known) : { count: 0 });
          }
          case "who": return this.page(line, seq, params);
          case "say": {
            const room = this.rooms.get(name);
            if (!line.rooms.has(name)) return say({ code: 403, error: "not a member" });
            room.offset += 1;
            return say({ epoch: room.epoch, offset: room.offset });
          }
          case "watch": {
            for (const user of users) line.watched.add(user);
            // The snapshot is taken now, and may arrive behind events.
            const views = users.map((user) => this.view(user));
            return void this.time.after(this.delay(), () => line === this.line && say({ users: views }));
          }
          case "unwatch": for (const user of users) line.watched.delete(user); return say({});
          case "status": return say({ state: params.state });
          default: return say({ code: 400, error: cmd });
        }
      });
    }
    page(line, seq, { room: name, after }) {
      const take = () => {
        const room = this.rooms.get(name);
        const all = [...room?.members ?? []].sort().filter((user) => !after || user > after), users = all.slice(0, 3);
        const views = users.map((user) => ({ user, state: this.view(user).state, since_ms: 1, connections: 1, info: null }));
        return { code: 200, ...(room ? this.place(room) : { count: 0 }), room: name, users: views, next: all.length > 3 ? users.at(-1) : null };
      };
      const page = { room: name, body: take(), stale: false };
      line.pages.push(page);
      this.time.after(this.delay(), () => {
        line.pages.splice(line.pages.indexOf(page), 1);
        if (line === this.line) this.send(line, ((body) => () => ({ seq, body }))(page.stale ? take() : page.body));
      });
    }
  }

  /** The same server by requests: one session at a time, which a WebSocket may take over. */
  class Http {
    session = null; names = 0;
    constructor(server, net) {
      Object.assign(this, { server, net, time: server.time, roll: server.roll });
    }
    /** It reaches the server, and its answer the page, unless either is lost. */
    fetch(href, { method, body, signal }) {
      const url = new URL(href), lost = () => this.net.down || this.net.loses && this.roll.chance(0.08);
      return new Promise((resolve, reject) => {
        const request = { isGone: false };
        const fail = () => reject(new TypeError("no answer"));
        signal.addEventListener("abort", () => {
          request.isGone = true;
          request.ended?.();
          fail();
        });
        request.answer = (status, text, more) => {
          this.time.after(this.server.delay(), () => {
            if (lost()) { request.ended?.(); return fail(); }
            resolve({ status, headers: { get: (name) => (name === "Content-Type" && more ? "text/event-stream" : null) }, text: async () => text, ...more });
          });
        };
        this.time.after(this.server.delay(), () => {
          if (request.isGone) return;
          if (lost()) return fail();
          this.take(request, method, url, body);
        });
      });
    }
    take(request, method, { pathname, searchParams: query }, body) {
      const [, kind, name] = pathname.split("/");
      if (!name) {
        if (this.net.blocks.has(kind)) return request.answer(502, "a proxy");
        this.server.cut();
        return kind === "events" ? this.stream(request) : this.polls(request);
      }
      const session = this.session?.name === name && this.session.line === this.server.line ? this.session : null;
      if (!session) return request.answer(404, "no such session");
      if (method === "DELETE") {
        this.server.cut();
        return request.answer(200, "");
      }
      if (query.has("ack")) return this.poll(session, request, Number(query.get("ack")));
      if (session.socket) return request.answer(409, "elsewhere");
      const number = Number(query.get("n"));
      if (number > session.last) for (const line of body.split("\n")) this.server.hear(session.line, JSON.parse(line));
      session.last = Math.max(number, session.last);
      request.answer(200, "");
    }
    begin(socket) {
      const session = this.session = { name: `s${++this.names}`, last: 0, queue: [], sent: 0, held: null, socket: null, ...socket };
      session.line = this.server.open(session, session.name);
      return session;
    }
    stream(request) {
      const chunks = [];
      let wake = () => {};
      const push = (chunk) => { chunks.push(chunk); wake(); };
      const read = async () => {
        while (!chunks.length) await new Promise((resolve) => { wake = resolve; });
        const value = chunks.shift();
        return { done: value === null, value: value ?? undefined };
      };
      const encoder = new TextEncoder();
      let last = 0;
      const later = (chunk) => {
        last = Math.max(last, this.time.now + this.server.delay());
        this.time.after(last - this.time.now, () => push(chunk));
      };
      const session = this.begin({
        onmessage: ({ data }) => later(encoder.encode(`event: x\ndata: ${data}\n\n`)),
        onclose: () => later(null),
        isStream: true,
      });
      request.ended = () => {
        push(null);
        if (!session.socket && session.line === this.server.line) this.server.cut();
      };
      request.answer(200, "", { body: { getReader: () => ({ read }) } });
    }
    polls(request) {
      const session = this.begin({
        onmessage: ({ data }) => {
          session.queue.push([++session.sent, data]);
          this.give(session);
        },
        onclose: () => session.held?.answer(404, "it is over"),
      });
      const welcome = { event: "welcome", ...WELCOME, session: session.name, time_ms: 1e12 + this.time.now };
      session.queue.push([++session.sent, JSON.stringify(welcome)]);
      request.answer(200, this.lines(session));
    }
    lines({ queue }) { return queue.slice(0, 4).map(([number, text]) => `{"n":${number},${text.slice(1)}\n`).join(""); }
    poll(session, request, ack) {
      if (session.socket || session.isStream) return request.answer(409, "elsewhere");
      if (ack < session.ack) return request.answer(409, "a newer poll came before");
      session.ack = ack;
      session.held?.answer(409, "a newer poll");
      session.held = request;
      request.ended = () => { if (session.held === request) session.held = null; };
      session.queue = session.queue.filter(([number]) => number > ack);
      this.time.after(25000, () => {
        if (session.held !== request) return;
        session.held = null;
        request.answer(200, "");
      });
      this.give(session);
    }
    give(session) {
      if (!session.held || !session.queue.length) return;
      const { held } = session;
      session.held = null;
      held.answer(200, this.lines(session));
    }
    /** A WebSocket asks to carry a session. */
    resume(socket, name, { cmd, params: { ack } }) {
      const { session } = this;
      assert(cmd === "resume", `${cmd} came before resume`);
      if (session?.name !== name || session.line !== this.server.line || session.socket) return this.time.after(this.server.delay(), () => socket.onclose?.({ code: 4404, reason: "" }));
      socket.line = session.line;
      if (session.isStream) session.onmessage({ data: '{"event":"moved"}' });
      session.onclose();
      session.socket = session.line.socket = socket;
      session.held?.answer(409, "moved");
      if (this.net.loses && this.roll.chance(0.1)) return this.server.cut();
      const rest = [JSON.stringify({ seq: 0, body: { code: 200, next: 0 } }), ...session.queue.filter(([number]) => number > ack).map(([, text]) => text)];
      // What else is on its way by now is behind that.
      for (const data of rest) socket.onmessage?.({ data });
    }
  }

  async function play(seed) {
    const roll = dice(seed), time = new Time(), server = new Server(time, roll), window = new EventTarget();
    // In every second game nothing goes wrong with requests, and every WebSocket gets through.
    const net = { down: false, loses: seed % 2 === 1, blocks: new Set() }, http = new Http(server, net);
    class Socket {
      bufferedAmount = 0;
      constructor(href) {
        const session = new URL(href).searchParams.get("session");
        time.after(server.delay(), () => {
          if (this.closed) return;
          if (net.down || net.blocks.has("websocket") || !session && server.line?.socket instanceof Socket) return this.onclose?.({ code: 1006, reason: "" });
          if (session) {
            this.session = session;
            return this.onopen?.();
          }
          server.cut();
          this.line = server.open(this);
        });
      }
      send(text) {
        if (this.line) server.hear(this.line, JSON.parse(text));
        else if (this.session) time.after(server.delay(), () => !this.closed && http.resume(this, this.session, JSON.parse(text)));
      }
      close() {
        this.closed = true;
        if (this.line && this.line === server.line) server.cut();
      }
    }
    const env = {
      WebSocket: Socket, window, document: undefined, navigator: undefined,
      setTimeout: (run, ms) => time.after(ms, run), clearTimeout: (one) => one && time.cancel(one),
      fetch: seed % 2 === 1 ? (...asked) => http.fetch(...asked) : undefined, storage: () => undefined, now: () => time.now, wall: () => 5e12, random: () => roll.next(),
    };
    const me = connect({ url: "ws://test/ws", env });
    const holds = new Map(), lists = [], waits = new Set(), unsure = new Set();
    const kept = (promise, what) => {
      waits.add(what);
      promise.then(() => waits.delete(what), () => waits.delete(what));
    };
    const heard = new Map(), all_heard = new Set(), doubles = [];
    me.on("say", ({ room, epoch, offset }) => {
      if (heard.get(`${room} ${epoch}`) >= offset) doubles.push(`${room} ${offset}`);
      heard.set(`${room} ${epoch}`, offset);
      all_heard.add(`${room} ${epoch} ${offset}`);
    });
    const tells = [];
    me.on("tell", ({ data }) => {
      if (tells.at(-1) >= data) doubles.push(`tell ${data}`);
      tells.push(data);
    });
    // What is missing it tells by itself.
    me.on("rejoin", ({ room }) => server.forgive(room));
    me.on("left", ({ room }) => { holds.set(room, 0); unsure.add(room); server.forgive(room); });
    const steps = [
      [14, () => server.change(roll.of(ROOMS), roll.of(OTHERS), roll.chance(0.6))],
      [2, () => { for (const user of OTHERS) server.change("red", user, roll.chance(0.5)); }],
      [8, () => server.status(roll.of(OTHERS), roll.of(STATES))],
      [4, () => { const room = roll.of(ROOMS); holds.set(room, (holds.get(room) ?? 0) + 1); kept(me.join(room), `join ${room} ${time.now}`); }],
      [3, () => { const room = roll.of(ROOMS); holds.set(room, Math.max(0, (holds.get(room) ?? 0) - 1)); server.forgive(room); kept(me.leave(room), `leave ${room} ${time.now}`); }],
      [2, () => { const room = roll.of(ROOMS); lists.push({ room, list: me.members(room, { limit: roll.of([1000, 4]) }) }); }],
      [1, () => { const names = OTHERS.filter(() => roll.chance(0.4)); lists.push({ names, list: me.users(names) }); }],
      [2, () => { for (const { room, list } of lists.splice(roll.below(lists.length), 1)) { server.forgive(room); list.close(); } }],
      [2, () => kept(me.say(roll.of(ROOMS), 1), `say ${time.now}`)],
      [1, () => { server.withholds = 1 + roll.below(3); }],
      [2, () => server.shows()],
      [3, () => server.cut()],
      [1, () => { server.refuses = roll.below(6); }],
      [0.5, () => server.restart()],
      [0.5, () => { net.down = !net.down; }],
      [net.loses ? 4 : 0, () => window.dispatchEvent(new Event("online"))],
      [net.loses ? 4 : 0, () => { const carrier = roll.of(["websocket", "websocket", "events"]); if (!net.blocks.delete(carrier)) net.blocks.add(carrier); }],
      [net.loses ? 30 : 12, () => { for (const room of ROOMS) server.talk(room); }],
      [0.5, () => { const room = roll.of(ROOMS); server.given.add(room); if (server.line) server.order("join", room); }],
      [0.5, () => { const room = roll.of(ROOMS); if (server.line?.rooms.has(room)) { unsure.add(room); server.kicks += 1; server.order("leave", room); } }],
      [0.5, () => { window.dispatchEvent(new Event("pagehide")); time.after(500, () => window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }))); }],
    ];
    const all = steps.reduce((sum, [weight]) => sum + weight, 0);
    for (let i = 0; i < STEPS; i += 1) {
      let at = roll.next() * all;
      steps.find(([weight]) => (at -= weight) < 0)[1]();
      await time.pass(roll.of([0, 0, 1, 10, 100, 400, 3000]));
    }
    // All is well again: the next try succeeds, and so do all commands.
    net.down = net.loses = false;
    net.blocks.delete(roll.of(["websocket", "events"]));
    server.refuses = 0;
    server.delays = false;
    server.withholds = 0;
    await time.pass(500);
    for (let i = 0; i < 300 && me.state !== "open"; i += 1) await time.pass(500);
    assert(me.state === "open", `it is ${me.state}`);
    await time.pass(1000);
    server.shows();
    // A storm's end is known only when nothing more comes; who was refused comes back a little later.
    const right = () => {
      const wrong = [];
      for (const { room, names, list } of lists) {
        if (names) {
          if (!list.complete) wrong.push("users are not known");
          for (const user of names) if (list.get(user)?.state !== server.view(user).state) wrong.push(`${user} is ${list.get(user)?.state}, not ${server.view(user).state}`);
        } else if (!list.error) {
          const members = server.rooms.get(room)?.members ?? new Set(), listed = [...list].map(({ user }) => user);
          if (list.count !== members.size) wrong.push(`${room} counts ${list.count}, not ${members.size}`);
          const ghosts = listed.filter((user) => !members.has(user));
          if (ghosts.length) wrong.push(`${room} has ghosts ${ghosts}`);
          if (list.complete ? listed.length !== members.size : listed.length < Math.min(4, members.size)) wrong.push(`${room} lists ${listed} of ${[...members]}, ${list.complete}`);
          if (!list.complete && members.size <= 4) wrong.push(`${room} is not complete`);
          for (const { user, state } of list) if (user !== "anna" && members.has(user) && state !== server.view(user).state) wrong.push(`${room} has ${user} ${state}, not ${server.view(user).state}`);
        }
      }
      for (const room of ROOMS) {
        if (unsure.has(room)) continue;
        const wanted = (holds.get(room) ?? 0) > 0 || server.given.has(room) || lists.some((one) => one.room === room && !one.list.error);
        const is = server.rooms.get(room)?.members.has("anna") ?? false;
        const hears = server.line?.rooms.has(room) ?? false;
        if (wanted && !(is && hears) || !wanted && hears) wrong.push(`${room}: wanted ${wanted}, ${is ? "in" : "out"}, ${hears ? "hears" : "deaf"}`);
      }
      for (const say of server.line?.says ?? []) if (!all_heard.has(say)) wrong.push(`${say} was not heard`);
      for (const tell of server.line?.tells ?? []) if (!tells.includes(tell)) wrong.push(`${tell} was not told`);
      if (doubles.length) wrong.push(`again, or late: ${doubles}`);
      if (waits.size) wrong.push(`waits: ${[...waits]}`);
      return wrong;
    };
    await time.pass(2000);
    for (let late = 0; right().length && late < 14; late += 1) await time.pass(1000);
    const wrong = right();
    me.close();
    assert(!wrong.length, wrong.join("; "));
  }

  return {
    async what_a_page_believes_is_true() {
      const [first, last] = globalThis.ROLLCALL_SEEDS ?? [1, 300];
      for (let seed = first; seed <= last; seed += 1) {
        await play(seed).catch((error) => { throw new Error(`seed ${seed}: ${error.message}`); });
      }
    },
  };
})
