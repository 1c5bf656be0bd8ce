from __future__ import annotations

import subprocess
import sys
from importlib.metadata import PathDistribution

import pytest

from railwatch.core.errors import InstallError
from railwatch.perception.runtime import CV2_NAME, RUNTIME_NAME, check_runtime, installed


@pytest.fixture
def distribution(tmp_path):
    """Makes an installed distribution: its metadata, and the list of its files when there is one."""

    def make(name, version="1.20.0", files=None):
        folder = tmp_path / f"{name.replace('-', '_')}-{version}-{len(list(tmp_path.iterdir()))}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        if files is not None:
            (folder / "RECORD").write_text("".join(f"{file},,\n" for file in files))
        return PathDistribution(folder)

    return make


@pytest.mark.parametrize(
    "other", ["onnxruntime-gpu", "onnxruntime_openvino", "onnxruntime-directml", "ONNXRuntime.QNN", "ort-nightly"]
)
def test_two_onnx_runtimes_are_refused_with_their_names_and_the_remedy(distribution, other):
    both = [distribution("onnxruntime", files=["onnxruntime/__init__.py"]), distribution(other)]
    with pytest.raises(InstallError, match=r"exactly one ONNX Runtime.*pip uninstall -y .*railwatch\[cuda\]") as caught:
        check_runtime(both)
    assert "onnxruntime 1.20.0" in str(caught.value)
    assert other.lower().replace("_", "-").replace(".", "-") in str(caught.value)


@pytest.mark.parametrize("name", ["onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"])
def test_one_onnx_runtime_is_accepted(distribution, name):
    check_runtime([distribution(name), distribution("numpy")])


def test_no_onnx_runtime_is_left_to_the_importer(distribution):
    check_runtime([distribution("numpy"), distribution("onnx"), distribution("myonnxruntime")])


def test_a_helper_that_writes_another_package_is_no_runtime(distribution):
    helper = distribution("onnxruntime-extensions", files=["onnxruntime_extensions/__init__.py"])
    check_runtime([distribution("onnxruntime"), helper])


def test_the_same_distribution_twice_on_the_path_is_one(distribution):
    check_runtime([distribution("onnxruntime", "1.20.0"), distribution("onnxruntime", "1.19.0")])


def test_every_distribution_of_opencv_is_known(distribution):
    names = ["opencv-python", "opencv-python-headless", "opencv-contrib-python", "opencv-contrib-python-headless"]
    found = installed(CV2_NAME, "cv2", [distribution(name) for name in [*names, "opencv-stubs"]])
    assert list(found) == sorted(names)


def test_this_environment_has_one_onnx_runtime():
    assert len(installed(RUNTIME_NAME, "onnxruntime")) == 1
    check_runtime()


def test_the_check_imports_no_native_library():
    code = (
        "import sys; from railwatch.perception.runtime import check_runtime; check_runtime();"
        "sys.exit(bool({'numpy', 'cv2', 'onnxruntime', 'av'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
