// A chat server on Socket.IO, tuned as its authors advise: whatever one says goes to all who are there, itself included.
import { createServer } from "node:http";
import { parseArgs } from "node:util";
import { Server } from "socket.io";

const { values } = parseArgs({ options: { listen: { type: "string", default: "127.0.0.1:8080" }, polling: { type: "boolean" } } });
const [host, port] = values.listen.split(":");

const server = createServer();
const io = new Server(server, {
  // Clients come by WebSocket at once, or they poll: nothing is upgraded, and nothing is served but that.
  transports: [values.polling ? "polling" : "websocket"],
  serveClient: false,
  perMessageDeflate: false,
  httpCompression: false,
  maxHttpBufferSize: 2 << 20,
  // Heartbeats are messages of Engine.IO, which the load does not answer: the first comes after any run.
  pingInterval: 3_600_000,
});

io.on("connection", (socket) => {
  // The request is kept for applications, and costs memory for every connection.
  socket.conn.request = null;
  socket.on("say", (data) => io.emit("say", data));
});

// Node's default backlog of 511 drops a ramp of thousands.
server.listen({ host, port: Number(port), backlog: 4096 }, () => {
  console.log(`listening on ${host}:${server.address().port}`);
});
