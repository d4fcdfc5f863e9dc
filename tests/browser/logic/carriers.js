// What carries the client where no WebSocket gets through, and the way back to one.
(({ World, assert, same }) => {
  /** A storage as that of a tab. */
  class Storage {
    all = new Map();
    getItem(key) { return this.all.get(key) ?? null; }
    setItem(key, value) { this.all.set(key, value); }
  }
  const WELCOME = { event: "welcome", id: "0-1", user: "anna", session: "s1", heartbeat: { interval_ms: 25000, timeout_ms: 20000 }, time_ms: 1e12 };
  const lines = (from, ...messages) => messages.map((message, at) => `{"n":${from + at},${JSON.stringify(message).slice(1)}\n`).join("");
  const say = (offset, data = offset) => ({ event: "say", room: "r", from: "ben", data, epoch: 7, offset });
  const posted = ({ body }) => body.split("\n").map((line) => JSON.parse(line));

  function begun(options = {}, storage = new Storage()) {
    const world = Object.assign(new World(), { fetches: true, storage });
    world.connect(options);
    return world;
  }
  /** By an event stream: its request. */
  async function streaming(options = {}, storage = undefined) {
    const world = begun({ carriers: ["websocket", "events", "poll"], ...options }, storage);
    await world.settle();
    await world.lose();
    const stream = world.asked("GET", "/events?");
    await stream.stream();
    await stream.event(WELCOME);
    return [world, stream];
  }
  async function polling(options = {}) {
    const world = begun({ carriers: ["websocket", "poll"], ...options });
    await world.settle();
    await world.lose();
    await world.asked("POST", "/poll?").answer(lines(1, WELCOME));
    return world;
  }
  /** Joins a room by posts; the answer comes as the server gives it. */
  async function joined(world, answer) {
    const join = world.me.join("r");
    await world.settle();
    const post = world.requests.findLast(({ body, isOpen }) => isOpen && body?.includes('"join"'));
    const [{ seq }] = posted(post);
    await post.answer();
    await answer({ seq, body: { code: 200, room: "r", count: 1, epoch: 7, offset: 0, membership: 1 } });
    await join;
  }
  const said = (world) => world.heard("say").map(({ data }) => data);

  return {
    async a_websocket_that_does_not_open_makes_way_for_a_stream_that_is_remembered() {
      const storage = new Storage(), [world] = await streaming({}, storage);
      same([world.me.state, world.me.carrier, world.me.user], ["open", "events", "anna"], "by a stream");
      same(world.heard("carrier").map(({ carrier, before }) => [carrier, before]), [["events", null]], "is told");
      same(world.heard("state").map(({ state }) => state), ["open"], "nothing went wrong");
      const next = begun({}, storage);
      await next.settle();
      same([next.sockets.length, next.requests.map(({ path }) => path)], [0, ["/events"]], "the next page begins with it");
      const other = begun({ url: "ws://other/ws" }, storage);
      await other.settle();
      same([other.sockets.length, other.requests.length], [1, 0], "it says nothing of another server");
    },
    async a_storage_that_throws_is_none() {
      const world = Object.assign(new World(), { fetches: true });
      Object.defineProperty(world, "storage", { get() { throw new Error("the page may not"); }, set() {} });
      world.connect();
      await world.welcome();
      same([world.me.state, world.me.carrier], ["open", "websocket"], "goes on");
    },
    async a_websocket_that_worked_fails_twice_before_something_else_is_tried() {
      const world = begun();
      await world.welcome();
      await world.pass(20000);
      await world.lose();
      await world.pass(1000);
      same([world.sockets.length, world.requests.length], [2, 0], "again");
      await world.lose();
      same([world.me.state, world.requests.length], ["waiting", 0], "once more");
      await world.pass(2500);
      await world.lose();
      same([world.sockets.length, world.requests.length], [3, 1], "then");
    },
    async a_refusal_would_meet_every_carrier() {
      for (const [code, state] of [[4401, "stuck"], [4403, "closed"], [4409, "closed"], [1013, "waiting"]]) {
        const world = begun();
        await world.settle();
        await world.hear({ event: "goodbye", code, reason: "no", retry_ms: code === 1013 ? 1000 : undefined });
        await world.lose(code);
        same([world.me.state, world.requests.length], [state, 0], `${code}`);
      }
      const full = begun();
      await full.settle();
      full.socket.onerror({ message: "Unexpected server response: 503" });
      await full.lose();
      same([full.me.state, full.requests.length], ["waiting", 0], "outside of browsers it is seen");
    },
    async what_takes_too_long_makes_way() {
      const world = begun();
      await world.pass(5000);
      const stream = world.asked("GET", "/events?");
      await stream.stream();
      // A proxy that keeps what it should pass on.
      await world.pass(5000);
      assert(stream.isGone, "the stream is given up");
      await world.asked("POST", "/poll?").answer(lines(1, WELCOME));
      same([world.me.carrier, world.me.state, world.heard("state").length], ["poll", "open", 1], "by polls");
    },
    async where_nothing_gets_through_it_begins_anew_after_a_wait() {
      const world = begun();
      await world.settle();
      for (let round = 1; round <= 3; round += 1) {
        await world.lose();
        await world.asked("GET", "/events?").fail();
        await world.asked("POST", "/poll?").fail();
        same([world.me.state, world.heard("state").at(-1).failures, world.sockets.length], ["waiting", round, round], "one failure");
        await world.pass(world.heard("state").at(-1).wait_ms);
      }
      await world.lose();
      await world.asked("GET", "/events?").answer("<html>", 200, { "Content-Type": "text/html" });
      await world.asked("POST", "/poll?").answer("not found", 404);
      same(world.me.state, "waiting", "what is no stream is none");
    },
    async what_a_server_refuses_by_http_counts_as_on_a_websocket() {
      for (const [status, state, code] of [[401, "closed", 4401], [403, "closed", 4403], [503, "waiting", 1013], [429, "waiting", 1013]]) {
        const world = begun({ token: "t" });
        await world.settle();
        await world.lose();
        await world.asked("GET", "/events?").answer("words", status, status > 403 ? { "Retry-After": "2" } : {});
        same([world.me.state, world.heard("state").at(-1).code, world.requests.length], [state, code, 1], `${status}`);
        if (status === 503) same([world.heard("state").at(-1).wait_ms, world.heard("state").at(-1).failures], [2250, 0], "when the server says");
      }
    },
    async a_token_travels_in_a_header_and_a_cookie_where_nothing_else_says_who_it_is() {
      for (const [options, header, query, credentials] of [
        [{ token: "t" }, "Bearer t", null, "same-origin"], [{ token: "t", tokenIn: "query" }, undefined, "t", "same-origin"],
        [{ user: "anna" }, undefined, null, "same-origin"], [{}, undefined, null, "include"],
      ]) {
        const world = begun({ carriers: ["events"], ...options });
        await world.settle();
        const { headers, query: search, credentials: sent } = world.asked("GET", "/events?");
        same([headers.Authorization, new URLSearchParams(search).get("token"), sent], [header, query, credentials], JSON.stringify(options));
      }
    },
    async only_what_is_allowed_is_tried() {
      for (const [carriers, first] of [[["poll"], "POST /poll"], [["events", "poll"], "GET /events"]]) {
        const world = begun({ carriers });
        await world.settle();
        same([world.sockets.length, world.requests.map(({ method, path }) => `${method} ${path}`)], [0, [first]], `${carriers}`);
      }
      const none = begun({ carriers: [] });
      await none.settle();
      same(none.me.state, "closed", "nothing is left");
    },
    async commands_are_posted_together_and_again_with_the_same_number() {
      const [world, stream] = await streaming();
      const tells = [1, 2, 3].map((data) => world.me.tell("ben", data));
      await world.settle();
      const first = world.asked("POST", "/events/s1?n=1&answers=events");
      same(posted(first).filter(({ cmd }) => cmd === "tell").length, 3, "at once");
      const later = world.me.tell("ben", 4);
      await world.settle();
      await first.fail();
      await world.pass(200);
      const again = world.asked("POST", "/events/s1?n=1&answers=events");
      same(again.body, first.body, "the same");
      await again.answer("", 502);
      await world.pass(500);
      await world.asked("POST", "/events/s1?n=1&answers=events").answer();
      same(posted(world.asked("POST", "/events/s1?n=2&answers=events")).map(({ params }) => params.data), [4], "then the next");
      for (const { seq } of posted(first)) await stream.event({ seq, body: { code: 200, delivered: 1 } });
      same((await Promise.all(tells)).map(({ delivered }) => delivered), [1, 1, 1], "answered");
      assert(later, "waits");
    },
    async a_page_of_strangers_asks_first() {
      const world = begun({ carriers: ["poll"] });
      await world.settle();
      await world.asked("POST", "/poll?").answer("asks first", 415);
      const again = world.asked("POST", "/poll?");
      same(again.headers["Content-Type"], "application/x-ndjson", "as the server said");
      await again.answer(lines(1, WELCOME));
      same([world.me.state, world.asked("POST", "/poll/s1?ack=1").headers["Content-Type"]], ["open", "application/x-ndjson"], "from then on");
    },
    async bytes_go_as_text() {
      const [world, stream] = await streaming();
      await joined(world, (answer) => stream.event(answer));
      world.me.say("r", new Uint8Array([1, 2, 255]));
      world.me.say("r", new Blob([new Uint8Array([4])]));
      world.me.say("r", "behind");
      for (let i = 0; i < 3; i += 1) await new Promise((resolve) => setTimeout(resolve, 1));
      const sent = [];
      for (let post; (post = world.requests.findLast(({ isOpen, body }) => isOpen && body)); await post.answer()) sent.push(...posted(post));
      same(sent.map(({ params }) => params.data), [{ $binary: "AQL/" }, { $binary: "BA==" }, "behind"], "in order");
      await stream.event(say(1, { $binary: "AQL/" }));
      same([...new Uint8Array(world.heard("say")[0].data)], [1, 2, 255], "and come as bytes");
    },
    async a_poll_says_what_has_arrived_and_tells_nothing_twice() {
      const world = await polling();
      await joined(world, (answer) => world.asked("POST", "/poll/s1?ack=1&wait=25s").answer(lines(2, answer)));
      await world.asked("POST", "/poll/s1?ack=2&wait=25s").answer(lines(3, say(1), say(2)));
      const lost = world.asked("POST", "/poll/s1?ack=4&wait=25s");
      await lost.fail();
      await world.pass(200);
      const tell = { event: "tell", from: "ben", data: 1 };
      await world.asked("POST", "/poll/s1?ack=4&wait=25s").answer(lines(4, tell, say(3)));
      same([said(world), world.heard("tell").length], [[1, 2, 3], 0], "what has come before does not count");
      assert(!("n" in world.heard("say")[0]), "the number is not the page's");
      assert(world.asked("POST", "/poll/s1?ack=5&wait=25s"), "goes on");
    },
    async empty_answers_at_once_do_not_make_it_hammer() {
      const world = await polling();
      for (let i = 0; i < 100; i += 1) {
        world.requests.find(({ isOpen, query }) => isOpen && query.includes("ack"))?.answer();
        await world.pass(50);
      }
      const polls = world.requests.filter(({ query }) => query.includes("ack")).length;
      assert(polls < 20, `${polls} polls in five seconds`);
    },
    async a_session_that_is_over_is_a_lost_connection() {
      const world = await polling();
      await joined(world, (answer) => world.asked("POST", "/poll/s1?ack=1").answer(lines(2, answer)));
      await world.asked("POST", "/poll/s1?ack=2").answer("no such session", 404);
      same([world.me.state, world.me.carrier], ["waiting", null], "lost");
      await world.pass(world.heard("state").at(-1).wait_ms);
      await world.asked("POST", "/poll?").answer(lines(1, { ...WELCOME, session: "s2" }));
      const [join] = posted(world.asked("POST", "/poll/s2?n=1"));
      same([join.cmd, join.params.since], ["join", { epoch: 7, offset: 0 }], "and back in its room, from where it was");
    },
    async a_stream_that_breaks_is_a_lost_connection() {
      const [world, stream] = await streaming();
      stream.end();
      await world.settle();
      same(world.me.state, "waiting", "lost");
      const [silent] = await streaming();
      await silent.pass(25000 + 20000 + 100);
      same(silent.me.state, "waiting", "one that falls silent, too");
      assert(silent.requests.some(({ method }) => method === "DELETE"), "its session is ended");
    },
    async a_stream_that_never_holds_makes_way_for_polls() {
      const [world, stream] = await streaming();
      let last = stream;
      for (let i = 0; i < 2; i += 1) {
        last.end();
        await world.settle();
        await world.pass(world.heard("state").at(-1).wait_ms);
        last = world.asked("GET", "/events?");
        await last.stream();
        await last.event(WELCOME);
      }
      last.end();
      await world.settle();
      await world.pass(world.heard("state").at(-1).wait_ms);
      assert(world.asked("POST", "/poll?"), "by polls");
    },
    async kicked_and_replaced_are_final_by_every_carrier() {
      for (const code of [4403, 4409]) {
        const goodbye = { event: "goodbye", code, reason: "words" };
        const [world, stream] = await streaming();
        await stream.event(goodbye);
        same([world.me.state, world.heard("closed")[0].code, world.heard("closed")[0].reason], ["closed", code, "words"], "a stream");
        const polls = await polling();
        await polls.asked("POST", "/poll/s1?ack=1").answer(lines(2, goodbye));
        same([polls.me.state, polls.heard("closed")[0].code], ["closed", code], "polls");
        for (const one of [world, polls]) {
          const before = one.requests.length;
          await one.pass(100000);
          same([one.requests.length, one.sockets.length], [before, 1], "stays away");
        }
      }
    },
    async a_server_that_goes_away_says_when_to_come_back() {
      const [world, stream] = await streaming();
      await stream.event({ event: "goodbye", code: 1001, reason: "drain", retry_ms: 3210 });
      await world.pass(3209);
      const before = world.requests.length;
      await world.pass(1);
      same([world.me.state, world.requests.length - before], ["connecting", 1], "then");
    },
    async a_page_that_is_left_says_so() {
      for (const [leave, query] of [
        [(world) => world.window.dispatchEvent(new Event("pagehide")), ""],
        [(world) => world.me.close(), "?code=4000"],
      ]) {
        const world = await polling();
        world.me.tell("ben", "hi").catch(() => {});
        await world.settle();
        if (query) await world.asked("POST", "/poll/s1?n=1").answer();
        leave(world);
        await world.settle();
        const left = world.asked("DELETE", "/poll/s1");
        same([left.query, left.keepalive], [query, true], "at once, also where the page is gone then");
        await left.answer();
        assert(world.requests.every(({ isOpen, isGone }) => !isOpen || isGone), "and asks nothing more");
      }
      const [left] = await streaming();
      for (const data of [1, 2]) {
        left.me.tell("ben", data).catch(() => {});
        await left.settle();
      }
      left.window.dispatchEvent(new Event("pagehide"));
      same(left.requests.slice(-2).map(({ method, query, keepalive }) => [method, query, keepalive]), [["POST", "?n=2&answers=events", true], ["DELETE", "", true]], "what was said goes first");
      const [world] = await streaming();
      world.me.tell("ben", "bye").catch(() => {});
      await world.settle();
      const post = world.asked("POST", "/events/s1?n=1");
      world.me.tell("ben", "really").catch(() => {});
      world.me.close();
      await post.answer();
      const last = world.asked("POST", "/events/s1?n=2");
      same([posted(last)[0].params.data, last.keepalive], ["really", true], "what was said goes first");
      await last.answer();
      assert(world.asked("DELETE", "/events/s1?code=4000"), "then it goes");
    },
    async a_stream_goes_over_to_a_websocket() {
      const storage = new Storage(), [world, stream] = await streaming({}, storage);
      await joined(world, (answer) => stream.event(answer));
      await world.pass(3000);
      const { socket } = world;
      assert(socket.url.endsWith("session=s1"), socket.url);
      same(socket.protocols, ["rollcall.v1"], "no token: the name says who it is");
      world.me.tell("ben", "before");
      await world.settle();
      socket.isOpen = true;
      socket.onopen();
      await world.settle();
      same(socket.sent, [], "a post is unanswered");
      world.me.tell("ben", "between");
      await world.settle();
      await world.asked("POST", "/events/s1?n=2").answer();
      same(socket.sent, [{ seq: 0, cmd: "resume", params: { ack: 0 } }], "then");
      await stream.event(say(1));
      await world.hear({ seq: 0, body: { code: 200, next: 0 } });
      await world.hear(say(3));
      same([said(world), world.me.carrier], [[1], "events"], "the stream comes first");
      await stream.event(say(2), { event: "moved" });
      stream.end();
      await world.settle();
      same([said(world), world.me.carrier, world.me.state], [[1, 2, 3], "websocket", "open"], "then the rest");
      same(socket.sent.slice(1).map(({ params }) => params.data), ["between"], "and what waited");
      same(world.heard("state").length, 1, "the page hears of no loss");
      same(world.requests.filter(({ method }) => method === "DELETE").length, 0, "the session goes on");
      await world.hear(say(4));
      same(said(world), [1, 2, 3, 4], "goes on");
      world.me.say("r", new Uint8Array([1]));
      await world.settle();
      same(world.sent("say")[0].params.data, { $binary: "AQ==" }, "as text");
      const next = begun({}, storage);
      await next.settle();
      same([next.sockets.length, next.requests.length], [1, 0], "is remembered");
      await world.pass(11000);
      await world.lose();
      same(world.me.state, "waiting", "and lost as any");
    },
    async polls_go_over_to_a_websocket() {
      const world = await polling();
      await joined(world, (answer) => world.asked("POST", "/poll/s1?ack=1").answer(lines(2, answer)));
      await world.pass(3000);
      world.socket.isOpen = true;
      world.socket.onopen();
      await world.settle();
      same(world.socket.sent, [{ seq: 0, cmd: "resume", params: { ack: 2 } }], "from where it is");
      // It was on its way, and comes again on the WebSocket.
      await world.asked("POST", "/poll/s1?ack=2").answer(lines(3, say(1)));
      same(said(world), [], "does not count");
      await world.hear({ seq: 0, body: { code: 200, next: 3 } });
      await world.hear(say(1));
      await world.hear(say(2));
      same([said(world), world.me.carrier], [[1, 2], "websocket"], "once");
      await world.pass(10000);
      assert(world.requests.every(({ isOpen, isGone }) => !isOpen || isGone), "no poll is open");
    },
    async a_try_that_fails_leaves_all_as_it_was() {
      for (const fail of [
        (world) => world.lose(),
        (world) => world.pass(10000),
        async (world) => { await world.hear({ event: "goodbye", code: 4404, reason: "no" }); await world.lose(4404); },
        (world) => world.hear({ seq: 0, body: { code: 400 } }),
      ]) {
        const world = await polling();
        await joined(world, (answer) => world.asked("POST", "/poll/s1?ack=1").answer(lines(2, answer)));
        await world.pass(3000);
        world.socket.isOpen = true;
        world.socket.onopen();
        await world.settle();
        world.me.tell("ben", "held");
        await world.asked("POST", "/poll/s1?ack=2").answer(lines(3, say(1)));
        await fail(world);
        same([world.me.carrier, world.me.state], ["poll", "open"], "by polls");
        same(posted(world.asked("POST", "/poll/s1?n=2")).map(({ params }) => params.data), ["held"], "what waited goes");
        await world.asked("POST", "/poll/s1?ack=2").answer(lines(3, say(1)));
        same(said(world), [1], "what did not count comes again");
      }
    },
    async tries_are_further_and_further_apart_and_at_once_with_another_network() {
      const [world, stream] = await streaming(), waits = [];
      const beats = async (ms) => {
        for (const end = world.time + ms; world.time < end;) {
          await world.pass(Math.min(1000, end - world.time));
          for (let post; (post = world.requests.findLast(({ isOpen, body }) => isOpen && body)); await post.answer()) {
            for (const { seq } of posted(post)) await stream.event({ seq, body: { code: 200 } });
          }
        }
      };
      for (let i = 0; i < 5; i += 1) {
        const from = world.time, before = world.sockets.length;
        while (world.sockets.length === before) await beats(250);
        waits.push(Math.round((world.time - from) / 1000));
        await world.lose();
      }
      same(waits, [2, 8, 23, 90, 225], "three quarters of each bound");
      const before = world.sockets.length;
      world.window.dispatchEvent(new Event("online"));
      await beats(2250);
      same([world.sockets.length - before, world.me.state], [1, "open"], "now");
    },
    async a_websocket_that_breaks_on_the_way_is_a_loss() {
      const [world] = await streaming();
      await world.pass(3000);
      world.socket.isOpen = true;
      world.socket.onopen();
      await world.settle();
      await world.hear({ seq: 0, body: { code: 200, next: 0 } });
      await world.lose();
      same(world.me.state, "waiting", "it carried the session");
      const [other] = await streaming();
      await other.pass(3000);
      other.socket.isOpen = true;
      other.socket.onopen();
      await other.settle();
      const own = other.requests.find(({ path }) => path === "/events");
      await own.event({ event: "moved" });
      await other.lose();
      same([other.me.state, own.isGone], ["waiting", true], "also where its answer was lost");
    },
  };
})
