"""The second renderer: pyrender, which the papers use. Needs the extra `[gl]` and EGL or OSMesa from the system.

Same interface and, in the inside of surfaces, the same grey levels as `SoftRenderer`; edges differ, since OpenGL
multisamples. One off-screen context serves all frames, and it belongs to the thread that made it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from faces.camera import Camera
from faces.errors import DataError
from faces.gl_setup import import_pyrender
from faces.normals import vertex_normals
from faces.raster.look import Look
from faces.renderer import Image, check_colours, check_faces, check_vertices

FAR = 300
"""The far plane as a multiple of the near one: VOCA's 0.01 and 3."""
REMEDY = (
    "install facepipe[gl] and libosmesa6 (or libegl1 and libgl1) from the system, or use the renderer 'soft', which "
    "needs neither"
)


class PyrenderRenderer:
    """Draws frames of one topology with pyrender. Multisampling is always on where the driver has it.

    DataError, with the reason, where pyrender or OpenGL cannot be used on this machine.
    """

    def __init__(self, faces: NDArray[np.integer], camera: Camera, look: Look | None = None) -> None:
        self.camera = camera
        self.look = look or Look()
        self.faces = check_faces(faces)
        try:
            self._pyrender = import_pyrender()
            self._offscreen = self._pyrender.OffscreenRenderer(camera.size, camera.size)
        except Exception as error:  # loaders of graphics libraries raise whatever they like
            raise DataError(f"pyrender cannot be used here ({type(error).__name__}: {error}); {REMEDY}") from error
        self._scene = self._empty_scene()

    def render(self, vertices: NDArray[np.floating], colours: NDArray[np.floating] | None = None) -> Image:
        """Draw one frame; see `SoftRenderer.render`."""
        vertices = check_vertices(vertices, self.faces)
        mesh = self._pyrender.Mesh([self._primitive(vertices, check_colours(colours, len(vertices)))])
        node = self._scene.add(mesh)
        try:
            picture, _depth = self._offscreen.render(self._scene)
        finally:
            self._scene.remove_node(node)
        return np.ascontiguousarray(picture[..., :3])

    def close(self) -> None:
        """Give the context back."""
        self._offscreen.delete()

    def _primitive(self, vertices: NDArray[np.float32], colours: NDArray[np.float32]) -> Any:
        material, grey = self.look.material, (self.look.material.base,) * 3
        return self._pyrender.Primitive(
            positions=vertices,
            normals=vertex_normals(vertices, self.faces),
            indices=self.faces,
            color_0=np.column_stack([colours, np.ones(len(colours), np.float32)]) if len(colours) else None,
            material=self._pyrender.MetallicRoughnessMaterial(
                baseColorFactor=(*grey, 1.0),
                metallicFactor=material.metallic,
                roughnessFactor=material.roughness,
                doubleSided=True,
            ),
        )

    def _empty_scene(self) -> Any:
        """Camera and lamp. One lamp stands for the four equal ones that pyrender keeps of the published five."""
        pyrender, camera, material = self._pyrender, self.camera, self.look.material
        background = [level / 255 for level in self.look.background]
        scene = pyrender.Scene(ambient_light=[material.ambient] * 3, bg_color=[*background, 1.0])
        middle = camera.size / 2
        lens = pyrender.IntrinsicsCamera(
            camera.focal, camera.focal, middle, middle, znear=camera.near, zfar=FAR * camera.near
        )
        pose = np.eye(4)
        pose[:3, :3], pose[:3, 3] = camera.rotation.T, camera.position
        scene.add(lens, pose=pose)
        scene.add(pyrender.DirectionalLight(color=np.ones(3), intensity=material.intensity), pose=pose)
        return scene
