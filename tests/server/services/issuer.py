"""An identity provider for tests: it signs tokens, and serves its keys over real HTTP."""

import asyncio
import json
import time
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
from cryptography.hazmat.primitives.asymmetric.ec import generate_private_key as new_elliptic_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as new_rsa_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.web import Application, RequestHandler

ISSUER, AUDIENCE = "https://id.example", "latchkey"


def new_key(algorithm: str) -> Any:
    """A private key for an algorithm."""
    match algorithm:
        case "EdDSA":
            return Ed25519PrivateKey.generate()
        case "ES256":
            return new_elliptic_key(SECP256R1())
        case _:
            return new_rsa_key(65537, 2048)


def public_jwk(private_key: Any) -> dict[str, Any]:
    """The public half of a key, as JWK."""
    public_key = private_key.public_key()
    if isinstance(private_key, Ed25519PrivateKey):
        return OKPAlgorithm.to_jwk(public_key, as_dict=True)
    if isinstance(private_key, RSAPrivateKey):
        return RSAAlgorithm.to_jwk(public_key, as_dict=True)
    return ECAlgorithm.to_jwk(public_key, as_dict=True)


def good_claims(**changed: Any) -> dict[str, Any]:
    """Claims that are good for an hour; what is changed to None is left out."""
    claims = {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "guest-1",
        "exp": int(time.time()) + 3600,
    } | changed
    return {name: value for name, value in claims.items() if value is not None}


class Issuer:
    """Serves its public keys at ``url``, and counts how often it is asked."""

    def __init__(self) -> None:
        self.keys: dict[str, tuple[str, Any]] = {}
        self.body: bytes | None = None
        self.status = 200
        self.answers_after_s = 0.0
        self.asked = 0
        issuer = self

        class JwksHandler(RequestHandler):
            async def get(self) -> None:
                issuer.asked += 1
                await asyncio.sleep(issuer.answers_after_s)
                self.set_status(issuer.status)
                if issuer.status == 302:
                    self.set_header("Location", f"{issuer.url}?elsewhere")
                self.finish(issuer.document())

        sockets, port = bind_unused_port()
        self.url = f"http://127.0.0.1:{port}/jwks.json"
        self._server = HTTPServer(
            Application([("/jwks.json", JwksHandler)], log_function=lambda _handler: None)
        )
        self._server.add_socket(sockets)

    def document(self) -> bytes:
        """What stands at ``url``."""
        if self.body is not None:
            return self.body
        jwks = [public_jwk(key) | {"kid": kid} for kid, (_, key) in self.keys.items()]
        return json.dumps({"keys": jwks}).encode()

    def add_key(self, kid: str, algorithm: str = "EdDSA") -> None:
        """Sign with one more key."""
        self.keys[kid] = (algorithm, new_key(algorithm))

    def token(self, kid: str = "k1", headers: Any = None, **changed: Any) -> str:
        """A token signed with one of the keys."""
        algorithm, key = self.keys[kid]
        headers = {"kid": kid} if headers is None else headers
        return jwt.encode(good_claims(**changed), key, algorithm=algorithm, headers=headers)

    async def close(self) -> None:
        """Be away."""
        self._server.stop()
        await self._server.close_all_connections()
