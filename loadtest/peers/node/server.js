// An echo server on `ws`, tuned as its authors advise. `/chat` sends every message to all who are there.
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { WebSocketServer } from "ws";

const { values } = parseArgs({ options: { listen: { type: "string", default: "127.0.0.1:8080" } } });
const [host, port] = values.listen.split(":");

const options = {
  noServer: true,
  // Compression costs memory and time for every connection; the other servers go without it too.
  perMessageDeflate: false,
  // The set of clients is kept here, for the chat only.
  clientTracking: false,
  // No bufferutil and no utf-8-validate: Node's own are as fast since version 18.
  maxPayload: 2 << 20,
};
const sockets = new WebSocketServer(options);
const members = new Set();

const server = createServer((_, response) => response.writeHead(426).end());
server.on("upgrade", (request, socket, head) => {
  socket.setNoDelay(true);
  sockets.handleUpgrade(request, socket, head, (client) => {
    client.on("error", () => client.terminate());
    if (request.url.startsWith("/chat")) join(client);
    else client.on("message", (data, binary) => client.send(data, { binary }));
  });
});

function join(client) {
  members.add(client);
  client.on("close", () => members.delete(client));
  client.on("message", (data, binary) => {
    for (const member of members) member.send(data, { binary });
  });
}

// Node's default backlog of 511 drops a ramp of thousands.
server.listen({ host, port: Number(port), backlog: 4096 }, () => {
  console.log(`listening on ${host}:${server.address().port}`);
});
