"""The faults of the course work that this package follows, each shown to be impossible here.

Every test holds a check to what this package does, and to the faulty way written out: it must pass the one and catch
the other. The fault of guided backpropagation has its test beside the code that explains.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from classifiers import checkpoint, engine, sealed, step, transforms
from classifiers.config import NetworkConfig
from classifiers.counting import formula
from classifiers.data import open_data, open_side
from classifiers.engine import fit
from classifiers.errors import CheckpointError, DataError
from classifiers.evaluate import evaluate
from classifiers.network import Network, build
from classifiers.sealed import open_test
from tests.classifiers.conftest import CLASSES, SIDE


def contents(pictures):
    """The pictures of a side, as a set of contents."""
    return {picture.tobytes() for picture in pictures.pixels}


@pytest.fixture(scope="module")
def data(rooted, tmp_path_factory):
    return open_data(rooted, cache=tmp_path_factory.mktemp("faults"))


# 1. The "test" arrays were saved from validation data: the reported test accuracy was a validation accuracy.


def check_test_is_not_validation(open_a_test, root, data):
    test = contents(open_a_test(root, data.split, data.size).pictures)
    assert test
    assert not test & contents(data.validation)


def test_1_test_pictures_are_not_validation_pictures(rooted, data):
    def faulty(root, split, size):
        validation = open_side(root, split, split.on("validation"), size)
        return sealed.TestSide(validation, "X_test.npy", (), ())

    check_test_is_not_validation(open_test, rooted, data)
    with pytest.raises(AssertionError):
        check_test_is_not_validation(faulty, rooted, data)


def test_1_validation_pictures_offered_as_a_test_set_are_refused(rooted, data, tmp_path):
    for picture in data.split.on("validation"):
        copy = tmp_path / picture.class_name / picture.path.replace("/", "-")
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes((rooted / picture.path).read_bytes())
    with pytest.raises(DataError, match="6 of 6 are or look like pictures that training or validation saw"):
        open_test(tmp_path, data.split, data.size)


# 2. Training rows were duplicated into "test", and val/ was never read.


def check_test_is_val(open_a_test, root, data):
    test = open_a_test(root, data.split, data.size).pictures
    assert set(test.paths) == {path.relative_to(root).as_posix() for path in root.glob("val/*/*")}
    assert not contents(test) & contents(data.train)


def test_2_the_test_side_is_all_of_val_and_nothing_of_train(rooted, data):
    def faulty(root, split, size):
        return sealed.TestSide(open_side(root, split, split.on("train"), size), "X_test.npy", (), ())

    check_test_is_val(open_test, rooted, data)
    with pytest.raises(AssertionError):
        check_test_is_val(faulty, rooted, data)


def test_2_training_reads_nothing_of_val_and_evaluation_does_and_says_so(rooted, tiny, tmp_path, monkeypatch):
    from classifiers import pictures

    opened = []
    real = pictures.read_bytes
    for module in ("classifiers.survey.read_bytes", "classifiers.cache.read_bytes"):
        monkeypatch.setattr(module, lambda path: opened.append(path.relative_to(rooted).parts[0]) or real(path))
    cache = tmp_path / "cache"
    fit(*tiny, open_data(rooted, cache=cache), tmp_path / "run")
    assert set(opened) == {"train"}
    opened.clear()
    assert evaluate(tmp_path / "run", rooted, device="cpu", cache=cache).pictures == 15
    assert set(opened) == {"val"}
    assert len((tmp_path / "run" / "test_openings.jsonl").read_text().splitlines()) == 1


# 3. The activation landed on the output layer (softmax became SELU); hidden layers were always ReLU.


def check_activations(network, activation):
    hidden = [m for m in network.modules() if type(m).__module__ == "torch.nn.modules.activation"]
    assert hidden
    assert {type(module) for module in hidden} == {activation}
    network.eval()
    logits = torch.cat([network(torch.rand(64, 3, SIDE, SIDE) * scale) for scale in (0.1, 1, 10)])
    # Nothing bends the outputs: SELU has none below -1.76.
    assert logits.min() < -1.8
    *_, last = [m for m in network.modules() if not list(m.children())]
    assert isinstance(last, nn.Linear)


def test_3_the_activation_is_that_of_the_hidden_layers_and_of_no_output():
    def faulty():
        hidden = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 14 * 14, 16), nn.ReLU())
        return nn.Sequential(hidden, nn.Linear(16, 3), nn.SELU())

    config = NetworkConfig(blocks=2, filters=8, dense=(16,), activation="selu", input_size=SIDE, classes=3)
    network = build(config, 0)
    network.classifier.output.weight.data *= 10
    check_activations(network, nn.SELU)
    with pytest.raises(AssertionError):
        check_activations(faulty(), nn.SELU)


# 4. The configured architecture was thrown away by loading a saved model first.


def check_trained_as_configured(train_it, config, folder):
    trained = train_it(config, folder)
    assert trained.convolution(0).out_channels == config.filters
    assert [tuple(p.shape) for p in trained.parameters()] == [tuple(p.shape) for p in Network(config).parameters()]


def test_4_what_is_trained_is_what_is_configured(small_data, tiny, tmp_path):
    saved = build(tiny[0], 0)

    def ours(config, folder):
        fit(config, replace(tiny[1], epochs=1), small_data, folder)
        return checkpoint.load_run(folder).network

    def faulty(config, _folder):
        build(config, 0)
        return saved  # model = load_model("best_model.h5")

    config = replace(tiny[0], filters=7)
    check_trained_as_configured(ours, config, tmp_path / "run")
    with pytest.raises(AssertionError):
        check_trained_as_configured(faulty, config, tmp_path / "faulty")


def test_4_weights_of_another_architecture_are_refused(tiny, tmp_path):
    other = build(replace(tiny[0], filters=7), 0)
    with pytest.raises(CheckpointError, match=r"must fit the configured network.*size mismatch"):
        checkpoint.load_weights(build(tiny[0], 0), other.state_dict())


# 5. Validation pictures were augmented, and augmentation was frozen on the disk.


@pytest.fixture
def seen(monkeypatch):
    """What the network is shown: {"train": [batch, ...], "validation": [batch, ...]}, as numbers 0 to 255."""
    shown = {"train": [], "validation": []}
    real = Network.forward

    def spy(self, pictures):
        levels = pictures.float() if pictures.dtype == torch.uint8 else pictures * 255
        shown["train" if self.training else "validation"].append(levels.detach().clone())
        return real(self, pictures)

    monkeypatch.setattr(Network, "forward", spy)
    return shown


def check_augmentation(shown, data, epochs):
    raw = torch.from_numpy(np.array(data.validation.pixels)).permute(0, 3, 1, 2).float()
    for batch in shown["validation"]:
        assert torch.equal(batch, raw)
    train = torch.cat(shown["train"]).reshape(epochs, len(data.train), -1)
    sums = [sorted(epoch.sum(1).tolist()) for epoch in train]
    assert all(one != other for number, one in enumerate(sums) for other in sums[:number])


def test_5_training_batches_are_augmented_anew_and_validation_never(small_data, tiny, tmp_path, seen):
    fit(tiny[0], replace(tiny[1], augment=0.7), small_data, tmp_path / "run")
    check_augmentation(seen, small_data, 3)


def test_5_augmented_validation_would_be_seen(small_data, tiny, tmp_path, seen, monkeypatch):
    def faulty(network, feed, config):
        network.eval()
        for pictures, _ in feed.batches(np.arange(len(feed)), 256):
            network(transforms.augmented(pictures, transforms.draw(len(pictures), 0.7, torch.Generator())))
        return step.validate(network, feed, config)

    monkeypatch.setattr(engine, "validate", faulty)
    fit(tiny[0], replace(tiny[1], augment=0.7), small_data, tmp_path / "run")
    with pytest.raises(AssertionError):
        check_augmentation(seen, small_data, 3)


def test_5_frozen_augmentation_would_be_seen(small_data, tiny, tmp_path, seen, monkeypatch):
    def frozen(pictures, draws):
        return pictures.float() / 255  # saved once: every epoch sees the same

    monkeypatch.setattr(step, "augmented", frozen)
    fit(tiny[0], replace(tiny[1], augment=0.7), small_data, tmp_path / "run")
    with pytest.raises(AssertionError):
        check_augmentation(seen, small_data, 3)


# 7. The formula of the first question left out biases and the output layer.


def check_formula(count, config):
    assert count(config) == sum(parameter.numel() for parameter in Network(config).parameters())


def test_7_the_formula_counts_biases_and_the_output_layer():
    def faulty(config):
        m, k, n = config.filters, config.kernel, config.dense[0]
        return 3 * k * k * m + (config.blocks - 1) * m * m * k * k + config.sides[-1] ** 2 * m * n

    config = NetworkConfig(filters=8, input_size=32)
    check_formula(lambda config: formula(config)[0], config)
    with pytest.raises(AssertionError):
        check_formula(faulty, config)


# A sibling repository: `val_ds.dataset.transform = ...` on a shared data set switched off training augmentation.


def test_sides_share_nothing_that_could_switch_augmentation_off(small_data, tiny, tmp_path, seen):
    assert small_data.train is not small_data.validation
    assert not np.shares_memory(small_data.train.pixels, small_data.validation.pixels)
    assert not hasattr(small_data.train, "transform")
    with pytest.raises(AttributeError):
        small_data.validation.paths = ()
    fit(tiny[0], replace(tiny[1], augment=0.7, epochs=1), small_data, tmp_path / "run")
    raw = {row.tobytes() for row in np.array(small_data.train.pixels)}
    shown = torch.cat(seen["train"]).round().byte().permute(0, 2, 3, 1).numpy()
    assert not {row.tobytes() for row in shown} & raw


# Another fed pictures of 0 to 1 to a network that expects -1 to 1.


def check_scaling(network):
    pixels = torch.randint(0, 256, (4, 3, SIDE, SIDE), dtype=torch.uint8)
    network.eval()
    torch.testing.assert_close(network(pixels), network(pixels.float() / 255))


def test_scaling_is_part_of_the_network_and_the_same_for_bytes_and_fractions():
    class Faulty(nn.Module):
        def __init__(self):
            super().__init__()
            self.layers = nn.Sequential(nn.Flatten(), nn.Linear(3 * SIDE * SIDE, len(CLASSES)))

        def forward(self, pictures):
            return self.layers(pictures.float() / 127.5 - 1)

    check_scaling(build(NetworkConfig(blocks=2, filters=4, input_size=SIDE, classes=3), 0))
    with pytest.raises(AssertionError):
        check_scaling(Faulty())
