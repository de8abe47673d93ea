"""Reports: one self-contained HTML page for a training run, a translation, the quickstart."""
