"""One table over the images of an archive, wherever they lie; no pixel is copied."""
