"""Explanations are right: by hand, by finite differences, and by shuffled weights."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from classifiers import explain as e
from classifiers.config import ACTIVATIONS, NetworkConfig
from classifiers.errors import ConfigError
from classifiers.explain import Neuron
from classifiers.guided import ACTIVATIONS as GUIDED
from classifiers.guided import watched
from classifiers.network import build

STEP = 1e-5


def tiny(activation, *, positive=False, seed=1):
    """Two convolutions in float64 on 6 x 6 pictures, the activation after each."""
    generator = torch.Generator().manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 4, 3), activation(), nn.Conv2d(4, 2, 3), activation(), nn.Flatten(), nn.Linear(8, 3)
    ).double()
    for values in network.parameters():
        drawn = torch.randn(values.shape, generator=generator, dtype=torch.float64) * 0.5
        values.data = drawn.abs() if positive else drawn
    return network


def picture(seed=0, side=6):
    """A random picture in float64."""
    return torch.rand(3, side, side, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def modules():
    return {"relu": nn.ReLU, "elu": nn.ELU, "selu": nn.SELU, "gelu": nn.GELU, "silu": nn.SiLU, "mish": nn.Mish}


def slope(function, values):
    """f' by central differences."""
    return (function(values + STEP) - function(values - STEP)) / (2 * STEP)


def by_hand(network, image, neuron):
    """Guided backpropagation written out: slopes by differences, convolutions turned around by their definition."""
    first, activation, second, _ = network[:4]
    before_first = first(image[None])
    before_second = second(activation(before_first))
    gradient = torch.zeros_like(before_second)
    gradient[0, neuron.channel, neuron.row, neuron.column] = 1.0
    gradient = gradient * slope(activation, before_second).clamp(min=0)
    gradient = functional.conv_transpose2d(gradient, second.weight)
    gradient = gradient.clamp(min=0) * slope(activation, before_first).clamp(min=0)
    return functional.conv_transpose2d(gradient, first.weight)[0].detach().numpy()


def test_every_activation_of_a_network_can_be_guided():
    assert set(GUIDED) == set(ACTIVATIONS) == set(modules())


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_guided_backpropagation_is_what_the_definition_gives(name):
    network, image = tiny(modules()[name]), picture()
    for neuron in (Neuron(0, 0, 0), Neuron(1, 1, 0)):
        found = e.guided_backpropagation(network, image, (neuron,))[0]
        np.testing.assert_allclose(found, by_hand(network, image, neuron), atol=1e-5)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_guided_backpropagation_is_not_the_plain_gradient(name):
    """The fault of hooks that know nn.ReLU only: for every other activation they give this gradient."""
    network, image = tiny(modules()[name]), picture()
    given = image[None].clone().requires_grad_()
    watched(network, given)[1][0, 1, 0, 0].backward()
    found = e.guided_backpropagation(network, image, (Neuron(1, 0, 0),))[0]
    assert np.abs(found - given.grad[0].numpy()).max() > 0.01


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_guided_backpropagation_is_the_finite_difference_where_all_is_positive(name):
    network, image = tiny(modules()[name], positive=True), picture()
    neuron = Neuron(1, 1, 1)
    found = e.guided_backpropagation(network, image, (neuron,))[0]
    with torch.no_grad():
        for place in ((0, 1, 1), (1, 3, 4), (2, 5, 5), (0, 0, 0)):
            shift = torch.zeros_like(image)
            shift[place] = STEP
            ends = [watched(network, (image + sign * shift)[None])[1][0, 1, 1, 1] for sign in (1, -1)]
            assert found[place] == pytest.approx(float(ends[0] - ends[1]) / (2 * STEP), rel=1e-4, abs=1e-6)


def test_the_index_of_the_neuron_matters():
    """The fault of the original: its index was never used, so every neuron had the same picture."""
    network = build(NetworkConfig(blocks=2, filters=4, input_size=16, dense=(8,), activation="elu"), 0)
    image = picture(side=16).float()
    neurons = (Neuron(0, 0, 0), Neuron(0, 7, 7), Neuron(1, 0, 0))
    maps = e.guided_backpropagation(network, image, neurons)
    for one, two in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(maps[one] - maps[two]).max() > 1e-4
    # A neuron at the top left sees nothing of the bottom right, and the other way round.
    assert np.abs(maps[0]).max() > 0 < np.abs(maps[1]).max()
    assert not maps[0][:, 9:, 9:].any()
    assert not maps[1][:, :7, :7].any()


class Functional(nn.Module):
    """Activations called as functions, one of them in place: hooks on modules never see them."""

    def __init__(self, network):
        super().__init__()
        self.inner = network

    def forward(self, pictures):
        first = functional.relu(self.inner[0](pictures), inplace=True)
        return self.inner[5](self.inner[4](torch.relu(self.inner[2](first))))


def test_activations_called_as_functions_are_guided_too():
    network, image = tiny(nn.ReLU), picture()
    neurons = (Neuron(0, 1, 1),)
    found = e.guided_backpropagation(Functional(network), image, neurons)
    np.testing.assert_array_equal(found, e.guided_backpropagation(network, image, neurons))


class Gate(nn.Module):
    """SiLU written by hand."""

    def forward(self, values):
        return values * torch.sigmoid(values)


class Product(nn.Module):
    """A gate without any named function."""

    def forward(self, values):
        return values * values


@pytest.mark.parametrize(
    ("activation", "named"),
    [(nn.Tanh, "tanh"), (nn.Sigmoid, "sigmoid"), (nn.LeakyReLU, "leaky_relu"), (Gate, "sigmoid"), (Product, "mul"),
     (nn.Softplus, "softplus"), (nn.Hardswish, "hardswish"), (lambda: nn.Threshold(0.1, 0.0), "threshold")],
)  # fmt: skip
def test_what_cannot_be_guided_is_refused_by_name(activation, named):
    with pytest.raises(ConfigError, match=named):
        e.guided_backpropagation(tiny(activation), picture(), (Neuron(0, 0, 0),))


def test_what_comes_after_the_last_convolution_is_on_no_neurons_way():
    network = nn.Sequential(*tiny(nn.ReLU), nn.Softmax(1))
    assert e.guided_backpropagation(network, picture(), (Neuron(0, 1, 1),)).any()


def test_the_mode_of_the_network_and_its_weights_are_left_as_they_were():
    network = build(NetworkConfig(blocks=2, filters=4, input_size=16, dense=(8,), batch_norm="before"), 0).train()
    before = {name: values.clone() for name, values in network.state_dict().items()}
    e.explain(network, picture(side=16).float(), "a", tuple("abcdefghij"), neurons=3)
    assert network.training
    assert all(torch.equal(values, before[name]) for name, values in network.state_dict().items())
    assert all(values.grad is None for values in network.parameters())


def test_the_strongest_neurons_are_of_different_channels_while_there_are_enough():
    network, image = build(NetworkConfig(blocks=2, filters=4, input_size=16, dense=(8,)), 0), picture(side=16).float()
    assert {n.channel for n in e.strongest_neurons(network, image, 4)} == {0, 1, 2, 3}
    ten = e.strongest_neurons(network, image, 10)
    assert len(set(ten)) == 10
    units = watched(network, image[None])[1][0]
    assert all(units[n.channel, n.row, n.column] == units[n.channel].max() for n in ten[:4])
    with pytest.raises(ConfigError, match="from 1 to the 256 units"):
        e.strongest_neurons(network, image, 257)
    with pytest.raises(ConfigError, match="must lie within"):
        e.guided_backpropagation(network, image, (Neuron(4, 0, 0),))


def test_a_network_without_convolution_is_refused():
    with pytest.raises(ConfigError, match="has none"):
        e.grad_cam(nn.Sequential(nn.Flatten(), nn.Linear(108, 2)).double(), picture(), 0)


def test_grad_cam_is_what_the_definition_gives():
    network, image = tiny(nn.ReLU, seed=3), picture()
    units = watched(network, image[None])[1].detach()[0]
    weights = network[5].weight[2].detach().view(2, 2, 2).mean((1, 2))
    coarse = (weights[:, None, None] * units).sum(0).clamp(min=0)
    wanted = functional.interpolate(coarse[None, None], size=(6, 6), mode="bilinear", align_corners=False)[0, 0]
    np.testing.assert_allclose(e.grad_cam(network, image, 2), wanted.numpy(), atol=1e-6)


def test_integrated_gradients_of_a_linear_network_are_weight_times_difference():
    network, image = nn.Sequential(nn.Flatten(), nn.Linear(108, 2)).double(), picture()
    found, gap = e.integrated_gradients(network, image, 1, baseline=0.25, steps=4)
    np.testing.assert_allclose(found, (network[1].weight[1].view(3, 6, 6) * (image - 0.25)).detach().numpy(), atol=1e-6)
    assert gap < 1e-6


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_integrated_gradients_add_up_to_the_difference_of_the_logits(name):
    network, image = tiny(modules()[name]), picture()
    found, gap = e.integrated_gradients(network, image, 0)
    ends = network(torch.stack([image, torch.full_like(image, 0.5)]))[:, 0].detach()
    assert found.sum() == pytest.approx(float(ends[0] - ends[1]), abs=0.02 * abs(float(ends[0] - ends[1])) + 0.01)
    assert gap < 0.05


@pytest.mark.parametrize("name", ["guided backpropagation", "Grad-CAM", "integrated gradients"])
def test_maps_degrade_as_the_weights_are_shuffled(name):
    network = build(NetworkConfig(blocks=3, filters=8, input_size=32, dense=(8,)), 0)
    images = torch.stack([picture(seed, 32).float() for seed in range(2)])
    neurons = e.strongest_neurons(network, images[0], 4)
    found = e.check(network, images, e.methods(neurons, 3)[name])
    assert found.layers[0] == "classifier.output"
    assert found.layers[-1] == "features.block1.convolution"
    assert found.similarity[-1] < 0.6
    if name == "guided backpropagation":
        assert found.similarity[0] == pytest.approx(1.0)  # the output layer is above the neurons
        assert found.similarity[-1] < found.similarity[0] - 0.3


def test_a_map_that_ignores_the_weights_is_found_out():
    network = build(NetworkConfig(blocks=2, filters=4, input_size=16, dense=(8,)), 0)
    found = e.check(network, picture(side=16).float()[None], lambda _, image: e.edges(image)[None])
    assert set(found.similarity) == {1.0}
    assert found.edges == 1.0
    assert found.verdict.startswith("shows the picture more than the network")


def test_shuffling_keeps_every_layers_values_and_the_network_itself():
    network = build(NetworkConfig(blocks=2, filters=4, input_size=16, dense=(8,)), 0)
    before = network.classifier.output.weight.clone()
    name, shuffled = next(iter(e.shuffled_from_the_top(network)))
    assert name == "classifier.output"
    assert torch.equal(network.classifier.output.weight, before)
    assert torch.equal(shuffled.classifier.output.weight.flatten().sort()[0], before.flatten().sort()[0])
    assert not torch.equal(shuffled.classifier.output.weight, before)
    assert torch.equal(shuffled.classifier.dense1.weight, network.classifier.dense1.weight)


def test_the_command_writes_figures_and_the_check(folders, said, tmp_path):
    from tests.classifiers.conftest import SMALL

    assert said("train", folders, "--out", tmp_path / "run", *SMALL)[0] == 0
    pictures = sorted((folders / "Aves").iterdir())[:2]
    out = tmp_path / "explained"
    code, said_out, err = said("explain", tmp_path / "run", "--images", *pictures, "--out", out, "--neurons", "2")
    assert code == 0, err
    assert {path.name for path in out.iterdir()} == {
        *("guided-00.png", "guided-01.png", "methods.png", "check.png", "explain.json")
    }
    assert "once every layer is shuffled" in said_out
    code, _, err = said("explain", tmp_path / "run", "--images", tmp_path / "none.png", "--out", out)
    assert (code, "cannot be read" in err) == (3, True)
    code, _, err = said("explain", tmp_path / "run", "--images", folders, "--out", out)
    assert (code, "1 to 64 pictures" in err) == (2, True)
