import * as fc from "fast-check";
import { expect, test } from "vitest";
import { hardenPod } from "./harden-pod.ts";
import { podSecurityComplaints } from "./pod-security.ts";

const tight = {
  runAsNonRoot: true,
  allowPrivilegeEscalation: false,
  capabilities: { drop: ["ALL"] },
  seccompProfile: { type: "RuntimeDefault" },
};

function pod(spec: object = {}, container: object = {}): object {
  return { containers: [{ name: "a", image: "a", securityContext: tight, ...container }], ...spec };
}

const context = (more: object): object => ({ securityContext: { ...tight, ...more } });

// One case for each control: https://kubernetes.io/docs/concepts/security/pod-security-standards/
test.each([
  ["HostProcess", pod({ securityContext: { windowsOptions: { hostProcess: true } } }), "windowsOptions.hostProcess"],
  ["host network", pod({ hostNetwork: true }), "hostNetwork"],
  ["host processes", pod({ hostPID: true }), "hostPID"],
  ["host IPC", pod({ hostIPC: "true" }), "hostIPC"],
  ["a privileged container", pod({}, context({ privileged: true })), "privileged"],
  ["a privileged container by another word", pod({}, context({ privileged: "yes" })), "privileged"],
  ["an added capability", pod({}, context({ capabilities: { drop: ["ALL"], add: ["SYS_ADMIN"] } })), "add.0"],
  ["a path of the host", pod({ volumes: [{ name: "a", hostPath: { path: "/" } }] }), "volumes.0.hostPath"],
  ["a port of the host", pod({}, { ports: [{ containerPort: 1, hostPort: 80 }] }), "ports.0.hostPort"],
  ["a probe of another host", pod({}, { livenessProbe: { httpGet: { host: "10.0.0.1" } } }), "httpGet.host"],
  ["a hook to another host", pod({}, { lifecycle: { preStop: { tcpSocket: { host: "a" } } } }), "tcpSocket.host"],
  ["AppArmor off", pod({}, context({ appArmorProfile: { type: "Unconfined" } })), "appArmorProfile.type"],
  ["a type of SELinux", pod({}, context({ seLinuxOptions: { type: "spc_t" } })), "seLinuxOptions.type"],
  ["a role of SELinux", pod({ securityContext: { seLinuxOptions: { role: "r" } } }), "seLinuxOptions.role"],
  ["all of /proc", pod({}, context({ procMount: "Unmasked" })), "procMount"],
  ["no seccomp", pod({ securityContext: { seccompProfile: { type: "Unconfined" } } }), "seccompProfile.type"],
  ["an unsafe sysctl", pod({ securityContext: { sysctls: [{ name: "kernel.msgmax" }] } }), "sysctls.0.name"],
  [
    "an init container of these",
    pod({ initContainers: [{ securityContext: { privileged: true } }] }),
    "initContainers.0",
  ],
])("podSecurityComplaints() has baseline refuse %s", (_, spec, path) => {
  const complaints = podSecurityComplaints(spec, "baseline");
  expect(complaints.map((complaint) => complaint.path.join("."))).toEqual([expect.stringContaining(path)]);
});

test.each([
  ["a volume of the network", pod({ volumes: [{ name: "a", nfs: { path: "/" } }] }), "volumes.0"],
  ["more privileges later", pod({}, context({ allowPrivilegeEscalation: true })), "allowPrivilegeEscalation"],
  ["root that is allowed", pod({}, context({ runAsNonRoot: false })), "runAsNonRoot"],
  ["root by its number", pod({ securityContext: { runAsUser: 0 } }), "runAsUser"],
  ["a capability of baseline", pod({}, context({ capabilities: { drop: ["ALL"], add: ["CHOWN"] } })), "add.0"],
  ["capabilities kept", pod({}, context({ capabilities: {} })), "capabilities.drop"],
  ["seccomp unsaid", pod({}, context({ seccompProfile: undefined })), "seccompProfile"],
  ["root unsaid", pod({}, context({ runAsNonRoot: undefined })), "runAsNonRoot"],
  ["escalation unsaid", pod({}, context({ allowPrivilegeEscalation: null })), "allowPrivilegeEscalation"],
])("podSecurityComplaints() has restricted refuse %s, which baseline takes", (_, spec, path) => {
  expect(podSecurityComplaints(spec, "baseline")).toEqual([]);
  const complaints = podSecurityComplaints(spec, "restricted");
  const [complaint] = complaints.filter((one) => one.path.join(".").includes(path));
  if (path === "allowPrivilegeEscalation" && complaint === undefined) throw new Error("Cannot find the complaint");
  expect(complaint?.path.join(".")).toContain(path);
});

test.each([
  ["nothing but a name", pod()],
  [
    "what is said for the whole pod",
    {
      containers: [{ securityContext: { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } } }],
      securityContext: { runAsNonRoot: true, seccompProfile: { type: "Localhost" } },
    },
  ],
  ["low ports", pod({}, context({ capabilities: { drop: ["ALL"], add: ["NET_BIND_SERVICE"] } }))],
  ["what is false or empty", pod({ hostNetwork: false, hostPID: null }, { ports: [{ hostPort: 0 }] })],
  [
    "every kind of volume that is safe",
    pod({
      volumes: [
        { name: "a", emptyDir: {} },
        { name: "b", secret: {} },
      ],
    }),
  ],
])("podSecurityComplaints() takes %s at either level", (_, spec) => {
  expect(podSecurityComplaints(spec, "baseline")).toEqual([]);
  expect(podSecurityComplaints(spec, "restricted")).toEqual([]);
});

test("hardenPod() sets right what is only missing", () => {
  const { spec, complaints } = hardenPod(
    { containers: [{ name: "a" }], initContainers: [{ name: "b" }] },
    "restricted",
  );
  expect(complaints).toEqual([]);
  expect(spec["securityContext"]).toEqual({ runAsNonRoot: true, seccompProfile: { type: "RuntimeDefault" } });
  const own = { allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } };
  expect(spec["containers"]).toEqual([{ name: "a", securityContext: own }]);
  expect(spec["initContainers"]).toEqual([{ name: "b", securityContext: own }]);
});

test("hardenPod() leaves what contradicts, and says so", () => {
  const { complaints } = hardenPod(
    { containers: [{ name: "a", securityContext: { privileged: true, runAsUser: 0 } }] },
    "restricted",
  );
  expect(complaints).toEqual([
    {
      path: ["containers", 0, "securityContext", "privileged"],
      message: "needs to be left out, is true (Privileged Containers)",
    },
    {
      path: ["containers", 0, "securityContext", "runAsUser"],
      message: "needs a number other than 0, or podSecurity: baseline, is 0 (Running as Non-root user)",
    },
  ]);
});

test("hardenPod() makes of anything a pod that is complained of, or that passes", () => {
  fc.assert(
    fc.property(
      fc.anything({ maxDepth: 5 }),
      fc.constantFrom("restricted" as const, "baseline" as const),
      (spec, level) => {
        const hardened = hardenPod(spec, level);
        if (hardened.complaints.length === 0) expect(podSecurityComplaints(hardened.spec, level)).toEqual([]);
      },
    ),
  );
});
