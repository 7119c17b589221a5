"""The networks as ONNX graphs, and the runtime that runs them."""
