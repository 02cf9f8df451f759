"""Signatures: those of Amazon's own documentation, and botocore's."""

from __future__ import annotations

import time
from urllib.parse import urlsplit

import pytest
from botocore.auth import HmacV1Auth
from botocore.auth import S3SigV4Auth
from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials
from flaskreg_s3.signing import EMPTY_SHA256
from flaskreg_s3.signing import Keys
from flaskreg_s3.signing import Version2
from flaskreg_s3.signing import Version4
from flaskreg_s3.signing import encode_query


KEYS = Keys("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
TOKEN = KEYS._replace(token="a/token+of=it")
HOST = "bucket.s3.us-east-1.amazonaws.com"


@pytest.fixture
def _then(monkeypatch):
    """Stop the clock at the moment of the documentation's examples."""
    moment = time.struct_time((2013, 5, 24, 0, 0, 0, 4, 144, 0))
    monkeypatch.setattr(time, "gmtime", lambda *_: moment)


@pytest.mark.usefixtures("_then")
def test_the_example_of_the_documentation():
    """It lists a bucket, under "Signature Calculations: Examples"."""
    headers = {}
    Version4(lambda: KEYS, "us-east-1", signs_payload=True).sign(
        "GET",
        "examplebucket.s3.amazonaws.com",
        "/",
        encode_query({"max-keys": "2", "prefix": "J"}),
        headers,
        EMPTY_SHA256,
    )
    assert headers["authorization"].endswith(
        "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
    )


@pytest.mark.parametrize("keys", [KEYS, TOKEN])
@pytest.mark.parametrize(
    "query", [{}, {"uploads": ""}, {"prefix": "a/b c+~", "x": "1"}]
)
@pytest.mark.parametrize("path", ["/", "/a/b.c-d_e~f", "/root%20of/%C3%A4"])
def test_version_4_is_botocores(keys, query, path):
    """Requests with queries, tokens and headers of ours are signed as it signs them."""
    headers = {"x-amz-acl": "private", "content-type": "text/plain"}
    text = encode_query(query)
    ours = dict(headers)
    signer = Version4(lambda: keys, "eu-west-1", signs_payload=True)
    signer.sign("PUT", HOST, path, text, ours, EMPTY_SHA256)
    request = AWSRequest(
        "PUT", f"https://{HOST}{path}?{text}", data=b"", headers=headers
    )
    request.headers["X-Amz-Content-SHA256"] = EMPTY_SHA256
    request.headers["X-Amz-Date"] = ours["x-amz-date"]
    if keys.token:
        request.headers["X-Amz-Security-Token"] = keys.token
    del request.headers["content-type"]
    request.context["timestamp"] = ours["x-amz-date"]
    auth = S3SigV4Auth(Credentials(*keys), "s3", "eu-west-1")
    to_sign = auth.string_to_sign(request, auth.canonical_request(request))
    assert ours["authorization"].endswith(auth.signature(to_sign, request))


@pytest.mark.parametrize("keys", [KEYS, TOKEN])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.usefixtures("_then")
def test_presigned_urls_are_botocores(keys, method):
    """A URL that a client gets has the very signature that botocore would give."""
    path = "/docker/registry/v2/blobs/sha256/aa/aabb/data"
    query = Version4(lambda: keys, "eu-west-1", signs_payload=True).presign(
        method, HOST, path, 1200
    )
    request = AWSRequest(method, f"https://{HOST}{path}")
    auth = S3SigV4QueryAuth(Credentials(*keys), "s3", "eu-west-1", expires=1200)
    request.context["timestamp"] = "20130524T000000Z"
    auth._modify_request_before_signing(request)
    canonical = auth.canonical_request(request)
    signature = auth.signature(auth.string_to_sign(request, canonical), request)
    assert query.endswith(f"X-Amz-Signature={signature}")


@pytest.mark.parametrize("keys", [KEYS, TOKEN])
@pytest.mark.parametrize(
    "query", ["", "uploads=", "partNumber=1&uploadId=x", "prefix=a"]
)
def test_version_2_is_botocores(keys, query, monkeypatch):
    """Old servers get what botocore would send them."""
    headers = {"content-type": "text/plain", "x-amz-acl": "private"}
    Version2(lambda: keys, lambda path: path).sign(
        "PUT", HOST, "/bucket/key", query, headers, EMPTY_SHA256
    )
    auth = HmacV1Auth(Credentials(*keys))
    monkeypatch.setattr(auth, "_get_date", lambda: headers["date"])
    known = HTTPHeaders()
    for name, value in headers.items():
        if name != "authorization":
            known[name] = value
    url = urlsplit(f"https://{HOST}/bucket/key?{query.removesuffix('=')}")
    signature = auth.get_signature("PUT", url, known)
    assert headers["authorization"] == f"AWS {keys.access}:{signature}"
