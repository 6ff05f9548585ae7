// Node.js with ws and MongoDB's own driver: the same jobs, written with care.
//
// It leaves out what the FastAPI peer leaves out (see fastapi_peer.py).

import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { MongoClient } from "mongodb";
import { WebSocketServer } from "ws";

const [port, uri, databaseName] = process.argv.slice(2);
const MOST_PER_WRITE = 2000;
const ANSWER_WITHIN_MS = 500;
const PING_EVERY_MS = 20_000;

const client = await new MongoClient(uri).connect();
const database = client.db(databaseName);
const [locksStored, keys, commands, reports] = ["locks", "tempKeys", "commands", "reports"].map(
  (name) => database.collection(name),
);
await reports.createIndex({ lockId: 1, receivedAt: -1 });
await commands.createIndex({ lockId: 1, requestedAt: -1 });

const online = new Map();
const followed = new Map();
const say = (socket, frame) => socket.send(JSON.stringify(frame));

// Reports of all locks are gathered, stored together, then acknowledged.
let waiting = [];
let isWriting = false;

function report(socket, frame, now) {
  const { lockId, epoch } = socket;
  const _id = { lockId, epoch, seq: frame.seq };
  return { ...frame, _id, lockId, at: new Date(frame.at), receivedAt: now };
}

async function write() {
  isWriting = true;
  while (waiting.length) {
    const gathered = [];
    let count = 0;
    let taken = 0;
    while (count < MOST_PER_WRITE && taken < waiting.length) {
      count += waiting[taken].documents.length;
      gathered.push(waiting[taken++]);
    }
    waiting = waiting.slice(taken);
    try {
      await reports.insertMany(gathered.flatMap((each) => each.documents), { ordered: false });
    } catch (error) {
      if (error.code !== 11000) throw error;
    }
    const upto = new Map(gathered.map((each) => [each.socket, each.documents.at(-1).seq]));
    for (const [socket, seq] of upto) say(socket, { type: "ack", seq });
  }
  isWriting = false;
}

function queue(socket, documents) {
  waiting.push({ socket, documents });
  if (!isWriting) setImmediate(write), (isWriting = true);
}

async function settle(id, state) {
  await commands.updateOne({ _id: id }, { $set: { state } });
  if (state !== "accepted") followed.get(id)?.();
}

function presence(lockId, isOnline) {
  return locksStored.updateOne({ _id: lockId }, { $set: { online: isOnline, since: new Date() } });
}

async function take(socket, message) {
  const frame = JSON.parse(message);
  const now = new Date();
  switch (frame.type) {
    case "telemetry":
      return queue(socket, [report(socket, frame, now)]);
    case "batch":
      return queue(socket, frame.reports.map((each) => report(socket, each, now)));
    case "hello":
      socket.epoch = frame.epoch;
      online.set(socket.lockId, socket);
      await presence(socket.lockId, true);
      return say(socket, { type: "welcome" });
    case "result":
      return settle(frame.commandId, frame.status);
  }
}

async function openDoor(keyUuid) {
  const key = await keys.findOne({ _id: keyUuid });
  const now = new Date();
  if (!key) return [404];
  if (!(key.validFrom <= now && now < key.validUntil)) return [400];
  const socket = online.get(key.lockId);
  if (!socket) return [502];
  const id = createHash("sha256").update(keyUuid + process.hrtime.bigint()).digest("hex");
  const command = { lockId: key.lockId, keyUuid, state: "queued" };
  await commands.insertOne({ _id: id, requestedAt: now, ...command });
  const opened = new Promise((resolve) => {
    const timer = setTimeout(resolve, ANSWER_WITHIN_MS);
    followed.set(id, () => (clearTimeout(timer), resolve()));
  });
  const expiresAt = new Date(now.getTime() + 8000).toISOString();
  say(socket, { type: "command", id, expiresAt });
  await opened;
  followed.delete(id);
  return [303, id];
}

const TITLES = { queued: "Sending", accepted: "Opening", opened: "The door is open" };

async function look(keyUuid, commandId) {
  const key = await keys.findOne({ _id: keyUuid });
  const command = await commands.findOne({ _id: commandId, keyUuid });
  const lock = await locksStored.findOne({ _id: key.lockId });
  const state = command?.state ?? "queued";
  const title = TITLES[state];
  const shown = `<section data-state="${state}"><h1>${title}</h1><p>${lock.name}</p></section>`;
  return { state, page: `<!doctype html><title>${title}</title>${shown}` };
}

async function stream(response, keyUuid, commandId) {
  response.writeHead(200, { "Content-Type": "text/event-stream" });
  for (let state = ""; state !== "opened"; ) {
    const seen = await look(keyUuid, commandId);
    state = seen.state;
    response.write(`event: state\ndata: ${seen.page}\n\n`);
    if (state !== "opened") await new Promise((resolve) => setTimeout(resolve, 50));
  }
  response.end();
}

async function answer(request, response) {
  const url = new URL(request.url, "http://peer");
  const [, , keyUuid, what, last] = url.pathname.split("/");
  if (url.pathname === "/health/ready") return response.end("ready");
  if (what === "doors") {
    for await (const chunk of request) void chunk;
    const [status, id] = await openDoor(keyUuid);
    const page = `/temp-keys/${keyUuid}/confirmation?door=1&command=${id}`;
    return response.writeHead(status, { Location: page, "Content-Length": 0 }).end();
  }
  const commandId = url.searchParams.get("command") ?? "";
  if (last === "stream") return stream(response, keyUuid, commandId);
  const { page } = await look(keyUuid, commandId);
  return response.writeHead(200, { "Content-Type": "text/html; charset=utf-8" }).end(page);
}

const server = createServer((request, response) => {
  answer(request, response).catch((error) => {
    console.error(error);
    response.writeHead(500).end();
  });
});
const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false });

server.on("upgrade", async (request, stream, head) => {
  const lockId = Number(request.url.split("/")[2]);
  const token = (request.headers.authorization ?? "").replace("Bearer ", "");
  const tokenDigest = createHash("sha256").update(token).digest("hex");
  if (!(await locksStored.findOne({ _id: lockId, tokenDigest }))) return stream.destroy();
  sockets.handleUpgrade(request, stream, head, (socket) => {
    socket.lockId = lockId;
    // One frame after the other, as the protocol has it.
    let last = Promise.resolve();
    socket.on("message", (message) => {
      last = last.then(() => take(socket, message)).catch(console.error);
    });
    socket.on("error", () => socket.terminate());
    socket.on("close", async () => {
      if (online.get(lockId) !== socket) return;
      online.delete(lockId);
      await presence(lockId, false).catch(() => {});
    });
  });
});

setInterval(() => {
  for (const socket of sockets.clients) socket.ping();
}, PING_EVERY_MS);
server.listen({ port: Number(port), host: "127.0.0.1", backlog: 1024 });
process.on("SIGTERM", () => process.exit(0));
