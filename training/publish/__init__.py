"""What is made of a trained model: its bundled styles, style space, figures and measurements."""
