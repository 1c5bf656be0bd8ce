"""The recipe of models/railwatch-nano.onnx; README.md tells how it is followed."""
