"""What the preferences say of the network, and what comes of it: proxy, CA file, certificates, user agent."""

from __future__ import annotations

import importlib
from concurrent.futures import ThreadPoolExecutor

import bpy
import pytest
from conftest import PACKAGE, Rodin, Service


def own() -> bpy.types.AddonPreferences:
    return bpy.context.preferences.addons[PACKAGE].preferences


@pytest.fixture(autouse=True)
def _without_proxy(rodin: Rodin):
    bpy.context.preferences.system.use_online_access = True
    yield
    bpy.context.preferences.system.use_online_access = False
    own().proxy = ""
    own().property_unset("ca_file")


def test_a_proxys_password_is_used_and_not_shown(rodin: Rodin) -> None:
    own().proxy = " http://me:s3cret@proxy.invalid:3128"
    assert own().proxy == "http://me:****@proxy.invalid:3128"
    settings = rodin.app.settings
    assert settings.for_tracker().proxy.reveal() == "http://me:s3cret@proxy.invalid:3128"
    assert settings.resolve("proxy").source == "preferences"
    own().proxy = "http://me:****@other.invalid:3128"
    assert settings.value("proxy") == "http://me:s3cret@other.invalid:3128"
    own().proxy = ""
    assert (settings.value("proxy"), settings.resolve("proxy").source) == ("", "default")


def test_proxy_and_ca_file_reach_the_client_and_their_trouble_the_task(
    rodin: Rodin, service: Service, tmp_path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RODIN_API_URL", "https://service.invalid/api/v2")
    own().proxy = "http://me:s3cret@nosuch.invalid:3128"
    task_id = rodin.track(service.add("waiting"))
    rodin.until(lambda: "no host of that name" in rodin.item(task_id).message, "the proxy is told")
    assert "http://me:****@nosuch.invalid:3128" in rodin.item(task_id).message
    assert "s3cret" not in rodin.item(task_id).message
    own().proxy = ""
    (tmp_path / "ca.pem").touch()
    own().ca_file = str(tmp_path / "ca.pem")
    rodin.until(lambda: rodin.session.settings.ca_file, "the settings are read again")
    bpy.ops.rodin.check_now(task_id=task_id)
    rodin.until(lambda: "is empty" in rodin.item(task_id).message, "the CA file is told")
    bpy.ops.rodin.forget(task_id=task_id)


def test_the_service_is_told_which_blender_asks(rodin: Rodin) -> None:
    settings = rodin.app.settings.for_tracker()
    assert settings.connection.program == f"Blender/{'.'.join(map(str, bpy.app.version))}"


def test_the_systems_certificates_count_by_the_wheel_in_the_zip(rodin: Rodin, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    trust = rodin.module("service.certificates").Trust("")
    with ThreadPoolExecutor() as worker:
        context = worker.submit(trust.context).result()
    truststore = importlib.import_module("truststore")
    assert ".local" in truststore.__file__, "it is the extension's own"
    assert truststore.SSLContext in type(context).__mro__
