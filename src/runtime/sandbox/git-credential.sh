#!/bin/sh
# What git inside asks for the credential of a push (gitcredentials(7)). Hands the question to the service as it is, and
# its answer back; what that says to the person, in "told" lines, goes to the error output. Where nobody answers it says
# nothing, and git asks on.
node=/opt/slipway/bin/node
if [ "${1-}" != get ] || [ ! -x "$node" ]; then
  exec cat >/dev/null # an older git dies of it when a helper does not read
fi
# Without the person's variables: NODE_OPTIONS and its like are for programs of theirs.
exec env -i "$node" -e '
const call = require("node:net").connect("/opt/slipway/calls.sock");
const said = [];
call.write("git-credential\n");
process.stdin.pipe(call);
call.setTimeout(12_000, () => call.destroy());
call.on("error", () => {});
call.on("data", (chunk) => said.push(chunk));
call.on("close", () => {
  for (const line of Buffer.concat(said).toString().split("\n")) {
    const [, told] = /^told=(.*)/.exec(line) ?? [];
    if (told !== undefined) process.stderr.write(`${told}\n`);
    else if (line !== "") process.stdout.write(`${line}\n`);
  }
  process.exit();
});
'
