# SPDX-License-Identifier: GPL-3.0-or-later
"""Whose certificates are trusted, and what is said of those that are not."""

from __future__ import annotations

import ssl
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.errors import Unreachable
from rodin_blender.service.keys import Secret
from tests.unit.sockets import hanging, serving
from tools.simulator import API_KEY, Simulator

CA = trustme.CA()
LINUX = sys.platform.startswith("linux")


def serving_with(certificate: trustme.LeafCert) -> Simulator:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate.configure_cert(context)
    return Simulator(tls=context)


def client_of(address: str, ca_file: str | Path = "") -> Client:
    return Client(Connection(address, Secret(API_KEY), 2.0, 2.0, ca_file=str(ca_file)))


def refusal(address: str, ca_file: str | Path = "") -> str:
    """What is said of a connection that TLS keeps from being made."""
    with pytest.raises(Unreachable) as caught:
        client_of(address, ca_file).balance()
    assert caught.value.cause == "tls"
    return str(caught.value)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    path = tmp_path / "studio ca.pem"
    CA.cert_pem.write_to_path(str(path))
    return path


@pytest.fixture
def secure() -> Callable[[], Simulator]:
    with serving_with(CA.issue_cert("127.0.0.1")) as simulator:
        yield simulator


def test_a_ca_file_is_trusted_and_nothing_is_sent_without_it(secure, bundle):
    assert "not trusted" in refusal(secure.url) and "CA File" in refusal(secure.url)
    assert secure.requests == [], "nothing may be sent before the certificate is found good"
    assert client_of(secure.url, bundle).balance() == 12.5


@pytest.mark.parametrize("variable", ["REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"])
def test_the_environments_bundle_is_trusted_and_the_setting_goes_before_it(secure, bundle, monkeypatch, variable):
    monkeypatch.setenv(variable, str(bundle))
    assert client_of(secure.url).balance() == 12.5
    monkeypatch.setenv(variable, "/gone/ca.pem")
    assert f"/gone/ca.pem ({variable}) is not there." in refusal(secure.url)
    assert client_of(secure.url, bundle).balance() == 12.5


@pytest.mark.skipif(not LINUX, reason="elsewhere the system's certificates are not named by a variable")
def test_what_the_system_trusts_is_trusted_and_in_no_other_module(secure, bundle, monkeypatch):
    pytest.importorskip("truststore")
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert client_of(secure.url).balance() == 12.5
    assert ssl.SSLContext.__module__ == "ssl", "truststore did not put itself in its place"
    with serving_with(trustme.CA().issue_cert("127.0.0.1")) as other:
        assert "not trusted" in refusal(other.url)


def test_without_truststore_the_list_of_requests_is_trusted(secure, bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "truststore", None)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    assert "not trusted" in refusal(secure.url)
    assert client_of(secure.url, bundle).balance() == 12.5
    monkeypatch.setattr("requests.utils.DEFAULT_CA_BUNDLE_PATH", str(bundle))
    assert client_of(secure.url).balance() == 12.5


def test_a_certificate_of_another_host_is_told_apart(secure, bundle):
    assert "of another host" in refusal(secure.url.replace("127.0.0.1", "localhost"), bundle)
    with serving_with(CA.issue_cert("service.invalid")) as other:
        assert "of another host" in refusal(other.url, bundle)
    assert secure.requests == other.requests == []


def test_a_certificate_out_of_date_is_told_apart(bundle):
    past = {"not_before": datetime(2020, 1, 1, tzinfo=UTC), "not_after": datetime(2021, 1, 1, tzinfo=UTC)}
    with serving_with(CA.issue_cert("127.0.0.1", **past)) as expired:
        assert "out of date, or the clock" in refusal(expired.url, bundle)


def der() -> bytes:
    return ssl.PEM_cert_to_DER_cert(CA.cert_pem.bytes().decode())


@pytest.mark.parametrize("how", ["setting", "environment"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "is not there"),
        (b"", "is empty"),
        (b" \n", "is empty"),
        (der(), "binary form (DER)"),
        (b"\x00\xff" * 100, "holds no certificate"),
        (b"<html>Not found</html>", "holds no certificate"),
        (CA.private_key_pem.bytes(), "holds no certificate"),
        (CA.cert_pem.bytes()[:300], "is damaged"),
        (CA.cert_pem.bytes().replace(b"M", b"!"), "is damaged"),
    ],
    ids=["missing", "empty", "blank", "der", "garbage", "html", "key", "cut", "spoilt"],
)
def test_a_ca_file_that_is_none_is_told_apart_and_nothing_is_connected(tmp_path, monkeypatch, how, content, said):
    path = tmp_path / "studio.crt"
    if content is not None:
        path.write_bytes(content)
    connected = []

    def handle(connection):
        connected.append(connection)
        hanging()(connection)

    with serving(handle) as address:
        if how == "environment":
            monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(path))
        text = refusal(address.replace("http", "https"), path if how == "setting" else "")
    assert said in text and str(path) in text
    assert ("CA File" if how == "setting" else "REQUESTS_CA_BUNDLE") in text
    assert connected == []


def test_the_users_home_may_be_written_short(secure, bundle, monkeypatch):
    monkeypatch.setenv("HOME", str(bundle.parent))
    monkeypatch.setenv("USERPROFILE", str(bundle.parent))
    assert client_of(secure.url, f"~/{bundle.name}").balance() == 12.5
