// Coming, staying and going.
(({ World, assert, failure, same }) => ({
  async waits_grow_are_random_and_go_on_behind_a_question() {
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
    same(world.heard("stuck")[0].wait_ms, 45000, "and goes on");
    for (let i = 0; i < 50; i += 1) {
      await world.pass(45000);
      await world.lose();
    }
    same([world.sockets.length, world.heard("stuck").length, world.me.state], [55, 1, "stuck"], "does not hammer, asks once");
    world.heard("stuck")[0].retry();
    await world.settle();
    same([world.sockets.length, world.me.state], [56, "connecting"], "tries again when told");
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
    same([world.me.state, world.heard("stuck").length], ["stuck", 1], "asks");
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
      [4403, {}, true], [4409, {}, true], [4401, {}, false], [4401, { token: "t" }, true],
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
  async the_network_is_back_and_so_are_we() {
    const world = new World();
    world.connect();
    for (let i = 0; i < 5; i += 1) {
      await world.pass(world.heard("state").at(-1)?.wait_ms ?? 0);
      await world.lose();
    }
    same(world.me.state, "stuck", "it is long until the next try");
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
    same(query.socket.url, "ws://test/ws?binary=true&token=t&state=online", "or in the address");
  },
  async a_token_that_cannot_be_had_counts_as_a_failure() {
    const world = new World();
    world.connect({ token: async () => { throw new Error("no session"); } });
    await world.pass(120000);
    same([world.me.state, world.sockets.length], ["stuck", 0], "asks");
    assert(world.heard("stuck")[0].reason.includes("no session"), "and says why");
  },
  async what_cannot_be_a_token_is_a_failed_try() {
    for (const hiccup of ["<html>502 Bad Gateway</html>", "two words", {}, 7]) {
      const world = new World();
      let calls = 0;
      world.connect({ token: async () => (calls += 1, calls === 1 ? hiccup : " good.to-ken_1\r\n") });
      await world.settle();
      same([world.me.state, world.sockets.length], ["waiting", 0], `${hiccup}`);
      await world.pass(3000);
      same(world.socket.protocols, ["rollcall.v1", "bearer.good.to-ken_1"], "the next one, without what surrounds it");
    }
  },
  async a_token_that_is_awaited_no_more_ends_no_other_ones_time() {
    const world = new World();
    const calls = [];
    world.connect({ token: () => new Promise((resolve) => calls.push(resolve)) });
    await world.settle();
    world.window.dispatchEvent(new Event("pagehide"));
    await world.settle();
    world.window.dispatchEvent(Object.assign(new Event("pageshow"), { persisted: true }));
    await world.settle();
    same(calls.length, 2, "asked for twice");
    calls[0]("late");
    await world.pass(10000);
    same([world.me.state, world.sockets.length], ["waiting", 0], "the second one took too long");
  },
  async a_renewal_that_brings_nothing_is_tried_again() {
    const world = new World();
    const token = (seconds) => `x.${btoa(JSON.stringify({ exp: 1e9 + seconds })).replaceAll("=", "")}.y`;
    const brings = [token(600), undefined, "<html>", token(1200)];
    world.connect({ token: () => brings.shift() });
    await world.welcome();
    await world.alive(541000);
    same([world.heard("warning").length, world.sent("auth").length], [1, 0], "told");
    await world.alive(45000);
    same([world.heard("warning").length, world.sent("auth").map(({ params }) => params.token)], [2, [token(1200)]], "again, in time");
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
}))
