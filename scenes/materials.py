"""Paints as Cycles materials."""

from __future__ import annotations

from typing import Any

import bpy

from scenes.colours import Paint

Socket = Any
"""bpy makes its types at run time; they have no names to import."""


def material_of(name: str, paint: Paint, *, wet: bool = False) -> bpy.types.Material:
    """A material that shows a paint; rain makes it darker and smoother."""
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    surface = tree.nodes["Principled BSDF"]
    shade = 0.62 if wet and not paint.glow else 1.0
    first = tuple(shade * channel for channel in paint.colour)
    surface.inputs["Base Color"].default_value = (*first, 1)
    surface.inputs["Roughness"].default_value = min(paint.rough, 0.42) if wet else paint.rough
    surface.inputs["Metallic"].default_value = paint.metal
    surface.inputs["Specular IOR Level"].default_value = paint.shine
    if paint.glow:
        surface.inputs["Emission Color"].default_value = (*first, 1)
        surface.inputs["Emission Strength"].default_value = paint.glow
    if paint.second:
        second = tuple(shade * channel for channel in paint.second)
        _mottle(tree, surface, paint, (first, second))
    return material


def _mottle(tree: Any, surface: Any, paint: Paint, colours: tuple[tuple[float, ...], tuple[float, ...]]) -> None:  # noqa: ANN401
    """Two colours mixed by noise and grains, which also give the relief."""
    place = tree.nodes.new("ShaderNodeTexCoord").outputs["Object"]
    noise = tree.nodes.new("ShaderNodeTexNoise")
    noise.inputs["Scale"].default_value = paint.scale
    noise.inputs["Detail"].default_value = 1.0 if paint.sharp else 6.0
    tree.links.new(place, noise.inputs["Vector"])
    share: Socket = noise.outputs["Fac"]
    height: Socket = share
    if paint.cells:
        share, height = _grains(tree, place, paint.cells, share)
    ramp = tree.nodes.new("ShaderNodeValToRGB")
    for element, position, colour in zip(
        ramp.color_ramp.elements, (0.52, 0.55) if paint.sharp else (0.3, 0.7), colours, strict=True
    ):
        element.position = position
        element.color = (*colour, 1)
    tree.links.new(share, ramp.inputs["Fac"])
    tree.links.new(ramp.outputs["Color"], surface.inputs["Base Color"])
    if paint.bump:
        bump = tree.nodes.new("ShaderNodeBump")
        bump.invert = bool(paint.cells)
        bump.inputs["Strength"].default_value = paint.bump
        bump.inputs["Distance"].default_value = 0.04
        tree.links.new(height, bump.inputs["Height"])
        tree.links.new(bump.outputs["Normal"], surface.inputs["Normal"])


def _grains(tree: Any, place: Socket, cells: float, share: Socket) -> tuple[Socket, Socket]:  # noqa: ANN401
    """The share of the second colour grain by grain, and the distance to each grain's middle."""
    voronoi = tree.nodes.new("ShaderNodeTexVoronoi")
    voronoi.inputs["Scale"].default_value = cells
    tree.links.new(place, voronoi.inputs["Vector"])
    channels = tree.nodes.new("ShaderNodeSeparateColor")
    tree.links.new(voronoi.outputs["Color"], channels.inputs["Color"])
    mean = tree.nodes.new("ShaderNodeMix")
    mean.inputs["Factor"].default_value = 0.5
    tree.links.new(share, mean.inputs["A"])
    tree.links.new(channels.outputs["Red"], mean.inputs["B"])
    return mean.outputs["Result"], voronoi.outputs["Distance"]
