import { expect, test } from "vitest";
import { writeYaml } from "../../base/write-yaml.ts";
import { type InstallFacts, installKinds, installObjects } from "./objects.ts";

const facts: InstallFacts = {
  namespace: "slipway",
  image: "slipway/gateway:0.1.0",
  serviceType: "LoadBalancer",
  settings: "version: 1\npeople: {}\n",
  settingsHash: "abc",
  resources: { limits: { memory: "1Gi" } },
  stateSize: "10Gi",
  permissions: [{ verb: "create", group: "", resource: "namespaces" }],
};

test("installObjects() runs one process that is no root, may gain nothing and writes to its volume alone", () => {
  expect(writeYaml(installObjects(facts))).toMatchInlineSnapshot(`
    "apiVersion: v1
    kind: Namespace
    metadata:
      name: slipway
      labels:
        app.kubernetes.io/name: slipway
        app.kubernetes.io/component: gateway
        slipway.dev/gateway: slipway
        pod-security.kubernetes.io/enforce: restricted
    ---
    apiVersion: v1
    kind: ServiceAccount
    metadata:
      name: slipway
      namespace: slipway
      labels:
        app.kubernetes.io/name: slipway
        app.kubernetes.io/component: gateway
    automountServiceAccountToken: false
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata:
      name: slipway:slipway
      labels:
        app.kubernetes.io/name: slipway
        app.kubernetes.io/component: gateway
    rules:
      - apiGroups:
          - ""
        resources:
          - namespaces
        verbs:
          - create
    ---
    apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRoleBinding
    metadata:
      name: slipway:slipway
      labels:
        app.kubernetes.io/name: slipway
        app.kubernetes.io/component: gateway
    roleRef:
      apiGroup: rbac.authorization.k8s.io
      kind: ClusterRole
      name: slipway:slipway
    subjects:
      - kind: ServiceAccount
        name: slipway
        namespace: slipway
    ---
    apiVersion: v1
    kind: ConfigMap
    metadata:
      name: slipway-settings
      namespace: slipway
      labels:
        app.kubernetes.io/name: slipway
        app.kubernetes.io/component: gateway
    data:
      slipway.yaml: |
        version: 1
        people: {}
    ---
    apiVersion: v1
    kind: PersistentVolumeClaim
    metadata:
      name: slipway-state
      namespace: slipway
      labels:
        app.kubernetes.io/name: slipway
        app.kubernetes.io/component: gateway
    spec:
      accessModes:
        - ReadWriteOnce
      resources:
        requests:
          storage: 10Gi
    ---
    apiVersion: apps/v1
    kind: Deployment
    metadata:
      name: slipway
      namespace: slipway
      labels:
        app.kubernetes.io/name: slipway
        app.kubernetes.io/component: gateway
    spec:
      replicas: 1
      strategy:
        type: Recreate
      selector:
        matchLabels:
          app.kubernetes.io/name: slipway
          app.kubernetes.io/component: gateway
      template:
        metadata:
          labels:
            app.kubernetes.io/name: slipway
            app.kubernetes.io/component: gateway
          annotations:
            slipway.dev/settings: abc
        spec:
          serviceAccountName: slipway
          automountServiceAccountToken: true
          enableServiceLinks: false
          terminationGracePeriodSeconds: 75
          securityContext:
            runAsNonRoot: true
            runAsUser: 1000
            runAsGroup: 1000
            fsGroup: 1000
            fsGroupChangePolicy: OnRootMismatch
            seccompProfile:
              type: RuntimeDefault
          containers:
            - name: slipway
              image: slipway/gateway:0.1.0
              command:
                - slip
                - serve
                - --settings
                - /etc/slipway/slipway.yaml
                - --drain-ms
                - "60000"
              env:
                - name: SLIPWAY_HOME
                  value: /var/lib/slipway/state
                - name: HOME
                  value: /var/lib/slipway
              envFrom:
                - secretRef:
                    name: slipway-variables
                    optional: true
              ports:
                - name: ssh
                  containerPort: 2222
                  protocol: TCP
                - name: http
                  containerPort: 9222
                  protocol: TCP
              resources:
                limits:
                  memory: 1Gi
              securityContext:
                allowPrivilegeEscalation: false
                readOnlyRootFilesystem: true
                capabilities:
                  drop:
                    - ALL
              startupProbe:
                httpGet:
                  path: /healthz
                  port: http
                periodSeconds: 2
                failureThreshold: 60
              livenessProbe:
                httpGet:
                  path: /healthz
                  port: http
                periodSeconds: 10
                timeoutSeconds: 5
              readinessProbe:
                httpGet:
                  path: /readyz
                  port: http
                periodSeconds: 5
                timeoutSeconds: 5
              volumeMounts:
                - name: settings
                  mountPath: /etc/slipway
                  readOnly: true
                - name: state
                  mountPath: /var/lib/slipway
                - name: tmp
                  mountPath: /tmp
          volumes:
            - name: settings
              projected:
                defaultMode: 288
                sources:
                  - configMap:
                      name: slipway-settings
                  - secret:
                      name: slipway-credentials
                      optional: true
            - name: state
              persistentVolumeClaim:
                claimName: slipway-state
            - name: tmp
              emptyDir: {}
    ---
    apiVersion: v1
    kind: Service
    metadata:
      name: slipway
      namespace: slipway
      labels:
        app.kubernetes.io/name: slipway
        app.kubernetes.io/component: gateway
    spec:
      type: LoadBalancer
      selector:
        app.kubernetes.io/name: slipway
        app.kubernetes.io/component: gateway
      ports:
        - name: ssh
          port: 22
          protocol: TCP
          targetPort: ssh
    ---
    apiVersion: networking.k8s.io/v1
    kind: NetworkPolicy
    metadata:
      name: slipway
      namespace: slipway
      labels:
        app.kubernetes.io/name: slipway
        app.kubernetes.io/component: gateway
    spec:
      podSelector:
        matchLabels:
          app.kubernetes.io/name: slipway
          app.kubernetes.io/component: gateway
      policyTypes:
        - Ingress
      ingress:
        - ports:
            - protocol: TCP
              port: 2222
            - protocol: TCP
              port: 9222
    "
  `);
});

test("installObjects() lets webhooks in where they are listened for", () => {
  const objects = installObjects({ ...facts, webhooksPort: 8_080 });
  const spec = (kind: string) => objects.find((object) => object.kind === kind)?.["spec"];
  expect(spec("Service")).toMatchObject({
    ports: [
      { name: "ssh", port: 22, protocol: "TCP", targetPort: "ssh" },
      { name: "webhooks", port: 8_080, protocol: "TCP", targetPort: "webhooks" },
    ],
  });
  expect(spec("NetworkPolicy")).toMatchObject({
    ingress: [{ ports: [{ port: 2_222 }, { port: 9_222 }, { port: 8_080 }] }],
  });
});

test("installObjects() makes no object of a kind that could not be applied", () => {
  const known = installKinds.map(({ apiVersion, kind }) => `${apiVersion} ${kind}`);
  for (const { apiVersion, kind } of installObjects(facts)) expect(known).toContain(`${apiVersion} ${kind}`);
});
