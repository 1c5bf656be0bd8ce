from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from onnx import TensorProto

from railwatch.core.errors import InstallError, ModelError, ProviderError
from railwatch.core.provider import Provider
from railwatch.core.types import Affine, Region, Sample, SampleForm, Size
from railwatch.perception import detector as detector_module
from railwatch.perception import session as session_module
from railwatch.perception.detector import OnnxDetector, open_detector
from railwatch.perception.engines import engine_folder, engine_options
from railwatch.perception.manifest import Manifest
from railwatch.perception.model import describe_model
from tests.perception.onnx_models import (
    brightness_model,
    constant_model,
    own_metadata,
    save,
    ultralytics_metadata,
)

NO_MANIFEST = Manifest(Path(), (), None)
WHOLE = Region(0, 0, 32, 32)
SAME = Affine(1.0, 1.0, 0.0, 0.0)
ONE_BOX = np.array([[4, 8, 20, 24, 0.75, 1], [0, 0, 9, 9, 0.05, 0]], np.float32)


@pytest.fixture
def opened(tmp_path):
    """Save a model and open it."""

    def open_model(model, confidence=0.1, **options):
        description = describe_model(save(model, tmp_path / "model.onnx"), NO_MANIFEST)
        return OnnxDetector(description, confidence=confidence, threads=1, **options)

    return open_model


def sample(detector, value=0, affine=SAME, bounds=WHOLE):
    size = detector.form.size
    return Sample(np.full((size.height, size.width, 3), value, np.uint8), detector.form, affine, bounds)


def test_a_known_box_comes_out(opened):
    detector = opened(constant_model(ONE_BOX, metadata=own_metadata()))
    (found,) = detector.detect([sample(detector)])
    np.testing.assert_allclose(found.xyxy, [(4, 8, 20, 24)])
    assert found.confidence.tolist() == [0.75]
    assert [detector.class_names[index] for index in found.class_id] == ["dog"]


def test_boxes_lead_back_to_the_frame_and_are_clipped_to_the_part_shown(opened):
    detector = opened(constant_model(ONE_BOX, metadata=own_metadata()))
    tile = sample(detector, affine=Affine(10.0, 5.0, 100.0, -20.0), bounds=Region(150, 0, 250, 300))
    (found,) = detector.detect([tile])
    np.testing.assert_allclose(found.xyxy, [(150, 20, 250, 100)])


def test_a_box_wholly_in_the_padding_is_left_out(opened):
    detector = opened(constant_model(ONE_BOX, metadata=own_metadata()))
    (found,) = detector.detect([sample(detector, bounds=Region(0, 24, 32, 32))])
    assert len(found) == 0


@pytest.mark.parametrize("batch", [1, "n"])
def test_every_sample_gets_its_own_boxes_in_order(opened, batch):
    """The left edge tells the brightness of the sample: more samples than fit a batch, from several cameras."""
    detector = opened(brightness_model(batch=batch, metadata=own_metadata()))
    values = [number % 29 for number in range(2 * detector_module.MAX_BATCH + 3)]
    cameras = [Affine(1.0, 1.0, 100.0 * number, 0.0) for number in range(len(values))]
    samples = [
        sample(detector, value, affine, Region(0, 0, 10_000, 32)) for value, affine in zip(values, cameras, strict=True)
    ]
    found = detector.detect(samples)
    lefts = [float(boxes.xyxy[0, 0]) for boxes in found]
    assert lefts == [value + 100.0 * number for number, value in enumerate(values)]
    assert detector.detect([]) == []


def test_pixels_reach_the_network_in_order_and_scale(opened):
    """Red, green, blue of a pixel and its place, with a white pixel as 1."""
    detector = opened(brightness_model(metadata=own_metadata(pixel_max="1")))
    tensor = np.zeros((32, 32, 3), np.uint8)
    tensor[0, 0] = (51, 102, 204)
    (found,) = detector.detect([Sample(tensor, detector.form, SAME, WHOLE)])
    np.testing.assert_allclose(found.xyxy[0, 0], 0.2, rtol=1e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("scale", [1.0, 1 / 255])
def test_filling_is_a_scaled_transposition(dtype, scale):
    tensor = np.random.default_rng(5).integers(0, 256, (24, 40, 3), np.uint8)
    target = np.empty((3, 24, 40), dtype)
    planes = [np.empty((24, 40), np.uint8) for _ in range(3)]
    detector_module._fill(target, tensor, planes, scale)
    expected = tensor.transpose(2, 0, 1) * scale
    np.testing.assert_allclose(target, expected, rtol=1e-6 if dtype is np.float32 else 2e-3)


def test_a_float16_model_runs(opened):
    network = constant_model(ONE_BOX, input_type=TensorProto.FLOAT16, metadata=own_metadata())
    detector = opened(network)
    assert len(detector.detect([sample(detector)])[0]) == 1


def test_boxes_below_the_confidence_are_left_out(opened):
    network = constant_model(ONE_BOX, metadata=own_metadata())
    for confidence, count in ((0.05, 2), (0.1, 1), (0.8, 0)):
        detector = opened(network, confidence)
        assert len(detector.detect([sample(detector)])[0]) == count


@pytest.mark.parametrize("confidence", [-0.1, 1.1, float("nan")])
def test_a_confidence_out_of_range_is_refused(opened, confidence):
    with pytest.raises(ValueError, match="confidence must be 0 to 1"):
        opened(constant_model(ONE_BOX, metadata=own_metadata()), confidence)


def test_the_same_samples_give_the_same_boxes(opened):
    output = np.random.default_rng(1).random((6, 21)).astype(np.float32)
    detector = opened(constant_model(output, metadata=ultralytics_metadata()))
    first, second = (detector.detect([sample(detector)])[0] for _ in range(2))
    np.testing.assert_array_equal(first.xyxy, second.xyxy)
    np.testing.assert_array_equal(first.confidence, second.confidence)


def test_a_network_that_gives_nan_is_refused_before_the_first_frame(opened):
    bad = ONE_BOX.copy()
    bad[1, 2] = np.nan
    with pytest.raises(ModelError, match="on an empty picture: the model gave NaN"):
        opened(constant_model(bad, metadata=own_metadata()))


def test_nan_on_a_later_frame_raises_and_is_not_nothing(opened):
    network = brightness_model(metadata=own_metadata())
    network.graph.node[2].op_type = "Div"
    network.graph.node[2].input[:] = ["first", "left"]  # 1 / 0 for a black picture
    detector = opened(network)
    assert len(detector.detect([sample(detector, 200)])[0]) == 1
    with pytest.raises(ModelError, match="NaN or infinity"):
        detector.detect([sample(detector, 200), sample(detector, 0)])


def test_the_native_library_failing_on_a_frame_is_a_model_error(opened, monkeypatch):
    detector = opened(constant_model(ONE_BOX, metadata=own_metadata()))
    monkeypatch.setattr(detector, "_input", np.zeros((1, 3, 64, 64), np.float32))
    monkeypatch.setattr(detector_module, "_fill", lambda *_: None)
    with pytest.raises(ModelError, match=r"the model failed on a frame .*InvalidArgument"):
        detector.detect([sample(detector)])


def test_a_sample_of_another_form_is_refused(opened):
    detector = opened(constant_model(ONE_BOX, metadata=own_metadata()))
    other = Sample(np.zeros((32, 32, 3), np.uint8), SampleForm(Size(32, 32), "bgr", "center"), SAME, WHOLE)
    with pytest.raises(ValueError, match="must have the form"):
        detector.detect([sample(detector), other])


@pytest.mark.parametrize("provider", [Provider.CUDA, Provider.TENSORRT, Provider.OPENVINO])
def test_a_provider_that_is_not_there_is_refused_with_the_remedy(opened, provider):
    if session_module._CHOICES[provider].providers[0][0] in session_module._runtime().get_available_providers():
        pytest.skip(f"this machine has {provider.value}")
    with pytest.raises(ProviderError, match=rf"provider {provider.value} must be installed, but .*CPUExecution.*pip"):
        opened(constant_model(ONE_BOX, metadata=own_metadata()), provider=provider)


class FallenBack:
    """A runtime that says it has CUDA and then runs on the CPU, as ONNX Runtime does without the CUDA libraries."""

    def __init__(self, real):
        self.real = real

    def __getattr__(self, name):
        return getattr(self.real, name)

    def get_available_providers(self):
        return ["CUDAExecutionProvider", "CPUExecutionProvider"]

    def preload_dlls(self):
        pass

    def InferenceSession(self, model, options, providers, **others):  # noqa: N802 - the name in onnxruntime
        assert [name for name, _ in providers] == ["CUDAExecutionProvider"]
        return self.real.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def test_a_silent_fall_back_to_the_cpu_is_refused(monkeypatch):
    network = constant_model(ONE_BOX, metadata=own_metadata()).SerializeToString()
    real = session_module._runtime()
    monkeypatch.setattr(session_module, "_runtime", lambda: FallenBack(real))
    with pytest.raises(ProviderError, match="fell back to CPUExecutionProvider"):
        session_module.open_session(network, Provider.CUDA)


def test_a_provider_that_cannot_start_is_a_provider_error(monkeypatch):
    real = session_module._runtime()
    runtime = FallenBack(real)
    monkeypatch.setattr(session_module, "_runtime", lambda: runtime)
    with pytest.raises(ProviderError, match="cannot be opened on provider cuda"):
        session_module.open_session(b"as if CUDA had failed", Provider.CUDA)


class WithTensorRt(FallenBack):
    """A runtime that says it has TensorRT, keeps what it was asked for, and runs on the CPU under that name."""

    def __init__(self, real):
        super().__init__(real)
        self.asked = []

    def get_available_providers(self):
        return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"]

    def InferenceSession(self, model, options, providers, **others):  # noqa: N802 - the name in onnxruntime
        self.asked.append(providers)
        session = self.real.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        session.get_providers = lambda: [name for name, _ in providers]
        return session


def test_tensorrt_keeps_its_engines_and_says_what_the_wait_is_for(opened, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    runtime = WithTensorRt(session_module._runtime())
    description = opened(constant_model(ONE_BOX, batch="n", metadata=own_metadata())).description
    monkeypatch.setattr(session_module, "_runtime", lambda: runtime)
    monkeypatch.setattr(detector_module, "describe_model", lambda _: description)
    said = []
    open_detector(description.file, confidence=0.1, provider=Provider.TENSORRT, say=said.append)
    ((name, options), (second, _)) = runtime.asked[-1]
    assert (name, second) == ("TensorrtExecutionProvider", "CUDAExecutionProvider")
    folder = Path(options["trt_engine_cache_path"])
    assert folder.is_relative_to(tmp_path / "cache" / "railwatch" / "tensorrt")
    assert folder.name.startswith(description.sha256[:16])
    assert folder.stat().st_mode & 0o777 == 0o700
    assert "builds its engines" in said[-1]
    (folder / "network_sm90.engine").touch()
    open_detector(description.file, confidence=0.1, provider=Provider.TENSORRT, say=said.append)
    assert "loads the engines" in said[-1]


def test_engines_of_another_model_or_runtime_lie_elsewhere():
    folders = {engine_folder(model, version) for model in (b"a", b"b") for version in ("1.20", "1.21")}
    assert len(folders) == 4


def test_a_cache_that_cannot_be_written_is_told(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(ProviderError, match="set XDG_CACHE_HOME"):
        engine_options(tmp_path / "file" / "engines", lambda _: None)


def test_a_missing_onnx_runtime_is_told_with_the_remedy(monkeypatch):
    def missing(name):
        raise ModuleNotFoundError(f"No module named {name!r}")

    monkeypatch.setattr(session_module.importlib, "import_module", missing)
    with pytest.raises(InstallError, match=r"pip install 'railwatch\[cpu\]'"):
        session_module._runtime.__wrapped__()


def test_a_file_replaced_after_it_was_described_is_refused(tmp_path):
    path = save(constant_model(ONE_BOX, metadata=own_metadata()), tmp_path / "model.onnx")
    description = describe_model(path, NO_MANIFEST)
    save(constant_model(ONE_BOX * 0, metadata=own_metadata()), path)
    with pytest.raises(ModelError, match="it was replaced"):
        OnnxDetector(description, confidence=0.1)


def test_a_pinned_file_must_have_its_hash(tmp_path):
    path = save(constant_model(ONE_BOX, metadata=own_metadata()), tmp_path / "model.onnx")
    detector = open_detector(path, confidence=0.1, threads=1)
    assert open_detector(path, confidence=0.1, threads=1, sha256=detector.model_sha256.upper()).model_sha256
    with pytest.raises(ModelError, match="not the file that was approved"):
        open_detector(path, confidence=0.1, sha256="0" * 64)
