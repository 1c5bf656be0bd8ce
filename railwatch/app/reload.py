"""A change of the configuration in one step: what is new is made ready first, then all of it counts, or nothing does.

Groups whose model, tracker or class groups change get a new worker, which takes over when it is ready; the others go on
with their worker, so that unchanged cameras keep their tracks.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from railwatch.app.worker_lives import Life
from railwatch.app.workers import Workers
from railwatch.core.errors import ConfigError
from railwatch.core.settings import SiteSettings
from railwatch.seam.commands import Answer
from railwatch.seam.orders import WorkerOrder, order_for

LostCameras = dict[str, str]
"""Cameras that must be seen anew after a change, and why."""


def check_fixed(old: SiteSettings, new: SiteSettings) -> None:
    """Raise ConfigError when something differs that holds for the life of a hub: its name, its sockets and keys."""
    changed = [name for name in ("site_id",) if getattr(old, name) != getattr(new, name)]
    changed += [
        f"messaging.{field.name}"
        for field in fields(old.messaging)
        if getattr(old.messaging, field.name) != getattr(new.messaging, field.name)
    ]
    if changed:
        raise ConfigError(f"{', '.join(changed)} must stay while the hub runs: start it anew to change that")


class Reload:
    """One change from `old` to `new`. Used from the deciding thread only.

    Building it starts the workers that are needed. `done` is called once, in a later turn or at once: with None when
    everything is ready, and then `commit` makes it count; or with the reason for which nothing was changed.
    """

    def __init__(
        self,
        workers: Workers,
        old: SiteSettings,
        new: SiteSettings,
        remote: frozenset[str],
        done: Callable[[str | None], None],
        *,
        loop: bool = False,
    ) -> None:
        check_fixed(old, new)
        self._workers, self._old, self.site, self._remote, self._done = workers, old, new, remote, done
        self._orders = {
            name: order_for(new, name, loop=loop) for name in dict.fromkeys(c.worker_group for c in new.cameras)
        }
        self._standing_by: dict[str, Life] = {}
        self._waiting = {name for name, order in self._orders.items() if self._needs_worker(name, order)}
        self._ended = False
        for name in sorted(self._waiting):
            self._standing_by[name] = workers.stand_by(name, self._orders[name], self._answered)
        if not self._waiting:
            self._end(None)

    def commit(self) -> LostCameras:
        """Make it count: workers take over, others get their new order, those of groups that are gone end."""
        for name in [name for name in self._workers.groups if name not in self._orders]:
            self._workers.remove_group(name)
        for name, order in self._orders.items():
            if name in self._standing_by:
                self._workers.take_over(self._standing_by[name])
            elif name in self._workers.groups:
                self._workers.reorder(name, order)
            else:
                self._workers.add_group(name, order, remote=True)
        before = {camera.camera_id: camera.source for camera in self._old.cameras}
        return {
            camera.camera_id: "its source has changed"
            for camera in self.site.cameras
            if before.get(camera.camera_id, camera.source) != camera.source
        }

    def give_up(self, reason: str) -> None:
        """Change nothing: the workers that were started for it end."""
        for life in self._standing_by.values():
            self._workers.dismiss(life)
        self._end(reason)

    def _needs_worker(self, name: str, order: WorkerOrder) -> bool:
        group = self._workers.groups.get(name)
        return name not in self._remote and (group is None or not group.order.same_engine(order))

    def _answered(self, life: Life, answer: Answer) -> None:
        if self._ended and self._waiting:
            return
        if not answer.ok:
            self.give_up(f"worker {life.worker_group} cannot do what the new file asks of it: {answer.reason}")
            return
        self._waiting.discard(life.worker_group)
        if not self._waiting:
            self._end(None)

    def _end(self, reason: str | None) -> None:
        if not self._ended:
            self._ended = True
            self._done(reason)
