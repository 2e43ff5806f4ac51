"""Write the Python types of the messages from their JSON Schema: ``python python_types.py > messages_types``."""

import json
import sys
from hashlib import sha256
from pathlib import Path
from typing import Any

WIDGETS = Path(__file__).resolve().parents[2]
SCHEMA = WIDGETS / "schema" / "messages.schema.json"
TARGET = WIDGETS / "message_types.py"
PRIMITIVES = {"integer": "int", "number": "float", "string": "str", "null": "None", "boolean": "bool"}


def expression(schema: dict[str, Any]) -> str:
    """The Python type of a schema that is used in place."""
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    if "const" in schema or "enum" in schema:
        values = schema.get("enum", [schema.get("const")])
        return f"Literal[{', '.join(json.dumps(value) for value in values)}]"
    if "anyOf" in schema:
        return " | ".join(expression(option) for option in schema["anyOf"])
    if schema["type"] == "array":
        return f"list[{expression(schema['items'])}]"
    if schema["type"] == "object":
        return "dict[str, Any]"
    types = schema["type"] if isinstance(schema["type"], list) else [schema["type"]]
    return " | ".join(PRIMITIVES[name] for name in types)


def definition(name: str, schema: dict[str, Any]) -> str:
    """The Python text of one named schema."""
    if schema["type"] != "object":
        return f"{name} = {expression(schema)}\n"
    doc = schema.get("description", f"See `{name}` in messages.schema.json.")
    fields = "".join(f"    {key}: {expression(value)}\n" for key, value in schema["properties"].items())
    return f'class {name}(TypedDict):\n    """{doc}"""\n\n{fields}'


def module(text: str) -> str:
    """The whole module for the text of the schema."""
    definitions = json.loads(text)["definitions"]
    order = sorted(definitions, key=lambda name: definitions[name]["type"] == "object")
    aliases = [definition(name, definitions[name]) for name in order if definitions[name]["type"] != "object"]
    classes = [definition(name, definitions[name]) for name in order if definitions[name]["type"] == "object"]
    head = (
        '"""Types of the messages to the browser; generated from the schema by ``npm run generate``."""\n\n'
        f"# schema sha256: {sha256(text.encode()).hexdigest()}\n\n"
        "from __future__ import annotations\n\nfrom typing import Any, Literal, TypedDict\n\n"
    )
    return head + "".join(aliases) + "\n\n" + "\n\n".join(classes) + "\n\nMessage = Setup | Snapshot | Increment\n"


if __name__ == "__main__":
    sys.stdout.write(module(SCHEMA.read_text(encoding="utf-8")))
