"""A tracker gets the curves of each recorded update, and training stays as it is."""

import pytest
import torch
from torch import nn

from rnn_exp import record_gradients
from rnn_exp.recordings.curves import curves_of


class Kept:
    """Keeps what it gets."""

    def __init__(self):
        self.points = {}

    def log(self, step, values):
        assert step not in self.points
        self.points[step] = dict(values)


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.LSTM(3, 5, 2)
        self.decoder = nn.GRU(5, 4, bidirectional=True)

    def forward(self, x):
        return self.decoder(self.encoder(x)[0])[0]


def train(tracker=None, updates=5, every=2, given=True):
    torch.manual_seed(0)
    model = Model()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    options = {"optimizer": optimizer} if given else {}
    with record_gradients(model, every=every, tracker=tracker, **options) as recording:
        for _ in range(updates):
            optimizer.zero_grad()
            model(torch.randn(9, 4, 3)).square().mean().backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1e-3)
            optimizer.step()
    return model, recording


def test_a_tracker_is_told_each_recorded_update_once_with_what_the_recording_says_of_it():
    kept = Kept()
    _, recording = train(kept)

    rows, updates = recording.to_frame(), recording.updates
    assert list(kept.points) == [0, 2, 4]
    for number, values in kept.points.items():
        [row] = updates[updates["update"] == number].to_dict("records")
        assert values == curves_of(rows[rows["update"] == number], row)
        assert values["updates/clipped"] == 1.0
        assert {name.rpartition("/")[0] for name in values} == {
            "updates",
            "encoder/layer_0",
            "encoder/layer_1",
            "decoder/layer_0/forward",
            "decoder/layer_0/backward",
        }
    said = recording.summary()
    of_top = said[(said["module"] == "encoder") & (said["layer"] == 1)]
    assert of_top["rate"].tolist() == [
        kept.points[number]["encoder/layer_1/decay_rate"] for number in (0, 4)
    ]


def test_no_more_than_ten_curves_are_made_of_a_layer():
    kept = Kept()
    train(kept, updates=1)
    places = [name.rpartition("/")[0] for name in kept.points[0]]
    assert max(places.count(place) for place in {*places} - {"updates"}) <= 10


def test_without_an_optimizer_only_the_modules_have_curves():
    kept = Kept()
    train(kept, given=False)
    assert list(kept.points) == [0, 2, 4]
    assert not [name for name in kept.points[0] if name.startswith("updates/")]


def test_a_tracker_changes_no_bit_of_training():
    weights = [dict(train(tracker)[0].named_parameters()) for tracker in (None, Kept())]
    drawn = torch.rand(1)

    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])
    torch.manual_seed(0)
    train(None)
    assert torch.equal(drawn, torch.rand(1))


def test_rows_that_go_to_disk_are_tracked_as_well(tmp_path):
    model, kept = nn.RNN(3, 4), Kept()
    with record_gradients(model, path=tmp_path, tracker=kept):
        model(torch.ones(5, 2, 3))[0][-1].sum().backward()
    assert list(kept.points) == [0]


def test_a_recording_that_goes_on_goes_on_with_its_numbers():
    model, kept = nn.RNN(3, 4), Kept()
    with record_gradients(model) as first:
        for _ in range(3):
            model(torch.ones(5, 2, 3))[0][-1].sum().backward()
            first.next_update()
    second = record_gradients(model, tracker=kept)
    second.load_state_dict(first.state_dict())

    with second:
        model(torch.ones(5, 2, 3))[0][-1].sum().backward()

    assert list(kept.points) == [3]


def test_what_a_tracker_raises_is_raised_in_the_training():
    class Full:
        def log(self, step, values):
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        train(Full())
