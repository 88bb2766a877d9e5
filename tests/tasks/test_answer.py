"""Answers are printed for people and saved for programs."""

import json

import pytest

from dpjax import errors
from dpjax.tasks import answer


def test_an_answer_is_text_and_json(tmp_path):
    said = answer.Answer(("one", "two"), {"ranking": [{"class": "Käfer", "p": 0.5}]})
    assert str(said) == "one\ntwo"
    said.save(tmp_path / "new" / "a.json")
    assert json.loads((tmp_path / "new" / "a.json").read_text()) == said.values
    with pytest.raises(errors.UserError, match=r"written as \.json; got .*a\.png"):
        said.save(tmp_path / "a.png")
