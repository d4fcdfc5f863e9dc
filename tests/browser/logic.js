// Tests of rollcall.js with a stand-in for WebSocket, timers and the page. An expression: a function of the module that
// resolves to the names of the tests that passed, and rejects with what is wrong.
async ({ connect }) => {
  /** A world in which time passes only by `pass`. */
  class World {
    time = 0; timers = []; sockets = []; randoms = 0.5; told = [];
    window = new EventTarget();
    document = Object.assign(new EventTarget(), { visibilityState: "visible" });

    connect(options = {}) {
      const world = this;
      class Socket {
        static open = 0;
        bufferedAmount = 0; sent = []; closed = null;
        constructor(url, protocols) {
          Object.assign(this, { url, protocols });
          world.sockets.push(this);
          assert(world.sockets.filter((socket) => !socket.closed).length === 1, "one socket at a time");
        }
        send(text) { this.sent.push(JSON.parse(text)); }
        close(code) { this.closed ??= { code }; }
      }
      const env = {
        WebSocket: Socket, window: this.window, document: this.document,
        setTimeout: (run, ms) => { const id = {}; this.timers.push({ id, at: this.time + ms, run }); return id; },
        clearTimeout: (id) => { this.timers = this.timers.filter((timer) => timer.id !== id); },
        now: () => this.time, wall: () => 1e12 + this.time, random: () => this.randoms,
      };
      this.me = connect({ url: "ws://test/ws", env, ...options });
      this.me.on("*", (detail, name) => this.told.push({ name, at: this.time, ...detail }));
      return this.me;
    }
    get socket() { return this.sockets.at(-1); }
    async settle() { for (let i = 0; i < 20; i += 1) await null; }
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
    async hear(message) {
      this.socket.onmessage?.({ data: JSON.stringify(message) });
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
    sent(cmd) { return this.socket.sent.filter((sent) => sent.cmd === cmd); }
    heard(name) { return this.told.filter((told) => told.name === name); }
  }
  function assert(truth, what) { if (!truth) throw new Error(what); }
  function same(is, should, what) {
    assert(JSON.stringify(is) === JSON.stringify(should), `${what}: ${JSON.stringify(is)}, not ${JSON.stringify(should)}`);
  }
  const failure = (promise) => promise.then(() => { throw new Error("it was done"); }, (error) => error);

  const tests = {
    async waits_grow_are_random_and_end_in_a_question() {
      const world = new World();
      world.connect();
      const waits = [];
      for (let i = 0; i < 4; i += 1) {
        await world.settle();
        await world.lose();
        waits.push(world.heard("state").at(-1).wait_ms);
        await world.pass(waits.at(-1));
      }
      same(waits, [1000, 2500, 6000, 15000], "half of each bound");
      await world.lose();
      same([world.me.state, world.heard("stuck").length, world.sockets.length], ["stuck", 1, 5], "asks");
      await world.pass(3.6e6);
      same(world.sockets.length, 5, "does not hammer");
      world.heard("stuck")[0].retry();
      await world.settle();
      same(world.sockets.length, 6, "tries again when told");
    },
    async the_bounds_reach_thirty_seconds_and_no_further() {
      const world = new World();
      world.randoms = 0.9999;
      world.connect();
      const waits = [];
      for (let i = 0; i < 4; i += 1) {
        await world.settle();
        await world.lose();
        waits.push(world.heard("state").at(-1).wait_ms);
        await world.pass(waits.at(-1));
      }
      assert(waits.at(-1) > 29000 && Math.max(...waits) <= 30000, `${waits}`);
    },
    async what_held_for_a_while_is_no_failure() {
      const world = new World();
      world.connect();
      for (let i = 0; i < 20; i += 1) {
        await world.welcome();
        await world.pass(11000);
        await world.lose();
        same(world.me.state, "waiting", `time ${i}`);
        assert(world.heard("state").at(-1).wait_ms <= 1000, "soon");
        await world.pass(1000);
      }
    },
    async what_is_accepted_and_dropped_at_once_is() {
      const world = new World();
      world.connect();
      for (let i = 0; i < 5; i += 1) {
        await world.welcome();
        await world.lose(1011);
        await world.pass(30000);
      }
      same([world.me.state, world.sockets.length], ["stuck", 5], "asks");
    },
    async the_server_says_when_to_come_back() {
      const world = new World();
      world.connect();
      await world.welcome();
      await world.hear({ event: "goodbye", code: 1001, reason: "drain", retry_ms: 3210 });
      await world.lose(1001);
      await world.pass(3209);
      same(world.sockets.length, 1, "not before");
      await world.pass(1);
      same(world.sockets.length, 2, "then");
    },
    async error_and_close_in_any_order_make_one_socket() {
      for (const play of [
        (s) => { s.onerror?.({}); s.onclose?.({ code: 1006 }); },
        (s) => { const { onclose } = s; onclose({ code: 1006 }); onclose({ code: 1006 }); s.onerror?.({}); },
        (s) => { s.onerror?.({}); s.onerror?.({}); },
      ]) {
        const world = new World();
        world.connect();
        await world.settle();
        play(world.socket);
        world.me.retry();
        await world.pass(1999);
        assert(world.sockets.length <= 2, `${world.sockets.length} sockets`);
        world.window.dispatchEvent(new Event("online"));
        world.me.retry();
        await world.settle();
        same([world.sockets.length, world.sockets[0].closed !== null], [2, true], "the first is closed, and one follows");
      }
    },
    async a_server_that_says_nothing_is_left() {
      const world = new World();
      world.connect();
      await world.welcome();
      await world.pass(25000);
      same(world.sent("heartbeat").length, 1, "asks");
      await world.answer("heartbeat", { time_ms: 1 });
      await world.pass(25000);
      await world.pass(19999);
      same(world.me.state, "open", "still within the time-out");
      await world.pass(1);
      same([world.me.state, world.sockets[0].closed !== null], ["waiting", true], "leaves");
      await world.pass(1000);
      same(world.sockets.length, 2, "and comes back");
    },
    async one_that_never_welcomes_is_left() {
      const world = new World();
      world.connect();
      await world.pass(10000);
      same(world.me.state, "waiting", "after ten seconds");
    },
    async a_page_that_slept_asks_before_it_judges() {
      const world = new World();
      world.connect();
      await world.welcome();
      await world.pass(25000);
      // Nothing runs for an hour; then all timers at once.
      world.time += 3.6e6;
      await world.pass(0);
      same([world.me.state, world.sockets.length], ["open", 1], "the time-out is not held against it");
      await world.answer("heartbeat");
      await world.pass(10000);
      same(world.me.state, "open", "it lives");
    },
    async final_codes_are_final() {
      for (const [code, options, final] of [
        [4403, {}, true], [4409, {}, true], [4401, {}, true], [4401, { token: "t" }, true],
        [4401, { token: () => "t" }, false], [4408, {}, false], [1001, {}, false], [1013, {}, false], [1006, {}, false],
      ]) {
        const world = new World();
        world.connect(options);
        await world.welcome();
        await world.lose(code, "why");
        await world.pass(60000);
        same([world.me.state === "closed", world.sockets.length > 1], [final, !final], `${code}`);
        if (final) {
          same([world.heard("closed")[0].code, world.heard("closed")[0].reason], [code, "why"], "told");
          same((await failure(world.me.say("r", 1))).code, "closed", "says so");
          world.window.dispatchEvent(new Event("online"));
          world.me.retry();
          await world.pass(60000);
          same(world.sockets.length, 1, "whatever comes");
        }
      }
      const world = new World();
      world.connect();
      await world.welcome();
      await world.hear({ event: "goodbye", code: 4429, reason: "too many messages" });
      await world.lose(4429);
      same(world.me.state, "closed", "a goodbye without retry_ms");
    },
    async a_refusal_before_the_welcome_is_final_and_says_why() {
      for (const [code, token, final] of [[4401, "t", true], [4401, () => "t", false], [4403, "t", true], [4403, () => "t", true]]) {
        const world = new World();
        const me = world.connect({ token });
        const join = me.join("room").catch((error) => error);
        await world.settle();
        const reason = "the token is over 4 KiB";
        await world.hear({ event: "goodbye", code, reason });
        await world.lose(code, "the token is");
        same(me.state, final ? "closed" : "waiting", `${code}`);
        if (!final) continue;
        same(world.heard("closed").map(({ code, reason }) => [code, reason]), [[code, reason]], "all of the reason");
        same((await join).code, "closed", "nothing waits for ever");
        await world.pass(3.6e6);
        same(world.sockets.length, 1, "stays away");
      }
    },
    async rooms_and_watches_are_there_again_and_the_gap_is_told() {
      const world = new World();
      const me = world.connect();
      const joined = me.join("r"), watched = me.watch(["ben"]);
      await world.welcome();
      await world.answer("join", { count: 1, epoch: 7, offset: 3 });
      await world.answer("watch", { users: [{ user: "ben", state: "online", version: 5, connections: 1 }] });
      same([(await joined).offset, (await watched)[0].state], [3, "online"], "done");
      await world.hear({ event: "say", room: "r", from: "ben", data: 1, epoch: 7, offset: 4, time_ms: 1 });
      await world.lose();
      await world.pass(2000);
      await world.welcome();
      same([world.sent("join").length, world.sent("watch").length], [1, 1], "once each");
      await world.hear({ event: "say", room: "r", from: "ben", data: 1, epoch: 7, offset: 9, time_ms: 1 });
      await world.answer("join", { count: 2, epoch: 7, offset: 8 });
      await world.answer("watch", { users: [{ user: "ben", state: "offline", version: 6, connections: 0 }] });
      const told = { room: "r", count: 2, before: { epoch: 7, offset: 4 }, after: { epoch: 7, offset: 8 }, missed: 4 };
      const { name, at, ...rejoin } = world.heard("rejoin")[0];
      same(rejoin, told, "the gap");
      same(world.heard("presence").map(({ state }) => state), ["offline"], "what changed meanwhile");
      await world.lose();
      await world.pass(3000);
      await world.welcome();
      await world.answer("join", { count: 2, epoch: 8, offset: 1 });
      same(world.heard("rejoin")[1].missed, null, "another epoch: nobody knows");
      await world.answer("watch", { users: [{ user: "ben", state: "offline", version: 6, connections: 0 }] });
      same(world.heard("presence").length, 1, "nothing changed");
      me.leave("r").catch(() => {});
      me.unwatch(["ben"]).catch(() => {});
      await world.lose();
      await world.pass(6000);
      await world.welcome();
      same([world.sent("join").length, world.sent("watch").length], [0, 0], "what was left stays left");
    },
    async an_older_version_says_nothing() {
      const world = new World();
      const me = world.connect();
      me.watch(["ben"]);
      await world.welcome();
      await world.answer("watch", { users: [{ user: "ben", state: "offline", version: 9, connections: 0 }] });
      await world.hear({ event: "presence", user: "ben", state: "online", version: 8, connections: 1 });
      same(world.heard("presence").length, 0, "old news");
    },
    async commands_time_out_fail_and_are_lost() {
      const silent = new World();
      const waits = failure(silent.connect().say("r", 0));
      await silent.pass(10000);
      same((await waits).code, "timeout", "never connected");
      const world = new World();
      const me = world.connect();
      await world.welcome();
      const refused = failure(me.say("r", 1));
      await world.settle();
      const seq = world.sent("say").at(-1).seq;
      await world.hear({ seq, body: { code: 403, error: "join it first" } });
      same([(await refused).code, (await refused).message], [403, "join it first"], "refused");
      const lost = failure(me.say("r", 2)), kept = me.who("r");
      await world.settle();
      await world.lose();
      same((await lost).code, "lost", "what may have happened is not done twice");
      await world.pass(5000);
      await world.welcome();
      same(world.sent("say").length, 0, "not sent again");
      await world.answer("who", { users: [] });
      same((await kept).code, 200, "what does no harm is");
    },
    async a_full_socket_is_not_filled_further() {
      const world = new World();
      const me = world.connect();
      await world.welcome();
      world.socket.bufferedAmount = 70000;
      const said = me.say("r", 1);
      await world.pass(1000);
      same(world.sent("say").length, 0, "waits");
      world.socket.bufferedAmount = 0;
      await world.pass(50);
      same(world.sent("say").length, 1, "goes");
      await world.answer("say", { epoch: 1, offset: 1 });
      await said;
      world.socket.bufferedAmount = 70000;
      const many = Array.from({ length: 600 }, () => failure(me.say("r", 1)));
      same((await many.at(-1)).code, "busy", "a bound");
      me.close();
    },
    async a_hidden_page_is_away() {
      const world = new World();
      world.connect();
      await world.welcome();
      const look = (state) => { world.document.visibilityState = state; world.document.dispatchEvent(new Event("visibilitychange")); };
      look("hidden");
      await world.pass(1000);
      look("visible");
      await world.pass(5000);
      same(world.sent("status").length, 0, "a glance elsewhere");
      look("hidden");
      await world.pass(1500);
      same(world.sent("status").map(({ params }) => params.state), ["away"], "away");
      await world.answer("status", { state: "away" });
      await world.lose();
      await world.pass(5000);
      await world.welcome();
      same(world.sent("status").map(({ params }) => params.state), ["away"], "said again after a reconnect");
      await world.answer("status", { state: "away" });
      look("visible");
      await world.settle();
      same(world.sent("status").at(-1).params.state, "online", "back");
      await world.answer("status", { state: "online" });
      world.document.dispatchEvent(new Event("freeze"));
      await world.settle();
      same(world.sent("status").at(-1).params.state, "away", "frozen");
      await world.answer("status", { state: "away" });
      world.document.dispatchEvent(new Event("resume"));
      await world.settle();
      same(world.sent("status").at(-1).params.state, "online", "thawed");
      assert(world.sent("heartbeat").length > 0, "asks whether the server is still there");
    },
    async what_one_says_of_oneself_wins_over_visibility() {
      const world = new World();
      const me = world.connect();
      await world.welcome();
      me.status("away", { mood: "busy" });
      await world.settle();
      same(world.sent("status")[0].params, { state: "away", info: { mood: "busy" } }, "said");
      await world.answer("status", { state: "away" });
      world.document.dispatchEvent(new Event("visibilitychange"));
      await world.pass(5000);
      same(world.sent("status").length, 1, "it stays");
    },
    async the_network_is_back_and_so_are_we() {
      const world = new World();
      world.connect();
      for (let i = 0; i < 5; i += 1) { await world.settle(); await world.lose(); await world.pass(30000); }
      same(world.me.state, "stuck", "gave up");
      world.window.dispatchEvent(new Event("online"));
      await world.settle();
      same(world.sockets.length, 6, "tries");
      await world.welcome();
      world.window.dispatchEvent(new Event("offline"));
      await world.settle();
      same(world.sent("heartbeat").length, 1, "asks");
      await world.pass(5000);
      same(world.me.state, "waiting", "nobody there");
    },
    async tokens_travel_apart_and_are_renewed_in_time() {
      const token = (seconds) => `x.${btoa(JSON.stringify({ exp: 1e9 + seconds }))}.y`;
      const whys = [];
      const world = new World();
      world.connect({ token: (why) => (whys.push(why), token(whys.length * 600)) });
      await world.welcome();
      same(world.socket.protocols, ["rollcall.v1", `bearer.${token(600)}`], "as a subprotocol");
      assert(!world.socket.url.includes("token"), "in no log");
      for (let i = 0; i < 60 && whys.length < 2; i += 1) {
        await world.pass(10000);
        if (world.sent("heartbeat").length) await world.answer("heartbeat");
      }
      same([whys, world.time], [["connect", "renew"], 540000], "a minute before");
      same(world.sent("auth")[0].params.token, token(1200), "the new one");
      await world.answer("auth", { user: "anna", expires_ms: 1e12 + 1200000 });
      same(world.heard("renewed").length, 1, "done");
      assert(!JSON.stringify(world.heard("command")).includes(token(1200)), "never told");
      const query = new World();
      query.connect({ token: "t", tokenIn: "query" });
      await query.settle();
      same(query.socket.url, "ws://test/ws?token=t", "or in the address");
    },
    async a_token_that_cannot_be_had_counts_as_a_failure() {
      const world = new World();
      world.connect({ token: async () => { throw new Error("no session"); } });
      await world.pass(120000);
      same([world.me.state, world.sockets.length], ["stuck", 0], "asks");
      assert(world.heard("stuck")[0].reason.includes("no session"), "and says why");
    },
    async names_are_text_and_nothing_else() {
      const names = ["__proto__", "constructor", "toString", "auth0|5f7c", "J\u00f6rg", "\u674e\u96f7", "user/42", "Anna + Maria", "\"\\"];
      for (const name of names) {
        const world = new World();
        const me = world.connect({ user: name });
        await world.settle();
        same(new URL(world.socket.url).searchParams.get("user"), name, "in the address");
        assert(!new URL(world.socket.url).search.includes(" "), "encoded");
        await world.welcome({ user: name });
        same(me.user, name, "is me");
        me.join(name);
        me.watch([name]);
        await world.settle();
        await world.answer("join", { count: 1, epoch: 1, offset: 0 });
        await world.answer("watch", { users: [{ user: name, state: "online", version: 2, connections: 1 }] });
        await world.hear({ event: "presence", user: name, state: "away", version: 1 });
        same(world.heard("presence").length, 0, "is known already");
        await world.hear({ event: "say", room: name, from: name, data: 1, epoch: 1, offset: 3 });
        same([world.heard("say")[0].from, world.heard("say")[0].room], [name, name], "said");
        await world.lose();
        await world.pass(5000);
        await world.welcome({ user: name });
        same([world.sent("join")[0].params.room, world.sent("watch")[0].params.users], [name, [name]], "again");
        await world.answer("join", { count: 1, epoch: 1, offset: 5 });
        same(world.heard("rejoin")[0].missed, 2, "where it was");
        same([{}.state, Object.prototype.version], [undefined, undefined], "nothing else has changed");
      }
    },
    async a_listener_that_throws_harms_nobody() {
      const world = new World();
      const me = world.connect();
      const { reportError } = globalThis;
      const reported = [];
      globalThis.reportError = (error) => reported.push(error.message);
      let heard = 0;
      me.on("tell", () => { throw new Error("mine"); });
      me.on("tell", () => { heard += 1; });
      await world.welcome();
      await world.hear({ event: "tell", from: "ben", data: 1 });
      await world.hear({ event: "of the future", more: 1 });
      world.socket.onmessage({ data: "not JSON" });
      globalThis.reportError = reportError;
      same([heard, reported, world.heard("of the future").length], [1, ["mine"], 1], "the others hear");
    },
  };

  const passed = [];
  for (const [name, test] of Object.entries(tests)) {
    await test().catch((error) => { throw new Error(`${name}: ${error.message}`); });
    passed.push(name);
  }
  return passed;
}
