// Runs inside an environment: a server that tells apart what a broken half-close hides.  node half-close-server.mjs PORT|PATH
// The first byte of a connection says what to do: "A" answers with the count and hash of all it got, but only after the
// client's end; "B" sends 300,000 bytes, ends its own half at once, and reads on to the client's end; "R" reports the
// counts of all such connections so far.
import { createHash } from "node:crypto";
import { createServer } from "node:net";

const counts = [];

createServer({ allowHalfOpen: true }, (socket) => {
  const hash = createHash("sha256");
  let kind;
  let bytes = 0;
  socket.on("error", () => counts.push("broken"));
  socket.on("data", (chunk) => {
    if (kind === undefined) {
      kind = String.fromCharCode(chunk[0]);
      if (kind === "B") socket.end(Buffer.alloc(300_000, "b"));
      if (kind === "R") socket.end(`${JSON.stringify(counts)}\n`);
    }
    bytes += chunk.length;
    hash.update(chunk);
  });
  socket.on("end", () => {
    if (kind === "A") socket.end(`${bytes} ${hash.digest("hex")}\n`);
    if (kind === "B") counts.push(bytes);
  });
}).listen(
  /^[0-9]+$/.test(process.argv[2]) ? { host: "127.0.0.1", port: Number(process.argv[2]) } : process.argv[2],
  () => {
    process.stdout.write("listening\n");
  },
);
