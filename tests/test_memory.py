"""The estimate of a step's memory, against arithmetic and against real steps."""

import subprocess
import sys

import keras
import pytest

from aa_keras import memory, models
from aa_keras.layers import AugmentedConv2D

# Prints what two steps need beyond the built network: estimated and measured bytes.
STEPS = """
import resource, sys
import keras, numpy as np
from aa_keras import layers, memory, models

name, kind, batch = sys.argv[1], sys.argv[2], int(sys.argv[3])
model = getattr(models, name)(input_shape=(32, 32, 3), classes=10)
optimizer = keras.optimizers.SGD(0.1, momentum=0.9)
model.compile(optimizer, "categorical_crossentropy", jit_compile=False)
x, y = np.zeros((batch, 32, 32, 3), "float32"), np.zeros((batch, 10), "float32")
before = int(open("/proc/self/statm").read().split()[1]) * resource.getpagesize()
with layers.use_implementation(model, kind):
    for _ in range(2):
        model.train_on_batch(x, y)
# Not getrusage: its peak includes the process that started this one.
(line,) = (x for x in open("/proc/self/status") if x.startswith("VmHWM"))
peak = 1024 * int(line.split()[1])
print(memory.estimate_step(model, batch).total[kind], peak - before)
"""


def test_an_attention_layer_by_hand():
    x = keras.Input((6, 4, 3))
    layer = AugmentedConv2D(8, 3, num_heads=2, key_depth=4, value_depth=2)
    estimate = memory.estimate_step(keras.Model(x, layer(x)), 5)
    (attention,) = estimate.layers
    assert attention.size == (6, 4)
    projections = 4 * 5 * 24 * (4 + 4 + 2 + 2)
    logits = 4 * 5 * 2 * 24 * 24
    assert attention.kept == {"listing": projections + logits, "fused": projections}
    assert attention.peak["listing"] == memory.LISTING_COPIES * logits
    assert estimate.activations == 4 * 5 * 24 * 8  # of its output


def test_larger_maps_need_more_and_the_fused_form_less():
    small, large = (
        memory.estimate_step(models.AAResNet20(input_shape=(size, size, 3)), 64)
        for size in (32, 64)
    )
    assert large.total["listing"] > 10 * small.total["listing"]
    assert large.total["fused"] < large.total["listing"] / 4


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("name", "kind", "batch"),
    [("AAResNet20", "listing", 64), ("AAWideResNet16x4", "fused", 8)],
)
def test_a_real_step_needs_what_is_estimated(name, kind, batch):
    done = subprocess.run(
        [sys.executable, "-c", STEPS, name, kind, str(batch)],
        capture_output=True,
        text=True,
        check=True,
    )
    estimated, measured = map(int, done.stdout.split())
    assert 0.75 < estimated / measured < 1.33
