// A page comes and goes with its connection: the cache for the way back, sleep, networks, tokens, listeners.
(({ World, connect, assert, failure, same, stands }) => ({
  async a_page_that_is_left_closes_and_comes_back_with_all_it_wanted() {
    for (const persisted of [true, false]) {
      const world = new World();
      const me = world.connect();
      me.join("r");
      await world.welcome();
      await world.answer("join", { count: 1, epoch: 1, offset: 1 });
      const asked = me.who("r");
      await world.settle();
      world.window.dispatchEvent(Object.assign(new Event("pagehide"), { persisted }));
      await world.settle();
      // As at a reload: the time that one may take goes on.
      same([world.socket.closed.code, me.state], [1000, "waiting"], "leaves");
      const said = me.say("r", "from the cache");
      await world.pass(3e6);
      same([world.sockets.length, (await failure(said)).code], [1, "timeout"], "nothing runs there");
      world.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted }));
      await world.welcome();
      same([world.sockets.length, world.sent("join").length], [2, 1], "comes back");
      asked.catch(() => {});
    }
  },
  async what_waits_outlasts_the_cache() {
    const world = new World();
    const me = world.connect();
    me.join("r");
    await world.welcome();
    await world.answer("join", { count: 1, epoch: 1, offset: 1 });
    world.window.dispatchEvent(new Event("pagehide"));
    const said = me.say("r", 1);
    // Frozen for an hour: all timers are late.
    world.time += 3.6e6;
    world.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    await world.pass(0);
    await world.welcome();
    await world.answer("join", { count: 1, epoch: 1, offset: 1 });
    await world.answer("say", { epoch: 1, offset: 2 });
    same((await said).offset, 2, "said");
  },
  async giving_up_is_for_who_asks_for_it() {
    const world = new World();
    world.connect({ giveUp: 2 });
    await world.settle();
    await world.lose();
    await world.pass(2000);
    await world.lose();
    same([world.me.state, world.heard("stuck")[0].wait_ms], ["stuck", undefined], "gave up");
    await world.pass(3.6e6);
    same(world.sockets.length, 2, "for good");
    await world.look("hidden");
    await world.look("visible");
    same(world.sockets.length, 3, "who looks at it wants it");
  },
  async a_server_that_says_when_is_no_failure() {
    for (const leave of [
      async (world) => { await world.hear({ event: "goodbye", code: 1001, reason: "drain", retry_ms: 500 }); await world.lose(1001); },
      async (world) => { await world.hear({ event: "goodbye", code: 1013, reason: "too slow", retry_ms: 500 }); await world.lose(1013); },
      async (world) => { await world.lose(1013); },
      async (world) => { await world.lose(1012); },
      async (world) => { world.socket.onerror({ message: "Unexpected server response: 503" }); await world.lose(1006); },
      async (world) => { world.socket.onerror({ message: "Unexpected server response: 429" }); await world.lose(1006); },
    ]) {
      const world = new World();
      world.connect();
      await world.settle();
      for (let i = 0; i < 12; i += 1) {
        await leave(world);
        same(world.me.state, "waiting", `time ${i} of ${leave}`);
        await world.pass(world.heard("state").at(-1).wait_ms);
      }
    }
  },
  async a_handed_over_connection_is_back_at_once() {
    const world = new World();
    world.connect();
    await world.welcome();
    await world.pass(11000);
    await world.lose(1012);
    assert(world.heard("state").at(-1).wait_ms <= 100, "at once");
  },
  async a_cookie_is_the_sites_to_renew() {
    const world = new World();
    world.connect();
    await world.welcome();
    await world.hear({ event: "goodbye", code: 4401, reason: "the token has expired" });
    await world.lose(4401);
    same(world.me.state, "waiting", "the site may have renewed it");
    await world.pass(2000);
    await world.hear({ event: "goodbye", code: 4401, reason: "the token has expired" });
    await world.lose(4401);
    same([world.me.state, world.heard("stuck")[0].code], ["stuck", 4401], "it has not: asks");
    await world.pass(45000);
    same(world.sockets.length, 3, "and goes on");
  },
  async a_token_that_never_comes_is_a_failure() {
    const world = new World();
    world.connect({ token: () => new Promise(() => {}) });
    await world.pass(10000);
    same([world.me.state, world.sockets.length], ["waiting", 0], "after ten seconds");
    assert(world.heard("state").at(-1).reason.includes("10000 ms"), "says why");
    await world.pass(600000);
    same(world.me.state, "stuck", "and asks");
  },
  async a_clock_that_is_set_renews_nothing() {
    const token = (seconds) => `x.${btoa(JSON.stringify({ exp: 1e9 + seconds }))}.y`;
    for (const step of [3.6e6, -3.6e6]) {
      const world = new World();
      let asked = 0;
      world.connect({ token: () => (asked += 1, token(600)) });
      await world.welcome();
      world.wall += step;
      const tick = async (seconds) => {
        for (let i = 0; i < seconds; i += 5) {
          await world.pass(5000);
          for (const { seq, cmd } of world.socket.sent.splice(0)) {
            await world.hear({ seq, body: { code: 200, time_ms: 1e12 + world.time, ...(cmd === "auth" ? { user: "anna", expires_ms: 1e12 + 600000 } : {}) } });
          }
        }
      };
      await tick(530);
      same(asked, 1, `by the server's time: ${step}`);
      await tick(20);
      same(asked, 2, "a minute before");
      // The next token lasts no longer than the one before.
      await tick(50);
      assert(asked > 2 && asked < 9, `${asked} times`);
    }
  },
  async a_dead_line_is_known_within_five_seconds() {
    for (const doubt of [
      async (world) => { await world.look("hidden"); await world.look("visible"); },
      async (world) => world.navigator.connection.dispatchEvent(new Event("change")),
      async (world) => world.window.dispatchEvent(new Event("online")),
      async (world) => world.window.dispatchEvent(new Event("offline")),
      async (world) => { const slow = failure(world.me.tell("ben", 1)); await world.pass(10000); same((await slow).code, "timeout", "told"); },
    ]) {
      const world = new World();
      world.connect();
      await world.welcome();
      await world.pass(20000);
      same(world.sent("heartbeat").length, 0, "trusted");
      await doubt(world);
      await world.pass(2000);
      // A second doubt does not put the end off.
      world.window.dispatchEvent(new Event("online"));
      await world.pass(3000);
      same(world.me.state, "waiting", `left: ${doubt}`);
    }
  },
  async what_is_closed_leaves_nothing_behind() {
    for (const event of ["state", "welcome", "join", "stuck", "presence", "command", "tell", "warning"]) {
      const world = new World();
      const me = world.connect();
      me.on(event, () => me.close());
      me.join("r").catch(() => {});
      me.watch(["ben"]).catch(() => {});
      await world.welcome();
      await world.hear({ event: "join", room: "r", user: "ben", count: 2 });
      await world.hear({ event: "tell", from: "ben", data: 1 });
      if (event === "presence") await world.hear({ event: "presence", user: "ben", state: "away", version: 2 });
      if (event === "warning") { const { seq } = world.sent("join")[0]; await world.hear({ seq, body: { code: 503, error: "later" } }); }
      for (let i = 0; i < 6 && event === "stuck"; i += 1) { await world.lose(); await world.pass(30000); }
      await world.settle();
      same([me.state, world.timers.length], ["closed", 0], `${event}: ${JSON.stringify(world.timers.map(({ run }) => `${run}`.slice(0, 60)))}`);
    }
    const beats = new World();
    beats.connect();
    await beats.welcome();
    beats.me.on("command", () => beats.me.close());
    await beats.pass(30000);
    same([beats.me.state, beats.timers.length], ["closed", 0], "at a heartbeat");
    const world = new World();
    const me = world.connect({ token: () => new Promise(() => {}) });
    await world.settle();
    me.close();
    same(world.timers.length, 0, "while a token is waited for");
  },
  async nothing_is_told_behind_closed() {
    for (const event of ["state", "command", "rtt", "leave", "rejoin"]) {
      const world = new World();
      const me = world.connect();
      const join = me.join("r").catch(() => {});
      await world.welcome();
      await world.answer("join", { count: 1, epoch: 1, offset: 0 });
      await join;
      await world.lose();
      me.ping().catch(() => {});
      me.on(event, ({ state }) => (event !== "state" || state === "open") && me.close());
      await world.pass(world.heard("state").at(-1).wait_ms);
      await world.welcome();
      if (event !== "command" && event !== "state") await world.answer("heartbeat", { time_ms: 1 });
      if (event === "rejoin") await world.answer("join", { count: 1, epoch: 1, offset: 1 });
      if (event === "leave") await world.hear({ event: "leave", room: "r", user: "anna", count: 0, by: "server" });
      same([me.state, world.told.at(-1).name], ["closed", "closed"], event);
    }
  },
  async a_goodbye_is_said_as_one() {
    const world = new World();
    const me = world.connect();
    await world.welcome();
    me.close("logged out");
    same([world.socket.closed.code, world.socket.closed.reason, world.heard("closed")[0].byServer], [4000, "logged out", false], "4000");
  },
  async an_open_that_takes_too_long_harms_nobody() {
    const world = new World();
    const me = world.connect();
    await world.pass(10000);
    same([world.unhandled, me.state], [[], "waiting"], "left");
    await world.pass(2000);
    me.close();
    same(world.unhandled, [], "closed");
  },
  async each_call_listens_for_itself() {
    const world = new World();
    const me = world.connect();
    let heard = 0;
    const listener = () => { heard += 1; };
    const first = me.on("tell", listener), second = me.on("tell", listener);
    const tell = async () => { heard = 0; await world.hear({ event: "tell", from: "ben", data: 1 }); return heard; };
    await world.welcome();
    same(await tell(), 2, "twice");
    same([first(), first()], [undefined, undefined], "returns nothing");
    same(await tell(), 1, "the other one stays");
    second();
    same(await tell(), 0, "none");
    const last = [];
    me.on("tell", () => { last.push("first"); off(); });
    const off = me.on("tell", () => last.push("second"));
    await tell();
    same(last, ["first"], "who is off hears nothing more");
    me.off("tell", listener);
    const { reportError } = globalThis;
    const reported = [];
    globalThis.reportError = (error) => reported.push(error.message);
    me.on("tell", async () => { throw new Error("later"); });
    await tell();
    globalThis.reportError = reportError;
    same(reported, ["later"], "an asynchronous fault is the listener's too");
  },
  async who_comes_in_hidden_comes_in_away() {
    const world = new World();
    world.document.visibilityState = "hidden";
    world.connect();
    await world.settle();
    same(world.socket.url, "ws://test/ws?binary=true&state=away", "from the first");
    await world.welcome();
    await world.look("visible");
    await world.answer("heartbeat");
    await world.answer("status", { state: "online" });
    world.me.status("away");
    await world.settle();
    await world.answer("status", { state: "away" });
    await world.again();
    same(world.socket.url, "ws://test/ws?binary=true&state=away", "as was chosen");
    const open = new World();
    open.connect({ away: false });
    open.document.visibilityState = "hidden";
    await open.settle();
    same(open.socket.url, "ws://test/ws?binary=true&state=online", "unless that is left to the page");
  },
}))
