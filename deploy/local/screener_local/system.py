"""The whole local system: starts its parts in the right order, beside others, and stops exactly
those.

`make up` keeps one in `.local/`; tests and the bench have theirs in temporary folders.
"""

import json
import shutil
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from screener_local import install
from screener_local.controlplane import ControlPlane
from screener_local.ports import Ports
from screener_local.postgres import Postgres
from screener_local.processnode import ProcessNode
from screener_local.simulator_process import SimulatorProcess
from screener_local.tools import Say, find_or_build
from screener_local.vendor import (
    VENDOR_ADDRESS,
    VENDOR_TOKEN,
    Vendor,
    outside_vendor,
    parse_exports,
    render_exports,
)

VENDOR_RECORD = "vendor.json"


class LocalSystem:
    """A local system kept in `state`.

    `operator_environment` is added to the operator's; `simulator_options` are more arguments of the
    simulator. With a `vendor` no simulator is started.
    """

    def __init__(
        self,
        state: Path,
        *,
        say: Say = lambda _: None,
        vendor: Vendor | None = None,
        operator_environment: Mapping[str, str] | None = None,
        simulator_options: tuple[str, ...] = (),
    ) -> None:
        self.state = state.resolve()
        self.vendor = vendor
        self._say = say
        self._operator_environment = dict(operator_environment or {})
        self._ports = Ports(self.state)
        self.postgres = Postgres(self.state, say)
        self.simulator = SimulatorProcess(self.state, simulator_options)
        self.cluster = ControlPlane(self.state, lambda: find_or_build(say))
        self.node = ProcessNode(self.state, self.cluster)

    @property
    def kubectl(self) -> install.Kubectl:
        return install.Kubectl(self.cluster)

    @property
    def vendor_url(self) -> str:
        return self.vendor.base_url if self.vendor else self.simulator.base_url

    @property
    def vendor_token(self) -> str:
        return self.vendor.token if self.vendor else self.simulator.token

    @property
    def health_port(self) -> int:
        """Where the operator's pod answers `/healthz`."""
        return self._ports.get("operator-health")

    def start(self) -> None:
        """Starts what does not run, applies everything, and returns when all of it answers.

        Raises PartFailed.
        """
        self.state.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Building them would take minutes, so nothing else is started before.
        self._say(f"Kubernetes    {self.cluster.tools.version} from {self.cluster.tools.folder}")
        with ThreadPoolExecutor(2) as pool:
            cluster = pool.submit(self._start_cluster)
            data = pool.submit(self._start_data)
            # Whichever fails first is reported; the other has ended by itself by then.
            data.result()
            cluster.result()
        install.install(
            self.cluster,
            database_urls=self.postgres.program_urls(),
            vendor_url=self.vendor_url,
            vendor_token=self.vendor_token,
            health_port=self.health_port,
            operator_environment=self._operator_environment,
        )
        self._say("installed     kinds, roles, Secrets, CronJobs (suspended), operator")
        install.wait_for_operator(self.cluster)
        self._say("operator      ready, as a pod of its Deployment")
        self._write_exports()

    def stop(self) -> None:
        """Stops what runs, clients before servers. What never ran is no error."""
        self.node.stop()
        self.cluster.stop()
        self.simulator.stop()
        self.postgres.stop()

    def wipe(self) -> None:
        """Removes all data of a stopped system."""
        self.postgres.wipe()
        if self.state.exists():
            shutil.rmtree(self.state)

    def exports(self) -> dict[str, str]:
        """What a user's shell gets."""
        return {
            "KUBECONFIG": str(self.cluster.kubeconfig),
            "DATABASE_URL": self.postgres.owner_url,
            VENDOR_ADDRESS: self.vendor_url,
            VENDOR_TOKEN: self.vendor_token,
        }

    def _start_cluster(self) -> None:
        self.cluster.start()
        self._say(f"control plane ready at {self.cluster.server}")
        self.node.start()
        self._say(
            "process node  ready; it runs containers as processes of this machine and ignores their"
            " images and users"
        )

    def _start_data(self) -> None:
        self.postgres.start()
        self._say(
            f"Postgres      {self.postgres.programs.version} at 127.0.0.1:{self.postgres.port}"
        )
        install.prepare_database(self.postgres)
        if self.vendor:
            self.simulator.stop()
            self._say(
                f"vendor        {self.vendor.base_url}, as the environment says; no simulator"
            )
        else:
            self.simulator.start()
            self._say(f"simulator     stands for the vendor at {self.simulator.base_url}")
        (self.state / VENDOR_RECORD).write_text(json.dumps({"simulator": self.vendor is None}))

    def _write_exports(self) -> None:
        folders = [str(self.cluster.tools.folder)]
        psql = self.postgres.programs.psql
        if psql is None:
            self._say("psql          not among this machine's Postgres programs")
        else:
            folders.append(str(psql.parent))
        file = self.state / "env"
        temporary = file.with_suffix(".new")
        temporary.unlink(missing_ok=True)
        temporary.touch(mode=0o600)
        temporary.write_text(render_exports(self.exports(), folders))
        temporary.replace(file)


def vendor_from(environment: Mapping[str, str], state: Path) -> Vendor | None:
    """The outside vendor that a user's environment names, if it does not just echo our own
    exports."""
    exports, record = state / "env", state / VENDOR_RECORD
    simulated = not record.exists() or bool(json.loads(record.read_text())["simulator"])
    own = parse_exports(exports.read_text()) if exports.exists() else {}
    return outside_vendor(environment, own, simulated)
