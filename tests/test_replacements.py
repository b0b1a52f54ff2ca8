"""The table of what `augment` replaced, against counts by hand."""

import numpy as np

from aa_keras import augment, counting
from tests.models.test_choosing import small


def test_the_table_of_what_was_replaced():
    model, lines = small(), []
    augmented = augment(model, 8, num_heads=1, key_ratio=0.5, value_ratio=0.25)
    *rows, total = counting.replacements(model, augmented)
    assert [(r.layer, r.map, r.filters, r.attention) for r in rows] == [
        ("a_2", (8, 8), 8, 2),
        ("b_2", (8, 8), 8, 2),
    ]
    # kernel and biases; qkv of 4 + 4 + 2 channels, a 2 x 2 projection, two tables of
    # 2 * 8 - 1 distances (31 for the strided one's input of 16)
    convolution, attention = 9 * 8 * 8 + 8, 9 * 8 * 6 + 6 + 10 * 9 + 6 + 2 * 15 * 4
    assert rows[1].params == (convolution, attention)
    positions = 64
    before = positions * 9 * 8 * 8
    after = positions * (9 * 8 * 6 + 10 * 8 + 4) + positions**2 * 6
    after += positions * 4 * 2 * 15
    np.testing.assert_allclose(rows[1].gflops, (2e-9 * before, 2e-9 * after))
    kept = 256 * 9 * 4 * 8 + 64 * 8 * 8 + 16 * 8 * 8 + 16 * 8 * 8  # a_1, b_1, c_1, d_1
    for index, each in enumerate((model, augmented)):
        assert total.params[index] == each.count_params()
        gflops = counting.count(each).gflops
        np.testing.assert_allclose(total.gflops[index], gflops)
        other = sum(row.gflops[index] for row in rows)
        np.testing.assert_allclose(total.gflops[index] - other, 2e-9 * kept)
    counting.print_replacements(model, augmented, report=lines.append)
    assert len(lines) == 4
    assert lines[2].split()[:5] == ["b_2", "8x8", "8", "2", f"{convolution:,}"]
