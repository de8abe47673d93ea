"""Land cover from encoders: probes, baselines, fine-tuning."""
