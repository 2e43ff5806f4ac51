"""Write the Python types of a JSON Schema: ``python python_types.py messages > message_types.py``."""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

SCHEMAS = Path(__file__).resolve().parents[2] / "schema"
LINE_LENGTH = 121
"""With the line break."""

PRIMITIVES = {"integer": "int", "number": "float", "string": "str", "null": "None", "boolean": "bool"}


def expression(schema: dict[str, Any]) -> str:
    """The Python type of a schema that is used in place."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"Literal[{', '.join(json.dumps(value) for value in values)}]"
    if "anyOf" in schema or "oneOf" in schema:
        return " | ".join(expression(option) for option in schema.get("anyOf") or schema["oneOf"])
    if schema["type"] == "array":
        return f"list[{expression(schema['items'])}]"
    if schema["type"] == "object":
        return "dict[str, Any]"
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " | ".join(PRIMITIVES[name] for name in types)


def alias(name: str, schema: dict[str, Any]) -> str:
    """The Python text of a named schema that stands for another type."""
    line = f"{name} = {expression(schema)}\n"
    if len(line) <= LINE_LENGTH:
        return line
    inner = f"    {expression(schema)}\n"
    return f"{name} = (\n{inner if len(inner) <= LINE_LENGTH else inner.replace(' | ', chr(10) + '    | ')})\n"


def typed_dict(name: str, schema: dict[str, Any]) -> str:
    """The Python text of a named schema of an object."""
    doc = schema.get("description", f"See `{name}` in the schema.")
    types = {key: expression(value) for key, value in schema["properties"].items()}
    fields = [f"{key}: {kind if key in schema['required'] else f'NotRequired[{kind}]'}" for key, kind in types.items()]
    return f'class {name}(TypedDict):\n    """{doc}"""\n\n' + "".join(f"    {field}\n" for field in fields)


def module(text: str) -> str:
    """The whole module for the text of a schema: simple types, then objects, then the choices between them."""
    schema = json.loads(text)
    kinds: dict[str, list[tuple[str, dict[str, Any]]]] = {"simple": [], "object": [], "choice": []}
    for name, each in schema["definitions"].items():
        kinds["choice" if "anyOf" in each else "object" if each["type"] == "object" else "simple"].append((name, each))
    kinds["choice"].append((schema["title"], schema))
    simple = "".join(alias(*each) for each in sorted(kinds["simple"]))
    objects = "\n\n".join(typed_dict(*each) for each in kinds["object"])
    choices = "".join(alias(*each) for each in kinds["choice"])
    names = [name for name in ("Any", "Literal", "NotRequired", "TypedDict") if name in objects]
    return (
        f'"""{schema["description"]}\n\nGenerated from the schema by ``npm run generate``.\n"""\n\n'
        f"# schema sha256: {sha256(text.encode()).hexdigest()}\n\n"
        f"from __future__ import annotations\n\nfrom typing import {', '.join(names)}\n\n"
        f"{simple}\n\n{objects}\n\n{choices}"
    )


if __name__ == "__main__":
    sys.stdout.write(module((SCHEMAS / f"{sys.argv[1]}.schema.json").read_text(encoding="utf-8")))
