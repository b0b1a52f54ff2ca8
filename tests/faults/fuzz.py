"""Mutated experiment files and mutated pictures: read, refused or answered.

    python -m tests.faults.fuzz [--files 10000] [--requests 10000] [--seed 0]

Each case is drawn from the seed and its own number: `--seed 0 --first 1234 --files 1
--requests 1` repeats case 1234 of the seed 0. Status 1 if one failed.
"""

import argparse
import io
import random
import tempfile
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image

from aa_keras import config
from aa_keras.data import served_decoding
from tests.faults.campaign import Campaign, export_quickstart, finish

ROOT = Path(__file__).resolve().parents[2]
SOUND = (ROOT / "experiments/quickstart/digits_aa_resnet.yaml").read_text()
WORDS = """: - , [ ] { } & * ! | > ' % @ # ? ~ << &a *a !!int !!set !!binary !!omap
.inf 1e999 null true 0x1F 1:30 2024-01-01 name model data train import base paper"""
PIECES = [*WORDS.split(), "\n", "\n  ", "\t", "\0", "\x85", "é", ": ", "- ", '"']
ERRORS = {
    b"",
    *(
        error.encode()
        for error in (
            served_decoding.NOT_A_PICTURE,
            served_decoding.TOO_LARGE,
            served_decoding.TOO_MANY_SCANS,
            served_decoding.BROKEN,
        )
    ),
}
BATCH = 5


def mutate_text(draw):
    """A sound experiment file with some pieces put in, cut out or moved."""
    text = SOUND
    for _ in range(draw.randint(1, 3)):
        place, cut = draw.randrange(len(text) + 1), draw.randrange(10)
        pieces = draw.choices(PIECES, k=draw.randrange(6))
        pieces += draw.choices([text[place : place + 30], ""], k=1)
        text = text[:place] + "".join(pieces) + text[place + cut :]
    return text


def load_files(campaign, seed, numbers):
    """Loads mutated experiment files: an experiment or one line."""
    keys = sorted(config.flatten(config.load(write(SOUND))))
    for number in numbers:
        draw = random.Random(f"{seed} file {number}")
        overrides = []
        if draw.random() < 0.3:
            text = "".join(draw.choices(PIECES, k=draw.randrange(5)))
            overrides = [f"{draw.choice(keys)}={text}"]
        path = write(SOUND if overrides else mutate_text(draw))
        try:
            config.load(path, overrides)
        except config.ConfigError as error:
            lines = len(str(error).splitlines())
            if lines == 1:
                campaign.count("experiment files", "refused in one line")
            else:
                campaign.fail("experiment files", f"case {number}: {lines} lines")
        except Exception as error:  # what is looked for
            campaign.fail("experiment files", f"case {number}: {error!r}"[:300])
        else:
            campaign.count("experiment files", "read")


def write(text):
    path = Path(tempfile.gettempdir()) / "aa_keras_fuzz.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def sound_pictures():
    """Files of four formats, two of which an export does not read."""
    draw = np.random.default_rng(0)
    pixels = draw.integers(0, 256, (12, 20, 3)).astype(np.uint8)
    files = []
    for file_format, options in (
        ("PNG", {}),
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("GIF", {}),
        ("BMP", {}),
    ):
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, file_format, **options)
        files.append(file.getvalue())
    return files


def cut(draw, file, others):
    return file[: draw.randrange(len(file) + 1)]


def flip(draw, file, others):
    changed = bytearray(file)
    for _ in range(draw.randint(1, 8)):
        changed[draw.randrange(len(changed))] ^= 1 << draw.randrange(8)
    return bytes(changed)


def splice(draw, file, others):
    other = draw.choice(others)
    return file[: draw.randrange(len(file))] + other[draw.randrange(len(other)) :]


def huge_header(draw, file, others):
    """Four bytes of the first 200 become the largest, or random ones."""
    place = draw.randrange(min(200, len(file)))
    number = draw.choice([b"\xff" * 4, b"\x7f" + b"\xff" * 3, draw.randbytes(4)])
    return file[:place] + number + file[place + 4 :]


def append(draw, file, others):
    return file + draw.randbytes(draw.randrange(300))


def repeat(draw, file, others):
    start, length = draw.randrange(len(file)), draw.randrange(1, 100)
    piece = file[start : start + length]
    return file[:start] + piece * draw.randrange(200) + file[start:]


def noise(draw, file, others):
    return draw.randbytes(draw.randrange(300))


def nothing(draw, file, others):
    return b""


MUTATIONS = (cut, flip, splice, huge_header, append, repeat, noise, nothing)


def ask_pictures(campaign, served, seed, numbers):
    """Asks about batches of mutated pictures around a sound one."""
    ask = served.signatures["serve_image_bytes"]
    sound = sound_pictures()
    files = [sound[0]]
    expected = ask(image_bytes=tf.constant(files))["probabilities"][0].numpy()
    for number in numbers:
        draw = random.Random(f"{seed} request {number}")
        files = []
        for _ in range(draw.randrange(BATCH)):
            file = draw.choice(sound)
            for _ in range(draw.randint(1, 2)):
                file = draw.choice(MUTATIONS)(draw, file, sound) if file else file
            files.append(file)
        place = draw.randrange(len(files) + 1)
        files.insert(place, sound[0])
        try:
            answer = ask(image_bytes=tf.constant(files))
            judge({k: v.numpy() for k, v in answer.items()}, place, expected)
        except Exception as error:  # what is looked for
            campaign.fail("requests", f"case {number}: {error!r}"[:300])
            continue
        campaign.count("requests", "answered")
        for error in answer["errors"].numpy():
            campaign.count("pictures", error.decode() or "a class")


def judge(answer, place, expected):
    """Raises AssertionError unless each picture has a class or an error."""
    probabilities, errors = answer["probabilities"], answer["errors"]
    failed = errors != b""
    assert set(errors) <= ERRORS, errors
    assert np.isfinite(probabilities).all(), "not finite"
    assert (probabilities[failed] == 0).all(), "probabilities beside an error"
    assert np.allclose(probabilities[~failed].sum(axis=1), 1, atol=1e-4), "no sum of 1"
    assert ((answer["class_names"] == b"") == failed).all(), "class names"
    assert not failed[place], "the sound picture has an error"
    assert np.allclose(probabilities[place], expected, atol=1e-5), "the sound picture"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--files", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    options = parser.parse_args()
    campaign = Campaign()
    first = options.first
    load_files(campaign, options.seed, range(first, first + options.files))
    if options.requests:
        with tempfile.TemporaryDirectory() as folder:
            _, _, path = export_quickstart(folder)
            served = tf.saved_model.load(str(path))
        numbers = range(first, first + options.requests)
        ask_pictures(campaign, served, options.seed, numbers)
    finish(campaign, f"fuzz, seed {options.seed}, from case {first}")


if __name__ == "__main__":
    main()
