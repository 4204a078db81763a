"""The process node: runs pods as processes of this machine, for tests and the demo. A test double
with a narrow contract.

What it honours: binding by the real scheduler; restartPolicy with back-off (at once, then 1 s
doubling to 60 s, forgotten after ten minutes of running); init containers; environment (values,
downward API, Secrets, ConfigMaps) and nothing of its own environment; emptyDir, secret, configMap,
downwardAPI and projected volumes at the paths that the pod names (bind mounts in a namespace of the
container's own), with service account tokens that are renewed; startup, liveness and readiness
probes (HTTP, TCP, command); grace periods; activeDeadlineSeconds; termination messages and exit
codes; deletion; `kubectl logs`, also following it. Pods get the real API server's address, and
127.0.0.1 as their own.

What it ignores: **images** (commands are looked up on the PATH, which starts with the checkout's
`.venv/bin`) and **users**: every container runs as whoever runs the node, with that user's rights
on the machine's files (readOnlyRootFilesystem, capabilities and seccomp profiles included).
Resource requests, limits and volume sizes are not enforced. There are no Services, no pod network
(two pods that want one port clash), no `kubectl exec`, `attach` or `port-forward`. A pod that wants
what the node does not have (other volumes, sidecars, lifecycle hooks) is failed with a message that
names it. When the node stops, its containers stop.

A real kubelet remains the judge of everything that this one ignores.
"""
