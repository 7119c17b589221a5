"""What a visitor is told whose camera does not start, as a script of the page."""

from __future__ import annotations

from typing import Final

__all__ = ["TELL_OF_CAMERA"]

# Gradio's page says nothing then. The theme shows the sentence below the button that asks for the camera.
TELL_OF_CAMERA: Final = """() => {
  const tell = (sentence) => document.documentElement.style.setProperty("--no-camera", JSON.stringify(sentence));
  const media = navigator.mediaDevices;
  if (!media?.getUserMedia) {
    tell("Browsers lend a camera only to pages opened with https:// or at localhost; open this page that way.");
    return;
  }
  const why = {
    NotFoundError: "No camera was found; connect one and click here again.",
    NotAllowedError: "The camera is not allowed here; allow it in the browser's settings for this page and click here again.",
    NotReadableError: "Another program uses the camera; close that and click here again.",
  };
  media.getUserMedia = async (wanted) => {
    try {
      const stream = await MediaDevices.prototype.getUserMedia.call(media, wanted);
      tell("");
      return stream;
    } catch (error) {
      tell(why[error.name] ?? "The camera did not start; check it and click here again.");
      throw error;
    }
  };
}"""
"""For a page when it is loaded."""
