// An echo server on Bun, whose WebSocket server is uWebSockets. `/chat` sends every message to all who are there.
import { parseArgs } from "node:util";

const { values } = parseArgs({ options: { listen: { type: "string", default: "127.0.0.1:8080" } } });
const [hostname, port] = values.listen.split(":");

const server = Bun.serve({
  hostname,
  port: Number(port),
  fetch(request, server) {
    const chat = new URL(request.url).pathname.startsWith("/chat");
    if (server.upgrade(request, { data: { chat } })) return;
    return new Response("this is a WebSocket server", { status: 426 });
  },
  websocket: {
    perMessageDeflate: false,
    // Above the largest message of the comparison (1 MiB), and room for a few of them in flight.
    maxPayloadLength: 2 << 20,
    backpressureLimit: 64 << 20,
    // The longest that it takes: idle connections answer Pings, so none is closed during a run.
    idleTimeout: 960,
    sendPings: true,
    // The sender is a member too and gets its own message, with the others and in the same order.
    publishToSelf: true,
    open(socket) {
      if (socket.data.chat) socket.subscribe("chat");
    },
    message(socket, message) {
      if (socket.data.chat) socket.publish("chat", message);
      else socket.send(message);
    },
  },
});

console.log(`listening on ${server.hostname}:${server.port}`);
