"""Adapter: a Kubernetes control plane of upstream's own programs, on 127.0.0.1, without root.

etcd, kube-apiserver, kube-controller-manager and kube-scheduler, with certificates of throw-away
authorities. It has no node and no product in it: see `processnode` and `install`.
"""

import ssl
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from screener_local.background import BackgroundProcess, bare_environment
from screener_local.certificates import Authority, Pair, kubeconfig, signing_key
from screener_local.ports import Ports
from screener_local.tools import KubernetesTools

NAMESPACE = "financial-screener"
SERVICE_ADDRESSES = "10.231.0.0/24"
READY_TIMEOUT_S = 90


class ControlPlane:
    """The control plane kept in `state`. `kubeconfig` is its administrator's, `node_kubeconfig` the
    node's."""

    def __init__(
        self, state: Path, tools: Callable[[], KubernetesTools], *, node_name: str = "local"
    ) -> None:
        self._find_tools = tools
        self._tools: KubernetesTools | None = None
        self.node_name = node_name
        self.kubeconfig = state / "kubeconfig"
        self.node_kubeconfig = state / "certificates/node.kubeconfig"
        self._state = state
        self._ports = Ports(state)
        self._folder = state / "certificates"
        self._etcd = BackgroundProcess("etcd", state)
        self._apiserver = BackgroundProcess("kube-apiserver", state)
        self._controllers = BackgroundProcess("kube-controller-manager", state)
        self._scheduler = BackgroundProcess("kube-scheduler", state)

    @property
    def tools(self) -> KubernetesTools:
        """Found, or built, when they are first needed: stopping needs none."""
        if self._tools is None:
            self._tools = self._find_tools()
        return self._tools

    @property
    def server(self) -> str:
        return f"https://127.0.0.1:{self._ports.get('kube-apiserver')}"

    @property
    def authority(self) -> Path:
        return self._folder / "cluster-ca.crt"

    def serving_pair(self) -> Pair:
        """What the node's log endpoint shows the API server."""
        return Authority(self._folder, "cluster-ca").issue("node-serving", "node")

    def running(self) -> bool:
        return all(part.running() for part in self._parts())

    def start(self) -> None:
        """Starts what does not run and returns when the API server is ready. Raises PartFailed."""
        self._state.mkdir(parents=True, exist_ok=True, mode=0o700)
        etcd_authority = Authority(self._folder, "etcd-ca")
        cluster = Authority(self._folder, "cluster-ca")
        etcd_server = etcd_authority.issue("etcd", "etcd")
        etcd_client = etcd_authority.issue("apiserver-etcd", "kube-apiserver")
        if not self._etcd.running():
            self._start_etcd(etcd_authority, etcd_server)
        if not self._apiserver.running():
            self._start_apiserver(cluster, etcd_authority, etcd_client)
        self._write_kubeconfigs(cluster)
        self._apiserver.wait_ready(self.ready, READY_TIMEOUT_S)
        # These two exit at once when they start beside an API server that is not ready.
        self._start_clients()

    def ready(self) -> bool:
        """Whether the API server says that it is ready."""
        admin = self._folder / "administrator"
        context = ssl.create_default_context(cafile=str(self.authority))
        context.load_cert_chain(f"{admin}.crt", f"{admin}.key")
        try:
            with urllib.request.urlopen(
                f"{self.server}/readyz", timeout=5, context=context
            ) as answer:
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False

    def stop(self) -> None:
        """Stops what runs. Clients should have gone before: the API server waits for their
        watches."""
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(lambda part: part.stop(5), (self._controllers, self._scheduler)))
        self._apiserver.stop(10)
        self._etcd.stop(5)

    def _parts(self) -> tuple[BackgroundProcess, ...]:
        return (self._etcd, self._apiserver, self._controllers, self._scheduler)

    def _start_etcd(self, authority: Authority, server: Pair) -> None:
        client = f"https://127.0.0.1:{self._ports.for_start('etcd')}"
        peer = f"https://127.0.0.1:{self._ports.for_start('etcd-peer')}"
        self._etcd.start(
            [
                self.tools.program("etcd"),
                f"--data-dir={self._state / 'etcd'}",
                "--unsafe-no-fsync",
                f"--listen-client-urls={client}",
                f"--advertise-client-urls={client}",
                f"--listen-peer-urls={peer}",
                f"--initial-advertise-peer-urls={peer}",
                f"--initial-cluster=default={peer}",
                "--client-cert-auth",
                f"--trusted-ca-file={authority.pair.certificate}",
                f"--cert-file={server.certificate}",
                f"--key-file={server.key}",
                "--peer-client-cert-auth",
                f"--peer-trusted-ca-file={authority.pair.certificate}",
                f"--peer-cert-file={server.certificate}",
                f"--peer-key-file={server.key}",
                "--log-level=warn",
            ],
            bare_environment(),
        )

    def _start_apiserver(
        self, cluster: Authority, etcd_authority: Authority, etcd_client: Pair
    ) -> None:
        serving = cluster.issue("apiserver", "kube-apiserver")
        to_node = cluster.issue("apiserver-kubelet-client", "kube-apiserver-kubelet-client")
        key = signing_key(self._folder / "service-accounts.key")
        self._apiserver.start(
            [
                self.tools.program("kube-apiserver"),
                f"--etcd-servers=https://127.0.0.1:{self._ports.get('etcd')}",
                f"--etcd-cafile={etcd_authority.pair.certificate}",
                f"--etcd-certfile={etcd_client.certificate}",
                f"--etcd-keyfile={etcd_client.key}",
                f"--secure-port={self._ports.for_start('kube-apiserver')}",
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--endpoint-reconciler-type=none",
                f"--tls-cert-file={serving.certificate}",
                f"--tls-private-key-file={serving.key}",
                f"--client-ca-file={cluster.pair.certificate}",
                f"--kubelet-client-certificate={to_node.certificate}",
                f"--kubelet-client-key={to_node.key}",
                f"--kubelet-certificate-authority={cluster.pair.certificate}",
                "--kubelet-preferred-address-types=InternalIP",
                f"--service-account-key-file={key}",
                f"--service-account-signing-key-file={key}",
                "--service-account-issuer=https://kubernetes.default.svc",
                f"--service-cluster-ip-range={SERVICE_ADDRESSES}",
                "--authorization-mode=Node,RBAC",
                "--anonymous-auth=false",
                "--enable-admission-plugins=NodeRestriction",
                "--profiling=false",
            ],
            bare_environment(),
        )

    def _write_kubeconfigs(self, cluster: Authority) -> None:
        def write(path: Path, client: Pair, namespace: str = "default") -> None:
            kubeconfig(
                path,
                server=self.server,
                authority=cluster.pair.certificate,
                client=client,
                namespace=namespace,
                name="financial-screener-local",
            )

        admin = cluster.issue("administrator", "administrator", organization="system:masters")
        write(self.kubeconfig, admin, NAMESPACE)
        node = f"system:node:{self.node_name}"
        write(self.node_kubeconfig, cluster.issue("node", node, organization="system:nodes"))
        for name in ("kube-controller-manager", "kube-scheduler"):
            write(self._folder / f"{name}.kubeconfig", cluster.issue(name, f"system:{name}"))

    def _start_clients(self) -> None:
        cluster = Authority(self._folder, "cluster-ca")
        for part, extra in (
            (
                self._controllers,
                [
                    "--use-service-account-credentials",
                    f"--service-account-private-key-file={self._folder / 'service-accounts.key'}",
                    f"--root-ca-file={cluster.pair.certificate}",
                ],
            ),
            (self._scheduler, []),
        ):
            if part.running():
                continue
            access = self._folder / f"{part.part}.kubeconfig"
            part.start(
                [
                    self.tools.program(part.part),
                    f"--kubeconfig={access}",
                    f"--authentication-kubeconfig={access}",
                    f"--authorization-kubeconfig={access}",
                    "--leader-elect=false",
                    "--bind-address=127.0.0.1",
                    f"--secure-port={self._ports.for_start(part.part)}",
                    f"--cert-dir={self._state / 'run'}",
                    "--kube-api-qps=300",
                    "--kube-api-burst=600",
                    "--profiling=false",
                    *extra,
                ],
                bare_environment(),
            )
