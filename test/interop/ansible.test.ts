/**
 * Ansible over its `ssh` connection: one ControlPersist connection to an environment, pipelining, files by SFTP.
 *
 * @module
 */
import { mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { whyNot } from "../harness/needs.ts";
import type { Ended } from "../harness/program.ts";
import { whyNotThere } from "./place.ts";
import { useService } from "./use-service.ts";

const service = useService();
const LOGINS = ["hello-main", "hello-other"];

/** JSON is YAML. */
const PLAYBOOK = [
  {
    hosts: "all",
    gather_facts: false,
    tasks: [
      { copy: { content: "copied by ansible", dest: "/tmp/copied", mode: "0600" } },
      {
        shell: "cat /tmp/copied; cat; echo error >&2; exit 5",
        args: { stdin: "from stdin", stdin_add_newline: false },
        register: "ran",
        failed_when: 'ran.rc != 5 or ran.stdout != "copied by ansiblefrom stdin" or ran.stderr != "error"',
      },
    ],
  },
];

/** Runs one of Ansible's programs on both environments. */
async function run(program: string, ...words: readonly string[]): Promise<Ended> {
  const { run: runAs, folder, configFile } = service().as("ada");
  const control = join(folder, "cp");
  mkdirSync(control, { recursive: true });
  const inventory = join(folder, "inventory");
  const common = "ansible_host=slipway ansible_python_interpreter=/usr/bin/python3";
  writeFileSync(inventory, LOGINS.map((login) => `${login} ansible_user=${login} ${common}\n`).join(""));
  const env = {
    ANSIBLE_PIPELINING: "True",
    ANSIBLE_SSH_ARGS: `-F ${configFile} -o ControlMaster=auto -o ControlPersist=60s`,
    ANSIBLE_SSH_CONTROL_PATH_DIR: control,
    ANSIBLE_LOCAL_TEMP: join(folder, "ansible"),
    ANSIBLE_NOCOLOR: "1",
  };
  return runAs([program, "-i", inventory, ...words], { env, timeoutMs: 60_000 });
}

/** Sockets of the connections that Ansible leaves open for the next call. */
function controlSockets(): string[] {
  return readdirSync(join(service().as("ada").folder, "cp"));
}

async function endControl(): Promise<void> {
  const { run: runAs, folder } = service().as("ada");
  for (const name of controlSockets())
    await runAs(["ssh", "-F", "none", "-S", join(folder, "cp", name), "-O", "exit", "x"]);
}

test("ansible pings with pipelining, copies a file, hands on exit codes, and keeps one connection to each", async (ctx) => {
  const lacks = whyNot("ansible", "ansible-playbook", "/usr/bin/python3") ?? whyNotThere("python3");
  if (lacks !== undefined) ctx.skip(lacks);
  try {
    const pinged = await run("ansible", "all", "-m", "ping", "--one-line");
    expect(pinged.stderr).toBe("");
    expect(pinged.stdout.match(/SUCCESS => .*"ping": "pong"/g)).toHaveLength(2);
    const book = join(service().as("ada").folder, "book.yaml");
    writeFileSync(book, JSON.stringify(PLAYBOOK));
    const played = await run("ansible-playbook", book);
    expect(played.stdout.match(/ok=2\s+changed=2\s+unreachable=0\s+failed=0/g)).toHaveLength(2);
    expect(played.exitCode).toBe(0);
    expect(service().events("session.opened")).toHaveLength(2);
    expect(controlSockets()).toHaveLength(2);
  } finally {
    await endControl();
  }
}, 90_000);
