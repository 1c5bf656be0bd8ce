"""What Home Assistant is told, so that every section appears there by itself (its MQTT discovery)."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from railwatch.core.alerts import SectionState


def announcements(
    prefix: str, topic: str, site_id: str, sections: Iterable[str], expire_after_s: int
) -> Iterator[tuple[str, bytes]]:
    """Topic and payload of the announcement of every section, to be retained: a sensor with the three states.

    Home Assistant shows it as unavailable when no state came for `expire_after_s` seconds.

    >>> next(announcements("homeassistant", "railwatch/yard", "yard", ["s1"], 3))[0]
    'homeassistant/sensor/railwatch_yard_s1/config'
    """
    device = {"identifiers": [f"railwatch_{site_id}"], "name": f"railwatch {site_id}", "model": "railwatch"}
    for section in sections:
        name = f"railwatch_{site_id}_{section}"
        document = {
            "name": section,
            "unique_id": name,
            "default_entity_id": f"sensor.{name.lower()}",
            "device_class": "enum",
            "options": [state.value for state in SectionState],
            "state_topic": f"{topic}/sections",
            "value_template": "{{ value_json.sections[" + json.dumps(section) + "] }}",
            "expire_after": expire_after_s,
            "qos": 1,
            "device": device,
            "origin": {"name": "railwatch"},
        }
        yield f"{prefix}/sensor/{name}/config", json.dumps(document).encode()
