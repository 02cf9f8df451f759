"""An ACME server, and our account there."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

from acme import challenges
from acme import client
from acme import errors
from acme import messages
from josepy.jwa import ES256
from josepy.jwa import RS256
from josepy.jwk import JWK
from josepy.jwk import JWKEC

from flaskreg_acme.folder import ACCOUNT
from flaskreg_acme.folder import Folder
from flaskreg_acme.keys import make_answer
from flaskreg_acme.keys import make_key
from flaskreg_acme.keys import make_request
from flaskreg_acme.keys import pem_of
from flaskreg_acme.keys import validity_of
from flaskreg_acme.parameters import Parameters


#: how long the server may take for one answer, in seconds.
_TIMEOUT = 30


@challenges.ChallengeResponse.register
class TlsAlpn01Response(challenges.KeyAuthorizationChallengeResponse):
    """The response to :class:`TlsAlpn01`."""

    typ = "tls-alpn-01"


@challenges.Challenge.register
class TlsAlpn01(challenges.KeyAuthorizationChallenge):
    """The challenge of RFC 8737, which the library has no more."""

    typ = TlsAlpn01Response.typ
    response_cls = TlsAlpn01Response

    def validation(self, account_key: JWK, **kwargs: Any) -> bytes:
        """Return what the certificate of the answer has to show."""
        del kwargs
        return hashlib.sha256(self.key_authorization(account_key).encode()).digest()


class NoChallenge(errors.Error):
    """The server offers none that can be answered here."""


class Authority:
    """Obtains certificates, and writes them to the folder.

    :param parameters: whom to ask, and as who.
    :param folder: where the account, certificates and challenges are.
    """

    def __init__(self, parameters: Parameters, folder: Folder) -> None:
        self._parameters = parameters
        self._folder = folder

    def obtain(self, host: str) -> None:
        """Obtain a certificate of a host by showing that we answer under its name.

        :raises Exception: there is none, for any of many reasons.
        """
        account = self._account_key()
        connected = self._connect(account)
        key = make_key()
        order = connected.new_order(make_request(host, key))
        try:
            for authorization in order.authorizations:
                if authorization.body.status != messages.STATUS_VALID:
                    self._answer(connected, account, host, authorization.body)
            done = connected.poll_and_finalize(order)
        finally:
            with suppress(FileNotFoundError):
                self._folder.challenge(host).unlink()
        content = pem_of(key) + done.fullchain_pem.encode()
        validity_of(content, host)
        self._folder.write(self._folder.certificate(host), content)

    def _account_key(self) -> JWK:
        path = self._folder.path / ACCOUNT
        content = self._folder.read(path)
        if content is None:
            content = pem_of(make_key())
            self._folder.write(path, content)
        return JWK.load(content)

    def _connect(self, account: JWK) -> client.ClientV2:
        """Return a client that speaks for the account, which is made when need be."""
        algorithm = ES256 if isinstance(account, JWKEC) else RS256
        network = client.ClientNetwork(
            account, alg=algorithm, user_agent="flaskreg-acme", timeout=_TIMEOUT
        )
        url, email = self._parameters.directory, self._parameters.email
        directory = client.ClientV2.get_directory(url, network)
        connected = client.ClientV2(directory, network)
        wanted = messages.NewRegistration.from_data(
            email=email or None, terms_of_service_agreed=True
        )
        try:
            connected.new_account(wanted)
        except errors.ConflictError as known:
            network.account = messages.RegistrationResource(
                body=messages.Registration(), uri=known.location
            )
        return connected

    def _answer(
        self,
        connected: client.ClientV2,
        account: JWK,
        host: str,
        authorization: messages.Authorization,
    ) -> None:
        for offered in authorization.challenges:
            if isinstance(offered.chall, TlsAlpn01):
                response, digest = offered.chall.response_and_validation(account)
                answer = make_answer(host, digest)
                self._folder.write(self._folder.challenge(host), answer)
                connected.answer_challenge(offered, response)
                return
        raise NoChallenge("the server offers no challenge of type tls-alpn-01")


def reason_of(error: Exception) -> str:
    """Return in one line why there is no certificate."""
    if isinstance(error, errors.ValidationError):
        told = [
            str(offered.error.detail)
            for authorization in error.failed_authzrs
            for offered in authorization.body.challenges
            if offered.error is not None
        ]
    else:
        told = [str(error)]
    return f"{type(error).__name__}: {' '.join(' '.join(told).split())[:500]}"
