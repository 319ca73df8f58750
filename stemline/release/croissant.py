"""A release described for machines: Croissant 1.1, with where it came from (PROV-O) and what it may be used for (ODRL).

The format: https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pyarrow as pa

from stemline.dataset.layout import DatasetLayout
from stemline.release.card import spdx_counts
from stemline.release.counts import OTHER, UNKNOWN
from stemline.release.record import Release
from stemline.rights import normalise_license

Tree = dict[str, Any]

MOST_TERMS = 20
"""So many licences have terms of their own in `usageInfo`."""
_PLAIN_ID = re.compile(r"(?!LicenseRef-)[A-Za-z0-9.-]+")
_SEMVER = re.compile(r"[0-9]+[.][0-9]+[.][0-9]+")
_TEXT_AS_IS = {"@container": "@language"}
_CROISSANT_WORDS = (
    "arrayShape",
    "citeAs",
    "column",
    "containedIn",
    "equivalentProperty",
    "extract",
    "field",
    "fileObject",
    "fileProperty",
    "fileSet",
    "format",
    "includes",
    "isArray",
    "isLiveDataset",
    "jsonPath",
    "key",
    "md5",
    "parentField",
    "path",
    "recordSet",
    "references",
    "regex",
    "repeated",
    "replace",
    "samplingRate",
    "separator",
    "source",
    "subField",
    "transform",
)
_CONTEXT: Tree = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "sc": "https://schema.org/",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "dct": "http://purl.org/dc/terms/",
    "prov": "http://www.w3.org/ns/prov#",
    "odrl": "http://www.w3.org/ns/odrl/2/",
    "conformsTo": "dct:conformsTo",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "name": _TEXT_AS_IS,
    "description": _TEXT_AS_IS,
    **{word: f"cr:{word}" for word in _CROISSANT_WORDS},
}
_KEYS = {
    "tracks": ("track_id", "provider", "recipe"),
    "stems": ("track_id", "provider", "recipe", "stem"),
    "activity": ("track_id", "provider", "recipe", "stem"),
}
_SAID = {
    "tracks": "One record is a track as one provider separated it by one recipe.",
    "stems": "One record is a stem: the output of a source-separation model, not a recording.",
    "activity": "One record is a stem: what each second of it holds, and where in the file its bytes begin.",
}


def croissant_file(release: Release, layout: DatasetLayout, dataset: str) -> bytes:
    """Give the Croissant file of a release of the dataset that its owner's configuration calls `dataset`."""
    return json.dumps(_metadata(release, layout, dataset), indent=1, ensure_ascii=False).encode() + b"\n"


def _metadata(release: Release, layout: DatasetLayout, dataset: str) -> Tree:
    made_at = release.made_at.isoformat(timespec="seconds")
    source = f"urn:stemline:{release.facts['dataset_id']}"
    return {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": "http://mlcommons.org/croissant/1.1",
        "name": f"{dataset}-{release.name}",
        "description": f"Stems of {release.counts.get('tracks', 0)} tracks, separated by models, with their metadata, "
        "tempo and key. The audio lies beside the release, in the folder `audio` of the dataset.",
        "url": f"{source}:{release.name}",
        "identifier": f"{source}:{release.name}",
        "creator": {"@type": "sc:Organization", "name": dataset},
        "datePublished": made_at,
        "dateCreated": made_at,
        "version": _version(release),
        "citeAs": f"{dataset}, release {release.name} ({source})",
        "keywords": ["music", "source separation", "stems"],
        "isLiveDataset": False,
        "license": list(_licenses(release)),
        "usageInfo": _terms(release),
        "prov:wasDerivedFrom": {"@id": source, "@type": "prov:Entity", "prov:label": dataset},
        "prov:wasGeneratedBy": _activity("release", release),
        "distribution": [_file_set(table) for table in release.tables],
        "recordSet": [_record_set(table, release, layout) for table in release.tables],
    }


def _version(release: Release) -> str:
    """Give the name where it is a version as Croissant has them, else the day."""
    made_at = release.made_at
    return release.name if _SEMVER.fullmatch(release.name) else f"{made_at:%Y}.{made_at.month}.{made_at.day}"


def _licenses(release: Release) -> Iterator[str]:
    known = _known_licenses(release)
    for name in known:
        is_listed = normalise_license(name) == name and _PLAIN_ID.fullmatch(name)
        yield f"https://spdx.org/licenses/{name}.html" if is_listed else name
    if UNKNOWN in spdx_counts(release) or not known:
        yield UNKNOWN


def _known_licenses(release: Release) -> list[str]:
    return [name for name in spdx_counts(release) if name not in {UNKNOWN, OTHER}][:MOST_TERMS]


def _terms(release: Release) -> Tree:
    """Give what the tracks may be used for: each what its licence allows, and those without one after asking.

    Training is apart: what the catalogue denies is prohibited, what it does not say is to be asked.
    """
    column = "license_spdx" if "licenses_spdx" in release.counts else "license"
    allowed = [
        {
            "@type": "odrl:Permission",
            "odrl:action": {"@id": "odrl:use"},
            "odrl:constraint": {
                "@type": "odrl:Constraint",
                "name": f"Tracks whose license is {name}, as that licence allows",
                "odrl:leftOperand": {"@id": f"tracks/{column}"},
                "odrl:operator": {"@id": "odrl:eq"},
                "odrl:rightOperand": name,
            },
        }
        for name in _known_licenses(release)
    ]
    asked = {
        "@type": "odrl:Permission",
        "odrl:action": {"@id": "odrl:use"},
        "odrl:duty": {"@type": "odrl:Duty", "odrl:action": {"@id": "odrl:obtainConsent"}},
        "odrl:constraint": {
            "@type": "odrl:Constraint",
            "name": "Tracks without a known license, with the consent of whoever holds the rights",
            "odrl:leftOperand": {"@id": f"tracks/{column}"},
            "odrl:operator": {"@id": "odrl:isNoneOf"},
            "odrl:rightOperand": _known_licenses(release),
        },
    }
    return {
        "@type": ["sc:CreativeWork", "odrl:Offer"],
        "name": "Terms of each track",
        "odrl:permission": [*allowed, asked],
        **_training_terms(release),
    }


def _training_terms(release: Release) -> Tree:
    """Give what holds for training, where some tracks are not free for it."""
    told = release.counts.get("ai_training", {})
    terms: Tree = {}
    if told.get("denied"):
        terms["odrl:prohibition"] = [_training_rule("Prohibition", "denied", "odrl:use")]
    if told.get("unknown"):
        terms["odrl:obligation"] = [_training_rule("Duty", "unknown", "odrl:obtainConsent")]
    return terms


def _training_rule(kind: str, said: str, action: str) -> Tree:
    about = {
        "@type": "odrl:Constraint",
        "name": f"Tracks on which AI training is {said}",
        "odrl:leftOperand": {"@id": "tracks/ai_training"},
        "odrl:operator": {"@id": "odrl:eq"},
        "odrl:rightOperand": said,
    }
    purpose = {
        "@type": "odrl:Constraint",
        "name": "To train a model",
        "odrl:leftOperand": {"@id": "odrl:purpose"},
        "odrl:operator": {"@id": "odrl:eq"},
        "odrl:rightOperand": "AI training",
    }
    return {"@type": f"odrl:{kind}", "odrl:action": {"@id": action}, "odrl:constraint": [about, purpose]}


def _activity(what: str, release: Release) -> Tree:
    return {
        "@type": "prov:Activity",
        "prov:label": what,
        "prov:endedAtTime": release.made_at.isoformat(timespec="seconds"),
        "prov:wasAssociatedWith": {
            "@type": "prov:SoftwareAgent",
            "prov:label": f"stemline {release.facts['versions']['stemline']}",
        },
    }


def _file_set(table: str) -> Tree:
    return {
        "@type": "cr:FileSet",
        "@id": f"{table}-parts",
        "name": f"{table}-parts",
        "description": f"The parts of the table {table}; release.json has the size and SHA-256 of each.",
        "encodingFormat": ["application/vnd.apache.parquet", "application/x-parquet"],
        "includes": [f"{table}/*.parquet", f"{table}/**/*.parquet"],
    }


def _record_set(table: str, release: Release, layout: DatasetLayout) -> Tree:
    fields = [_field(table, column) for column in layout.schema_of(table)]
    tree = {
        "@type": "cr:RecordSet",
        "@id": table,
        "name": table,
        "description": _SAID[table],
        "key": [{"@id": f"{table}/{name}"} for name in _KEYS[table]],
        "field": [field for field in fields if field is not None],
    }
    if table == "tracks":
        return tree
    providers = release.counts.get("providers", {})
    return tree | {
        "prov:wasAttributedTo": [{"@type": "prov:Agent", "prov:label": name} for name in providers],
        "prov:wasGeneratedBy": {
            "@type": "prov:Activity",
            "prov:label": f"source separation: {', '.join(release.counts.get('recipes', {}))}",
        },
    }


def _field(table: str, column: pa.Field) -> Tree | None:
    """Give a column as a field; None for one of a kind that Croissant has no word for."""
    is_array = pa.types.is_list(column.type)
    kind = _data_type(column.type.value_type if is_array else column.type)
    if kind is None:
        return None
    name = f"{table}/{quote(column.name)}"
    tree: Tree = {
        "@type": "cr:Field",
        "@id": name,
        "name": column.name,
        "dataType": kind,
        "source": {"fileSet": {"@id": f"{table}-parts"}, "extract": {"column": column.name}},
    }
    if is_array:
        tree |= {"isArray": True, "arrayShape": "-1"}
    if table != "tracks" and column.name in _KEYS["tracks"]:
        tree["references"] = {"field": {"@id": f"tracks/{column.name}"}}
    return tree


def _data_type(kind: pa.DataType) -> str | None:
    if pa.types.is_decimal(kind):
        return "sc:Float"
    if pa.types.is_timestamp(kind):
        return "sc:DateTime"
    words = {
        pa.string(): "sc:Text",
        pa.bool_(): "sc:Boolean",
        pa.int32(): "cr:Int32",
        pa.int64(): "cr:Int64",
        pa.float32(): "cr:Float32",
        pa.float64(): "cr:Float64",
        pa.date32(): "sc:Date",
    }
    return words.get(kind)
