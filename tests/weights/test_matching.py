"""Weights of one network start another that shares a part with it."""

import chex
import pytest

from dpjax import errors
from dpjax.models import zoo
from dpjax.weights import matching


def test_weights_of_a_classifier_start_a_network_that_scores_pixels():
    few = {"blocks": (1, 1, 1, 1)}
    _, given = zoo.create_model("resnet50", num_classes=5, **few)
    module, fresh = zoo.create_model(
        "refinenet_lw50", num_classes=3, path_widths=(8,) * 4, seed=1, **few
    )
    skip = ("decoder/*", "head/*")
    matching.check_matches(given, module, skip=skip)
    merged = matching.merge(given, fresh, skip=skip)
    assert set(merged["params"]) == {"backbone", "decoder"}
    chex.assert_trees_all_equal(
        merged["params"]["backbone"], given["params"]["backbone"]
    )
    chex.assert_trees_all_equal(merged["params"]["decoder"], fresh["params"]["decoder"])
    with pytest.raises(errors.UserError, match="Unknown pattern of arrays"):
        matching.merge(given, fresh, skip=(*skip, "haed/*"))
