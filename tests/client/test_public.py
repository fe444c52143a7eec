"""The SDK's face: what it exports, that importing it is cheap, that both clients are one."""

from __future__ import annotations

import inspect
import subprocess
import sys

import msgspec
import pytest

import tallystick
from tallystick import Client, SyncClient, client
from tallystick.client.values.base import Value


def test_the_package_exports_what_the_sdk_does():
    assert tallystick.__all__ == client.__all__
    assert all(getattr(tallystick, name) is getattr(client, name) for name in tallystick.__all__)
    assert set(tallystick.__all__) <= set(dir(tallystick))
    with pytest.raises(AttributeError, match="no attribute 'Clients'"):
        _ = tallystick.Clients


@pytest.mark.parametrize("module", ["tallystick", "tallystick.core.clock"])
def test_importing_the_package_loads_no_grpc(module):
    program = f"import sys, {module}; sys.exit('grpc' in sys.modules or 'tallystick.client' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=60).returncode == 0


def test_both_clients_have_the_same_calls():
    def calls(kind: type) -> dict[str, inspect.Signature]:
        found = {name: getattr(kind, name) for name in dir(kind) if not name.startswith("_")}
        return {name: inspect.signature(call) for name, call in found.items() if callable(call)}

    asynchronous, synchronous = calls(Client), calls(SyncClient)
    assert asynchronous.keys() == synchronous.keys()
    for name, signature in asynchronous.items():
        assert signature.parameters == synchronous[name].parameters, name
    assert inspect.signature(Client) == inspect.signature(SyncClient)


def test_every_value_is_frozen_and_compares_by_content():
    kinds = Value.__subclasses__()
    assert len(kinds) > 20
    for kind in kinds:
        assert issubclass(kind, msgspec.Struct)
        assert kind.__struct_config__.frozen, kind
        assert kind.__struct_config__.eq, kind


@pytest.mark.parametrize(
    "wrong", [{"timeout": 0}, {"timeout": -1.0}, {"timeout": float("nan")}, {"streams": 0}]
)
def test_settings_that_make_no_sense_are_refused(wrong):
    with pytest.raises(ValueError, match="must be more than 0"):
        Client("127.0.0.1:1", **wrong)
