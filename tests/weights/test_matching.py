"""Weights of one network start another that shares a part with it."""

import chex
import jax
import numpy as np
import pytest

from dpjax import errors
from dpjax.models import zoo
from dpjax.weights import matching

_FEW = {"blocks": (1, 1, 1, 1)}


@pytest.fixture(scope="module")
def classifier():
    return zoo.create_model("resnet50", num_classes=5, **_FEW)[1]


@pytest.fixture(scope="module")
def scorer():
    """A segmenter on the same backbone, whose decoder has batch statistics."""
    return zoo.create_model(
        "fcrn_resnet50", up_widths=(8,) * 5, norm="device", seed=1, **_FEW
    )


def test_weights_of_a_classifier_start_a_network_that_scores_pixels(classifier, scorer):
    module, fresh = scorer
    skip = ("decoder/*", "head/*")
    matching.check_matches(classifier, module, skip=skip)
    merged = matching.merge(classifier, fresh, skip=skip)
    for kind in ("params", "batch_stats"):
        assert set(merged[kind]) == {"backbone", "decoder"}
        chex.assert_trees_all_equal(
            merged[kind]["backbone"], classifier[kind]["backbone"]
        )
        chex.assert_trees_all_equal(merged[kind]["decoder"], fresh[kind]["decoder"])
    with pytest.raises(errors.UserError, match="Unknown pattern of arrays"):
        matching.merge(classifier, fresh, skip=(*skip, "haed/*"))


def test_parts_that_differ_as_a_whole_are_named_as_a_whole(classifier, scorer):
    with pytest.raises(errors.UserError) as caught:
        matching.check_matches(classifier, scorer[0])
    assert str(caught.value).endswith("skip=('decoder/*', 'head/*').")


def test_a_line_says_what_is_taken_and_what_is_not(classifier, scorer):
    skip = ("decoder/*", "head/*")
    line = matching.report(classifier, scorer[1], skip=skip)
    count = sum(len(jax.tree.leaves(tree["backbone"])) for tree in classifier.values())
    assert line == (f"{count} arrays of backbone/*; fresh: decoder/*; not used: head/*")
    same = matching.report(scorer[1], scorer[1], skip=("decoder/head/*",))
    taken = ("backbone/*", *(f"decoder/{n}/*" for n in ("bn_reduce", "reduce")))
    assert same.endswith("; fresh: decoder/head/*; not used: decoder/head/*")
    for pattern in taken:
        assert pattern in same.partition(";")[0]


def test_patterns_fit_what_they_are_for_and_nothing_else():
    some = ["params/a/b/kernel", "batch_stats/a/b/mean", "params/c/d/bias", "params/e"]
    others = ["params/a/f/kernel", "params/c/d/kernel"]
    patterns = matching.patterns_of(some, others)
    assert patterns == ("a/b/*", "c/d/bias", "e")
    assert all(matching.is_skipped(path, patterns) for path in some)
    assert not any(matching.is_skipped(path, patterns) for path in others)
    assert matching.patterns_of(some, []) == ("a/*", "c/*", "e")


def test_an_array_without_a_folder_is_named_itself(scorer):
    module, fresh = scorer
    extra = {**fresh, "params": {**fresh["params"], "scale": np.ones(1, np.float32)}}
    with pytest.raises(errors.UserError, match=r"skip=\('scale',\)"):
        matching.check_matches(extra, module)
    matching.check_matches(extra, module, skip=("scale",))
    chex.assert_trees_all_equal(matching.merge(extra, fresh, skip=("scale",)), fresh)


def test_another_backbone_is_another_network(scorer):
    module, _ = scorer
    other = zoo.create_model("wide_resnet_16", num_classes=5, width=1 / 16)[1]
    with pytest.raises(errors.UserError) as caught:
        matching.check_matches(other, module, skip=("decoder/*", "head/*"))
    assert "skip=" not in str(caught.value)
    with pytest.raises(errors.UserError, match="leaves nothing of the weights"):
        matching.merge(other, scorer[1], skip=("backbone/*", "decoder/*", "head/*"))
