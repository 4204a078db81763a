"""Whose certificates the vendor's clients trust."""

import ssl

import pytest

from screener_collector.vendor import trusted


def test_over_tls_the_usual_authorities_are_trusted_and_nobody_else() -> None:
    context = trusted("https://eodhd.com/api")
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    assert len(context.get_ca_certs()) > 50


@pytest.mark.parametrize("base_url", ["http://simulator:8080/api", "HTTP://127.0.0.1/api"])
def test_without_tls_nobody_is_trusted(base_url: str) -> None:
    context = trusted(base_url)
    assert context.verify_mode is ssl.CERT_REQUIRED and context.check_hostname
    assert context.get_ca_certs() == []
