"""Trackside scenes with exact truth, rendered by Blender's Cycles; no part of the package railwatch.

Modules that import `bpy` are `stage`, `materials`, `lighting`, `render` and `verify`; all others need numpy only and
are tested with the rest of the project.
"""
