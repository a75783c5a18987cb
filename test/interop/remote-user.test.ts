/**
 * The user that a repository's devcontainer.json asks for, as people meet it who sign in.
 *
 * @module
 */
import { expect, test } from "vitest";
import { useService } from "./use-service.ts";

const service = useService({
  repositories: {
    hello: {
      definition: JSON.stringify({
        remoteUser: "vscode",
        onCreateCommand: "whoami >~/made-by",
        customizations: { slipway: { run: "whoami >~/run-by; sleep 1000" } },
      }),
    },
    rooted: { definition: JSON.stringify({ remoteUser: "root" }) },
  },
});

const WHO = "whoami; id -un; echo $USER $LOGNAME $HOME; cd; pwd; ls -ld . | cut -d' ' -f3; cat made-by run-by";

test("ssh is the remoteUser of the definition, in a home of that name, and so is everything that runs there", async () => {
  const { ssh, sftp } = service().as("ada");
  const ended = await ssh(["hello-main@slipway", WHO]);
  expect(ended.stderr).not.toContain("remoteUser");
  expect(ended.stdout.split("\n")).toEqual([
    ...["vscode", "vscode", "vscode vscode /home/vscode", "/home/vscode", "vscode", "vscode", "vscode", ""],
  ]);
  // And goes on being it: files are theirs by every way in.
  const files = await sftp("hello-main", ["put /etc/hostname /home/vscode/put", "ls -l /home/vscode/put"]);
  expect(files.exitCode).toBe(0);
  expect((await ssh(["hello-main@slipway", "stat -c %U ~/put /workspace/hello"])).stdout).toBe("vscode\nvscode\n");
});

test("ssh is told that nobody is root in an environment, and is dev there", async () => {
  const ended = await service().as("ada").ssh(["rooted-main@slipway", "whoami"]);
  expect(ended.stdout).toBe("dev\n");
  expect(ended.stderr).toContain('"remoteUser" is "dev" here, not "root": nobody is root in an environment');
});
