// client.js ROOT [PORT NAME]...: a line for each server at PORT of the loopback: "ok" if it is believed to be NAME, else why not.
const tls = require("node:tls");
const fs = require("node:fs");
const net = require("node:net");

const [root, ...rest] = process.argv.slice(2);
const ca = fs.readFileSync(root);

const believes = (port, name) =>
  new Promise((resolve) => {
    const options = { host: "127.0.0.1", port: Number(port), ca };
    if (net.isIP(name)) {
      options.checkServerIdentity = (_, certificate) => tls.checkServerIdentity(name, certificate);
    } else {
      options.servername = name;
    }
    const socket = tls.connect(options, () => {
      socket.destroy();
      resolve("ok");
    });
    socket.on("error", (err) => resolve(`${err.code} ${err.message}`.replaceAll("\n", " ")));
  });

(async () => {
  for (let i = 0; i < rest.length; i += 2) {
    console.log(await believes(rest[i], rest[i + 1]));
  }
})();
