"""Holds manifests against the schemas of Kubernetes and of the Prometheus Operator, and prints for each
file, as JSON, what is in it or what is wrong with it.

manifests.py FILE...   in the environment that `cargo xtask test` makes of requirements.txt; asks no network
"""

import json
import sys

import kubernetes_validate
import yaml
from cloudcoil.models.prometheus_operator.v1 import PodMonitor

# The oldest that has every field, and the newest that there are schemas of.
VERSIONS = ["1.30", kubernetes_validate.latest_version()]


def unknown(given, understood, path):
    """Fields of what is given that nothing was understood by."""
    if isinstance(given, dict):
        for key, value in given.items():
            inside = f"{path}.{key}"
            if key not in understood:
                yield inside
            else:
                yield from unknown(value, understood[key], inside)
    elif isinstance(given, list):
        for number, (one, other) in enumerate(zip(given, understood)):
            yield from unknown(one, other, f"{path}[{number}]")


def check(manifest):
    if manifest["kind"] == "PodMonitor":
        # A model passes over fields that it does not know; what it makes of the rest lacks them.
        model = PodMonitor.model_validate(manifest)
        understood = model.model_dump(mode="json", by_alias=True, exclude_none=True)
        strangers = list(unknown(manifest, understood, "PodMonitor"))
        if strangers:
            raise ValueError(f"unknown fields: {', '.join(strangers)}")
    else:
        for version in VERSIONS:
            kubernetes_validate.validate(manifest, version, strict=True)


def told(path):
    """The manifests of a file, or what is wrong with one of them."""
    with open(path, encoding="utf-8") as file:
        manifests = list(yaml.safe_load_all(file))
    for manifest in manifests:
        try:
            check(manifest)
        except Exception as error:
            # That of a schema would print the schema as well.
            words = getattr(error, "message", error)
            return {"error": f"{manifest['kind']} {manifest['metadata']['name']}: {words}"}
    return {"manifests": manifests}


json.dump([told(path) for path in sys.argv[1:]], sys.stdout)
