"""What checks of a dataset judge by is the same however the episodes were shared among workers."""

import json

import numpy as np
import pytest

from serlds.pipelines.checks import arrays
from serlds.pipelines.checks.examination import Examiner, measurements
from serlds.pipelines.checks.options import CheckOptions
from serlds.pipelines.checks.registry import CHECKS


def sums_of(schema, episodes):
    examiner = Examiner(schema, CheckOptions(images="all"))
    for episode in episodes:
        assert list(examiner.findings(episode)) == []
    return {name: arrays.to_json(sums) for name, sums in examiner.sums().items()}


@pytest.mark.parametrize("cut", [1, 5, 11])
def test_parts_fold_to_the_whole(full_arm, clean, cut):
    parts = [sums_of(full_arm.schema, part) for part in (clean[:cut], clean[cut:], [])]
    parts = json.loads(json.dumps(parts))  # as they travel
    whole = sums_of(full_arm.schema, clean)
    for measurement in measurements(CHECKS):
        expected = arrays.from_json(whole[measurement.name])
        folded = measurement.fold(arrays.from_json(part[measurement.name]) for part in parts)
        assert folded.keys() == expected.keys() and expected
        for name, values in expected.items():
            np.testing.assert_allclose(folded[name], values, rtol=1e-12, err_msg=measurement.name)
            assert folded[name].dtype == values.dtype
