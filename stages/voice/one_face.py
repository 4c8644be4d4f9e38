"""What the stages share that make `sequences` of one speaker for a trained network. Light, for planning."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from faces import region_table
from pipeline.stage import Given, Needs, Slot, Stage, of_json
from stages.kinds.checkpoint import CONFIG
from stages.kinds.sequences import INDEX, REGIONS, TEMPLATES, TOPOLOGY, Sequences


class OfOneFace(Stage):
    """Files of the user's and a face, for the network of a `checkpoint` → `sequences`.

    params: `subject`, whose template in the data it is, and `mesh`, the neutral face itself; either may be None.
    """

    inputs: ClassVar[Mapping[str, Slot]] = {
        "checkpoint": Slot("checkpoint", uses=(CONFIG,)),
        "data": Slot("sequences", uses=(INDEX, TEMPLATES, TOPOLOGY, REGIONS), optional=True),
    }
    output = "sequences"
    libraries = ("numpy", "av")

    def mesh_files(self) -> dict[str, Path]:
        """The sources behind a mesh."""
        mesh = self.params.mesh
        return {"mesh": Path(mesh), region_table.WHAT: region_table.FILE} if mesh else {}

    def reads(self, given: Mapping[str, Given]) -> Mapping[str, Mapping[str, str]]:
        """Of the data one template, and what is true of all: a sentence more changes nothing."""
        parts: dict[str, Mapping[str, str]] = {slot: entry.content for slot, entry in given.items()}
        if "data" in given:
            parts["data"] = self._of_data(Sequences(given["data"].path), given["data"])
        return parts

    def _of_data(self, data: Sequences, given: Given) -> dict[str, str]:
        info, params = data.info, self.params
        # A mesh of the user's is held against any face of the data: all stand in one order.
        template = {} if params.mesh else {TEMPLATES: of_json(data.template_digests.get(params.subject))}
        facts: list[Any] = [info.dataset, info.fps, info.units, info.up, info.vertices]
        return {top: given.content.get(top, "") for top in (TOPOLOGY, REGIONS)} | template | {INDEX: of_json(facts)}

    def needs(self) -> Needs:
        return Needs(threads="any")
