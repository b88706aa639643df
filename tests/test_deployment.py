"""cluster.yaml, the RayJob, the Slurm script and the Dockerfile: valid for the tools that read them, and closed."""

from __future__ import annotations

import argparse
import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any, Literal

import kubernetes_validate
import pytest
import typer
import yaml
from dockerfile_parse import DockerfileParser
from pydantic import BaseModel, ConfigDict, Field
from ray.autoscaler._private.util import prepare_config, validate_config
from ray.scripts import scripts as ray_cli
from ray.scripts.symmetric_run import curate_and_validate_ray_start_args

from austicker.cli import app

ROOT = Path(__file__).parents[1]
CLUSTER, RAYJOB, SLURM, DOCKERFILE = (
    ROOT / name for name in ("cluster.yaml", "jobs/rayjob.yaml", "jobs/slurm.sh", "Dockerfile")
)
BIN = Path(sys.executable).parent
KUBERNETES = "1.37"
METRICS_PORT = 8080
PLACEHOLDER = "REPLACE_ME"
INSTRUCTIONS = {"ARG", "CMD", "COMMENT", "COPY", "ENTRYPOINT", "ENV", "FROM", "RUN", "USER", "WORKDIR"}


def locked(name: str) -> str:
    return re.search(rf"^{name}==(.+)$", (ROOT / "requirements.lock").read_text(), re.M)[1]


def ray_start(command: str) -> dict[str, Any]:
    """What Ray's own parser reads from a command that starts a node; it refuses an option that it does not have."""
    words = shlex.split(command.partition("ray start ")[2])
    return ray_cli.start.make_context("start", words).params


def installs(command: str, where: Path = ROOT) -> str:
    """The commands that make would run for `command`; make fails where it names a target that does not exist."""
    words = [word for word in shlex.split(command) if not word.startswith(("PYTHON=", "-C", "~/"))]
    asked = [words[0], "--dry-run", "--always-make", *words[1:]]
    return subprocess.run(asked, cwd=where, check=True, capture_output=True, text=True).stdout


def system_packages(command: str) -> set[str]:
    return set(re.search(r"install ((?:-\S+ )*)([^&|\n]+)", command.replace("\\\n", ""))[2].split())


@pytest.fixture(scope="module")
def cluster() -> dict[str, Any]:
    return yaml.safe_load(CLUSTER.read_text())


@pytest.fixture(scope="module")
def launched(cluster) -> dict[str, Any]:
    """The file as Ray completes it for `ray up`: with defaults, and setup commands for each kind of node."""
    return prepare_config(cluster)


@pytest.fixture(scope="module")
def manifests() -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(RAYJOB.read_text()))


@pytest.fixture(scope="module")
def ray_cluster(manifests) -> dict[str, Any]:
    return manifests[0]["spec"]["rayClusterSpec"]


@pytest.fixture(scope="module")
def dockerfile(tmp_path_factory) -> DockerfileParser:
    parser = DockerfileParser(path=str(tmp_path_factory.mktemp("image")), env_replace=False)
    parser.content = DOCKERFILE.read_text()
    return parser


def values(dockerfile: DockerfileParser, instruction: str) -> list[str]:
    return [found["value"] for found in dockerfile.structure if found["instruction"] == instruction]


@pytest.mark.parametrize("path", [CLUSTER, RAYJOB, SLURM, DOCKERFILE], ids=lambda path: path.name)
def test_the_command_line_knows_every_command_that_is_written_down(path):
    group = typer.main.get_command(app)
    found = re.findall(r"\bausticker(?:-grid)? ((?:run|submit|status|report)\b[^&'\n]*)", path.read_text())
    assert len(found) == 1
    for line in found:
        name, *words = shlex.split(line)
        context = group.commands[name].make_context(name, words)
        job = str(context.params["job"]).removeprefix("/austicker/")
        assert job == "$JOB" or (ROOT / job).is_file()


@pytest.mark.parametrize("path", [CLUSTER, RAYJOB, SLURM, DOCKERFILE], ids=lambda path: path.name)
def test_no_token_is_written_into_a_file(path):
    assert not re.search(r"RAY_AUTH_TOKEN\b|\b[0-9a-fA-F]{32,}\b|AKIA\w{16}", path.read_text())


def test_the_cluster_file_is_valid_for_rays_launcher(cluster, launched):
    validate_config(launched)
    with pytest.raises(Exception, match="Additional properties"):
        validate_config(prepare_config(cluster | {"idle_timeout": 5}))


def test_the_lines_for_ones_own_machines_make_a_valid_cluster_file(cluster):
    lines = re.findall(r"^# on-prem: (.+)$", CLUSTER.read_text(), re.M)
    gone = re.search(r"delete\n# (.+?)\. Spot", CLUSTER.read_text())[1]
    own = {key: value for key, value in cluster.items() if key not in re.findall(r"`(\w+)`", gone)}
    prepared = prepare_config(own | yaml.safe_load("\n".join(lines)))
    validate_config(prepared)
    assert prepared["max_workers"] == len(prepared["provider"]["worker_ips"])


def test_the_cluster_grows_and_shrinks_within_limits(cluster):
    types = cluster["available_node_types"]
    workers = [kind for name, kind in types.items() if name != cluster["head_node_type"]]
    assert cluster["max_workers"] == sum(kind["max_workers"] for kind in workers)
    assert cluster["idle_timeout_minutes"] > 0
    assert sorted("GPU" in kind["resources"] for kind in workers) == [False, True]
    assert all(kind["node_config"]["InstanceMarketOptions"] == {"MarketType": "spot"} for kind in workers)
    assert "InstanceMarketOptions" not in types[cluster["head_node_type"]]["node_config"]


def test_the_head_of_a_launched_cluster_takes_no_task(cluster, launched):
    assert cluster["available_node_types"][cluster["head_node_type"]]["resources"] == {"CPU": 0, "GPU": 0}
    options = ray_start(launched["head_start_ray_commands"][-1])
    assert (options["head"], options["num_cpus"], options["num_gpus"]) == (True, 0, 0)


@pytest.mark.parametrize("kind", ["head", "worker"])
def test_no_node_of_a_launched_cluster_starts_without_the_token(launched, kind):
    command = launched[f"{kind}_start_ray_commands"][-1]
    settings = shlex.split(command.partition("ray start ")[0])
    assert {"RAY_AUTH_MODE=token", "RAY_AUTH_TOKEN_PATH=~/.ray/auth_token", "RAY_USAGE_STATS_ENABLED=0"} < {*settings}
    assert launched["file_mounts"]["~/.ray/auth_token"] == "~/.ray/auth_token"
    assert ray_start(command)["metrics_export_port"] == METRICS_PORT


def test_the_dashboard_of_a_launched_cluster_is_not_on_the_network(launched):
    assert ray_start(launched["head_start_ray_commands"][-1])["dashboard_host"] == "127.0.0.1"


@pytest.mark.parametrize("kind", ["head", "worker", "gpu"])
def test_launched_nodes_are_installed_by_the_makefile_at_the_locked_versions(launched, kind):
    commands = launched["available_node_types"].get(kind, {}).get("worker_setup_commands")
    commands = commands if kind == "gpu" else launched[f"{kind}_setup_commands"]
    assert system_packages(commands[0]) >= system_packages((ROOT / ".ci/run").read_text())
    (make,) = [command for command in commands if command.startswith("make ")]
    done = installs(make)
    assert f"tools/install-torch {'cuda' if kind == 'gpu' else 'cpu'}" in done
    assert "-r requirements.lock" in done
    assert not [line for line in commands for name in ("ray", "torch", "numpy") if f"{name}==" in line]
    exported = " ".join(line for line in commands if ".bashrc" in line)
    assert all(name in exported for name in ("RAY_AUTH_MODE=token", "RAY_AUTH_TOKEN_PATH=", ".venv/bin"))


def test_a_launched_node_gets_every_file_that_its_installation_reads(cluster, tmp_path):
    for remote, local in cluster["file_mounts"].items():
        if remote.startswith("~/austicker/"):
            assert (ROOT / local).exists(), local
            (tmp_path / remote.removeprefix("~/austicker/")).symlink_to(ROOT / local)
    assert "-r requirements.lock" in installs("make .venv/installed-cpu TORCH=cpu", tmp_path)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    assert all((tmp_path / name).is_file() for name in (project["readme"], *project["license-files"]))
    assert (tmp_path / "austicker/__init__.py").is_file()


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


class AuthOptions(Strict):
    mode: Literal["disabled", "token"]
    secretName: str | None = None


class AutoscalerOptions(Strict):
    idleTimeoutSeconds: int = Field(gt=0)
    resources: dict[str, Any]
    securityContext: dict[str, Any]


class Group(Strict):
    rayStartParams: dict[str, str]
    template: dict[str, Any]


class WorkerGroup(Group):
    groupName: str = Field(pattern=r"^[a-z]([-a-z0-9]*[a-z0-9])?$")
    minReplicas: int = Field(ge=0)
    maxReplicas: int = Field(gt=0)


class RayClusterSpec(Strict):
    rayVersion: str
    authOptions: AuthOptions
    enableInTreeAutoscaling: bool
    autoscalerOptions: AutoscalerOptions
    headGroupSpec: Group
    workerGroupSpecs: list[WorkerGroup]


class RayJobSpec(Strict):
    """The fields used here of KubeRay 1.7.1's RayJob (docs.ray.io, "KubeRay CRD API reference")."""

    entrypoint: str
    submissionMode: Literal["K8sJobMode", "HTTPMode", "InteractiveMode", "SidecarMode"]
    backoffLimit: int = Field(ge=0)
    shutdownAfterJobFinishes: bool
    ttlSecondsAfterFinished: int = Field(ge=0)
    rayClusterSpec: RayClusterSpec


class RayJob(Strict):
    apiVersion: Literal["ray.io/v1"]
    kind: Literal["RayJob"]
    metadata: dict[str, Any]
    spec: RayJobSpec


def groups(ray_cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [ray_cluster["headGroupSpec"], *ray_cluster["workerGroupSpecs"]]


def containers(ray_cluster: dict[str, Any]) -> list[dict[str, Any]]:
    return [container for group in groups(ray_cluster) for container in group["template"]["spec"]["containers"]]


def test_the_rayjob_is_valid_for_kuberay(manifests):
    job = RayJob.model_validate(manifests[0])
    head = job.spec.rayClusterSpec.headGroupSpec
    assert job.spec.submissionMode == "SidecarMode"
    assert head.template["spec"]["restartPolicy"] == "Never"  # KubeRay refuses SidecarMode otherwise
    assert re.fullmatch(r"[a-z]([-a-z0-9]{0,45}[a-z0-9])?", job.metadata["name"])
    for group in groups(manifests[0]["spec"]["rayClusterSpec"]):
        start = "ray start " + " ".join(f"--{key}={value}" for key, value in group["rayStartParams"].items())
        assert ray_start(start)["metrics_export_port"] == METRICS_PORT


def test_pods_and_secret_of_the_rayjob_are_valid_for_kubernetes(manifests, ray_cluster):
    secret = manifests[1]
    kubernetes_validate.validate(secret, KUBERNETES, strict=True)
    for group in groups(ray_cluster):
        pod = {"apiVersion": "v1", "kind": "Pod", **group["template"]}
        kubernetes_validate.validate(pod, KUBERNETES, strict=True)


def test_the_secret_holds_placeholders_and_the_selector_leaves_it_out(manifests, ray_cluster):
    job, secret = manifests
    assert set(secret["stringData"].values()) == {PLACEHOLDER}
    key, value = re.search(r"apply -f jobs/rayjob.yaml -l (\S+)=(\S+)", RAYJOB.read_text()).groups()
    assert job["metadata"]["labels"][key] == value
    assert "labels" not in secret["metadata"]
    named = [source["secretRef"]["name"] for container in containers(ray_cluster) for source in container["envFrom"]]
    assert named == [secret["metadata"]["name"]] * 3


def test_the_cluster_of_the_rayjob_has_a_token_and_the_locked_ray(ray_cluster):
    assert ray_cluster["authOptions"]["mode"] == "token"
    assert ray_cluster["rayVersion"] == locked("ray")
    assert all({"name": "RAY_USAGE_STATS_ENABLED", "value": "0"} in each["env"] for each in containers(ray_cluster))


def test_the_head_of_the_rayjob_takes_no_task_and_answers_the_operator(ray_cluster):
    parameters = ray_cluster["headGroupSpec"]["rayStartParams"]
    assert (parameters["num-cpus"], parameters["num-gpus"]) == ("0", "0")
    assert parameters["dashboard-host"] == "0.0.0.0"


def test_the_workers_of_the_rayjob_scale_within_limits(ray_cluster):
    assert ray_cluster["enableInTreeAutoscaling"] is True
    assert all(group["minReplicas"] < group["maxReplicas"] for group in ray_cluster["workerGroupSpecs"])
    limits = {
        group["groupName"]: group["template"]["spec"]["containers"][0]["resources"]["limits"]
        for group in ray_cluster["workerGroupSpecs"]
    }
    assert limits["gpu"].pop("nvidia.com/gpu") == "1"
    assert [set(found) for found in limits.values()] == [{"cpu", "memory"}] * 2


def test_only_workers_of_the_rayjob_run_on_machines_that_may_be_taken_away(ray_cluster):
    spot = {"cloud.google.com/gke-spot", "kubernetes.azure.com/scalesetpriority"}
    tolerated = [group["template"]["spec"].get("tolerations", []) for group in groups(ray_cluster)]
    head, *workers = ({toleration["key"] for toleration in found} for found in tolerated)
    assert not head
    assert all(found >= spot for found in workers)


def test_no_container_of_the_rayjob_runs_as_root_or_without_limits(ray_cluster, dockerfile):
    (user,) = values(dockerfile, "USER")
    for group in groups(ray_cluster):
        context = group["template"]["spec"]["securityContext"]
        assert context["runAsNonRoot"] is True
        assert f"{context['runAsUser']}:{context['runAsGroup']}" == user
    for container in [*containers(ray_cluster), ray_cluster["autoscalerOptions"]]:
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert set(container["resources"]["limits"]) >= {"cpu", "memory"}


def test_the_rayjob_resumes_after_a_loss_and_removes_its_cluster(manifests):
    spec = manifests[0]["spec"]
    assert 1 <= spec["backoffLimit"] <= 5
    assert spec["shutdownAfterJobFinishes"] is True
    assert spec["ttlSecondsAfterFinished"] > 0


def sbatch_options(script: str) -> argparse.Namespace:
    """Reads #SBATCH lines as sbatch does: only above the first command, and an unknown option is an error."""
    parser = argparse.ArgumentParser(allow_abbrev=False, exit_on_error=False)
    for name in ("job-name", "time", "output", "signal"):
        parser.add_argument(f"--{name}")
    for name in ("nodes", "ntasks-per-node", "cpus-per-task"):
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--open-mode", choices=["append", "truncate"])
    for name in ("exclusive", "requeue"):
        parser.add_argument(f"--{name}", action="store_true")
    header = re.match(r"(?:#.*\n)+", script)[0]
    assert script.count("\n#SBATCH ") == header.count("\n#SBATCH ")
    return parser.parse_args(
        [word for line in re.findall(r"^#SBATCH (.+)$", header, re.M) for word in shlex.split(line)]
    )


def test_sbatch_reads_the_options_of_the_slurm_script():
    options = sbatch_options(SLURM.read_text())
    assert options.requeue
    assert options.exclusive
    assert options.ntasks_per_node == 1
    assert options.open_mode == "append"  # a requeued job goes on in the same log
    seconds = int(re.fullmatch(r"B:USR1@(\d+)", options.signal)[1])
    assert 60 <= seconds <= 65535
    assert re.fullmatch(r"\d+:\d\d:\d\d", options.time)


def test_the_shell_finds_no_fault_with_the_scripts(dockerfile):
    subprocess.run(["bash", "-n", SLURM], check=True)
    run = "\n".join(values(dockerfile, "RUN"))
    for dialect, script in (("bash", SLURM.read_text()), ("sh", f"#!/bin/sh\nTORCH=$1\n{run}\n")):
        checked = subprocess.run(
            [BIN / "shellcheck", f"--shell={dialect}", "-"], input=script, capture_output=True, text=True, check=False
        )
        assert checked.returncode == 0, checked.stdout


def test_ray_accepts_the_options_of_the_slurm_script():
    words = shlex.split(re.search(r"ray symmetric-run (.+?) -- \\\n", SLURM.read_text(), re.S)[1].replace("\\\n", ""))
    plain = [re.sub(r"\$\{?\w+(:-\w+)?\}?", "1", word) for word in words]
    passed_on = curate_and_validate_ray_start_args(plain)
    options = ray_cli.start.make_context("start", list(passed_on)).params
    assert (options["num_cpus"], options["num_gpus"], options["metrics_export_port"]) == (1, 1, METRICS_PORT)
    assert options["dashboard_host"] == "127.0.0.1"


STUBS = {
    # Like Slurm's: who ends srun kills the step, and scancel tells every process of the step.
    "srun": """while [ "$1" != bash ]; do shift; done
set -m
SLURM_PROCID=0 "$@" &
echo "$!" >"$CALLS.step"
trap 'kill -KILL -- "-$!"' TERM
wait "$!\"""",
    "scancel": 'kill "-${1#--signal=}" -- "-$(<"$CALLS.step")"',
    "scontrol": 'echo "scontrol $*" >>"$CALLS"',
    "ray": """case "$1" in
stop) echo stop >>"$CALLS" ;;
symmetric-run)
  [ -z "$RAY_FAILS" ] || exit 0
  while [ "$1" != -- ]; do shift; done
  shift
  exec "$@" ;;
esac""",
    "austicker-grid": """echo "$*" >>"$CALLS"
[ "$RAY_AUTH_MODE" = token ] && [ -s "$RAY_AUTH_TOKEN_PATH" ] && [ -d "$RAY_TMPDIR" ] || exit 9
[ -z "$SLOW" ] || exec sleep 60
exit "${STATUS:-0}\"""",
}


class Allocation:
    """A folder in which the Slurm script meets stand-ins for Slurm, Ray and this package."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        self.token = folder / "home/.ray/auth_token"
        self.scratch = Path(f"/tmp/austicker-test{os.getpid()}")
        places = folder / ".venv/bin"
        places.mkdir(parents=True)
        for name, body in STUBS.items():
            (places / name).write_text(f"#!/bin/bash\n{body}\n")
            (places / name).chmod(0o755)
        (places / "python").symlink_to(sys.executable)

    def start(self, **settings: str) -> subprocess.Popen:
        given = {"HOME": str(self.folder / "home"), "CALLS": str(self.calls), "HEAD_IP": "192.0.2.1", "RAY_FAILS": ""}
        given |= {"SLURM_JOB_ID": self.scratch.name.removeprefix("austicker-"), "SLURM_JOB_NUM_NODES": "1", "SLOW": ""}
        given["PATH"] = os.environ["PATH"]
        return subprocess.Popen(
            ["bash", SLURM, "jobs/demo.toml", "/shared/store"],
            cwd=self.folder,
            env=given | settings,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def interrupt(self, number: signal.Signals) -> tuple[int, str]:
        process = self.start(SLOW="1")
        while not self.calls.exists():
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.05)
        if number == signal.SIGTERM:  # a cancelled job is told as a whole
            os.killpg(int(Path(f"{self.calls}.step").read_text()), number)
        process.send_signal(number)
        out, _ = process.communicate(timeout=30)
        return process.returncode, out


@pytest.fixture
def allocation(tmp_path) -> Allocation:
    return Allocation(tmp_path)


def test_the_slurm_script_runs_the_job_and_leaves_nothing_behind(allocation):
    process = allocation.start()
    out, _ = process.communicate(timeout=30)
    assert process.returncode == 0, out
    assert allocation.calls.read_text().splitlines() == ["run jobs/demo.toml --store /shared/store", "stop"]
    assert not allocation.scratch.exists()


def test_the_slurm_script_makes_one_token_that_nobody_else_reads(allocation):
    first, second = (allocation.start().communicate(timeout=30)[0] for _ in range(2))
    token = allocation.token.read_text()
    assert re.fullmatch(r"[0-9a-f]{64}", token)
    assert token not in first + second
    assert stat.S_IMODE(allocation.token.stat().st_mode) == 0o600
    assert [path.name for path in allocation.token.parent.iterdir()] == ["auth_token"]


@pytest.mark.parametrize("settings", [{"STATUS": "3"}, {"RAY_FAILS": "1"}], ids=["job", "ray"])
def test_the_slurm_script_fails_when_the_job_or_ray_does(allocation, settings):
    process = allocation.start(**settings)
    process.communicate(timeout=30)
    assert process.returncode != 0
    assert not allocation.scratch.exists()


def test_the_time_limit_requeues_a_slurm_job(allocation):
    status, out = allocation.interrupt(signal.SIGUSR1)
    assert status != 0, out
    requeued = f"scontrol requeue {allocation.scratch.name.removeprefix('austicker-')}"
    assert allocation.calls.read_text().splitlines()[1:] == ["stop", requeued]
    assert not allocation.scratch.exists()


def test_a_cancelled_slurm_job_does_not_come_back(allocation):
    status, out = allocation.interrupt(signal.SIGTERM)
    assert status != 0, out
    assert allocation.calls.read_text().splitlines()[1:] == ["stop"]
    assert not allocation.scratch.exists()


def test_the_image_is_built_by_the_readmes_own_steps(dockerfile):
    assert {found["instruction"] for found in dockerfile.structure} == INSTRUCTIONS
    assert dockerfile.baseimage.startswith("python:3.11-slim")
    packages, user, make, recognisers = values(dockerfile, "RUN")
    assert (ROOT / recognisers.removeprefix("sh ")).is_file()
    assert system_packages(packages) >= system_packages((ROOT / ".ci/run").read_text()) | {"make", "wget"}
    assert user.startswith("useradd ")
    for torch in ("cpu", "cuda"):
        done = installs(make.replace("$TORCH", torch))
        assert f"tools/install-torch {torch}" in done
        assert "-r requirements.lock" in done
    torch, driver = values(dockerfile, "ARG")
    assert torch == "TORCH=cpu"
    assert re.fullmatch(r"UV_CUDA_DRIVER_VERSION=\d+\.\d+\.\d+", driver)  # without it uv finds no GPU while building


def test_the_image_starts_as_a_user_with_the_command_line_and_ray_on_its_path(dockerfile):
    order = [found["instruction"] for found in dockerfile.structure]
    assert order.index("USER") < order.index("COPY")
    assert int(values(dockerfile, "USER")[0].split(":")[0]) > 0
    assert json.loads(values(dockerfile, "ENTRYPOINT")[0]) == ["austicker-grid"]
    (folder,), (environment,) = values(dockerfile, "WORKDIR"), values(dockerfile, "ENV")
    assert f"{folder}/.venv/bin:" in environment
    assert "RAY_USAGE_STATS_ENABLED=0" in environment


def test_the_image_carries_neither_results_nor_secrets_but_all_that_is_installed(cluster):
    ignored = {line for line in (ROOT / ".dockerignore").read_text().splitlines() if not line.startswith("#")}
    assert ignored >= {".git", ".venv", "runs", ".ray", "**/auth_token", "**/*.env"}
    mounted = {local for remote, local in cluster["file_mounts"].items() if remote.startswith("~/austicker/")}
    assert not [name for name in mounted for pattern in ignored if Path(name).match(pattern)]
