"""What the pages call: pictures, styles and films painted, one after another, with what visitors send and what they get."""
