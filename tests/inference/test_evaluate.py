"""The evaluation against a plain loop, on any number of devices and processes."""

import dataclasses
import json
import socket
import subprocess
import sys
from pathlib import Path
from typing import ClassVar

import jax
import numpy as np
import pytest

from dpjax import config, errors
from dpjax.inference import evaluate
from dpjax.models import rednet
from dpjax.tasks import task as tasks

ROOT = Path(__file__).parents[2]


@dataclasses.dataclass(frozen=True)
class Darkened(tasks.Task):
    """Scores the mean error of darkened pictures."""

    kind: ClassVar[str] = "darkened"
    best: ClassVar[str] = "error"
    best_is_high: ClassVar[bool] = False
    protocols: ClassVar[tuple[str, ...]] = ("plain", "squared")

    def conditions(self):
        return ("half", "dark")

    def evaluation_input(self, record, condition, protocol):
        factor = {"half": 0.5, "dark": 0.1}[condition]
        return (record["image"][..., :1] / 255 * factor).astype(np.float32)

    def score(self, record, condition, given, output, protocol):
        difference = output.astype(np.float64) - record["image"][..., :1] / 255
        error = np.mean(np.abs(difference) if protocol == "plain" else difference**2)
        return {"error": error, "histogram": np.array([1, output.size])}

    def summarise(self, rows):
        histogram = sum(row["histogram"] for row in rows)
        return {
            "error": float(np.mean([row["error"] for row in rows])),
            "pixels": int(histogram[1]),
        }

    def panel(self, record, condition, given, output, row, protocol):
        # The caption, so to say: a picture carries the number that was scored.
        score = np.full_like(given[:, :1], row["error"])
        shades = np.concatenate([given, output, score], 1).clip(0, 1) * 255
        return np.broadcast_to(shades.astype(np.uint8), (*shades.shape[:2], 3))


def records(count, seed=0):
    rng = np.random.default_rng(seed)
    return [
        {
            "image": rng.integers(0, 256, (*rng.integers(3, 30, 2), 3), np.uint8),
            "id": f"image{i}",
        }
        for i in range(count)
    ]


def network(**options):
    module = rednet.RedNet(depth=2, widths=4, last_scale=1.0, **options)
    variables = module.init(jax.random.key(0), np.zeros((1, 4, 4, 1), np.float32))
    return module, variables


def run(sources, *, devices=None, progress=None, panels=0, **options):
    module, variables = network()
    return evaluate.evaluate(
        Darkened(),
        module,
        variables,
        config.Data((), (), threads=2),
        config.Evaluation(**{"protocol": "plain", **options}),
        sources=sources,
        devices=devices,
        progress=progress,
        panels=panels,
    )


def plain_loop(sources):
    module, variables = network()
    task, rows = Darkened(), []
    for name, source in sources.items():
        for record in source:
            for condition in task.conditions():
                given = task.evaluation_input(record, condition, "plain")
                output = np.asarray(module.apply(variables, given[None]))[0]
                row = task.score(record, condition, given, output, "plain")
                rows.append((name, record["id"], condition, row["error"]))
    return rows


@pytest.mark.parametrize("count", [1, 2, 8])
def test_rows_equal_a_plain_loop_on_any_number_of_devices(count):
    sources = {"one": records(5), "two:test": records(3, seed=1)}
    scores = run(sources, devices=jax.devices()[:count])
    expected = plain_loop(sources)
    got = [(r["source"], r["id"], r["condition"], r["error"]) for r in scores.rows]
    assert [g[:3] for g in got] == [e[:3] for e in expected]
    np.testing.assert_allclose([g[3] for g in got], [e[3] for e in expected], rtol=1e-5)
    for name in sources:
        for condition in ("half", "dark"):
            errors_of = [e[3] for e in expected if e[0] == name and e[2] == condition]
            np.testing.assert_allclose(
                scores.summary[name][condition]["error"], np.mean(errors_of), rtol=1e-5
            )
            assert scores.summary[name][condition]["pixels"] == sum(
                r["image"][..., 0].size for r in sources[name]
            )
    all_means = [s["error"] for by in scores.summary.values() for s in by.values()]
    assert scores.best == pytest.approx(np.mean(all_means))
    assert scores.data["two:test"] == {"examples": 3, "fingerprint": None}
    assert 0 < scores.compilations <= 4


def test_limit_protocol_and_ensemble_are_respected():
    sources = {"one": records(4)}
    plain = run(sources)
    limited = run(sources, limit=2)
    assert [r["id"] for r in limited.rows] == ["image0"] * 2 + ["image1"] * 2
    assert limited.data["one"]["examples"] == 2
    squared = run(sources, protocol="squared")
    assert squared.best < plain.best
    averaged = run(sources, ensemble=True)
    assert averaged.ensemble
    assert averaged.best != plain.best
    assert averaged.best == pytest.approx(plain.best, rel=0.5)


def test_progress_counts_every_example():
    seen = []
    run({"one": records(3)}, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(i, 6) for i in range(1, 7)]


def test_panels_show_the_first_examples_under_each_condition_in_turn():
    sources = {"one": records(4)}
    scores = run(sources, panels=3)
    names = [name for name, _ in scores.panels]
    assert names == ["one/image0/half", "one/image1/dark", "one/image2/half"]
    _, picture = scores.panels[1]
    height, width = sources["one"][1]["image"].shape[:2]
    assert picture.shape == (height, 2 * width + 1, 3)
    (row,) = [r for r in scores.rows if (r["id"], r["condition"]) == ("image1", "dark")]
    assert picture[0, -1, 0] == int(np.float32(row["error"]) * 255)
    assert run(sources).panels == []


def test_the_worst_rows_come_first_and_can_be_pictured():
    sources = {"one": records(4)}
    scores = run(sources)
    rows = evaluate.worst(scores, 2, metric="error", best_is_high=False)
    every = sorted((r["error"] for r in scores.rows), reverse=True)
    assert [r["error"] for r in rows] == every[:2]
    best_last = evaluate.worst(scores, 99, metric="error", best_is_high=True)
    assert [r["error"] for r in best_last] == every[::-1]
    module, variables = network()
    shown = list(
        evaluate.pictures(
            Darkened(), module, variables, config.Evaluation("plain"), rows, sources
        )
    )
    assert [name.split("/")[1] for name, _ in shown] == [r["id"] for r in rows]
    height, width = sources["one"][rows[0]["index"]]["image"].shape[:2]
    assert shown[0][1].shape == (height, 2 * width + 1, 3)
    assert shown[0][1][0, -1, 0] == int(np.float32(rows[0]["error"]) * 255)


@pytest.mark.parametrize("best_is_high", [True, False])
def test_rows_whose_score_is_no_number_are_not_among_the_worst(best_is_high):
    scores = run({"one": records(4)})
    rows = [row for row in scores.rows if row["condition"] == "half"]
    rows[1]["error"] = float("nan")  # in the middle, where it would spoil the order
    only = dataclasses.replace(scores, rows=[*rows, {"id": "unscored"}])
    found = evaluate.worst(only, 9, metric="error", best_is_high=best_is_high)
    wanted = sorted(r["error"] for r in (rows[0], rows[2], rows[3]))
    assert [r["error"] for r in found] == (wanted if best_is_high else wanted[::-1])


def test_a_damaged_record_is_not_scored_around():
    class Damaged(list):
        def __getitem__(self, i):
            if i == 2:
                raise errors.DataError("Record 2 is damaged.")
            return super().__getitem__(i)

    with pytest.raises(errors.DataError, match="Record 2 is damaged"):
        run({"one": Damaged(records(4))})


@pytest.mark.parametrize("options", [{}, {"limit": 0}])
def test_nothing_to_evaluate_is_an_error(options):
    sources = {"one": records(2) if options else []}
    with pytest.raises(errors.DataError, match="one has no records"):
        run(sources, **options)


def test_unknown_protocols_and_missing_sources_are_named():
    task, data = Darkened(), config.Data((), ())
    with pytest.raises(errors.UserError, match=r"'plan'. Did you mean plain"):
        evaluate.open_sources(task, data, config.Evaluation("plan"))
    with pytest.raises(errors.UserError, match=r"data\.evaluate"):
        evaluate.open_sources(task, data, config.Evaluation("plain"))


_PROCESS = """
import importlib.util, json, sys
import jax
jax.config.update("jax_num_cpu_devices", 2)
jax.distributed.initialize(sys.argv[1], 2, int(sys.argv[2]))
spec = importlib.util.spec_from_file_location("peer", sys.argv[3])
peer = importlib.util.module_from_spec(spec)
sys.modules["peer"] = peer
spec.loader.exec_module(peer)
sources = {"one": peer.records(5), "two": peer.records(2, seed=1)}
scores = peer.run(sources)
rows = [(r["source"], r["index"], r["condition"], r["error"]) for r in scores.rows]
print(json.dumps([rows, scores.summary]))
if sys.argv[2] == "1":
    sources["one"][1] = {"id": "broken"}
try:
    peer.run(sources)
except Exception as error:
    print(json.dumps([type(error).__name__, str(error)]))
"""


@pytest.fixture(scope="module")
def two_processes():
    """What each of two processes printed: scores, then how a failure reached it."""
    with socket.socket() as probe:
        probe.bind(("localhost", 0))
        address = f"localhost:{probe.getsockname()[1]}"
    running = [
        subprocess.Popen(
            [sys.executable, "-c", _PROCESS, address, str(i), __file__],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for i in range(2)
    ]
    finished = [process.communicate(timeout=120) for process in running]
    for process, (_, complaint) in zip(running, finished, strict=True):
        assert process.returncode == 0, complaint
    # Other libraries print above.
    return [[json.loads(x) for x in out.splitlines()[-2:]] for out, _ in finished]


def test_two_processes_share_the_work_and_agree(two_processes):
    first, second = (printed[0] for printed in two_processes)
    assert first == second
    sources = {"one": records(5), "two": records(2, seed=1)}
    alone = run(sources, devices=jax.devices()[:1])
    keys = ("source", "index", "condition")
    assert [tuple(r[:3]) for r in first[0]] == [
        tuple(r[k] for k in keys) for r in alone.rows
    ]
    np.testing.assert_allclose(
        [r[3] for r in first[0]], [r["error"] for r in alone.rows], rtol=1e-5
    )
    assert first[1]["two"]["dark"]["pixels"] == alone.summary["two"]["dark"]["pixels"]


def test_a_process_that_fails_tells_the_others(two_processes):
    first, second = (printed[1] for printed in two_processes)
    assert first[0] == "DataError"
    assert "Process 1 failed: KeyError: 'image'" in first[1]
    assert second == ["KeyError", "'image'"]
