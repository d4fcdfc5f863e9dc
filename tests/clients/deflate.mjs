// Two clients of the echo at argv[2] that share no code with the server: Node's own WebSocket, which inflates; and one of few
// lines over a socket, which compresses and inflates with Node's zlib, in streams that never start anew. Prints what each
// agreed on; throws where anything else comes back than was sent.
import { once } from "node:events";
import { connect } from "node:net";
import { promisify } from "node:util";
import zlib from "node:zlib";

const [host, port] = process.argv[2].split(":");
const TAIL = Buffer.from([0, 0, 0xff, 0xff]);

/** JSON lines of a chat, `length` bytes; no two alike. */
function text(seed, length) {
  let made = "";
  for (let n = seed; made.length < length; n++) {
    made += `{"from":"u${n % 7}","offset":${n * seed},"data":"${n * n}"} `;
  }
  return made.slice(0, length);
}

/** Seeds and lengths. Of what is far beyond a window a few are enough. */
function lengths() {
  const some = [...Array(40).keys()].flatMap((n) => [n, n * 40, n * 1000]).concat([4, 17, 39].map((n) => n * 20000));
  return some.map((length, n) => [n + 1, length]);
}

function check(what, got, wanted) {
  if (got !== wanted) throw new Error(`${what}: ${got.length} characters came back of ${wanted.length}, or others`);
}

async function builtIn() {
  const socket = new WebSocket(`ws://${host}:${port}/echo`);
  await once(socket, "open");
  for (const [seed, length] of lengths()) {
    const message = text(seed, length);
    socket.send(message);
    const [event] = await once(socket, "message");
    check("built in", event.data, message);
  }
  console.log(`built in: ${socket.extensions}`);
  socket.close();
  await once(socket, "close");
}

/** What a stream of zlib makes of a part, flushed. */
async function flushed(stream, part) {
  const made = [];
  const keep = (chunk) => made.push(chunk);
  stream.on("data", keep);
  stream.write(part);
  await promisify(stream.flush.bind(stream))(zlib.constants.Z_SYNC_FLUSH);
  stream.off("data", keep);
  return Buffer.concat(made);
}

function frame(first, payload) {
  const length = payload.length;
  const extended = length < 126 ? 0 : length < 65536 ? 2 : 8;
  const header = Buffer.alloc(2 + extended + 4);
  header[0] = first;
  header[1] = 0x80 | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) header.writeUInt16BE(length, 2);
  if (extended === 8) header.writeBigUInt64BE(BigInt(length), 2);
  // Masked with zeros.
  return Buffer.concat([header, payload]);
}

async function byHand(offer, windowBits, takeover) {
  // Without Nagle's algorithm, which would hold back each frame until the Ping before it is acknowledged.
  const socket = connect({ port: Number(port), host, noDelay: true });
  await once(socket, "connect");
  socket.write(
    "GET /echo HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
      "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
      `Sec-WebSocket-Extensions: ${offer}\r\n\r\n`,
  );
  const bytes = socket[Symbol.asyncIterator]();
  let left = Buffer.alloc(0);
  const more = async () => {
    const { value, done } = await bytes.next();
    if (done) throw new Error("the stream ended");
    left = Buffer.concat([left, value]);
  };
  const take = async (length) => {
    while (left.length < length) await more();
    const taken = left.subarray(0, length);
    left = left.subarray(length);
    return taken;
  };
  while (!left.includes("\r\n\r\n")) await more();
  const head = (await take(left.indexOf("\r\n\r\n") + 4)).toString();
  const agreed = /sec-websocket-extensions: (.*)\r\n/i.exec(head)?.[1] ?? "nothing";
  const deflate = zlib.createDeflateRaw({ windowBits });
  const inflate = zlib.createInflateRaw({ windowBits: 15 });
  for (const [seed, length] of lengths()) {
    const message = text(seed, length);
    const data = await flushed(deflate, message);
    const payload = data.subarray(0, Math.max(data.length - 4, 0));
    if (!takeover) deflate.reset();
    const cut = Math.floor(payload.length / 3);
    socket.write(frame(0x41, payload.subarray(0, cut)));
    socket.write(frame(0x89, Buffer.from("ping")));
    socket.write(frame(0x80, payload.subarray(cut)));
    let echo;
    while (echo === undefined) {
      const [first, short] = await take(2);
      const length =
        short < 126 ? short : short === 126 ? (await take(2)).readUInt16BE() : Number((await take(8)).readBigUInt64BE());
      const payload = await take(length);
      if ((first & 0x0f) !== 1) continue;
      echo = first & 0x40 ? await flushed(inflate, Buffer.concat([payload, TAIL])) : payload;
    }
    check(offer, echo.toString(), message);
  }
  console.log(`by hand: ${agreed}`);
  socket.destroy();
}

const takeover = process.argv[3] === "per-connection";
await builtIn();
await byHand("permessage-deflate; client_max_window_bits", 12, takeover);
await byHand("permessage-deflate; client_max_window_bits=9; server_max_window_bits=9", 9, takeover);
await byHand("permessage-deflate; server_no_context_takeover", 15, false);
await byHand("permessage-deflate; client_no_context_takeover; server_max_window_bits=11", 15, false);
