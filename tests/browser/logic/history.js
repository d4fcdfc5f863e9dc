// What is said while the line is down: told afterwards, in order, once.
(({ World, assert, failure, same, stands }) => {
  /** A page in a room, that has heard all up to offset 4 of epoch 7. */
  async function inRoom(options) {
    const world = new World();
    world.connect(options);
    world.me.join("r");
    await world.welcome();
    await world.answer("join", { count: 1, epoch: 7, offset: 3 });
    await world.say(4);
    return world;
  }
  const message = (offset, data = offset) => ({ from: "ben", data, offset, time_ms: 1 });
  const range = (from, to) => Array.from({ length: to - from + 1 }, (_, i) => message(from + i));
  const told = (world) => world.told.filter(({ name }) => name === "say" || name === "rejoin").map(({ name, offset, missed }) => (name === "say" ? offset : `rejoin ${missed}`));
  World.prototype.say = function say(offset, more = {}) {
    return this.hear({ event: "say", room: "r", ...message(offset), epoch: 7, ...more });
  };

  return {
    async what_was_missed_is_told_before_what_is_said_live() {
      const world = await inRoom();
      await world.again();
      same(world.sent("join")[0].params, { room: "r", since: { epoch: 7, offset: 4 } }, "since then");
      await world.answer("join", { count: 2, epoch: 7, offset: 7, recovered: true, messages: range(5, 7) });
      await world.say(8);
      same(told(world), [4, "rejoin 3", 5, 6, 7, 8], "in order");
      const { name, at, ...rejoin } = world.heard("rejoin")[0];
      same(rejoin, { room: "r", count: 2, before: { epoch: 7, offset: 4 }, after: { epoch: 7, offset: 7 }, missed: 3, recovered: true, gap: null }, "and said");
      const { name: _, at: __, ...said } = world.heard("say")[1];
      same(said, { room: "r", from: "ben", data: 5, offset: 5, time_ms: 1, epoch: 7, missed: true }, "as any other");
      await world.again();
      same(world.sent("join")[0].params.since, { epoch: 7, offset: 8 }, "the next time from there");
    },
    async a_message_is_told_once() {
      const world = await inRoom();
      await world.again();
      // Live ones that come before the answer, and what it has of them.
      await world.say(7);
      await world.answer("join", { count: 2, epoch: 7, offset: 7, recovered: true, messages: range(3, 7) });
      await world.say(7);
      await world.say(8);
      await world.say(6);
      same(told(world), [4, "rejoin 3", 5, 6, 7, 8], "once");
    },
    async a_gap_is_filled_by_pages_from_its_end() {
      const world = await inRoom();
      await world.again();
      await world.answer("join", { count: 2, epoch: 7, offset: 700, recovered: true, gap: { from: 5, to: 698 }, messages: range(699, 700) });
      await world.say(701);
      same(told(world), [4], "what is live waits");
      const asked = [];
      for (let sent; (sent = world.sent("history").at(-1)) && !sent.done;) {
        sent.done = true;
        asked.push([sent.params.before, sent.params.limit]);
        const { before, limit } = sent.params;
        await world.hear({ seq: sent.seq, body: { code: 200, epoch: 7, first: 1, last: 701, messages: range(before - limit, before - 1).reverse() } });
      }
      same(asked, [[699, 256], [443, 256], [187, 182]], "from its end");
      same(told(world), [4, "rejoin 696", ...range(5, 701).map(({ offset }) => offset)], "in order");
      same([world.heard("rejoin")[0].recovered, world.heard("rejoin")[0].gap], [true, null], "nothing is missing");
    },
    async what_the_room_has_forgotten_is_named() {
      const world = await inRoom();
      await world.again();
      await world.answer("join", { count: 2, epoch: 7, offset: 20, recovered: false, gap: { from: 5, to: 18 }, messages: range(19, 20) });
      await world.answer("history", { epoch: 7, first: 15, last: 20, messages: range(15, 18) });
      await world.answer("history", { epoch: 7, first: 15, last: 20, messages: [] });
      same(told(world), [4, "rejoin 16", 15, 16, 17, 18, 19, 20], "the rest");
      same([world.heard("rejoin")[0].recovered, world.heard("rejoin")[0].gap], [false, { from: 5, to: 14 }], "named");
    },
    async a_gap_that_is_refused_for_now_is_asked_for_again() {
      const world = await inRoom();
      await world.again();
      await world.answer("join", { count: 2, epoch: 7, offset: 6, recovered: false, gap: { from: 5, to: 5 }, messages: [message(6)] });
      const no = async (code) => { await world.hear({ seq: world.sent("history").at(-1).seq, body: { code, error: "later" } }); await world.alive(5000); };
      await no(429);
      await no(503);
      await world.answer("history", { epoch: 7, messages: [message(5)] });
      same([told(world), world.sent("history").length], [[4, "rejoin 2", 5, 6], 3], "again");
      await world.again();
      await world.answer("join", { count: 2, epoch: 7, offset: 8, recovered: false, gap: { from: 7, to: 7 }, messages: [message(8)] });
      await no(403);
      same([told(world).slice(-2), world.heard("rejoin")[1].gap], [["rejoin 2", 8], { from: 7, to: 7 }], "not for ever");
    },
    async a_line_that_is_lost_in_the_middle_loses_nothing() {
      const world = await inRoom();
      await world.again();
      await world.answer("join", { count: 2, epoch: 7, offset: 9, recovered: false, gap: { from: 5, to: 7 }, messages: range(8, 9) });
      await world.say(10);
      await world.again();
      same(world.sent("join")[0].params.since, { epoch: 7, offset: 4 }, "from where it was");
      // No answer in time; the next try has it all.
      await world.alive(20000);
      await world.say(12);
      same(world.sent("join").length, 2, "asked again");
      await world.answer("join", { count: 2, epoch: 7, offset: 12, recovered: true, messages: range(5, 12) });
      await world.alive(60000);
      same(told(world), [4, "rejoin 8", 5, 6, 7, 8, 9, 10, 11, 12], "each once");
    },
    async a_room_without_history_says_how_many() {
      const world = await inRoom();
      await world.again();
      await world.answer("join", { count: 2, epoch: 7, offset: 9, recovered: false, messages: [], gap: { from: 5, to: 9 } });
      same([world.sent("history").length, told(world)], [0, [4, "rejoin 5"]], "nothing is asked in vain");
      same([world.heard("rejoin")[0].recovered, world.heard("rejoin")[0].gap], [false, { from: 5, to: 9 }], "all of them are missing");
      await world.again();
      same(world.sent("join")[0].params.since, { epoch: 7, offset: 9 }, "and no more the next time");
      await world.answer("join", { count: 2, epoch: 8, offset: 2, recovered: false, messages: range(1, 2) });
      same([told(world).slice(2), world.heard("rejoin")[1].recovered], [["rejoin null", 1, 2], false], "what a new one remembers is news");
    },
    async a_room_that_the_server_gives_is_resumed_too() {
      const world = await inRoom();
      await world.hear({ event: "join", room: "given", user: "anna", count: 1, membership: 1, epoch: 3, offset: 1, by: "server" });
      await world.again();
      await world.hear({ event: "join", room: "given", user: "anna", count: 1, membership: 1, epoch: 3, offset: 3, by: "server" });
      await world.hear({ event: "say", room: "given", ...message(4), epoch: 3 });
      same(world.sent("history")[0].params, { room: "given", before: 4, limit: 2 }, "asked for");
      await world.answer("history", { epoch: 3, first: 1, last: 4, messages: range(2, 3) });
      same(told(world), [4, "rejoin 2", 2, 3, 4], "in order");
    },
    async ones_own_messages_are_not_heard_twice() {
      const world = await inRoom();
      // Answered before it is heard: it has not been heard.
      const said = world.me.say("r", "x");
      await world.settle();
      await world.answer("say", { epoch: 7, offset: 5 });
      same((await said).offset, 5, "said");
      await world.say(5, { from: "anna" });
      // Not to be heard, and its answer overtakes what waits for a slow reader.
      world.me.say("r", "y", { echo: false });
      await world.settle();
      await world.answer("say", { epoch: 7, offset: 7 });
      await world.say(6);
      same(told(world), [4, 5, 6], "each once");
      await world.again();
      same(world.sent("join")[0].params.since, { epoch: 7, offset: 7 }, "its own is behind it");
      // The answer to one that was heard came; the line broke before its event.
      await world.answer("join", { count: 1, epoch: 7, offset: 7, recovered: true, messages: [] });
      world.me.say("r", "z");
      await world.settle();
      await world.answer("say", { epoch: 7, offset: 8 });
      await world.again();
      same(world.sent("join")[0].params.since, { epoch: 7, offset: 7 }, "it is yet to be heard");
    },
    async what_was_said_is_said_again_under_its_name_where_the_answer_was_lost() {
      const world = await inRoom();
      const one = world.me.say("r", 1), two = world.me.say("r", 2), own = world.me.say("r", 3, { id: "mine" }), told = failure(world.me.tell("ben", 1));
      await world.settle();
      const ids = world.sent("say").map(({ params }) => params.id);
      assert(new Set(ids).size === 3 && ids.every((id) => id.length <= 64) && ids[2] === "mine", `${ids}`);
      await world.again();
      same((await told).code, "lost", "what has no name is not repeated");
      same(world.sent("say").length, 0, "the room first");
      await world.answer("join", { count: 1, epoch: 7, offset: 5, recovered: true, messages: [message(5)] });
      same(world.sent("say").map(({ params }) => [params.data, params.id]), [[1, ids[0]], [2, ids[1]], [3, "mine"]], "the same, in order");
      for (const { seq } of world.sent("say")) await world.hear({ seq, body: { code: 200, epoch: 7, offset: seq } });
      same([(await one).code, (await two).code, (await own).code], [200, 200, 200], "done");
      const lost = failure(world.me.request("say", { room: "r", data: 4 }));
      await world.settle();
      await world.again();
      same((await lost).code, "lost", "nor is one without");
    },
    async pages_lead_back() {
      const world = await inRoom();
      const page = world.me.history("r", { before: 3, limit: 2 });
      await world.settle();
      same(world.sent("history")[0].params, { room: "r", before: 3, limit: 2 }, "asked");
      await world.answer("history", { epoch: 7, first: 1, last: 4, messages: [{ deleted: true, offset: 1, time_ms: 1 }, message(2, { $binary: "AQI=" })] });
      const { messages, first, last } = await page;
      same([first, last, messages[0].deleted, [...new Uint8Array(messages[1].data)]], [1, 4, true, [1, 2]], "the page");
      same(told(world), [4], "which is no news");
    },
    async what_was_deleted_is_passed_over() {
      const world = await inRoom();
      await world.again();
      await world.answer("join", { count: 2, epoch: 7, offset: 6, recovered: true, messages: [{ deleted: true, offset: 5, time_ms: 1 }, message(6)] });
      same([told(world), world.heard("rejoin")[0].recovered], [[4, "rejoin 2", 6], true], "passed over");
    },
    async bytes_travel_as_bytes() {
      const world = await inRoom();
      assert(world.socket.binaryType === "arraybuffer" && world.socket.url.includes("binary=true"), "asked for");
      const { me } = world;
      for (const data of [new Uint8Array([1, 0, 2]).buffer, new Uint8Array([9, 1, 0, 2, 9]).subarray(1, 4), new DataView(new Uint8Array([1, 0, 2]).buffer)]) {
        me.say("r", data);
        await world.settle();
        const { params, bytes } = world.socket.sent.at(-1);
        same([params.room, params.data, bytes], ["r", undefined, [1, 0, 2]], "behind their command");
      }
      me.tell("ben", new Uint16Array([258]));
      await world.settle();
      same([world.socket.sent.at(-1).params, world.socket.sent.at(-1).bytes], [{ user: "ben" }, [2, 1]], "told");
      me.say("r", new Blob([new Uint8Array([1, 0, 2])]));
      await world.settle();
      const sent = new Uint8Array(await world.socket.sent.at(-1).blob.arrayBuffer()), end = sent.indexOf(0);
      same([JSON.parse(new TextDecoder().decode(sent.subarray(0, end))).cmd, [...sent.subarray(end + 1)]], ["say", [1, 0, 2]], "a Blob");
      const heard = [];
      for (const name of ["say", "tell"]) me.on(name, ({ data }) => heard.push(data instanceof ArrayBuffer ? [...new Uint8Array(data)] : data));
      await world.hear({ event: "say", room: "r", from: "ben", epoch: 7, offset: 5, time_ms: 1 }, [0, 7]);
      await world.hear({ event: "tell", from: "ben", time_ms: 1 }, []);
      await world.hear({ event: "tell", from: "ben", data: { $binary: "AAc=" }, time_ms: 1 });
      await world.hear({ event: "tell", from: "ben", data: { $binary: "AAc=", more: 1 }, time_ms: 1 });
      await world.hear({ event: "tell", from: "ben", data: { $binary: "*" }, time_ms: 1 });
      same(heard, [[0, 7], [], [0, 7], { $binary: "AAc=", more: 1 }, { $binary: "*" }], "heard");
    },
    async a_crowd_that_talks_meanwhile_does_not_fill_the_page() {
      const world = await inRoom();
      await world.again();
      for (let offset = 10; offset < 2100; offset += 1) world.say(offset);
      await world.settle();
      same([told(world).length, world.heard("rejoin")[0].gap], [2092, { from: 5, to: 9 }], "it is told, and what is missing is named");
      await world.answer("join", { count: 2, epoch: 7, offset: 2099, recovered: true, messages: range(2090, 2099) });
      same([world.heard("rejoin").length, await stands(world.me.join("r"))], [1, "waits"], "once");
    },
  };
})
