"""Evidence: the limit of the disk over many incidents, every byte of a clip flipped, and whether a browser plays it.

    python benchmarks/evidence.py disk [INCIDENTS]     the limit held while incidents are recorded, with times
    python benchmarks/evidence.py flips                every byte of a clip, a manifest and the chain changed
    python benchmarks/evidence.py browser [CLIP]       does Chromium play a clip? needs playwright and chromium
    python benchmarks/evidence.py ring                 memory of a ring over an hour of a camera at 25 a second

The clip is cut from scenes/clips/nobody.mp4 by the same functions that a worker uses.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import av

from railwatch.core.packets import EncodedPacket, StreamHead
from railwatch.core.types import Size
from railwatch.evidence.clip import Clip, make_clip
from railwatch.evidence.links import CHAIN_NAME, read_chain
from railwatch.evidence.recording import PacketRing
from railwatch.evidence.store import EvidenceFile, EvidenceStore, Limits
from railwatch.evidence.verify import piece_faults, verify

SCENE = Path(__file__).parents[1] / "scenes" / "clips" / "nobody.mp4"
MIB = 1024 * 1024


def recorded(seconds: float = 1e6) -> tuple[PacketRing, StreamHead, list[EncodedPacket]]:
    with av.open(str(SCENE)) as container:
        stream = container.streams.video[0]
        context = stream.codec_context
        head = StreamHead(
            context.name, bytes(context.extradata or b""), Size(stream.width, stream.height), stream.time_base
        )
        packets = [
            EncodedPacket(bytes(p), p.pts, p.dts, p.is_keyframe, p.is_corrupt, float(p.dts * stream.time_base))
            for p in container.demux(stream)
            if p.size
        ]
    ring = PacketRing(seconds, 1024 * MIB)
    ring.begin(head)
    for packet in packets:
        ring.put(packet)
    return ring, head, packets


def made(first_s: float = 0.0, last_s: float = 10.0) -> Clip:
    ring, _, _ = recorded()
    cut = ring.cut(first_s, last_s)
    assert cut is not None
    return make_clip(cut)


def disk(incidents: int) -> None:
    clip, limit = made(), 40 * MIB
    about = {"alert": {"incident_id": "i"}, "frames": [{"index": n, "objects": ["x" * 400]} for n in range(250)]}
    with tempfile.TemporaryDirectory() as folder:
        store = EvidenceStore(Path(folder) / "evidence", Limits(86400.0, limit, 0))
        most, taken = 0, []
        for number in range(incidents):
            files = [EvidenceFile("clip-1.mp4", clip.content), EvidenceFile("raw-1.jpg", bytes(60_000))]
            begun = time.perf_counter()
            store.keep(f"{number:032x}", files, about)
            taken.append(time.perf_counter() - begun)
            used = sum(path.stat().st_blocks * 512 for path in store.folder.rglob("*"))
            most = max(most, used)
            assert used <= limit, (number, used)
        store.close()
        begun = time.perf_counter()
        found = verify(store.folder)
        seconds = time.perf_counter() - begun
        assert found.faults == ()
        print(f"{incidents} incidents of {len(clip.content) / MIB:.2f} MiB each, limit {limit / MIB:g} MiB")
        print(f"most on the disk {most / MIB:.2f} MiB; {len(found.kept)} kept, {found.removed} let go")
        cuts = statistics.quantiles(taken, n=100)
        print(f"a piece is kept in {cuts[49] * 1e3:.1f} ms (median), {cuts[94] * 1e3:.1f} ms (p95)")
        print(f"all of it verified in {seconds:.2f} s")


def flips() -> None:
    clip = made(0.0, 0.4)
    with tempfile.TemporaryDirectory() as name:
        store = EvidenceStore(Path(name) / "evidence", Limits(86400.0, 1 << 40, 0))
        link = store.keep("0" * 32, [EvidenceFile("clip-1.mp4", clip.content)], {"frames": [{"index": 1}] * 20})
        store.close()
        piece = store.folder / link.evidence_id
        for file in ("clip-1.mp4", "manifest.json"):
            path = piece / file
            content = path.read_bytes()
            with path.open("r+b", buffering=0) as changed:
                for at, byte in enumerate(content):
                    os.pwrite(changed.fileno(), bytes([byte ^ 1 << at % 8]), at)
                    assert piece_faults(piece, link), (file, at)
                    os.pwrite(changed.fileno(), bytes([byte]), at)
            assert piece_faults(piece, link) == []
            print(f"{file}: {len(content):,} bytes changed one by one, {len(content):,} noticed")
        chain = (store.folder / CHAIN_NAME).read_bytes()
        for at in range(len(chain)):
            for bit in range(8):
                other = bytearray(chain)
                other[at] ^= 1 << bit
                assert read_chain(bytes(other)).fault, (at, bit)
        print(f"{CHAIN_NAME}: {8 * len(chain):,} bits changed one by one, {8 * len(chain):,} noticed")


def ring() -> None:
    _, head, packets = recorded()
    kept = PacketRing(35.0, 64 * MIB)
    kept.begin(head)
    before, most = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, 0
    for number in range(25 * 3600):
        packet = packets[number % len(packets)]
        kept.put(replace(packet, data=bytes(bytearray(packet.data)) * 4, t_s=number / 25))
        most = max(most, kept.size)
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(f"an hour at 25 a second: the ring held at most {most / MIB:.1f} MiB,")
    print(f"resident memory grew by {(after - before) / 1024:.1f} MiB")


def browser(given: str | None) -> None:
    from playwright.sync_api import sync_playwright

    content = Path(given).read_bytes() if given else made().content
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        path = Path(name) / "clip.mp4"
        path.write_bytes(content)
        (Path(name) / "page.html").write_text('<video id="v" src="clip.mp4" muted></video>', encoding="utf-8")
        chromium = play.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = chromium.new_page()
        page.goto(f"file://{name}/page.html")
        page.evaluate("document.getElementById('v').play()")
        page.wait_for_function("document.getElementById('v').ended", timeout=60_000)
        found = page.evaluate(
            "(() => { const v = document.getElementById('v'), q = v.getVideoPlaybackQuality();"
            " return {duration: v.duration, at: v.currentTime, width: v.videoWidth, height: v.videoHeight,"
            " frames: q.totalVideoFrames, error: v.error && v.error.message, version: navigator.userAgent}; })()"
        )
        chromium.close()
    print(json.dumps(found))
    assert found["error"] is None
    assert found["frames"] > 0
    assert found["at"] >= found["duration"] - 0.1


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["disk", *count]:
            disk(int(count[0]) if count else 1000)
        case ["flips"]:
            flips()
        case ["ring"]:
            ring()
        case ["browser", *path]:
            browser(path[0] if path else None)
        case _:
            sys.exit(__doc__)
