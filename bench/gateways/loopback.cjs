// Preloaded into peers that would listen on every interface: they listen on 127.0.0.1 alone.
const { Server } = require("node:net");

const listen = Reflect.get(Server.prototype, "listen");
Server.prototype.listen = function (...given) {
  const callback = given.find((value) => typeof value === "function");
  const [first] = given;
  const port = typeof first === "object" && first !== null ? first.port : first;
  if (Number.isNaN(Number(port))) return listen.apply(this, given);
  return listen.call(this, { port: Number(port), host: "127.0.0.1" }, callback);
};
