"""Writes a handwritten digit of the quickstart's test split as a picture file.

python experiments/quickstart/write_digit.py OUT.png [INDEX]
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.datasets import load_digits

TEST_DIGIT = 69  # a nine of the test split (index % 5 == 4)


def write_digit(path, index=TEST_DIGIT):
    # Values 0 to 16, scaled to 0 to 255 as in the network's training data.
    pixels = np.round(load_digits().images[index] * (255 / 16)).astype(np.uint8)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)


if __name__ == "__main__":
    path, *index = sys.argv[1:]
    write_digit(path, *map(int, index))
