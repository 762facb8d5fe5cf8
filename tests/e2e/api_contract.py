"""Holds what the server answers against data/openapi.yaml: each status and body has to be one that is described. Standard library and
PyYAML only; of JSON Schema what the file uses."""
import json
import re

import yaml

from framemill import ROOT


class ContractError(AssertionError):
    pass


class Contract:
    """The file, and which of its operations were exercised with which status."""

    def __init__(self, path=ROOT / "data/openapi.yaml"):
        self.document = yaml.safe_load(path.read_text())
        self.seen = set()

    def resolve(self, node):
        while "$ref" in node:
            target = self.document
            for part in node["$ref"][2:].split("/"):
                target = target[part]
            node = target
        return node

    def operations(self):
        for path, item in self.document["paths"].items():
            for method, operation in item.items():
                if method != "parameters":
                    yield method.upper(), path, operation

    def find(self, method, path):
        """The operation behind a path of a request; (None, None) where nothing is described there."""
        best = None
        for pattern, item in self.document["paths"].items():
            if re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", pattern), path):
                if best is None or "{" not in pattern:
                    best = (pattern, item)
        if best is None or method.lower() not in best[1]:
            return None, None
        return best[0], best[1][method.lower()]

    def check(self, method, path, status, headers, body):
        """Fails where the answer is not described. 429, 431, 421, 405 and 404 of unknown places are the server's, not an operation's."""
        pattern, operation = self.find(method, path)
        if operation is None:
            if method == "GET" and status in (200, 304) and not path.startswith("/api/"):
                return  # the dashboard
            if status not in (404, 405, 421, 429, 431, 400, 401):
                raise ContractError(f"{method} {path} is not described, and answers {status}")
            return
        responses = operation["responses"]
        if str(status) not in responses:
            raise ContractError(f"{method} {pattern} answers {status}, described are {', '.join(responses)}: {body[:300]!r}")
        self.seen.add((method, pattern, status))
        response = self.resolve(responses[str(status)])
        content = response.get("content")
        if not content:
            if body:
                raise ContractError(f"{method} {pattern} {status} has a body, and none is described")
            return
        kind = headers.get("Content-Type", "").split(";")[0]
        if kind not in content:
            raise ContractError(f"{method} {pattern} {status} is {kind}, described is {', '.join(content)}")
        if kind == "application/json":
            self.validate(json.loads(body), content[kind]["schema"], f"{method} {pattern} {status}")

    def validate(self, value, schema, where):
        schema = self.resolve(schema)
        if value is None:
            if not schema.get("nullable"):
                raise ContractError(f"{where}: is null, and must not be")
            return
        kind = schema.get("type")
        kinds = {"object": dict, "array": list, "string": str, "boolean": bool, "integer": int, "number": (int, float)}
        if kind and (not isinstance(value, kinds[kind]) or (kind in ("integer", "number") and isinstance(value, bool))):
            raise ContractError(f"{where}: {value!r} is no {kind}")
        if "enum" in schema and value not in schema["enum"]:
            raise ContractError(f"{where}: {value!r} is none of {schema['enum']}")
        if isinstance(value, str) and "pattern" in schema and not re.search(schema["pattern"], value):
            raise ContractError(f"{where}: {value!r} does not match {schema['pattern']}")
        if isinstance(value, dict):
            properties = schema.get("properties", {})
            for key in schema.get("required", []):
                if key not in value:
                    raise ContractError(f"{where}: {key} is missing")
            for key, entry in value.items():
                if key in properties:
                    self.validate(entry, properties[key], f"{where}.{key}")
                elif properties and schema.get("additionalProperties") is not True:
                    raise ContractError(f"{where}: {key} is not described")
        if isinstance(value, list):
            for i, entry in enumerate(value):
                self.validate(entry, schema.get("items", {}), f"{where}[{i}]")
            if len(value) < schema.get("minItems", 0) or len(value) > schema.get("maxItems", len(value)):
                raise ContractError(f"{where}: {len(value)} items")
