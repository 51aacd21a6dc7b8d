"""A client of Debian's python3-authlib. It asks for an hour by itself; API Management takes five minutes."""
import os
import sys
import time

os.environ["AUTHLIB_INSECURE_TRANSPORT"] = "1"  # http on localhost
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7523 import PrivateKeyJWT, private_key_jwt_sign

token_url = os.environ["TOKEN_URL"]
with open(os.environ["KEY"], encoding="ascii") as file:
    key = file.read()


class WithKeyID(PrivateKeyJWT):
    """This version of authlib takes headers and forgets them."""

    def sign(self, auth, token_endpoint):
        return private_key_jwt_sign(
            auth.client_secret, client_id=auth.client_id, token_endpoint=token_endpoint,
            claims=self.claims, alg=self.alg, header=self.headers)


session = OAuth2Session(os.environ["CLIENT_ID"], key, token_endpoint_auth_method="private_key_jwt")
session.register_client_auth_method(WithKeyID(
    token_url, alg="RS512", headers={"typ": "JWT", "kid": os.environ["KID"]}, claims={"exp": int(time.time()) + 240}))
session.fetch_token(token_url, grant_type="client_credentials")
answer = session.get(os.environ["API_URL"])
answer.raise_for_status()
sys.stdout.write(answer.text)
