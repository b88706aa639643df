"""What `dashboards/` asks for is there: a real Ray head, a real Prometheus, and a run whose figures are known.

Grafana itself is not run: its file is checked as data, and each of its expressions is asked of Prometheus.
"""

from __future__ import annotations

import itertools
import json
import os
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import promql_parser
import pytest
import yaml

from austicker.grid import metrics
from austicker.grid.outcome import Outcome
from austicker.plan import Tally, Task

FOLDER = Path(__file__).parents[1] / "dashboards"
BOARD = json.loads((FOLDER / "grafana" / "austicker.json").read_text(encoding="utf-8"))
PANELS = [panel for panel in BOARD["panels"] if panel["type"] != "row"]
RULES = [
    rule
    for group in yaml.safe_load((FOLDER / "rules.yml").read_text(encoding="utf-8"))["groups"]
    for rule in group["rules"]
]
OURS = {name for metric in metrics.METRICS for name in metric.series}
EXPRESSIONS = [target["expr"] for panel in PANELS for target in panel["targets"]] + [rule["expr"] for rule in RULES]
PATIENCE_S = 40.0

DRIVER = """
import select, sys
import ray
from austicker.grid.metrics import Meters
from austicker.grid.outcome import Outcome
from austicker.plan import Tally, Task

def task(stage, model, cells=0):
    return Task(id="t", stage=stage, corpus="orl-motion", fold="s01", model=model, cells=tuple(range(cells)))

ray.init(address=sys.argv[1], log_to_driver=False, logging_level="ERROR")
meters = Meters(sys.argv[2])
meters.settled(Outcome(task=task("discover", ""), seconds=0.4))
meters.settled(Outcome(task=task("train", "mmnet"), tally=Tally(evaluations=5), seconds=50.0, gpu_bytes=900))
tally = Tally(rows=12, evaluations=40, queries=28)
meters.settled(Outcome(task=task("attack", "mmnet", 3), tally=tally, seconds=3.0, gpu_bytes=800))
tally = Tally(rows=8, evaluations=20, queries=1)
meters.settled(Outcome(task=task("attack", "mmnet", 2), tally=tally, seconds=6.0, gpu_bytes=700, attempts=3))
meters.settled(Outcome(task=task("attack", "stcnn", 7), seconds=9.0, attempts=4, error="planted"))
meters.retried("attack")
meters.retried("train")
while True:
    meters.flow(queued=11, running=4, slots=2)
    if select.select([sys.stdin], [], [], 0.2)[0]:
        break
meters.settled(Outcome(task=task("attack", "late", 100), tally=Tally(rows=1), seconds=1.0))
ray.shutdown()
"""
TRUTH = {
    "sum(ray_austicker_cells_total{J})": 5,
    "sum(ray_austicker_verdicts_total{J})": 20,
    "sum(ray_austicker_evaluations_total{J})": 65,
    "sum(ray_austicker_queries_total{J})": 29,
    'ray_austicker_tasks_total{J,stage="attack",model="mmnet",corpus="orl-motion"}': 2,
    "sum(ray_austicker_tasks_total{J})": 4,
    'ray_austicker_failures_total{J,stage="attack",model="stcnn",corpus="orl-motion"}': 1,
    "sum(ray_austicker_failures_total{J})": 1,
    "sum(ray_austicker_retries_total{J})": 5,
    "sum(ray_austicker_lost_workers_total{J})": 2,
    'ray_austicker_task_seconds_count{J,stage="attack",model="mmnet"}': 2,
    'ray_austicker_task_seconds_bucket{J,stage="attack",model="mmnet",le="4.0"}': 1,
    'ray_austicker_task_seconds_bucket{J,stage="attack",model="mmnet",le="7.0"}': 2,
    "sum(ray_austicker_task_seconds_count{J})": 4,
    'ray_austicker_gpu_peak_bytes{J,stage="attack",model="mmnet"}': 800,
    'ray_austicker_gpu_peak_bytes{J,stage="train",model="mmnet"}': 900,
    "ray_austicker_tasks_queued{J}": 11,
    "ray_austicker_tasks_running{J}": 4,
    "ray_austicker_slots{J}": 2,
}
"""What Prometheus must answer about the job that `DRIVER` reports."""

cluster_test = [
    pytest.mark.cluster,
    pytest.mark.xdist_group("cluster"),
    pytest.mark.usefixtures("watched"),
]


def tool(name: str) -> str:
    """Returns the path of a program of Prometheus: the machine's, or the one beside this Python."""
    found = shutil.which(name) or shutil.which(name, path=str(Path(sys.executable).parent))
    if found is None:
        pytest.fail(f"'{name}' is not installed: `sh tools/install-prometheus` brings it, as `make test` does.")
    return found


def free_ports(count: int) -> list[str]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


class Servers:
    """Processes of their own groups, whose output goes to a file, ended together."""

    def __init__(self, folder: Path) -> None:
        # A token even here: Ray's own ports listen on every interface.
        self.environment = os.environ | {
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(32),
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_metrics_report_interval_ms": "1000",
        }
        self.folder = folder
        self.running: list[subprocess.Popen] = []

    def start(self, *command: str) -> subprocess.Popen:
        with (self.folder / f"{len(self.running)}.log").open("w") as log:
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=log, stderr=log, env=self.environment, start_new_session=True
            )
        self.running.append(process)
        return process

    def end(self) -> None:
        for sign in (signal.SIGTERM, signal.SIGKILL):
            for process in reversed(self.running):
                try:
                    os.killpg(process.pid, sign)
                    process.wait(timeout=5)
                except (ProcessLookupError, subprocess.TimeoutExpired):
                    continue
        for process in self.running:
            process.wait()
            process.stdin.close()

    def logs(self) -> str:
        return "\n".join(path.read_text(errors="replace")[-2000:] for path in sorted(self.folder.glob("*.log")))


class Watched:
    """A Ray head that a Prometheus scrapes."""

    def __init__(self, folder: Path, servers: Servers) -> None:
        ray, dashboard, export, client, prometheus = free_ports(5)
        self.servers = servers
        self.address = f"127.0.0.1:{ray}"
        self.url = f"http://127.0.0.1:{prometheus}/api/v1"
        head = ["--head", "--block", "--num-cpus", "0", "--temp-dir", str(folder)]
        head += ["--port", ray, "--dashboard-port", dashboard, "--metrics-export-port", export]
        head += ["--ray-client-server-port", client, "--dashboard-agent-listen-port", "0"]
        servers.start(str(Path(sys.executable).with_name("ray")), "start", *head)
        targets = folder / "prom_metrics_service_discovery.json"
        config = (FOLDER / "prometheus.yml").read_text(encoding="utf-8")
        # The folder is the test's own, and a test does not wait for ten seconds at a time: nothing else is changed.
        for ours, here in [
            ("/tmp/ray/prom_metrics_service_discovery.json", str(targets)),
            (": 10s", ": 1s"),
            (": 30s", ": 1s"),
        ]:
            assert ours in config
            config = config.replace(ours, here)
        (folder / "prometheus.yml").write_text(config, encoding="utf-8")
        shutil.copy(FOLDER / "rules.yml", folder)
        store = f"--storage.tsdb.path={folder / 'series'}"
        listen = f"--web.listen-address=127.0.0.1:{prometheus}"
        servers.start(tool("prometheus"), f"--config.file={folder / 'prometheus.yml'}", store, listen)
        self.wait(targets.is_file)

    def drive(self, job: str) -> subprocess.Popen:
        return self.servers.start(sys.executable, "-c", DRIVER, self.address, job)

    def ask(self, path: str, **parameters: str) -> list:
        with urllib.request.urlopen(f"{self.url}/{path}?{urllib.parse.urlencode(parameters)}", timeout=5) as answer:
            data = json.load(answer)["data"]
        return data["result"] if isinstance(data, dict) else data

    def value(self, expression: str) -> float | None:
        """Returns the one value of an expression, or None where it has none yet."""
        result = self.ask("query", query=expression)
        assert len(result) <= 1, f"{expression} has {len(result)} values"
        return float(result[0]["value"][1]) if result else None

    def wait(self, holds) -> None:
        """Waits until something holds."""
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                if holds():
                    return
            except OSError:
                pass  # Prometheus does not answer yet
            assert all(process.poll() in (None, 0) for process in self.servers.running), self.servers.logs()
            assert time.monotonic() < end, f"nothing after {PATIENCE_S} s\n{self.servers.logs()}"
            time.sleep(0.2)


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    """A head, its Prometheus, and a driver that goes on reporting the job `watched`."""
    tool("prometheus")
    folder = Path(tempfile.mkdtemp(prefix="ray-"))  # short: a socket's path has 107 bytes at most
    servers = Servers(folder)
    try:
        setting = Watched(folder, servers)
        setting.drive("watched")
        setting.wait(lambda: setting.value('ray_austicker_slots{job_name="watched"}') is not None)
        yield setting
    finally:
        servers.end()
        shutil.rmtree(folder, ignore_errors=True)


def plain(expression: str) -> str:
    """Returns an expression with Grafana's variables filled in."""
    return expression.replace("$__rate_interval", "1m").replace("$job", "watched")


def names_asked(expression: str) -> set[str]:
    """Returns the metrics that an expression reads."""
    found: set[str] = set()

    def visit(node: object) -> None:
        selector = node.vector_selector if isinstance(node, promql_parser.MatrixSelector) else node
        if isinstance(selector, promql_parser.VectorSelector):
            assert selector.name, f"a selector without a name cannot be checked: {selector}"
            found.add(selector.name)

    promql_parser.walk(promql_parser.parse(plain(expression)), pre_visit=visit)
    return found


class TestScraped:
    pytestmark = cluster_test

    @pytest.mark.parametrize("expression", TRUTH)
    def test_prometheus_finds_the_exact_value(self, watched, expression):
        asked = expression.replace("{J", '{job_name="watched"')
        watched.wait(lambda: watched.value(asked) == TRUTH[expression])

    def test_every_metric_of_the_table_is_exported_and_no_other(self, watched):
        def exported():
            return {name for name in watched.ask("label/__name__/values") if name.startswith("ray_austicker_")}

        watched.wait(lambda: exported() >= OURS)
        assert exported() == OURS

    def test_a_series_has_the_tags_of_the_table_and_none_that_grows_with_the_grid(self, watched):
        added = {"Component", "NodeAddress", "SessionName", "Version", "WorkerId", "__name__", "instance", "job", "le"}
        for metric in metrics.METRICS:
            series = watched.ask("series", **{"match[]": f'{metric.series[0]}{{job_name="watched"}}'})
            assert series
            assert {label for one in series for label in one} - added == set(metric.tags)

    def test_what_a_driver_says_last_is_not_lost_and_its_gauges_end_with_it(self, watched):
        driver = watched.drive("brief")
        watched.wait(lambda: watched.value('ray_austicker_slots{job_name="brief"}') == 2)
        driver.stdin.write(b"\n")
        driver.stdin.flush()
        assert driver.wait(timeout=PATIENCE_S) == 0, watched.servers.logs()
        watched.wait(lambda: watched.value('sum(ray_austicker_cells_total{job_name="brief"})') == 105)
        watched.wait(lambda: watched.value('ray_austicker_slots{job_name="brief"}') is None)

    def test_no_expression_asks_for_a_metric_that_does_not_exist(self, watched):
        asked = {name for expression in EXPRESSIONS for name in names_asked(expression)}
        watched.wait(lambda: asked - OURS <= set(watched.ask("label/__name__/values")))
        assert {name for name in asked if name.startswith("ray_austicker_")} <= OURS

    @pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
    def test_a_panel_shows_something_under_labels_that_exist(self, watched, panel):
        for target in panel["targets"]:
            expression = plain(target["expr"])
            watched.wait(lambda expression=expression: watched.ask("query", query=expression))
            found = watched.ask("query", query=expression)
            labels = {label for series in found for label in series["metric"]}
            assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= labels

    def test_the_job_can_be_chosen(self, watched):
        (variable,) = [one for one in BOARD["templating"]["list"] if one["name"] == "job"]
        metric, label = re.fullmatch(r"label_values\((\w+), (\w+)\)", variable["definition"]).groups()
        assert variable["query"]["query"] == variable["definition"]
        assert "watched" in watched.ask(f"label/{label}/values", **{"match[]": metric})

    def test_the_rules_are_evaluated(self, watched):
        watched.wait(lambda: watched.value('ALERTS{alertname="AustickerTasksFailed",job_name="watched"}') == 1)
        for record in [rule["record"] for rule in RULES if "record" in rule]:
            watched.wait(lambda record=record: watched.value(f'{record}{{job_name="watched"}}') is not None)


def test_every_name_in_an_expression_is_seen():
    expression = (
        "histogram_quantile(0.5, sum by (le) (rate(a_bucket{x='b'}[5m:1m]))) + -c / (max_over_time(d[1m]) or e)"
    )
    assert names_asked(expression) == {"a_bucket", "c", "d", "e"}


def test_every_metric_of_the_table_is_shown():
    asked = {name for panel in PANELS for target in panel["targets"] for name in names_asked(target["expr"])}
    assert not [metric.name for metric in metrics.METRICS if not asked & set(metric.series)]


def test_a_meter_without_a_cluster_harms_nobody(monkeypatch):
    def refuse(metric):
        raise RuntimeError(f"no {metric.name}")

    monkeypatch.setattr(metrics, "_meter", refuse)
    meters = metrics.Meters("any")
    task = Task(id="t", stage="attack", corpus="c", fold="f")
    meters.settled(Outcome(task=task, tally=Tally(rows=1), attempts=2))
    meters.retried("attack")
    meters.flow(queued=1, running=1, slots=1)


@pytest.mark.parametrize(
    "arguments", [("check", "config", "prometheus.yml"), ("check", "rules", "rules.yml")], ids=" ".join
)
def test_prometheus_own_tool_accepts_the_files(arguments):
    ended = subprocess.run([tool("promtool"), *arguments], cwd=FOLDER, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "SUCCESS" in ended.stdout


J = 'job_name="j"'
STORIES = {
    # name: (series, minutes, alerts that fire then)
    "all is well": ({f"tasks_running{{{J}}}": "2+0x60", f"tasks_total{{{J}}}": "0+5x60"}, 40, []),
    "stands still": ({f"tasks_running{{{J}}}": "2+0x60", f"tasks_total{{{J}}}": "0+5x20 100+0x40"}, 40, ["NoProgress"]),
    "only began": ({f"tasks_running{{{J}}}": "_x20 2+0x60"}, 25, []),
    "nothing ever ended": ({f"tasks_running{{{J}}}": "2+0x60"}, 15, ["NoProgress"]),
    "ended": ({f"tasks_running{{{J}}}": "2+0x20 0+0x40", f"tasks_total{{{J}}}": "0+5x20 100+0x40"}, 45, []),
    "the first failure": ({f"failures_total{{{J}}}": "_x20 1+0x60"}, 25, ["TasksFailed"]),
    "another failure": ({f"failures_total{{{J}}}": "3+0x20 4+0x40"}, 25, ["TasksFailed"]),
    "failures of yesterday": ({f"failures_total{{{J}}}": "3+0x60"}, 40, []),
    "few retries": ({f"retries_total{{{J}}}": "0+1x60", f"tasks_total{{{J}}}": "0+20x60"}, 40, []),
    "many retries": ({f"retries_total{{{J}}}": "0+3x60", f"tasks_total{{{J}}}": "0+20x60"}, 40, ["ManyRetries"]),
}


@pytest.mark.parametrize("story", STORIES)
def test_an_alert_fires_when_it_should(story, tmp_path):
    series, minutes, firing = STORIES[story]
    shutil.copy(FOLDER / "rules.yml", tmp_path)
    names = [rule["alert"] for rule in RULES if "alert" in rule]
    assert {f"Austicker{name}" for _, _, fired in STORIES.values() for name in fired} == set(names)
    count = [
        {
            "expr": f'count(ALERTS{{alertname="{name}",alertstate="firing"}}) or vector(0)',
            "eval_time": f"{minutes}m",
            "exp_samples": [{"labels": "{}", "value": int(name.removeprefix("Austicker") in firing)}],
        }
        for name in names
    ]
    inputs = [{"series": f"ray_austicker_{name}", "values": values} for name, values in series.items()]
    test = {
        "rule_files": ["rules.yml"],
        "tests": [{"interval": "1m", "input_series": inputs, "promql_expr_test": count}],
    }
    (tmp_path / "test.yml").write_text(yaml.safe_dump(test), encoding="utf-8")
    ended = subprocess.run(
        [tool("promtool"), "test", "rules", "test.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_says_what_it_shows(panel):
    source = {"type": "prometheus", "uid": "${datasource}"}
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    assert panel["targets"]
    assert all(each["datasource"] == source for each in [panel, *panel["targets"]])
    references = [target["refId"] for target in panel["targets"]]
    assert len(set(references)) == len(references)
    for target in panel["targets"]:
        assert target["legendFormat"]
        ours = any(name in OURS for name in names_asked(target["expr"]))
        assert ('job_name=~"$job"' in target["expr"]) == ours, "our metrics are those of the chosen job, nodes are not"


def test_panels_have_ids_and_places_of_their_own():
    ids = [panel["id"] for panel in BOARD["panels"]]
    assert len(set(ids)) == len(ids)
    places = [panel["gridPos"] for panel in BOARD["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= 24 for place in places)
    for a, b in itertools.combinations(places, 2):
        beside = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        assert beside or a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"], f"{a} and {b} overlap"


def test_grafana_is_told_of_the_board_and_its_source():
    folder = FOLDER / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "prometheus.yml").read_text(encoding="utf-8"))["datasources"]
    (provider,) = yaml.safe_load((folder / "dashboards" / "austicker.yml").read_text(encoding="utf-8"))["providers"]
    config = yaml.safe_load((FOLDER / "prometheus.yml").read_text(encoding="utf-8"))
    assert source["type"] == "prometheus"
    assert source["jsonData"]["timeInterval"] == config["global"]["scrape_interval"]
    assert provider["options"]["path"].startswith("${AUSTICKER_DASHBOARDS}")
    assert {variable["type"] for variable in BOARD["templating"]["list"]} == {"datasource", "query"}
