"""Exported files answer as their runs, say what they are, and are refused where they cannot be trusted."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import helper
from PIL import Image, ImageOps

from classifiers import export as exporting
from classifiers import graph
from classifiers.config import ACTIVATIONS, NetworkConfig
from classifiers.data import open_data
from classifiers.engine import fit
from classifiers.errors import CheckpointError, ExportError, InstallError
from classifiers.network import build
from classifiers.runtime import Model, read_facts, session
from classifiers.strategies import finetune, subject
from classifiers.tuning import TuneConfig


@pytest.fixture(scope="module")
def trained(folders, tmp_path_factory):
    """A run from scratch that has learnt something, its data, and its file."""
    data = open_data(folders, cache=tmp_path_factory.mktemp("cache"))
    network = NetworkConfig(blocks=2, filters=8, dense=(16,), input_size=16, classes=3, batch_norm="before")
    from classifiers.config import TrainConfig

    folder = tmp_path_factory.mktemp("exported")
    fit(network, TrainConfig(epochs=6, batch=16, rate=0.01, device="cpu"), data, folder / "run")
    exporting.export(folder / "run", data, folder / "fp32.onnx")
    return folder, data


def test_the_file_holds_everything_and_answers_as_the_run(trained):
    folder, data = trained
    facts = read_facts(folder / "fp32.onnx")
    assert facts.classes == data.classes
    values = facts.values
    assert values["split_hash"] == data.split_hash
    assert {"weights_sha256", "scores", "licence", "preprocessing", "parity", "commit"} <= set(values)
    assert values["parity"]["logits"] <= exporting.LOGITS_WITHIN
    assert values["parity"]["same"] == 1.0
    ask = exporting.asking(exporting.checkpoint.load_run(folder / "run").network)
    model = Model(folder / "fp32.onnx")
    for batch in (1, 2, 7):
        logits, prob = model.run(np.ascontiguousarray(data.validation.pixels[:batch]))
        np.testing.assert_allclose(logits, ask(data.validation.pixels[:batch]), rtol=1e-4, atol=1e-4)
        np.testing.assert_allclose(prob, exporting.softmax(logits / values["temperature"]), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", [(40, 30), (30, 41), (16, 16), (9, 11)])
def test_pictures_of_any_size_are_cut_and_scaled_as_in_training(trained, size):
    folder, _ = trained
    smooth = np.random.default_rng(0).integers(0, 256, (5, 5, 3), dtype=np.uint8)
    picture = Image.fromarray(smooth).resize(size, Image.Resampling.BICUBIC)
    side = min(size)
    left, top = (size[0] - side) // 2, (size[1] - side) // 2
    square = picture.crop((left, top, left + side, top + side))
    scaled = np.asarray(square.resize((16, 16), Image.Resampling.BICUBIC))
    assert np.asarray(ImageOps.fit(square, (16, 16), Image.Resampling.BICUBIC)).tolist() == scaled.tolist()
    model = Model(folder / "fp32.onnx")
    raw, _ = model.run(np.asarray(picture)[None])
    cut, _ = model.run(np.ascontiguousarray(scaled)[None])
    np.testing.assert_allclose(raw, cut, atol=0.02 * np.abs(cut).max())


@pytest.mark.parametrize("precision", ["fp16", "int8"])
def test_smaller_files_pass_their_gates(trained, precision):
    folder, data = trained
    found = exporting.export(folder / "run", data, folder / f"{precision}.onnx", precision)
    assert read_facts(found.path).precision == precision
    kinds = {node.op_type for node in onnx.load(found.path).graph.node}
    assert ("QuantizeLinear" in kinds) == (precision == "int8")
    assert found.parity.run_accuracy - found.parity.accuracy <= exporting.POINTS_LOST
    Model(found.path).run(np.ascontiguousarray(data.validation.pixels[:3]))


def test_a_fine_tuned_network_is_exported_by_the_command_and_predicts(folders, tmp_path, said):
    from classifiers.config import TrainConfig

    what = subject(TuneConfig(backbone="test_efficientnet", weights="none", size=32), 3, tmp_path)
    data = open_data(folders, size=32, cache=tmp_path)
    finetune(what, TrainConfig(epochs=2, device="cpu"), data, tmp_path / "run")
    file = tmp_path / "tuned.onnx"
    code, out, err = said("export", tmp_path / "run", folders, "--out", file, "--json")
    assert code == 0, err
    assert json.loads(out)["parity"]["same"] == 1.0
    code, out, err = said("predict", file, folders / "Aves", "--batch", 7)
    assert code == 0, err
    lines = [json.loads(line) for line in out.splitlines()]
    assert len(lines) == 20
    assert all(set(line) == {"picture", "class", "confidence", "abstains"} for line in lines)
    code, out, err = said("bench-onnx", file, "--rounds", 1, "--steps", 1, "--json")
    assert code == 0, err
    assert json.loads(out)[0]["pictures_per_s"] > 0


def test_a_video_is_predicted_frame_by_frame(trained, tmp_path, said):
    av = pytest.importorskip("av")
    file = tmp_path / "clip.mp4"
    with av.open(str(file), "w") as video:
        stream = video.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for level in range(6):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), level * 20, dtype=np.uint8), format="rgb24")
            video.mux(stream.encode(frame))
        video.mux(stream.encode())
    code, out, err = said("predict", trained[0] / "fp32.onnx", file, "--every", 2)
    assert code == 0, err
    assert [json.loads(line)["picture"].rpartition("#")[2] for line in out.splitlines()] == ["0", "2", "4"]
    (tmp_path / "no.mp4").write_text("no video")
    code, _, err = said("predict", trained[0] / "fp32.onnx", tmp_path / "no.mp4")
    assert (code, len(err.splitlines())) == (3, 1)


def spoilt(model, how):
    if how == "no metadata":
        del model.metadata_props[:]
    elif how == "other classes":
        values = {e.key: e.value for e in model.metadata_props}
        helper.set_model_props(model, {**values, "classifiers.classes": '["Aves", "Fungi"]'})
    elif how == "twice the same class":
        values = {e.key: e.value for e in model.metadata_props}
        helper.set_model_props(model, {**values, "classifiers.classes": '["Aves", "Fungi", "Fungi"]'})
    elif how == "no threshold":
        kept = {e.key: e.value for e in model.metadata_props if e.key != "classifiers.abstain_below"}
        del model.metadata_props[:]
        helper.set_model_props(model, kept)
    return model


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("no metadata", "written by `classifiers export`"),
        ("other classes", "an output 'logits' for each of its 2 classes"),
        ("twice the same class", "at least two different classes"),
        ("no threshold", "whole metadata"),
    ],
)
def test_files_that_do_not_say_what_they_are_are_refused(trained, folders, tmp_path, said, how, words):
    onnx.save(spoilt(onnx.load(trained[0] / "fp32.onnx"), how), tmp_path / "spoilt.onnx")
    code, _, err = said("predict", tmp_path / "spoilt.onnx", folders / "Aves")
    assert code == 4
    assert len(err.splitlines()) == 1
    assert words in err


def test_weights_in_another_file_are_refused(trained, folders, tmp_path, said):
    model = onnx.load(trained[0] / "fp32.onnx")
    onnx.save(model, tmp_path / "outside.onnx", save_as_external_data=True, location="weights.bin", size_threshold=0)
    with pytest.raises(CheckpointError, match="names another file"):
        read_facts(tmp_path / "outside.onnx")
    code, _, err = said("predict", tmp_path / "outside.onnx", folders / "Aves")
    assert (code, len(err.splitlines())) == (4, 1)
    assert "names another file" in err
    (tmp_path / "no.onnx").write_bytes(b"\x08no model")
    for name in ("no.onnx", "nowhere.onnx"):
        with pytest.raises(CheckpointError, match="must be an ONNX file"):
            read_facts(tmp_path / name)


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="there is a CUDA provider")
def test_a_provider_that_is_not_there_is_no_silent_fallback(trained, folders, said):
    code, out, err = said("predict", trained[0] / "fp32.onnx", folders / "Aves", "--provider", "cuda")
    assert (code, out) == (6, "")
    assert "provider cuda must be there" in err
    assert "onnxruntime-gpu" in err


def test_a_provider_that_gives_the_model_to_another_is_told(trained, monkeypatch):
    monkeypatch.setattr(
        onnxruntime, "get_available_providers", lambda: ["CUDAExecutionProvider", "CPUExecutionProvider"]
    )
    made = onnxruntime.InferenceSession

    def falls_back(source, options, providers):
        assert providers == ["CUDAExecutionProvider"]
        return made(source, options, providers=["CPUExecutionProvider"])

    monkeypatch.setattr(onnxruntime, "InferenceSession", falls_back)
    with pytest.raises(InstallError, match="fell back to CPUExecutionProvider"):
        session(trained[0] / "fp32.onnx", "cuda")


@pytest.mark.parametrize("precision", ["fp32", "fp16", "int8"])
def test_a_file_that_answers_otherwise_is_not_written(trained, tmp_path, monkeypatch, precision):
    folder, data = trained
    inner = graph.core

    def wrong(network, size, *, half=False):
        turned = type(network)(network.config)
        turned.load_state_dict(network.state_dict())
        with torch.no_grad():
            turned.classifier[-1].weight.neg_()
        return inner(turned, size, half=half)

    monkeypatch.setattr(exporting.graph, "core", wrong)
    with pytest.raises(ExportError, match="nothing is written"):
        exporting.export(folder / "run", data, tmp_path / "wrong.onnx", precision)
    assert not (tmp_path / "wrong.onnx").exists()


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_is_exported(activation, small_data):
    network = build(NetworkConfig(blocks=1, filters=4, dense=(4,), input_size=16, classes=3, activation=activation), 0)
    model = graph.whole(graph.core(network, 16), 16, 3, 1.0)
    found = exporting.compare(exporting.asking(network), model.SerializeToString(), small_data)
    assert found.logits <= exporting.LOGITS_WITHIN


def test_data_of_another_split_are_refused(trained, rooted, tmp_path):
    from classifiers.errors import ConfigError

    other = open_data(rooted, size=16, cache=tmp_path)
    with pytest.raises(ConfigError, match="data must be those of the run"):
        exporting.export(trained[0] / "run", other, tmp_path / "x.onnx")
    with pytest.raises(ConfigError, match="--precision"):
        exporting.export(trained[0] / "run", trained[1], tmp_path / "x.onnx", "fp8")


def test_abstention_is_the_lowest_confidence_that_keeps_the_promise():
    rng = np.random.default_rng(0)
    prob = rng.dirichlet([1, 1, 1], 200)
    labels = np.where(rng.random(200) < prob.max(1), prob.argmax(1), (prob.argmax(1) + 1) % 3)
    threshold = exporting.abstention(prob, labels, 0.8)
    kept = prob.max(1) >= threshold
    assert (prob.argmax(1) == labels)[kept].mean() >= 0.8
    for lower in sorted(prob.max(1)[~kept]):
        assert (prob.argmax(1) == labels)[prob.max(1) >= lower].mean() < 0.8
    assert exporting.abstention(prob, (prob.argmax(1) + 1) % 3, 0.5) == 1.0
