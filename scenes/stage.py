"""The Blender scene of a scenario: what stands still is built once, actors are moved before every frame."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import bpy
import numpy as np
from mathutils import Matrix

from scenes import trackside, vegetation
from scenes.body import skinned
from scenes.camera import Floats, Pinhole, pinhole
from scenes.cast import Actor, RunningTrain
from scenes.colours import HAIR, PAINTS, SKIN, Paint, cloth
from scenes.layout import train_front_m
from scenes.lighting import headlights, light_up
from scenes.mesh import Mesh
from scenes.people import Person
from scenes.rolling_stock import BUFFER_M
from scenes.scenario import Scenario

MASK_NODE = "mask"


class Puppet(NamedTuple):
    """An actor with its Blender objects, by part of the body or under one empty parent."""

    actor: Actor
    objects: dict[str, Any]


class Palette:
    """Makes every material once."""

    def __init__(self, *, wet: bool) -> None:
        self._wet = wet
        self._made: dict[Paint, Any] = {}

    def __call__(self, name: str, paint: Paint) -> Any:  # noqa: ANN401 - a bpy type
        """The material of a paint."""
        from scenes.materials import material_of  # noqa: PLC0415 - keeps this class free of node details

        if paint not in self._made:
            self._made[paint] = material_of(name, paint, wet=self._wet)
        return self._made[paint]


def build(scene: Scenario, actors: Sequence[Actor]) -> list[Puppet]:
    """Empty Blender and build the whole scene in it."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    bpy.context.scene.use_nodes = True
    tree = bpy.context.scene.node_tree
    if "Composite" not in tree.nodes:
        tree.nodes.new("CompositorNodeComposite")
        tree.nodes.new("CompositorNodeRLayers")
        tree.links.new(tree.nodes["Render Layers"].outputs["Image"], tree.nodes["Composite"].inputs["Image"])
    palette = Palette(wet=scene.weather.rain)
    for name, mesh, bevel_m in _still_life(scene):
        made = show(name, mesh, palette)
        if bevel_m:
            _bevel(made, bevel_m)
    _woods(scene, palette)
    puppets = [_puppet(scene, actor, palette) for actor in actors]
    light_up(scene)
    place_camera(pinhole(scene.camera), scene.camera.hfov_deg)
    bpy.context.view_layer.update()
    return puppets


def _still_life(scene: Scenario) -> list[tuple[str, Mesh, float]]:
    found = [
        ("ground", trackside.ground(scene), 0.0),
        ("sleepers", trackside.sleepers(scene), 0.015),
        ("rails", trackside.rails(scene), 0.0),
        ("lineside", trackside.lineside(scene), 0.0),
        ("lamps", trackside.lamps(scene), 0.0),
        ("stones", vegetation.stones(scene), 0.0),
        ("grass", vegetation.grass(scene), 0.0),
    ]
    if scene.platform:
        found.append(("station", trackside.station(scene.platform), 0.0))
    return found


def show(name: str, mesh: Mesh, palette: Palette, *, smooth: bool = False) -> Any:  # noqa: ANN401 - a bpy type
    """A mesh as object of the Blender scene."""
    data = bpy.data.meshes.new(name)
    data.from_pydata(mesh.vertices_m, [], mesh.faces)
    for material in mesh.materials:
        data.materials.append(palette(material, PAINTS[material]))
    data.polygons.foreach_set("material_index", mesh.material.astype(np.int32))
    data.polygons.foreach_set("use_smooth", np.full(len(mesh.faces), smooth))
    data.update()
    made = bpy.data.objects.new(name, data)
    bpy.context.scene.collection.objects.link(made)
    return made


def _bevel(made: Any, width_m: float) -> None:  # noqa: ANN401 - a bpy type
    modifier = made.modifiers.new("bevel", "BEVEL")
    modifier.width, modifier.segments, modifier.limit_method = width_m, 2, "ANGLE"


def _woods(scene: Scenario, palette: Palette) -> None:
    kinds = [show(f"tree{kind}", vegetation.tree(kind), palette) for kind in range(vegetation.KINDS)]
    for kind in kinds:
        kind.location = (0, -500, 0)
    for plant in vegetation.plants(scene):
        made = bpy.data.objects.new("plant", kinds[plant.kind].data)
        made.location, made.scale, made.rotation_euler = plant.foot_m, plant.scale, (0, 0, plant.turn_rad)
        bpy.context.scene.collection.objects.link(made)


def _puppet(scene: Scenario, actor: Actor, palette: Palette) -> Puppet:
    thing = actor.thing
    if isinstance(thing, Person):
        return Puppet(actor, _dressed(scene, actor, thing, palette))
    made = show(actor.id, thing.mesh, palette, smooth=not isinstance(thing, RunningTrain))
    made.pass_index = actor.number
    if isinstance(thing, RunningTrain):
        made.rotation_euler = (0, 0, np.pi if thing.train.heading == "away" else 0)
        if scene.light.kind == "night" and thing.train.headlights:
            headlights(made, -1.0)
    return Puppet(actor, {"all": made})


def _dressed(scene: Scenario, actor: Actor, person: Person, palette: Palette) -> dict[str, Any]:
    """The parts of a person's body in the materials of the person's clothes."""
    rng = np.random.default_rng([scene.seed, 29, actor.number])
    own = {
        "skin": Paint(SKIN[int(rng.choice(4, p=[0.35, 0.35, 0.15, 0.15]))], 0.55),
        "hair": Paint(HAIR[int(rng.choice(3, p=[0.6, 0.3, 0.1]))], 0.6),
    }
    made = {}
    for part, material in person.look.parts.items():
        shape = person.body.parts[part]
        faces = [tuple(face) for face in shape.faces.tolist()]
        paint = own.get(material) or PAINTS.get(f"{material}" if material not in ("white", "black", "cream") else "")
        mesh = Mesh(shape.vertices_m, faces, (), np.zeros(len(faces), np.int64))
        shown = show(f"{actor.id}_{part}", mesh, palette, smooth=True)
        shown.data.materials.append(palette(material, paint if paint and part not in CLOTHS else cloth(material)))
        if part == "vest":
            shown.data.materials.append(palette("reflective", PAINTS["reflective"]))
            shown.data.polygons.foreach_set("material_index", _bands(shape.vertices_m, shape.faces))
        shown.pass_index = actor.number
        made[part] = shown
    return made


CLOTHS = ("shirt", "trousers", "skirt")


def _bands(vertices_m: Floats, faces: Any) -> Any:  # noqa: ANN401 - integer arrays
    """Which faces (F,) int32 of a vest are reflective: two hoops round the body."""
    height = vertices_m[:, 2][faces].mean(axis=1)
    low, high = height.min(), height.max()
    share = (height - low) / (high - low)
    return (((share > 0.1) & (share < 0.2)) | ((share > 0.38) & (share < 0.48))).astype(np.int32)


def move(puppets: Sequence[Puppet], t_s: float) -> None:
    """Bring every actor to where it is at a time."""
    for puppet in puppets:
        thing = puppet.actor.thing
        if isinstance(thing, RunningTrain):
            away = thing.train.heading == "away"
            y = train_front_m(thing.train, t_s) + (-BUFFER_M if away else BUFFER_M)
            puppet.objects["all"].location = (thing.centre_m, y, 0)
        elif isinstance(thing, Person):
            pose = thing.at(t_s).pose
            for part, shown in puppet.objects.items():
                _reshape(shown, skinned(thing.body, pose, part))
        else:
            _reshape(puppet.objects["all"], thing.vertices_at(t_s))
    bpy.context.view_layer.update()


def _reshape(shown: Any, vertices_m: Floats) -> None:  # noqa: ANN401 - a bpy type
    shown.data.vertices.foreach_set("co", vertices_m.astype(np.float32).ravel())
    shown.data.update()


def hide(puppets: Sequence[Puppet], *, hidden: bool) -> None:
    """Leave actors out of the picture, or show them; what is parked stays."""
    for puppet in puppets:
        for shown in puppet.objects.values():
            shown.hide_render = hidden and not puppet.actor.parked


def place_camera(view: Pinhole, hfov_deg: float) -> None:
    """The scene's camera, with the geometry of `scenes.camera`."""
    data = bpy.data.cameras.new("camera")
    data.sensor_fit, data.angle = "HORIZONTAL", np.radians(hfov_deg)
    data.clip_start, data.clip_end = 0.1, 2000
    made = bpy.data.objects.new("camera", data)
    matrix = np.eye(4)
    matrix[:3, :3] = (np.diag([1, -1, -1]) @ view.rotation).T
    matrix[:3, 3] = view.position_m
    made.matrix_world = Matrix(matrix.tolist())
    scene = bpy.context.scene
    scene.collection.objects.link(made)
    scene.camera = made
    scene.render.resolution_x, scene.render.resolution_y = view.size_px
    scene.render.resolution_percentage = 100


def set_up_cycles(threads: int, light: str) -> None:
    """Cycles with what a small picture needs: few bounces, clamped light, denoised, its data kept between frames."""
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    cycles = scene.cycles
    cycles.use_adaptive_sampling, cycles.use_denoising = False, True
    cycles.denoiser, cycles.denoising_prefilter = "OPENIMAGEDENOISE", "FAST"
    cycles.denoising_input_passes = "RGB_ALBEDO_NORMAL"
    cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces, cycles.transmission_bounces = 2, 1, 1, 0
    cycles.caustics_reflective = cycles.caustics_refractive = False
    cycles.sample_clamp_indirect = 4.0
    scene.render.use_persistent_data = True
    scene.render.threads_mode, scene.render.threads = "FIXED", threads
    scene.view_settings.view_transform, scene.view_settings.look = "AgX", "AgX - Medium High Contrast"
    scene.view_settings.exposure = 1.2 if light == "night" else 0.35
    scene.render.image_settings.file_format = "PNG"
    scene.render.image_settings.color_mode = "RGB"


def write_masks_to(folder: Path) -> None:
    """Have every render also write the numbers of actors, pixel by pixel, as EXR under `folder`."""
    scene = bpy.context.scene
    scene.view_layers[0].use_pass_object_index = True
    tree = scene.node_tree
    node = tree.nodes.new("CompositorNodeOutputFile")
    node.name = MASK_NODE
    node.base_path = str(folder)
    node.format.file_format, node.format.color_mode, node.format.color_depth = "OPEN_EXR", "RGB", "32"
    tree.links.new(tree.nodes["Render Layers"].outputs["IndexOB"], node.inputs[0])
