"""Images out of a file: the bundled digits, written as npz and idx, are what was written."""

import gzip
import io
import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from rnn_exp.fields import SettingError
from rnn_exp.networks import Network
from rnn_exp.tasks import Digits, HoldsOut, Images
from rnn_exp.tasks.images import _order
from rnn_exp.training.experiment import train_runs
from rnn_exp.training.run import Run
from rnn_exp.training.settings import Evaluation, Recording, Training

BUNDLE = load_digits()
PIXELS = BUNDLE.images.astype(np.uint8)
LABELS = BUNDLE.target.astype(np.int64)


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def idx(array):
    """The bytes of an idx file."""
    array = array.astype(np.uint8)
    sizes = b"".join(int(size).to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def keras_file(name="mnist.npz", **changed):
    arrays = {
        "x_train": PIXELS[:1437],
        "y_train": LABELS[:1437],
        "x_test": PIXELS[1437:],
        "y_test": LABELS[1437:],
    }
    np.savez(name, **{**arrays, **changed})
    return name


def idx_files(suffix="", tests=True):
    pack = gzip.compress if suffix else bytes
    parts = {"train": slice(1437), "t10k": slice(1437, None)}
    for part, which in list(parts.items())[: 2 if tests else 1]:
        Path(f"{part}-images-idx3-ubyte{suffix}").write_bytes(pack(idx(PIXELS[which])))
        Path(f"{part}-labels-idx1-ubyte{suffix}").write_bytes(pack(idx(LABELS[which])))
    return f"train-images-idx3-ubyte{suffix}"


def same(one, other):
    assert torch.equal(one.inputs, other.inputs)
    assert torch.equal(one.targets, other.targets)
    assert torch.equal(one.cues, other.cues)


def test_the_digits_out_of_a_file_are_the_task_digits():
    """Both divide by 16, the largest pixel, and draw by the same rule."""
    images = Images(keras_file())
    assert isinstance(images, HoldsOut)
    assert (images.length, images.input_size, images.output_size) == (64, 1, 10)
    same(images.draw(200, seeded(3)), Digits().draw(200, seeded(3)))
    same(images.held_out(), Digits().held_out())


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_idx_files_hold_what_npz_files_hold(suffix):
    npz, files = Images(keras_file()), Images(idx_files(suffix))
    same(npz.draw(50, seeded()), files.draw(50, seeded()))
    same(npz.held_out(), files.held_out())
    assert npz.sha256 != files.sha256


def test_where_nothing_is_for_tests_the_last_fifth_is():
    np.savez("all.npz", images=PIXELS, labels=LABELS)
    both = Images("all.npz"), Images(idx_files())
    assert torch.equal(both[0].held_out().inputs, Digits().held_out().inputs[:, 1438 - 1437 :])
    for path in Path().glob("t10k*"):
        path.unlink()
    alone = Images(idx_files(tests=False))
    assert alone.held_out().inputs.shape[1] == 1437 // 5


def test_rows_and_colours_are_read_in_order():
    task = Images(keras_file(), pixels_per_step=8)
    batch = task.held_out()
    assert (task.length, task.input_size) == (8, 8)
    np.testing.assert_allclose(batch.inputs[:, 5] * 16, PIXELS[1437 + 5], atol=1e-5)

    colours = np.random.default_rng(0).integers(0, 255, (50, 3, 4, 3))
    np.savez("colours.npz", images=colours, labels=np.arange(50) % 4)
    task = Images("colours.npz", pixels_per_step=3)
    assert (task.length, task.input_size, task.output_size) == (12, 3, 4)
    low, high = colours[:40].min(), colours[:40].max()
    scaled = (colours[43].reshape(12, 3) - low) / (high - low)
    np.testing.assert_allclose(task.held_out().inputs[:, 3], scaled, atol=1e-6)


def test_permuted_pixels_are_the_same_ones_in_one_order():
    plain, mixed = Images(keras_file()), Images(keras_file(), permuted=True)
    one, other = plain.held_out().inputs[..., 0], mixed.held_out().inputs[..., 0]
    assert torch.equal(one.sort(0).values, other.sort(0).values)
    assert torch.equal(other, one[_order(64)])
    # Frozen: another order would be another task under the same digest.
    assert _order(8).tolist() == ORDER_OF_EIGHT


ORDER_OF_EIGHT = [1, 2, 6, 3, 7, 5, 0, 4]


def test_chance_knows_how_often_each_class_is_right_in_training():
    labels = np.array([3] * 60 + [7] * 30 + [9] * 10)
    np.savez("f.npz", x_train=PIXELS[:100], y_train=labels, x_test=PIXELS[:2], y_test=labels[:2])
    task = Images("f.npz")
    shares = (0.6, 0.3, 0.1)
    assert task.output_size == 3
    assert task.chance_loss == pytest.approx(-sum(p * math.log(p) for p in shares), rel=1e-12)
    assert task.chance_error == pytest.approx(0.4, rel=1e-12)


def test_images_train_and_are_tested_on_each_one_held_out():
    run = Run(
        Images(keras_file(), pixels_per_step=8),
        Network(hidden_size=4),
        training=Training(3, 4),
        recording=Recording(2),
        evaluation=Evaluation(2),
    )
    [outcome] = train_runs([run])
    wrong = outcome.updates["test_error"] * 360
    np.testing.assert_allclose(wrong, wrong.round(), atol=1e-9)
    assert "images-T8-" in run.name
    assert Run(Images(keras_file(), pixels_per_step=8)).digest != Run(Images(keras_file())).digest


def test_labels_that_change_make_another_run():
    name = idx_files()
    before = Images(name)
    Path("train-labels-idx1-ubyte").write_bytes(idx(LABELS[:1437][::-1]))
    assert Images(name).sha256 != before.sha256
    with pytest.raises(SettingError, match="another file than the one that the run was made with"):
        before.source.contents()


def zipped(**members):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            file.writestr(f"{name}.npy", content)
    return data.getvalue()


def promising(shape, content=b"", descr="|u1"):
    """An npy file whose header promises more than there is."""
    data = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        data, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return data.getvalue() + content


def saved(**arrays):
    data = io.BytesIO()
    np.savez_compressed(data, **arrays)
    return data.getvalue()


LABELLED = promising((4,), b"\0\1\0\1")
NONSENSE = {
    "no such format": (b"GIF89a", r"idx file of unsigned bytes .* it begins otherwise"),
    "empty": (b"", r"it begins otherwise"),
    "a broken zip": (b"PK\3\4" + 40 * b"x", r"a whole npz or idx file; File is not a zip file"),
    "a broken gzip": (b"\x1f\x8b" + 40 * b"x", r"a whole npz or idx file; "),
    "other arrays": (saved(a=PIXELS), r"images, labels; it has a$"),
    "objects": (
        zipped(images=promising((4,), 80 * b"x", "|O"), labels=LABELLED),
        r"arrays of numbers .* is to hold object of shape \(4,\)",
    ),
    "a promise": (
        zipped(images=promising((10**6, 10**6)), labels=LABELLED),
        r"is to hold uint8 of shape \(1000000, 1000000\)",
    ),
    "an endless shape": (zipped(images=promising((10**30,)), labels=LABELLED), r"is to hold uint8"),
    "a broken header": (zipped(images=b"\x93NUMPY\1\0x", labels=LABELLED), r"a whole npz or idx"),
    "no images": (saved(images=LABELS, labels=LABELS), r"images \(1797,\), labels"),
    "fewer labels": (saved(images=PIXELS, labels=LABELS[:9]), r"labels \(9,\) \(int64\)"),
    "words": (saved(images=PIXELS, labels=LABELS.astype(float)), r"labels \(1797,\) \(float64\)"),
    "one class": (saved(images=PIXELS, labels=0 * LABELS), r"images of two classes or more"),
    "one grey": (
        saved(images=0 * PIXELS, labels=LABELS),
        r"pixels are not all the same",
    ),
    "NaN": (
        saved(
            images=np.where(np.arange(PIXELS.size).reshape(PIXELS.shape) == 199, np.nan, PIXELS),
            labels=LABELS,
        ),
        r"pixels are finite .*; image 4 for training has nan in row 1, column 8",
    ),
    "infinite for tests": (
        saved(x_train=PIXELS, y_train=LABELS, x_test=PIXELS[:3] - 1e300, y_test=LABELS[:3]),
        r"image 1 for tests has -1e\+300 in row 1, column 1",
    ),
    "NaN in a flat image": (
        saved(images=PIXELS.reshape(-1, 64)[:20] * [[*[1.0] * 63, np.nan]], labels=LABELS[:20]),
        r"image 1 for training has nan in pixel 64",
    ),
    "idx, too short": (idx(PIXELS)[:-1], r"it has 115007 of the 115008 bytes of its shape"),
    "idx, too long": (idx(PIXELS) + b"x", r"it has more than the 115008 bytes of its shape"),
    "idx, endless": (bytes([0, 0, 8, 3]) + 12 * b"\xff", r"of at most 2 GiB; its shape is \(42949"),
    "idx, no labels": (idx(PIXELS), r"with …labels-idx1-ubyte beside it"),
    "a gzip bomb": (gzip.compress(idx(PIXELS) + bytes(10**8)), r"more than the 115008 bytes"),
}


@pytest.mark.parametrize("name", NONSENSE)
def test_nonsense_is_refused_in_one_line(name):
    content, message = NONSENSE[name]
    Path("file").write_bytes(content)
    with pytest.raises(SettingError, match=message) as refused:
        Images("file")
    assert "\n" not in str(refused.value.under("task"))
    assert len(str(refused.value)) < 300


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pixels_per_step": 7}, r"pixels_per_step=7 .* a divisor of 64, the pixels of an image"),
        ({"length": 63}, r"length=63 .* 64, the steps of an image of mnist\.npz"),
        ({"sha256": "0" * 64}, r"sha256=0{64} .* another file than the one"),
    ],
)
def test_settings_that_do_not_fit_the_images_are_refused(settings, message):
    keras_file()
    with pytest.raises(SettingError, match=message):
        Images("mnist.npz", **settings)


def test_labels_that_are_not_there_are_refused_by_name():
    Path(idx_files(tests=False).replace("images", "labels").replace("idx3", "idx1")).unlink()
    with pytest.raises(SettingError, match=r"^file=train-labels-idx1-ubyte .* there is none"):
        Images("train-images-idx3-ubyte")
    with pytest.raises(SettingError, match=r"^file=null .* allowed is the path of an"):
        Images()
