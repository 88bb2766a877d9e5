"""Tables and pages from receipts."""

import re
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from dpjax import errors
from dpjax.inference import page, receipts, report

TEMPLATE = Path(__file__).parents[2] / "dpjax/cli/templates/report.html"


def receipt(
    name="ours", *, written="2026-01-01T00:00:00Z", ensemble=False, psnr=29.304
):
    values = {"psnr": psnr, "ssim": 0.8312, "psnr_input": 14.1512, "ssim_input": 0.17}
    rows = [
        {"source": "set12", "id": i, "condition": c, "psnr": psnr + d}
        for i, d in (("lena", 1.0), ("<b>man", -1.0))
        for c in ("noise25", "noise50")
    ]
    content = {
        "kind": "receipt",
        "format": receipts.FORMAT,
        "weights": {"name": name, "sha256": "a" * 64},
        "model": {"type": "Model", "name": "rednet30"},
        "protocol": "dncnn",
        "ensemble": ensemble,
        "data": {"set12": {"examples": 2, "fingerprint": "f00"}},
        "metric": "psnr",
        "metric_is_high": True,
        "best": psnr,
        "summary": {"set12": {"noise25": values, "noise50": values}},
        "rows": rows,
        "versions": {"jax": "0.10.2"},
        "devices": {"kind": "cpu", "platform": "cpu", "count": 1, "processes": 1},
        "seconds": 3.25,
        "written": written,
    }
    return {**content, "checksum": receipts._checksum(content)}


def entries(folder, *many):
    for i, one in enumerate(many):
        receipts.write(folder / f"r{i}.json", one)
    return report.load([folder])


@pytest.mark.parametrize("allowed", ["set12", "set12:test"])
def test_images_that_may_have_been_trained_on_are_marked(tmp_path, allowed):
    seen = receipt()
    del seen["checksum"]
    seen["summary"] = {"set12:test": seen["summary"]["set12"]}
    seen["data"] = {"set12:test": seen["data"]["set12"]}
    seen["overlap"] = {"allowed": [allowed], "checked": [], "unchecked": {}}
    seen["checksum"] = receipts._checksum(seen)
    (entry,) = entries(tmp_path, seen)
    assert "| set12:test (2, may be trained on) |" in report.markdown(
        [entry], relative_to=tmp_path
    )
    assert "set12:test (2, may be trained on)" in page.render(
        [entry], TEMPLATE.read_text()
    )


def test_the_table_shows_before_and_after_and_links_its_receipt(tmp_path):
    folder = tmp_path / "results"
    table = report.markdown(entries(folder, receipt()), relative_to=tmp_path)
    header, rule, line = table.splitlines()
    assert header == "| weights | images | conditions | PSNR (dB) | SSIM | protocol |"
    assert set(rule) <= set("|-: ")
    assert line == (
        "| ours | set12 (2) | noise25 / noise50 | 14.15 / 14.15 → 29.30 / 29.30 "
        "| 0.1700 / 0.1700 → 0.8312 / 0.8312 | [dncnn](results/r0.json) |"
    )


def test_the_newest_receipt_wins_and_the_ensemble_is_another_line(tmp_path):
    table = report.lines(
        entries(
            tmp_path,
            receipt(written="2026-02-01T00:00:00Z", psnr=30.0),
            receipt(written="2026-01-01T00:00:00Z", psnr=20.0),
            receipt(ensemble=True, psnr=31.0),
            receipt("another", psnr=28.0),
        )
    )
    got = [(x.weights, x.protocol, x.condition, x.values["psnr"]) for x in table]
    assert got == [
        ("another", "dncnn", "noise25", 28.0),
        ("another", "dncnn", "noise50", 28.0),
        ("ours", "dncnn", "noise25", 30.0),
        ("ours", "dncnn", "noise50", 30.0),
        ("ours", "dncnn, ensemble", "noise25", 31.0),
        ("ours", "dncnn, ensemble", "noise50", 31.0),
    ]


def test_weights_that_were_chosen_by_their_score_are_marked(tmp_path):
    flattered = receipt(psnr=31.0)
    flattered["weights"]["file"] = "best.safetensors"
    del flattered["checksum"]
    flattered["checksum"] = receipts._checksum(flattered)
    table = report.lines(entries(tmp_path, receipt(psnr=30.0), flattered))
    assert [(x.weights, x.values["psnr"]) for x in table[::2]] == [
        ("ours", 30.0),
        ("ours (best)", 31.0),
    ]


def test_the_table_replaces_what_stood_between_the_markers():
    document = f"# A\n\n{report.BEGIN}\nold\n{report.END}\n\nafter\n"
    once = report.insert(document, "| new |")
    assert once == f"# A\n\n{report.BEGIN}\n| new |\n{report.END}\n\nafter\n"
    assert report.insert(once, "| new |") == once


@pytest.mark.parametrize(
    "document",
    [
        "nothing",
        report.BEGIN,
        f"{report.BEGIN}{report.BEGIN}{report.END}",
        f"{report.END}\n{report.BEGIN}",
    ],
)
def test_documents_without_their_markers_are_refused(document):
    with pytest.raises(errors.UserError, match="results:begin"):
        report.insert(document, "| new |")


def test_the_page_holds_scores_images_and_escapes_names(tmp_path, photo):
    (tmp_path / "r0").mkdir()
    PIL.Image.fromarray(photo[:9, :9]).save(tmp_path / "r0" / "00-lena.png")
    text = page.render(entries(tmp_path, receipt()), TEMPLATE.read_text())
    assert "14.15 → 29.30" in text
    assert "30.30" in text  # lena, by image
    assert "&lt;b&gt;man" in text
    assert "<b>man" not in text
    assert len(re.findall("data:image/jpeg;base64,/9j/", text)) == 1
    # Self-contained: nothing is fetched from anywhere.
    assert not re.findall(r'(?:src|href)="(?!data:)', text)


def test_the_poorest_images_are_kept_and_those_without_a_score_come_last():
    one = receipt()
    values = {"a": 3.0, "b": float("nan"), "c": 1.0, "d": 2.0}
    one["rows"] = [
        {"source": "s", "id": name, "condition": "", "psnr": value}
        for name, value in values.items()
    ]
    for most, wanted in ((2, "cd"), (3, "cda")):
        _, rows = report.image_table(one, most)
        assert [row[0] for row in rows] == [f"s/{name}" for name in wanted]
    _, rows = report.image_table(one)
    assert len(rows) == 4


def test_images_are_judged_by_what_they_have_where_sets_have_another_score():
    one = receipt()
    one |= {"metric": "rms_image", "metric_is_high": False}
    one |= {"example_metric": "delta1", "example_metric_is_high": True}
    one["rows"] = [
        {"source": "s", "id": name, "condition": "", "delta1": value}
        for name, value in {"a": 0.5, "b": 0.25, "c": 0.75}.items()
    ]
    header, rows = report.image_table(one, 2)
    assert header == ["image", "delta1"]
    assert rows == [["s/b", "0.2500"], ["s/a", "0.5000"]]
    # Receipts of before do not say it.
    del one["example_metric"], one["example_metric_is_high"]
    assert report.image_table(one)[0] == ["image", "rms_image"]


def test_tables_of_weights_have_the_headlines_where_a_task_has_any(tmp_path):
    one = receipt() | {"headlines": ["ssim"]}
    for content, wanted in ((one, ["ssim"]), (receipt(), ["psnr", "ssim"])):
        content["checksum"] = receipts._checksum(
            {k: v for k, v in content.items() if k != "checksum"}
        )
        table = report.lines(entries(tmp_path, content))
        assert report.metrics(table) == wanted


def test_terminal_tables_are_aligned():
    header, rows = report.image_table(receipt())
    assert header == ["image", "noise25 psnr", "noise50 psnr"]
    assert rows[0] == ["set12/lena", "30.30", "30.30"]
    lines = report.text_table(header, rows).splitlines()
    assert len({len(line) for line in lines}) == 1
    header, rows = report.summary_table(receipt())
    assert header == ["images", "condition", "PSNR (dB)", "SSIM"]
    assert rows[0] == ["set12 (2)", "noise25", "14.15 → 29.30", "0.1700 → 0.8312"]


def test_values_get_the_digits_they_deserve():
    assert report.format_value(29.3041) == "29.30"
    assert report.format_value(-12.0) == "-12.00"
    assert report.format_value(0.83119) == "0.8312"
    assert report.format_value(np.inf) == "inf"


def test_a_damaged_receipt_stops_the_report(tmp_path):
    entries(tmp_path, receipt())
    path = tmp_path / "r0.json"
    path.write_text(path.read_text().replace("29.304", "39.304"))
    with pytest.raises(errors.DataError, match="was changed"):
        report.load([tmp_path])


def test_scores_of_another_kind_have_a_table_of_their_own(tmp_path):
    streets = receipt(name="streets")
    del streets["checksum"]
    streets["metric"] = "miou"
    streets["summary"] = {"camvid:val": {"": {"miou": 51.25, "boundary_f": 40.0}}}
    streets["data"] = {"camvid:val": {"examples": 101, "fingerprint": "f00"}}
    streets["rows"] = []
    streets["checksum"] = receipts._checksum(streets)
    both = entries(tmp_path, receipt(), streets)
    first, second = report.markdown(both, relative_to=tmp_path).split("\n\n")
    assert "PSNR (dB)" in first
    assert "mIoU" not in first
    assert second.splitlines()[0] == (
        "| weights | images | conditions | mIoU (%) | boundary F (%) | protocol |"
    )
    assert "51.25" in second.splitlines()[2]
