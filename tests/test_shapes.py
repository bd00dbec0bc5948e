"""That the shapes of the package's annotations are checked while tests run (``tests/shapes.py``)."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from beartype.roar import BeartypeCallHintParamViolation as WrongShape

from proto_saga_ns.association.instances import Association
from proto_saga_ns.labels.folder import amid_others
from proto_saga_ns.recognition.prototypes import classify

FEATURES, PROTOTYPES, ALPHA = torch.ones(2, 3, 4), torch.ones(5, 4), torch.ones(2, 3)


def test_sizes_of_one_name_are_one() -> None:
    classify(FEATURES, PROTOTYPES, ALPHA)
    with pytest.raises(WrongShape, match=r"parameter alpha=[^~]*'\*shape'"):
        classify(FEATURES, PROTOTYPES, ALPHA.T)


def test_types_are_checked() -> None:
    with pytest.raises(WrongShape, match=r"parameter labels=[^~]* dtype int64"):
        amid_others(np.zeros((4, 4), np.int64))


def test_dataclasses_are_checked() -> None:
    with pytest.raises(WrongShape, match=r"parameter n_views=[^~]* dtype float64"):
        Association([], np.zeros(2), (np.zeros(0, np.int32), np.zeros(0, np.int32)))


def test_sizes_may_be_those_of_arguments() -> None:
    assert amid_others(np.zeros((4, 4), np.int32)).shape == (2, 2)


@pytest.mark.usefixtures("unchecked_shapes")
def test_a_test_may_ask_for_none() -> None:
    amid_others(np.zeros((4, 4), np.int64))
