# SPDX-License-Identifier: GPL-3.0-or-later
"""Proxies: which one is used, what it is sent, and what is said of one that does not work. Its password is never told."""

from __future__ import annotations

import socket
import ssl
from base64 import b64decode

import pytest
import trustme

from rodin_blender.service.client import Client
from rodin_blender.service.connection import Connection
from rodin_blender.service.errors import Unreachable
from rodin_blender.service.keys import Secret
from rodin_blender.service.proxies import masked, unmasked
from tests.unit.sockets import answering, closed_port, serving
from tests.unit.test_client import Proxy, told
from tools.simulator import API_KEY, Simulator

SERVICE = "https://service.invalid/api/v2"


def client_of(address: str = SERVICE, proxy: str = "", ca_file: str = "") -> Client:
    return Client(Connection(address, Secret(API_KEY), 1.0, 1.0, Secret(proxy), ca_file))


def refusal(proxy: str = "", ca_file: str = "") -> str:
    with pytest.raises(Unreachable) as caught:
        client_of(proxy=proxy, ca_file=ca_file).balance()
    assert caught.value.cause == "proxy"
    for password in ("s3cret", "geheim"):
        assert password not in told(caught.value)
    return str(caught.value)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> tuple[ssl.SSLContext, str]:
    ca = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    ca.issue_cert("service.invalid", "127.0.0.1").configure_cert(context)
    bundle = tmp_path_factory.mktemp("ca") / "ca.pem"
    ca.cert_pem.write_to_path(str(bundle))
    return context, str(bundle)


@pytest.fixture
def secure(authority):
    with Simulator(tls=authority[0]) as simulator:
        yield simulator


# Which one is used.


@pytest.mark.parametrize("scheme", ["http://", ""])
def test_the_set_proxy_goes_before_the_environments(secure, authority, monkeypatch, scheme):
    proxy = Proxy(tunnel_to=secure.root.removeprefix("https://"))
    monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{closed_port()}")
    with serving(proxy) as address:
        assert client_of(proxy=scheme + address.removeprefix("http://"), ca_file=authority[1]).balance() == 12.5
    (head,) = proxy.heads
    assert head.startswith("CONNECT service.invalid:443 ") and API_KEY not in head


@pytest.mark.parametrize("kind", ["set", "environment"])
def test_no_proxy_is_asked_for_what_is_to_go_past_it(monkeypatch, kind):
    proxy = Proxy()
    with serving(proxy) as address:
        if kind == "environment":
            monkeypatch.setenv("HTTPS_PROXY", address)
        monkeypatch.setenv("NO_PROXY", ".invalid")
        with pytest.raises(Unreachable, match="DNS"):
            client_of(proxy=address if kind == "set" else "").balance()
    assert proxy.heads == []


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_set_proxy_does_not_see_what_goes_to_this_computer_itself(simulator, host):
    proxy = Proxy(simulator.root.removeprefix("http://"))
    with serving(proxy) as address:
        assert client_of(simulator.url.replace("127.0.0.1", host), address).balance() == 12.5
    assert proxy.heads == []


@pytest.mark.parametrize(
    ("given", "login"),
    [
        ("me:pass", "me:pass"),
        ("me:p%40ss%3Aw%2Frd%25", "me:p@ss:w/rd%"),
        ("me:p@ss:word", "me:p@ss:word"),
        ("me:%D0%BA%D0%BB%D1%8E%D1%87", "me:ключ"),
        ("me:ключ", "me:ключ"),
        ("jürgen:schlüssel", "jürgen:schlüssel"),
        ("studio%5Cme:50%off", "studio\\me:50%off"),
        ("me", "me:"),
        ("me:", "me:"),
    ],
)
def test_names_and_passwords_of_all_letters_reach_the_proxy(secure, authority, given, login):
    proxy = Proxy(tunnel_to=secure.root.removeprefix("https://"))
    with serving(proxy) as address:
        client = client_of(proxy=address.replace("//", f"//{given}@"), ca_file=authority[1])
        assert client.balance() == 12.5
    (head,) = proxy.heads
    (line,) = [line for line in head.splitlines() if line.lower().startswith("proxy-authorization: basic ")]
    assert b64decode(line.split()[2]).decode() == login


# What is said of one that does not work.


def test_a_host_that_does_not_exist_and_a_port_without_a_proxy_are_told_apart():
    assert "http://me:****@nosuch.invalid:3128" in refusal("http://me:s3cret@nosuch.invalid:3128")
    assert "no host of that name" in refusal("http://me:s3cret@nosuch.invalid:3128")
    assert "refused" in refusal(f"http://me:s3cret@127.0.0.1:{closed_port()}")


@pytest.mark.parametrize(
    ("answer", "login", "said"),
    [
        (b"407 Who Are You\r\nContent-Length: 0", "", "wants a name and a password (HTTP 407)"),
        (b"407 Who Are You\r\nContent-Length: 0", "me:s3cret@", "does not accept the name and password"),
        (b"403 Forbidden\r\nContent-Length: 6", "", "does not let us through"),
        (b"405 Method Not Allowed\r\nContent-Length: 0", "", "(HTTP 405)"),
        (b"502 Bad Gateway\r\nContent-Length: 0", "", "(HTTP 502)"),
    ],
)
def test_a_proxy_that_refuses_is_told_by_what_it_answers(answer, login, said):
    with serving(answering(answer, b"s3cret")) as address:
        text = refusal(address.replace("//", f"//{login}"))
    assert said in text and masked(address.replace("//", f"//{login}")) in text


@pytest.mark.parametrize(
    ("proxy", "said"),
    [
        ("socks5://me:s3cret@127.0.0.1:1080", "of a kind that does not work here (socks5)"),
        ("carrier-pigeon://me:s3cret@host:1", "of a kind that does not work here"),
        ("http://me:s3cret@[half", "no address of the form"),
        ("http://me:s3cret@host:port", "no address of the form"),
        ("http://me:s3cret/geheim@host:3128", "write @ : / ? # as"),
        ("http://me:s3cret#geheim@host:3128", "write @ : / ? # as"),
        ("http://host:3128/proxy.pac", "no address of the form"),
        ("http://", "no address of the form"),
        ("http:host:3128", "no address of the form"),
    ],
)
def test_a_proxy_of_the_wrong_kind_or_form_is_told_apart(proxy, said):
    assert said in refusal(proxy)


def test_a_proxy_that_does_not_speak_tls_or_http_is_told_apart(authority):
    with serving(answering(b"400 Bad Request\r\nContent-Length: 0")) as address:
        assert "Try http:// in place of https://" in refusal(address.replace("http://", "https://me:s3cret@"))

    def socks(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(b"\x05\xff")

    for handle in (socks, lambda connection: None):
        with serving(handle) as address:
            assert "it may be of another kind" in refusal(address)
    with serving(Proxy(), authority[0]) as address:
        assert "The proxy's certificate is not trusted" in refusal(address)


def test_a_proxy_that_hangs_did_not_answer_in_time():
    def hang(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.recv(1)

    with serving(hang) as address:
        assert "did not answer in time" in refusal(address)


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_proxy_without_a_scheme_is_shown_as_it_stands_with_where_it_comes_from(monkeypatch, variable):
    value = f"localhost:{closed_port()}"
    monkeypatch.setenv(variable, value)
    text = refusal()
    assert f"The proxy {value} ({variable}) refused" in text


def test_trouble_past_the_proxy_is_not_the_proxys(secure):
    proxy = Proxy(tunnel_to=secure.root.removeprefix("https://"))
    with serving(proxy) as address, pytest.raises(Unreachable, match="The service's certificate is not trusted") as caught:
        client_of(proxy=address).balance()
    assert caught.value.cause == "tls"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("localhost:3128", "localhost:3128"),
        ("http://proxy:3128/", "http://proxy:3128/"),
        ("http://me:s3cret@proxy:3128", "http://me:****@proxy:3128"),
        ("me:s3cret@proxy:3128", "me:****@proxy:3128"),
        ("http://me:s3/c@r#e?t@proxy", "http://me:****@proxy"),
        ("http://t0ken@proxy", "http://****@proxy"),
        ("http://t0ken:@proxy", "http://****@proxy"),
        ("http://:s3cret@proxy", "http://:****@proxy"),
        ("socks5h://me:a\nb@proxy\n", "socks5h://me:****@proxy"),
        ("x" * 300, "x" * 99 + "…"),
        ("", ""),
    ],
)
def test_a_proxy_is_shown_as_it_stands_less_the_password(value, shown):
    assert masked(value) == shown


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("http://me:****@proxy:3128", "http://me:s3:c@ret@proxy:3128"),
        ("http://me:****@other:8080", "http://me:s3:c@ret@other:8080"),
        ("http://you:new@proxy:3128", "http://you:new@proxy:3128"),
        ("proxy:3128", "proxy:3128"),
        ("", ""),
    ],
)
def test_a_hidden_password_that_is_left_as_it_is_stays(text, meant):
    assert unmasked(text, "http://me:s3:c@ret@proxy:3128") == meant
    assert unmasked("http://me:****@proxy", "") == "http://me:****@proxy"


def test_the_program_that_asks_is_told_to_the_service(simulator):
    heads = []

    def handle(connection: socket.socket) -> None:
        heads.append(connection.recv(65536))
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 14\r\n\r\n{"balance": 1}')

    with serving(handle) as address:
        Client(Connection(address, Secret(API_KEY), program="Blender/4.5.1")).balance()
    assert b"User-Agent: rodin-blender Blender/4.5.1 python-requests/" in heads[0]
