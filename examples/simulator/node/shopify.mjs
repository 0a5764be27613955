// A simulated Shopify for a test. Needs Node's own library, and `evergate` on the PATH.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";

// start starts a simulator that runs until the end of a test, t, also of one that fails. The test fails if the code under test
// did anything that is in the simulator's report.
export async function start(t, ...args) {
  const child = spawn(
    "evergate",
    ["simulate", "--plain", "--json", "--strict", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0", ...args],
    { stdio: ["ignore", "pipe", "inherit"] },
  );
  const ended = once(child, "exit");
  t.after(async () => {
    child.kill("SIGINT");
    const [code] = await ended;
    if (code !== 0) throw new Error(`the simulator has something to report: exit code ${code}`);
  });
  const [line] = await once(createInterface(child.stdout), "line");
  const said = JSON.parse(line);
  return {
    url: said.url,
    shop: said.shop,
    clientId: said.client_id,
    clientSecret: said.client_secret,
    // control gives an order, such as control("faults", { kind: "drop", endpoint: "token", count: 1 }).
    async control(what, order) {
      const answer = await fetch(`${said.control_url}/_sim/${what}`, { method: "POST", body: JSON.stringify(order) });
      if (!answer.ok) throw new Error(await answer.text());
    },
  };
}
