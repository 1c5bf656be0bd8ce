"""Bake the parametric body of `anny` into assets/bodies.npz: a few clothed people on one small skeleton.

    python -m scenes.bake_bodies scenes/assets/bodies.npz

Run once, by hand, in an environment of its own (anny 0.6.2, torch, roma, warp-lang); rendering needs only the file.
All figures share faces, skeleton and weights, so that a pose is joint angles and a figure is a row of the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

FIGURES = {
    "man": {"gender": 1.0, "age": 0.66, "weight": 0.5, "muscle": 0.55, "height": 0.5},
    "woman": {"gender": 0.0, "age": 0.62, "weight": 0.5, "muscle": 0.45, "height": 0.5},
    "stout_man": {"gender": 1.0, "age": 0.78, "weight": 0.9, "muscle": 0.5, "height": 0.5},
    "slim_man": {"gender": 1.0, "age": 0.6, "weight": 0.22, "muscle": 0.4, "height": 0.5},
    "stout_woman": {"gender": 0.0, "age": 0.8, "weight": 0.88, "muscle": 0.4, "height": 0.5},
    "child": {"gender": 0.7, "age": 0.38, "weight": 0.45, "muscle": 0.4, "height": 0.5},
}

JOINTS = {
    # name: (parent, bone whose head is the joint, prefixes of the bones that follow it)
    "root": (None, "root", ("root", "pelvis")),
    "spine": ("root", "spine05", ("spine05", "spine04")),
    "chest": ("spine", "spine03", ("spine03", "spine02", "spine01", "clavicle", "shoulder01")),
    "neck": ("chest", "neck01", ("neck",)),
    "head": ("neck", "head", ("head", "eye")),
    **{
        name + side: (parent + side if parent.endswith(".") else parent, bone + side, tuple(p + side for p in follow))
        for side in ("L", "R")
        for name, parent, bone, follow in (
            ("thigh.", "root", "upperleg01.", ("upperleg01.", "upperleg02.")),
            ("shank.", "thigh.", "lowerleg01.", ("lowerleg01.", "lowerleg02.")),
            ("foot.", "shank.", "foot.", ("foot.",)),
            ("upperarm.", "chest", "upperarm01.", ("upperarm01.", "upperarm02.")),
            ("forearm.", "upperarm.", "lowerarm01.", ("lowerarm01.", "lowerarm02.")),
            ("hand.", "forearm.", "wrist.", ("wrist.",)),
        )
    },
}


def joint_of_bone(bone: str) -> str:
    """The joint of the small skeleton that a bone of the large one follows; fingers follow the hand, toes the foot."""
    side = bone[-1]
    if bone.startswith(("finger", "metacarpal")):
        return f"hand.{side}"
    if bone.startswith("toe"):
        return f"foot.{side}"
    return next(name for name, (_, _, prefixes) in JOINTS.items() if bone.startswith(prefixes))


def obj_faces(path: Path) -> dict[str, Ints]:
    """Quads of every named group of a Wavefront file, vertices counted from 0."""
    groups: dict[str, list[list[int]]] = {}
    current = ""
    for line in path.read_text(encoding="utf-8").splitlines():
        if line.startswith("g "):
            current = line.split()[1]
        elif line.startswith("f "):
            groups.setdefault(current, []).append([int(corner.split("/")[0]) - 1 for corner in line.split()[1:]])
    return {name: np.array(faces, np.int64) for name, faces in groups.items()}


def small_weights(indices: Ints, weights: Floats, bones: list[str]) -> tuple[npt.NDArray[np.uint8], ...]:
    """The four strongest joints of every vertex and their weights in 1/255, from weights on the large skeleton."""
    names = list(JOINTS)
    dense = np.zeros((len(indices), len(names)))
    follows = np.array([names.index(joint_of_bone(bone)) for bone in bones])
    np.add.at(dense, (np.arange(len(indices))[:, None], follows[indices]), weights)
    strongest = np.argsort(-dense, axis=1)[:, :4]
    kept = np.take_along_axis(dense, strongest, axis=1)
    kept /= kept.sum(axis=1, keepdims=True)
    return strongest.astype(np.uint8), np.round(kept * 255).astype(np.uint8)


def vertex_normals(vertices: Floats, faces: Ints) -> Floats:
    """Unit normals (V, 3); zero where a vertex belongs to no face."""
    corners = vertices[faces]
    normal = np.cross(corners[:, 2] - corners[:, 0], corners[:, 3] - corners[:, 1])
    total = np.zeros_like(vertices)
    for corner in range(4):
        np.add.at(total, faces[:, corner], normal)
    return total / np.maximum(np.linalg.norm(total, axis=1, keepdims=True), 1e-12)


def smoothed(vertices: Floats, faces: Ints, rounds: int) -> Floats:
    """Laplacian smoothing of the vertices of `faces`: cloth does not follow every fold of the skin."""
    edges = np.concatenate([faces[:, [a, (a + 1) % 4]] for a in range(4)])
    edges = np.concatenate([edges, edges[:, ::-1]])
    degree = np.bincount(edges[:, 0], minlength=len(vertices))[:, None]
    for _ in range(rounds):
        total = np.zeros_like(vertices)
        np.add.at(total, edges[:, 0], vertices[edges[:, 1]])
        vertices = np.where(degree > 0, (vertices + total / np.maximum(degree, 1)) / 2, vertices)
    return vertices


def parts_of(groups: dict[str, Ints], rest: Floats, joint: Ints) -> dict[str, Ints]:
    """Which faces are skin, shirt, trousers and so on, chosen on one figure by height [m] and strongest joint."""
    names = list(JOINTS)
    body = np.unique(groups["body"])
    floor = rest[body, 2].min()
    height = rest[body, 2].max() - floor

    def level(faces: Ints) -> Floats:
        return (rest[faces, 2].mean(axis=1) - floor) / height

    def on(faces: Ints, *wanted: str) -> npt.NDArray[np.bool_]:
        chosen = [index for index, name in enumerate(names) if name.split(".")[0] in wanted]
        return np.isin(joint[faces], chosen).mean(axis=1) >= 0.5

    tights, skin, hair = groups["helper-tights"], groups["body"], groups["helper-hair"]
    torso = on(tights, "root", "spine", "chest", "neck") & (level(tights) > 0.5)
    arms = on(tights, "upperarm")
    legs = ~torso & ~on(tights, "upperarm", "forearm", "hand") & (level(tights) < 0.575)
    back = rest[hair, 1].mean(axis=1) > rest[skin[level(skin) > 0.92], 1].mean() + 0.01
    sides = level(hair) > 0.9
    return {
        "skin": skin[on(skin, "head", "neck", "forearm", "hand") | ((level(skin) > 0.8) & ~on(skin, "upperarm"))],
        "bare_legs": skin[on(skin, "thigh", "shank", "foot") & (level(skin) < 0.45)],
        "shirt": tights[torso | arms],
        "vest": tights[torso & (level(tights) > 0.54)],
        "trousers": tights[legs & (level(tights) > 0.05)],
        "shoes": tights[level(tights) < 0.062],
        "skirt": groups["helper-skirt"],
        "hair": hair[(level(hair) > 0.95) | ((level(hair) > 0.895) & back)],
        "long_hair": hair[(level(hair) > 0.95) | ((level(hair) > 0.8) & back) | (sides & (level(hair) > 0.93))],
    }


CLEARANCE_M = {"shirt": 0.014, "vest": 0.028, "trousers": 0.012, "shoes": 0.012, "skirt": 0.004, "hair": -0.004}


def dressed(part: str, rest: Floats, faces: Ints, height_m: float) -> Floats:
    """Rest vertices of one part lifted off the skin: cloth hangs wider where it hangs free."""
    if part in ("skin", "bare_legs"):
        return rest
    vertices = smoothed(rest, faces, 3) if part in ("shirt", "vest", "trousers") else rest
    level = (rest[:, 2] - rest[:, 2][np.unique(faces)].min()) / height_m
    lift = np.full(len(rest), CLEARANCE_M.get(part, CLEARANCE_M["hair"]))
    if part == "trousers":
        lift += 0.022 * np.clip((0.40 - level) / 0.3, 0, 1)
    if part in ("shirt", "vest"):
        lift += 0.018 * np.clip((0.10 - level) / 0.1, 0, 1)
    return vertices + vertex_normals(vertices, faces) * lift[:, None]


def figure(model: Any, phenotype: dict[str, float]) -> tuple[Floats, Floats]:  # noqa: ANN401 - anny is not typed
    """Rest vertices (V, 3) and bone heads (B, 3) of one figure, in metres, facing -y."""
    import torch  # noqa: PLC0415 - heavy, and only here

    still = torch.eye(4, dtype=torch.float64).repeat(1, len(model.bone_labels), 1, 1)
    out = model(pose_parameters=still, phenotype_kwargs=phenotype)
    return out["rest_vertices"][0].detach().numpy(), out["rest_bone_heads"][0].detach().numpy()


def bake(path: Path) -> None:
    """Write the asset: int16 vertices, uint8 weights, uint16 faces, everything else float32."""
    import anny  # noqa: PLC0415 - heavy, and only here

    model = anny.Anny(
        rig="anny", topology="makehuman", pose_parameterization="local-ref", phenotype_blendshapes="original"
    )
    groups = obj_faces(Path(anny.__file__).parent / "data/mpfb2/3dobjs/base.obj")
    bones = list(model.bone_labels)
    index, weight = small_weights(model.vertex_bone_indices.numpy(), model.vertex_bone_weights.numpy(), bones)
    figures = {name: figure(model, phenotype) for name, phenotype in FIGURES.items()}
    parts = parts_of(groups, figures["man"][0], index[:, 0].astype(np.int64))
    data: dict[str, npt.ArrayLike] = {
        "joints": list(JOINTS),
        "parents": [-1 if parent is None else list(JOINTS).index(parent) for parent, _, _ in JOINTS.values()],
        "figures": list(figures),
        "parts": list(parts),
    }
    body = np.unique(groups["body"])
    floors = {name: rest[body, 2].min() for name, (rest, _) in figures.items()}
    data["heights_m"] = np.array([rest[body, 2].max() - floors[n] for n, (rest, _) in figures.items()], np.float32)
    head_of = [bones.index(bone) for _, bone, _ in JOINTS.values()]
    data["heads_m"] = np.array([h[head_of] - [0, 0, floors[n]] for n, (_, h) in figures.items()], np.float32)
    data["unit_m"] = np.float32(1 / 16000)
    for part, faces in parts.items():
        used, renumbered = np.unique(faces, return_inverse=True)
        rows = [
            dressed(part, rest, faces, rest[body, 2].max() - floors[n])[used] - [0, 0, floors[n]]
            for n, (rest, _) in figures.items()
        ]
        data[f"{part}_vertices"] = np.round(np.array(rows) * 16000).astype(np.int16)
        data[f"{part}_faces"] = renumbered.reshape(faces.shape).astype(np.uint16)
        data[f"{part}_joint"] = index[used]
        data[f"{part}_weight"] = weight[used]
    np.savez_compressed(path, **{key: np.asarray(value) for key, value in data.items()})


def main() -> None:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    bake(parser.parse_args().path)


if __name__ == "__main__":
    main()
