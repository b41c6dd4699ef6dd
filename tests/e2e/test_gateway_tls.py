"""TLS on both sides of the gateway, judged by the official clients and by a second gateway in front."""

import signal
import ssl
import subprocess
from pathlib import Path

import httpx2
import openai
import pytest
from gateway import Gateway, config, endpoint, wait_until
from test_gateway_access import key_line

ASK = {"model": "m", "messages": [{"role": "user", "content": "x"}], "max_tokens": 5}


def make_certificate(folder: Path, name: str, names: str = "IP:127.0.0.1") -> dict[str, str]:
    files = {"cert": str(folder / f"{name}.crt"), "key": str(folder / f"{name}.key")}
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "1", "-subj",
                    f"/CN={name}", "-addext", f"subjectAltName={names}", "-keyout", files["key"], "-out", files["cert"]],
                   check=True, capture_output=True)
    return files


def client(gateway: Gateway, trusted: str, key: str = "unused") -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{gateway.url}/v1", api_key=key, max_retries=0,
                         http_client=httpx2.Client(verify=ssl.create_default_context(cafile=trusted)))


def test_tls_from_the_client_to_the_last_server(stub, tmp_path):
    back, front = make_certificate(tmp_path, "back"), make_certificate(tmp_path, "front")
    with Gateway(config({"main": [endpoint("stub", stub.url)]}, tls=back), tmp_path, "back") as behind:
        assert behind.url.startswith("https://")
        settings = config({"main": [endpoint("behind", behind.url, tls_ca=back["cert"])]}, tls=front)
        with Gateway(settings, tmp_path, "front") as gateway:
            assert client(gateway, front["cert"]).chat.completions.create(**ASK).choices[0].message.content == "hello"
            stream = client(gateway, front["cert"]).chat.completions.create(**ASK, stream=True)
            assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "hello"
            with pytest.raises(openai.APIConnectionError):
                client(gateway, back["cert"]).chat.completions.create(**ASK)


def test_a_server_whom_nobody_vouches_for_gets_nothing(stub, tmp_path):
    back, other = make_certificate(tmp_path, "back"), make_certificate(tmp_path, "other")
    elsewhere = make_certificate(tmp_path, "elsewhere", "DNS:elsewhere.example.com")
    with (Gateway(config({"main": [endpoint("stub", stub.url)]}, tls=back), tmp_path, "back") as behind,
          Gateway(config({"main": [endpoint("stub", stub.url)]}, tls=elsewhere), tmp_path, "misnamed") as misnamed):
        for name, settings in {"stranger": endpoint("behind", behind.url, tls_ca=other["cert"]), "system": endpoint("behind", behind.url),
                               "name": endpoint("behind", misnamed.url, tls_ca=elsewhere["cert"])}.items():
            with Gateway(config({"main": [settings]}), tmp_path, name, wait=False) as gateway:
                wait_until(lambda: gateway.endpoint("behind")["state"] == "unready", what="unready")
                with pytest.raises(openai.InternalServerError):
                    gateway.openai().chat.completions.create(**ASK)
    assert not stub.requests


def test_sighup_reads_certificates_and_keys_again(stub, tmp_path):
    files = make_certificate(tmp_path, "front")
    keys = tmp_path / "keys"
    keys.write_text(key_line("a", "old"))
    settings = config({"main": [endpoint("stub", stub.url)]}, tls=files, clients={"keys": str(keys)})
    with Gateway(settings, tmp_path, "front") as gateway:
        client(gateway, files["cert"], "old").chat.completions.create(**ASK)
        before = ssl.create_default_context(cafile=files["cert"])
        make_certificate(tmp_path, "front")
        keys.write_text(key_line("a", "new"))
        gateway.program.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "gateway.reloaded" in gateway.program.log_tail(), what="reload")
        client(gateway, files["cert"], "new").chat.completions.create(**ASK)
        with pytest.raises(openai.AuthenticationError):
            client(gateway, files["cert"], "old").chat.completions.create(**ASK)
        with pytest.raises(httpx2.ConnectError):
            httpx2.get(f"{gateway.url}/v1/models", verify=before)
        keys.write_text("no key\n")
        gateway.program.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "keys:1:4: no hash of a key" in gateway.program.log_tail(), what="refusal")
        client(gateway, files["cert"], "new").chat.completions.create(**ASK)
