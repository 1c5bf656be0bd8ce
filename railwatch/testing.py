"""Stand-ins for the parts that need a camera, a model or a network, for tests of this project and of users.

They keep the contracts of what they stand for: a source has times that do not go backwards, a script that has run out
is a failure and never "nothing found", and alerts must be numbered and fit the wire.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self

import numpy as np

from railwatch.core.alerts import Alert
from railwatch.core.errors import MessagingError, ModelError
from railwatch.core.types import Detections, Detector, Frame, Sample, SampleForm, Size, UInt8Array
from railwatch.messaging.heartbeat import StatusBody
from railwatch.messaging.wire import encode_alert
from railwatch.perception.picture import BgrPicture
from railwatch.perception.source import Source, SourceInfo

CAPTURED_AT: Final = "2000-01-01T00:00:00.000Z"
"""What every frame of a ListSource carries, so that equal tests give equal output."""

FORM: Final = SampleForm(Size(64, 64), "bgr", "top_left")
"""Form of the samples of a FakeDetector that is not told another."""

Script = Sequence[Detections | Exception]


def detections(*rows: tuple[float, float, float, float, float, int]) -> Detections:
    """Detections from rows of left, top, right, bottom (pixels), confidence (0 to 1) and class_id.

    >>> len(detections((10, 10, 30, 60, 0.9, 0), (50, 10, 70, 60, 0.8, 0)))
    2
    """
    table = np.array(rows, np.float64).reshape(-1, 6)
    xyxy, confidence = table[:, :4].astype(np.float32), table[:, 4].astype(np.float32)
    return Detections(xyxy, confidence, table[:, 5].astype(np.int64))


def solid_picture(size: Size, bgr: tuple[int, int, int] = (128, 128, 128)) -> UInt8Array:
    """A picture of one colour, (H, W, 3) uint8 BGR.

    >>> solid_picture(Size(4, 2)).shape
    (2, 4, 3)
    """
    return np.full((size.height, size.width, 3), bgr, np.uint8)


class FakeDetector:
    """A detector that finds what it is told to.

    `script` holds what to say of each sample in turn, an exception being raised instead; when it has run out, `detect`
    raises ModelError. Or it is a function of the sample. `seen` counts the samples looked at.

    >>> detector = FakeDetector([detections((10, 10, 30, 60, 0.9, 0))])
    >>> sample = BgrPicture(solid_picture(Size(64, 64))).sample(None, detector.form)
    >>> [len(found) for found in detector.detect([sample])], detector.seen
    ([1], 1)
    """

    def __init__(
        self,
        script: Script | Callable[[Sample], Detections],
        *,
        class_names: tuple[str, ...] = ("person",),
        form: SampleForm = FORM,
        model_sha256: str = "0" * 64,
    ) -> None:
        self._script = script
        self.class_names = class_names
        self.form = form
        self.model_sha256 = model_sha256
        self.seen = 0

    def detect(self, samples: Sequence[Sample]) -> list[Detections]:
        """What the script says of each sample. Raises ModelError on a sample of another form or at the script's end."""
        return [self._one(sample) for sample in samples]

    def _one(self, sample: Sample) -> Detections:
        if sample.form != self.form:
            raise ModelError(f"a sample must have the form {self.form}, but has {sample.form}")
        index, self.seen = self.seen, self.seen + 1
        if callable(self._script):
            return self._script(sample)
        if index >= len(self._script):
            raise ModelError(
                f"the script of the fake detector has {len(self._script)} entries, but sample {index} came"
            )
        said = self._script[index]
        if isinstance(said, Exception):
            raise said
        return said


class ListSource:
    """A source of pictures (H, W, 3) uint8 BGR of one size at the given times, seconds, not going backwards.

    It ends as a file does, or with `failure` as a camera does. Raises ValueError for what no source may give.

    >>> with ListSource([solid_picture(Size(8, 6))] * 2, [0.0, 0.2]) as source:
    ...     [(frame.index, frame.t_s) for frame in source.frames()]
    [(0, 0.0), (1, 0.2)]
    """

    def __init__(
        self,
        pictures: Sequence[UInt8Array],
        times_s: Sequence[float],
        camera_id: str = "cam",
        *,
        failure: Exception | None = None,
    ) -> None:
        if not pictures or len(pictures) != len(times_s):
            raise ValueError(f"every picture needs a time, but there are {len(pictures)} and {len(times_s)}")
        if list(times_s) != sorted(times_s):
            raise ValueError(f"times_s must not go backwards, but are {list(times_s)}")
        self._pictures = [BgrPicture(picture.copy()) for picture in pictures]
        if len({picture.size for picture in self._pictures}) != 1:
            raise ValueError("the pictures of a source must have one size")
        self._times_s, self._failure = tuple(times_s), failure
        self._read = False
        self.camera_id = camera_id
        self.closed = False
        duration_s = self._times_s[-1] - self._times_s[0]
        self.info = SourceInfo(
            self._pictures[0].size, None, len(pictures), duration_s, live=failure is not None, description="a list"
        )

    def frames(self) -> Iterator[Frame]:
        """Every picture once, then the failure if there is one; ValueError when asked for a second time."""
        if self._read:
            raise ValueError("the frames of a source can be read once, but were asked for twice")
        self._read = True
        return self._frames()

    def _frames(self) -> Iterator[Frame]:
        for index, (t_s, picture) in enumerate(zip(self._times_s, self._pictures, strict=True)):
            yield Frame(self.camera_id, index, t_s, t_s, CAPTURED_AT, picture)
        if self._failure is not None:
            raise self._failure

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryPublisher:
    """A publisher that keeps what it is given in `alerts` and `statuses` and opens no socket.

    It refuses what `messaging.publisher.Publisher` refuses: a seq that is not the next, an alert that breaks the wire
    format, anything after `close`.
    """

    def __init__(self, *, subscribers: int = 0) -> None:
        self.alerts: list[Alert] = []
        self.statuses: list[StatusBody] = []
        self.subscribers = subscribers
        self.closed = False

    def publish(self, alert: Alert) -> None:
        """Keep an alert. Raises ValueError, WireError and MessagingError as the publisher does."""
        self._check_open()
        encode_alert(alert)
        if self.alerts and (alert.site_id, alert.epoch) != (self.alerts[0].site_id, self.alerts[0].epoch):
            first = self.alerts[0]
            raise ValueError(f"alerts must be of {first.site_id!r} {first.epoch}, but one is of another site or epoch")
        if alert.seq != len(self.alerts) + 1:
            raise ValueError(f"seq must be {len(self.alerts) + 1}, but is {alert.seq}")
        self.alerts.append(alert)

    def set_status(self, body: StatusBody) -> None:
        """Keep a state. Raises MessagingError once closed."""
        self._check_open()
        self.statuses.append(body)

    def wait_subscribers(self, count: int, timeout_s: float) -> bool:  # noqa: ARG002 - the publisher's signature
        """Whether `count` subscribers are there, at once."""
        self._check_open()
        return self.subscribers >= count

    def close(self) -> None:
        """Take nothing more; may be called twice."""
        self.closed = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _check_open(self) -> None:
        if self.closed:
            raise MessagingError("the publisher was closed: it takes nothing more")


if TYPE_CHECKING:  # the type checker holds that the stand-ins meet the protocols
    _detector: Detector = FakeDetector([])
    _source: Source = ListSource([], [])
