// The socket.io server that is measured: what arrives as `publish` is emitted to everybody else.
// Run as: node server.js PORT, in a directory where socket.io is installed.
"use strict";

const http = require("http").createServer();
const { Server } = require("socket.io");

const io = new Server(http, { transports: ["websocket"], serveClient: false });

io.on("connection", (socket) => {
  socket.on("publish", (payloads) => {
    for (const payload of payloads) socket.broadcast.emit("x", payload);
  });
});

http.listen({ host: "127.0.0.1", port: Number(process.argv[2]), backlog: 4096 });
// Ends with the benchmark, however that ends.
process.stdin.on("end", () => process.exit(0)).resume();
