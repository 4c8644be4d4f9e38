"""Getting pyrender 0.1.45 to import and draw without a window system.

It works on EGL and OSMesa alone, but imports pyglet, which wants an X11 screen, and its pinned PyOpenGL 3.1.0 lacks
the OSMesa call that it uses. Both are put right here, before the first import; nothing of pyrender is changed.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import os
import sys
import types
from pathlib import Path
from typing import Any

GPU_NODES = ("/dev/dri", "/dev/nvidiactl")
PYGLET_PARTS = ("pyglet", "pyglet.clock", "pyglet.gl", "pyglet.window", "pyglet.app")
OSMESA_CONSTANTS = {
    "OSMESA_FORMAT": 0x22,
    "OSMESA_DEPTH_BITS": 0x30,
    "OSMESA_PROFILE": 0x33,
    "OSMESA_CORE_PROFILE": 0x34,
    "OSMESA_CONTEXT_MAJOR_VERSION": 0x36,
    "OSMESA_CONTEXT_MINOR_VERSION": 0x37,
    "OSMESA_RGBA": 0x1908,
}


def import_pyrender() -> Any:
    """The module `pyrender`, ready to draw off screen. ImportError, OSError or AttributeError where it cannot be."""
    os.environ.setdefault("PYOPENGL_PLATFORM", choose_platform())
    if os.environ["PYOPENGL_PLATFORM"] == "osmesa":
        add_missing_osmesa()
    if "pyrender" in sys.modules:
        return sys.modules["pyrender"]
    stubs = {} if "pyglet" in sys.modules else _pyglet_stubs()
    sys.modules.update(stubs)
    try:
        import pyrender
    finally:
        for name in stubs:
            del sys.modules[name]
    return pyrender


def choose_platform() -> str:
    """ "egl" on a machine with a graphics card, else "osmesa" where its library is, which is the faster in software."""
    has_card = any(Path(node).exists() for node in GPU_NODES)
    if ctypes.util.find_library("OSMesa") and not (has_card and ctypes.util.find_library("EGL")):
        return "osmesa"
    return "egl"


def _pyglet_stubs() -> dict[str, types.ModuleType]:
    """As much of pyglet as pyrender's window class, which we never open, touches while it is defined."""
    modules = {name: types.ModuleType(name) for name in PYGLET_PARTS}
    root = modules["pyglet"]
    for name in PYGLET_PARTS[1:]:
        setattr(root, name.partition(".")[2], modules[name])
    root.options = {}  # type: ignore[attr-defined]
    modules["pyglet.window"].Window = object  # type: ignore[attr-defined]
    return modules


def add_missing_osmesa() -> None:
    """Give PyOpenGL 3.1.0 the call `OSMesaCreateContextAttribs` and contexts that can be keys of a dict."""
    import OpenGL.osmesa as osmesa
    from OpenGL import contextdata
    from OpenGL.platform import PLATFORM
    from OpenGL.raw.osmesa import mesa

    if hasattr(osmesa, "OSMesaCreateContextAttribs"):
        return
    create = PLATFORM.OSMesa.OSMesaCreateContextAttribs
    create.restype, create.argtypes = ctypes.c_void_p, [ctypes.c_void_p, ctypes.c_void_p]

    def create_context(attributes: Any, share: Any) -> Any:
        address = attributes.ctypes.data if hasattr(attributes, "ctypes") else ctypes.addressof(attributes)
        return ctypes.cast(create(address, None), mesa.OSMesaContext)

    find_context = contextdata.getContext

    def context_as_number(context: Any = None) -> Any:
        found = find_context(context)
        return found if isinstance(found, int) else ctypes.cast(found, ctypes.c_void_p).value

    osmesa.OSMesaCreateContextAttribs = create_context
    contextdata.getContext = context_as_number
    for name, value in OSMESA_CONSTANTS.items():
        if not hasattr(osmesa, name):
            setattr(osmesa, name, value)
