// Event streams on Node's own HTTP server, as one writes them by hand: rooms, and commands that are posted. It speaks as much of
// rollcall.v1 as `loadtest --carrier events` does: welcome, join, say.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { listen: { type: "string", default: "127.0.0.1:8080" } } });
const [host, port] = values.listen.split(":");

const sessions = new Map();
const rooms = new Map();
let offset = 0;

const event = (name, data) => `event: ${name}\ndata: ${JSON.stringify(data)}\n\n`;

const commands = {
  join(session, { room }) {
    if (!rooms.has(room)) rooms.set(room, new Set());
    rooms.get(room).add(session);
    session.rooms.add(room);
    return { code: 200, count: rooms.get(room).size };
  },
  say(session, { room, data }) {
    offset += 1;
    const said = event("say", { event: "say", room, from: session.user, data, offset, time_ms: Date.now() });
    for (const member of rooms.get(room) ?? []) member.stream.write(said);
    return { code: 200, offset };
  },
};

function open(url, stream) {
  const session = { id: randomUUID(), user: url.searchParams.get("user"), stream, rooms: new Set() };
  sessions.set(session.id, session);
  stream.on("close", () => {
    sessions.delete(session.id);
    for (const room of session.rooms) rooms.get(room).delete(session);
  });
  stream.socket.setNoDelay(true);
  stream.writeHead(200, { "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  const heartbeat = { interval_ms: 25000, timeout_ms: 20000 };
  stream.write(event("welcome", { event: "welcome", user: session.user, session: session.id, heartbeat }));
}

async function post(session, request, response) {
  let body = "";
  for await (const part of request) body += part;
  for (const line of body.split("\n").filter(Boolean)) {
    const { seq, cmd, params } = JSON.parse(line);
    session.stream.write(event("answer", { seq, body: commands[cmd]?.(session, params) ?? { code: 400 } }));
  }
  response.end();
}

const server = createServer((request, response) => {
  const url = new URL(request.url, "http://server");
  if (request.method === "GET") return open(url, response);
  const session = sessions.get(url.pathname.split("/")[2]);
  if (session) return void post(session, request, response);
  response.writeHead(404).end();
});
// A connection that posts stays open.
server.keepAliveTimeout = 0;
server.listen({ host, port: Number(port), backlog: 4096 }, () => {
  console.log(`listening on ${host}:${server.address().port}`);
});
