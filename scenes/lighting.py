"""Sky, sun, the lamps of the night, and fog."""

from __future__ import annotations

from typing import Any

import bpy
import numpy as np
from mathutils import Vector

from scenes.region import sun_direction
from scenes.scenario import Scenario
from scenes.trackside import lamp_places

MIST_DEPTH_M = 1500.0
FOG_NODE = "fog"
"""The node whose first value is the share of light that comes through the whole depth of the fog."""

FOG = (0.40, 0.42, 0.44)
NIGHT_FOG = (0.012, 0.011, 0.010)


def light_up(scene: Scenario) -> None:
    """Give the Blender scene the light of a scenario."""
    world = bpy.data.worlds.new("world")
    bpy.context.scene.world = world
    world.use_nodes = True
    tree = world.node_tree
    background = tree.nodes["Background"]
    night = scene.light.kind == "night"
    if scene.light.kind == "overcast":
        background.inputs["Color"].default_value = (0.66, 0.7, 0.75, 1)
        strength = 1.35 * scene.light.strength
    elif night:
        background.inputs["Color"].default_value = (0.35, 0.45, 0.75, 1)
        strength = 0.012 * scene.light.strength
    else:
        sky = tree.nodes.new("ShaderNodeTexSky")
        sky.sky_type = "NISHITA"
        sky.sun_disc = False
        sky.sun_elevation = np.radians(scene.light.sun_elevation_deg)
        sky.sun_rotation = np.radians(scene.light.sun_azimuth_deg + 180)
        sky.dust_density, sky.air_density = 2.5, 1.2
        tree.links.new(sky.outputs[0], background.inputs["Color"])
        strength = 0.10 * scene.light.strength
    _seen_brighter(tree, background, strength, 1.9 if scene.light.kind == "sun" else 1.0)
    if scene.light.kind == "sun":
        warm = np.interp(scene.light.sun_elevation_deg, [5, 35], [0.55, 0.9])
        sun = lamp("SUN", (0, 0, 50), 4.6 * scene.light.strength, (1.0, warm, warm * 0.87))
        sun.data.angle = np.radians(1.2)
        sun.rotation_euler = Vector(sun_direction(scene.light)).to_track_quat("-Z", "Y").to_euler()
    elif scene.light.kind == "night":
        _street_lamps(scene)
    if scene.weather.fog_visibility_m:
        _fog(scene.weather.fog_visibility_m, NIGHT_FOG if scene.light.kind == "night" else FOG)


def _seen_brighter(tree: Any, background: Any, strength: float, factor: float) -> None:  # noqa: ANN401
    """A sky that the camera sees brighter than it shines: exposed for the ground, cameras lose the sky to white."""
    ray = tree.nodes.new("ShaderNodeLightPath")
    add = tree.nodes.new("ShaderNodeMath")
    add.operation = "MULTIPLY_ADD"
    add.inputs[1].default_value = strength * (factor - 1)
    add.inputs[2].default_value = strength
    tree.links.new(ray.outputs["Is Camera Ray"], add.inputs[0])
    tree.links.new(add.outputs[0], background.inputs["Strength"])


def lamp(kind: str, place: tuple[float, float, float], power: float, colour: tuple[float, ...]) -> Any:  # noqa: ANN401
    """A lamp linked into the scene; power in watts, for a sun in W/m2."""
    data = bpy.data.lights.new("lamp", kind)
    data.energy, data.color = power, colour
    if kind != "SUN":
        data.shadow_soft_size = 0.15
    made = bpy.data.objects.new("lamp", data)
    made.location = place
    bpy.context.scene.collection.objects.link(made)
    return made


def _street_lamps(scene: Scenario) -> None:
    """Sodium lamps on their posts, and a flood light beside the camera over the crossing place."""
    for x, y, z in lamp_places(scene):
        lamp("POINT", (x, y, z - 0.25), 260, (1.0, 0.72, 0.42))
    place = (scene.camera.position_m[0] + 9.0, scene.reference_m - 14, 9.0)
    flood = lamp("SPOT", place, 5200, (1.0, 0.88, 0.7))
    flood.data.spot_size, flood.data.spot_blend = 2.2, 0.6
    aim = Vector((scene.tracks[0].centre_m, scene.reference_m, 0)) - Vector(place)
    flood.rotation_euler = aim.to_track_quat("-Z", "Y").to_euler()


def headlights(parent: Any, heading_y: float) -> None:  # noqa: ANN401
    """Two beams ahead of a locomotive, that move with it."""
    for x in (-1.1, 1.1):
        beam = lamp("SPOT", (x, heading_y * 0.7, 1.6), 24000, (1.0, 0.95, 0.85))
        beam.data.spot_size, beam.data.spot_blend = 0.35, 0.7
        beam.rotation_euler = Vector((0, heading_y, -0.03)).to_track_quat("-Z", "Y").to_euler()
        beam.parent = parent


def _fog(visibility_m: float, colour: tuple[float, float, float]) -> None:
    """Koschmieder's law: contrast falls as exp(-3 d / visibility), to 5 % at the visibility."""
    scene = bpy.context.scene
    scene.view_layers[0].use_pass_mist = True
    mist = scene.world.mist_settings
    mist.start, mist.depth, mist.falloff = 0.0, MIST_DEPTH_M, "LINEAR"
    tree = scene.node_tree
    layers, out = tree.nodes["Render Layers"], tree.nodes["Composite"]
    power = tree.nodes.new("CompositorNodeMath")
    power.operation = "POWER"
    power.name = FOG_NODE
    power.inputs[0].default_value = float(np.exp(-3 * MIST_DEPTH_M / visibility_m))
    tree.links.new(layers.outputs["Mist"], power.inputs[1])
    mix = tree.nodes.new("CompositorNodeMixRGB")
    mix.inputs[1].default_value = (*colour, 1)
    tree.links.new(power.outputs[0], mix.inputs[0])
    tree.links.new(layers.outputs["Image"], mix.inputs[2])
    tree.links.new(mix.outputs[0], out.inputs[0])
