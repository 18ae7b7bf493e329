"""The reader and spec/blueprint.schema.json agree, and both are what the executable prints."""

import copy
import json
import os
import pathlib
import subprocess

import jsonschema
import pytest
import yaml

from corpus import BAD, BASE, GOOD
from harness.runtime import NEMOSHELL

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "spec/blueprint.schema.json").read_text())


def nemoshell(*args, text=None):
    return subprocess.run([NEMOSHELL, *args], input=text, capture_output=True, text=True, timeout=60)


def with_change(path, value):
    document = copy.deepcopy(BASE)
    node = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return document


def fits(document):
    return not list(jsonschema.Draft202012Validator(SCHEMA).iter_errors(document))


def errors(documents, work):
    """The errors of every document, from one call of the reader."""
    files = []
    for number, document in enumerate(documents):
        files.append(os.path.join(work, f"{number}.yaml"))
        pathlib.Path(files[-1]).write_text(yaml.safe_dump(document, sort_keys=False))
    done = nemoshell("blueprint", "check", "--json", *files)
    assert done.stderr == ""
    found = {file: [] for file in files}
    for error in json.loads(done.stdout):
        assert error["severity"] == "error" and error["line"] > 0 and error["column"] > 0 and error["message"]
        found[error["file"]].append(error)
    return list(found.values())


def test_the_files_in_spec_are_what_the_executable_prints():
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    assert nemoshell("blueprint", "schema").stdout == (ROOT / "spec/blueprint.schema.json").read_text()
    reference = nemoshell("blueprint", "schema", "--reference").stdout.strip()
    assert reference and (ROOT / "spec/blueprint.md").read_text().strip().endswith(reference)


def test_what_is_good_is_accepted_by_both(work):
    documents = [BASE] + [with_change(*change) for change in GOOD]
    for document, found in zip(documents, errors(documents, work)):
        assert fits(document) and not found, (document, found)


def test_what_is_bad_is_refused_by_both(work):
    documents = [with_change(*change) for change in BAD]
    for change, document, found in zip(BAD, documents, errors(documents, work)):
        assert found, f"the reader accepts {change}"
        assert not fits(document), f"the schema accepts {change}"


def test_every_required_field_is_required_by_both(work):
    documents = []
    for path in [["apiVersion"], ["kind"], ["metadata"], ["sandbox"], ["policy"], ["metadata", "name"], ["metadata", "version"],
                 ["sandbox", "rootfs"], ["sandbox", "process"], ["sandbox", "process", "args"], ["policy", "filesystem"]]:
        document = copy.deepcopy(BASE)
        node = document
        for key in path[:-1]:
            node = node[key]
        del node[path[-1]]
        documents.append(document)
    for document, found in zip(documents, errors(documents, work)):
        assert found and not fits(document)


@pytest.mark.parametrize("path", sorted((ROOT / "spec/examples").glob("*.yaml")), ids=lambda p: p.stem)
def test_the_examples_hold(path):
    assert fits(yaml.safe_load(path.read_text()))
    done = nemoshell("policy", "test", str(path))
    assert done.returncode == 0, done.stdout + done.stderr
