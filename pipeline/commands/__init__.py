"""What the commands do, in plain functions; `pipeline.app` gives them their options."""
