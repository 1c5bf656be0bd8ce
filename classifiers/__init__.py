"""Image classifiers for ten classes of iNaturalist: trained from scratch, fine-tuned, explained, exported to ONNX."""
