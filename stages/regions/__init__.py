"""`pipe regions`: looking at regions on their mesh, and at what is published. See `faces.region_table`."""
