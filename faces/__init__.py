"""What is true of meshes: topologies, regions, normals, rasteriser, metrics, readers and writers. A leaf."""
