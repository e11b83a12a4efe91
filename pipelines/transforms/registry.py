"""The transforms by name: pure functions of episodes with parameters, usable without Beam.

Each maps a schema to the schema of its results, and an episode to an episode, or to None where the
episode is to be left out. Text such as `resize_images:height=64,width=64` is read by `text`, files
by `chain_file`.
"""

from __future__ import annotations

from .added_fields import AddField, FieldFromMetadata
from .chunking import ChunkActions
from .classifying import ClassifyReward
from .cropping import CropImages
from .delta_actions import ToAbsoluteActions, ToDeltaActions
from .embedding import EmbedLanguage
from .field_values import CastField, SelectDimensions
from .fields import DropField, RenameField
from .filtering import KeepIf, OnlySuccessful
from .image_encoding import EncodeImages
from .language import SetLanguage
from .noops import DropNoops
from .nstep import AddNstep
from .resizing import ResizeImages
from .rewards import ScaleReward, SparseReward
from .rotation_fields import ConvertRotation
from .subsampling import Subsample
from .transform import Transform

TRANSFORMS: dict[str, type[Transform]] = {
    transform.name: transform
    for transform in (
        OnlySuccessful,
        KeepIf,
        DropNoops,
        Subsample,
        CropImages,
        ResizeImages,
        EncodeImages,
        ToDeltaActions,
        ToAbsoluteActions,
        ConvertRotation,
        SelectDimensions,
        ChunkActions,
        SparseReward,
        ScaleReward,
        ClassifyReward,
        AddNstep,
        SetLanguage,
        EmbedLanguage,
        RenameField,
        DropField,
        AddField,
        FieldFromMetadata,
        CastField,
    )
}
