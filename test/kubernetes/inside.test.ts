/**
 * What a person finds who logs in to a pod that is not the plainest one: of root, of a user number that nobody knows, with a root
 * file system that cannot be written, of a repository's own manifests with their variables, secrets and neighbours.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import type { Ended } from "../harness/program.ts";
import { until } from "../harness/wait.ts";
import { freePort } from "../harness/free-port.ts";
import { SLOW_MS, useFaulty } from "./faults/use-faulty.ts";

const SHOP = join(import.meta.dirname, "../../examples/hello-kubernetes/k8s");
const read = (name: string): string => readFileSync(join(SHOP, name), "utf8");
const own = (slipway: object, more: object = {}): string => JSON.stringify({ ...more, customizations: { slipway } });

/** A number that is in no passwd of any image. */
const ODD_UID = 1_234_567;

const faulty = useFaulty({
  mayLogErrors: false,
  cluster: { podSecurity: "baseline" },
  repositories: {
    plain: { definition: "{}" },
    root: {
      definition: own(
        { runAsUser: 0, podSecurity: "baseline" },
        { image: "slipway/sample-root:test", remoteUser: "root" },
      ),
    },
    rootless: { definition: own({}, { image: "slipway/sample-root:test" }) },
    odd: { definition: own({ runAsUser: ODD_UID }, { image: "slipway/sample-distroless:test" }) },
    asking: { definition: own({ serviceAccountToken: true }) },
    shop: {
      example: "hello-kubernetes",
      files: {
        "k8s/kustomization.yaml": read("kustomization.yaml").replace('"0.1.0"', "test"),
        "k8s/api.yaml": read("api.yaml").replace(
          "allowPrivilegeEscalation: false",
          "allowPrivilegeEscalation: false\n            readOnlyRootFilesystem: true",
        ),
      },
    },
  },
});

async function enter(login: string, line: string, ...options: readonly string[]): Promise<Ended> {
  return faulty()
    .service.as("ada")
    .ssh([...options, `${login}@slipway`, line], { timeoutMs: SLOW_MS });
}

async function sh(login: string, line: string): Promise<string> {
  const { exitCode, stdout, stderr } = await enter(login, line);
  expect(exitCode, stderr).toBe(0);
  return stdout;
}

/** Who one is, whether one can work, and whether files come by SFTP and belong to one. */
async function mustBeOf(repository: string, uid: number, user: string): Promise<void> {
  const login = `${repository}-main`;
  const look = 'id -u; echo "$USER $HOME"; cd; touch mine && stat -c %u mine; git -C "$OLDPWD" status --short; tty';
  const seen = (await enter(login, look, "-tt")).stdout.replaceAll("\r", "").trimEnd().split("\n");
  expect(seen.slice(0, -1)).toEqual([String(uid), `${user} /home/${user}`, String(uid)]);
  expect(seen.at(-1)).toMatch(/^\/dev\/pts\//);
  const { folder, sftp } = faulty().service.as("ada");
  const [up, down] = [join(folder, "config"), join(folder, `${repository}-down`)];
  expect((await sftp(login, [`put ${up} put`, `get put ${down}`])).exitCode).toBe(0);
  expect(readFileSync(down)).toEqual(readFileSync(up));
  expect(await sh(login, "stat -c %u put; rm put")).toBe(`${uid}\n`);
}

test("a person is root in an image of root whose definition and settings allow it", async () => {
  await mustBeOf("root", 0, "root");
});

test("a person is nobody special in an image of root whose definition does not ask", async () => {
  await mustBeOf("rootless", 1_000, "dev");
});

test("a person has a name, a home and a shell with a user number that the image has never heard of", async () => {
  await mustBeOf("odd", ODD_UID, "dev");
});

test("a person works in a container whose root file system cannot be written", async () => {
  const said = await sh(
    "shop-main",
    "touch /etc/mine /opt/mine 2>&1; echo x >kept && echo y >~/kept && cat kept ~/kept",
  );
  expect(said).toBe(
    "touch: cannot touch '/etc/mine': Read-only file system\ntouch: cannot touch '/opt/mine': Read-only file system\nx\ny\n",
  );
});

test("a person has the variables and secrets of the pod, and those of the definition", async () => {
  expect(await sh("shop-main", 'echo "$DB_URL $DB_PASSWORD $GREETING"')).toBe(
    "http://db:8080/rows only-for-trying-out Hello from an environment\n",
  );
});

test("a person reaches the service beside by its name, from inside and through ssh -L", async () => {
  // Nobody waits for it to be let in: it starts beside the container that is entered.
  const rows = async (): Promise<boolean> =>
    (await enter("shop-main", 'busybox wget -q -O - "$DB_URL"')).stdout === "42 rows\n";
  await until("the service beside", rows, SLOW_MS);
  const port = await freePort();
  const forward = faulty()
    .service.as("ada")
    .startSsh(["-v", "-N", "-o", "ExitOnForwardFailure=yes", "-L", `127.0.0.1:${port}:db:8080`, "shop-main@slipway"]);
  try {
    await forward.untilError(/Entering interactive session/);
    expect(await (await fetch(`http://127.0.0.1:${port}/rows`)).text()).toBe("42 rows\n");
  } finally {
    forward.kill();
    await forward.ended;
  }
  // A name that is no service of theirs is none that leads anywhere.
  const refused = await enter("shop-main", "", "-W", "kubernetes.default:443");
  expect(refused.stderr).toMatch(/"kubernetes\.default" is not of this environment; what can be reached: .*db/);
});

test("a pod has a token of its service account where the definition asks for one, which may do nothing, and else none", async () => {
  const path = "/var/run/secrets/kubernetes.io/serviceaccount";
  expect(await sh("plain-main", `ls ${path} 2>/dev/null || echo none`)).toBe("none\n");
  expect((await sh("asking-main", `ls ${path}`)).split("\n")).toEqual(["ca.crt", "namespace", "token", ""]);
  const { kubectl } = faulty();
  const token = (await sh("asking-main", `cat ${path}/token`)).trim();
  const namespace = await sh("asking-main", `cat ${path}/namespace`);
  expect(namespace).toBe(await faulty().namespaceOf("asking-main"));
  // Of nobody else than the bearer: the client's own certificate would be asked first.
  const who = ["--as", `system:serviceaccount:${namespace}:${subjectOf(token)}`];
  await expect(kubectl(...who, "-n", namespace, "auth", "can-i", "get", "pods")).rejects.toThrow(/\bno\b/);
});

/** The account that a token is of: RFC 7519, `sub`. */
function subjectOf(token: string): string {
  const { sub } = JSON.parse(Buffer.from(token.split(".")[1] ?? "", "base64url").toString("utf8")) as { sub: string };
  return sub.split(":").at(-1) ?? "";
}
