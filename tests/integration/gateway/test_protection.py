"""Browsers, TLS, and clients that mean no good."""

from __future__ import annotations

import asyncio
import datetime as dt
import io
import json
import shutil
import ssl
import subprocess
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from support.envoy import running_gateway
from support.tables import pool, table
from support.waiting_in_loop import eventually

if TYPE_CHECKING:
    from pathlib import Path

CHAT = "/v1/chat/completions"
REQUEST = b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
BODY = b'{"model":"small"}'

SMUGGLED = {
    "length and chunks": REQUEST + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": REQUEST + b"content-length: 17\r\ncontent-length: 4\r\n\r\n" + BODY,
    "another encoding": REQUEST + b"transfer-encoding: xchunked\r\n\r\n0\r\n\r\n",
    "a blank before the colon": REQUEST + b"transfer-encoding : chunked\r\n\r\n0\r\n\r\n",
    "a negative length": REQUEST + b"content-length: -1\r\n\r\n",
    "a line break in a chunk's extension": REQUEST + b'transfer-encoding: chunked\r\n\r\n1;x="\n"\r\n{\r\n0\r\n\r\n',
    "lines without carriage returns": b"POST /v1/chat/completions HTTP/1.1\nhost: x\ncontent-length: 0\n\n",
    "a null in a header": REQUEST + b"x: a\0b\r\ncontent-length: 0\r\n\r\n",
    "no host": b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: 0\r\n\r\n",
    "no HTTP": b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
}


async def raw(port: int, data: bytes) -> bytes:
    """What comes back for these bytes until the connection is closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(data)
    answer = await asyncio.wait_for(reader.read(), 20)
    writer.close()
    return answer


async def test_what_could_be_read_differently_is_refused_and_the_connection_closed(small):
    async with running_gateway(table(pool("small", small))) as gateway:
        for what, data in SMUGGLED.items():
            answer = await raw(gateway.settings.port, data)
            assert answer.split()[1] in (b"400", b"501"), what
            error = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]
            assert error["type"], what
            assert error["message"], what
    assert not small.seen


async def test_the_old_version_of_http_is_refused_with_what_to_do(small):
    async with running_gateway(table(pool("small", small))) as gateway:
        answer = await raw(gateway.settings.port, b"GET /v1/models HTTP/1.0\r\nhost: x\r\n\r\n")
    assert answer.split()[1] == b"426"
    assert b"HTTP/1.1" in answer.partition(b"\r\n\r\n")[2]


async def test_the_request_log_has_no_query_which_could_hold_a_key(small, http):
    async with running_gateway(table(pool("small", small))) as gateway:
        async with http.post(gateway.url + CHAT + "?api_key=secret", data=BODY) as response:
            assert response.status == 200
        assert (await gateway.log_line())["path"] == CHAT
    assert small.seen


async def test_too_many_and_too_large_headers_are_refused(small, http):
    async with running_gateway(table(pool("small", small))) as gateway:
        for headers in ({f"h{number}": "1" for number in range(120)}, {"h": "x" * 40_000}):
            async with http.get(gateway.url + "/v1/models", headers=headers) as response:
                assert response.status == 431
                assert "headers" in (await response.json())["error"]["message"]


async def test_headers_of_the_gateway_cannot_be_sent_by_clients(small, large, http):
    one = table(pool("small", small), pool("large", large))
    forged = {
        "x-mixserve-chain": "auto/t1/large",
        "x-mixserve-endpoints": large.endpoint,
        "x-envoy-upstream-rq-per-try-timeout-ms": "1",
        "x-gateway-destination-endpoint": large.endpoint,
    }
    running = running_gateway(one)
    async with running as gateway, http.post(gateway.url + CHAT, data=BODY, headers=forged) as response:
        assert (await response.json())["model"] == "small"


async def test_paths_are_read_as_one_would_read_them(small, http):
    async with running_gateway(table(pool("small", small))) as gateway:
        for path in ("/v1/../v1/models", "//v1//models", "/v1%2fmodels"):
            answer = await raw(
                gateway.settings.port, f"GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".encode()
            )
            assert answer.split()[1] == b"200", path


async def test_a_slow_reader_slows_its_engine_and_nobody_else(small, http):
    async with running_gateway(table(pool("small", small))) as gateway:
        slow = await http.post(gateway.url + CHAT, json={"model": "small", "stream": True})
        async with http.post(gateway.url + CHAT, data=BODY) as response:
            assert response.status == 200
        slow.close()


async def test_browsers_may_ask_from_any_page(small, http):
    async with running_gateway(table(pool("small", small))) as gateway:
        asked = {
            "origin": "https://app.example",
            "access-control-request-method": "POST",
            "access-control-request-headers": "authorization,content-type,x-stainless-os",
        }
        async with http.options(gateway.url + CHAT, headers=asked) as response:
            assert response.status == 204
            assert response.headers["access-control-allow-origin"] == "*"
            assert response.headers["access-control-allow-headers"] == asked["access-control-request-headers"]
            assert "POST" in response.headers["access-control-allow-methods"]
        for body, status in ((BODY, 200), (b'{"model":"no"}', 404), (b"[", 400), (b" " * 11_000_000, 413)):
            async with http.post(gateway.url + CHAT, data=io.BytesIO(body), headers=asked) as response:
                assert response.status == status
                assert response.headers.getall("access-control-allow-origin") == ["*"]
                assert response.content_type == "application/json"


def write_certificate(directory: Path, *, serial: int) -> None:
    """A certificate of its own authority for localhost, as a Secret is mounted: two files behind one link."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(serial)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    version = directory / f"..{serial}"
    version.mkdir(parents=True)
    (version / "tls.crt").write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    pem = serialization.PrivateFormat.PKCS8
    text = key.private_bytes(serialization.Encoding.PEM, pem, serialization.NoEncryption())
    (version / "tls.key").write_bytes(text)
    link = directory / "..data.new"
    link.symlink_to(version.name)
    link.replace(directory / "..data")
    for file in ("tls.crt", "tls.key"):
        if not (directory / file).is_symlink():
            (directory / file).symlink_to(f"..data/{file}")


async def test_tls_with_both_versions_of_http_and_a_renewed_certificate(small, tmp_path):
    write_certificate(tmp_path, serial=1)
    async with running_gateway(table(pool("small", small)), tls_directory=str(tmp_path)) as gateway:
        port = gateway.settings.tls_port

        async def connected(*protocols: str) -> tuple[str | None, int]:
            """The protocol that was agreed upon, and the certificate's serial number."""
            context = ssl.create_default_context(cafile=str(tmp_path / "tls.crt"))
            context.set_alpn_protocols(list(protocols))
            _, writer = await asyncio.open_connection("localhost", port, ssl=context)
            connection = writer.get_extra_info("ssl_object")
            serial = int(connection.getpeercert()["serialNumber"], 16)
            writer.close()
            return connection.selected_alpn_protocol(), serial

        assert await connected("h2", "http/1.1") == ("h2", 1)
        assert await connected("http/1.1") == ("http/1.1", 1)

        write_certificate(tmp_path, serial=2)

        async def renewed() -> bool:
            try:
                return (await connected("h2"))[1] == 2
            except ssl.SSLError:
                return False

        await eventually(renewed, "the new certificate")


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
async def test_curl_with_http_2(small):
    async with running_gateway(table(pool("small", small))) as gateway:
        command = ["curl", "-sS", "--http2-prior-knowledge", "-w", "%{http_version}", "-d", BODY, gateway.url + CHAT]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, check=True, timeout=20)
    assert done.stdout.endswith(b"2")
    assert b"I am small." in done.stdout
