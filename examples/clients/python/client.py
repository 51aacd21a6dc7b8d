#!/usr/bin/env python3
"""A client of the Signing Service in Python: requests and PyJWT (Debian: python3-requests, python3-jwt).

    python3 client.py payload.xml…

Each file holds one payload, a canonical SignedInfo. The rest is in the environment; see ../README.md.
Exit code: 0 signed, 3 not signed (cancelled, expired or failed), 1 anything else.
"""

import base64
import hmac
import json
import os
import pathlib
import secrets
import sys
import threading
import time
import urllib.parse
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import jwt  # PyJWT
import requests
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519, padding

SIGNING_URL = os.environ["SIGNING_URL"]  # the service's public URL: the aud of a request
TOKEN_URL = os.environ["TOKEN_URL"]  # the aud of a client assertion
CLIENT_ID = os.environ["CLIENT_ID"]
KEY = serialization.load_pem_private_key(pathlib.Path(os.environ["KEY"]).read_bytes(), None)
KID = os.environ["KID"]
SUB = os.environ["SUB"]  # the SDS user id of the person who signs
ALGORITHM = os.environ.get("ALGORITHM", "RS256")
ID_TOKEN = os.environ.get("ID_TOKEN")  # the person's, from your OpenID provider: for services that require a user
LISTEN = int(os.environ.get("LISTEN", "9090"))
POLL = float(os.environ.get("POLL", "5"))  # seconds
PATIENCE = 35 * 60  # seconds; the page is open for 30 minutes by default


class Refused(Exception):
    """An answer that does not change when you send the request again."""

    def __init__(self, status, body):
        self.status, self.body, self.code = status, body, body.get("code") or body.get("error")
        text = body.get("message") or body.get("error_description")
        super().__init__(f"{status} {self.code}: {text} (request {body.get('requestId') or body.get('message_id')})")


def sign_jwt(claims):
    return jwt.encode(claims, KEY, algorithm="RS512", headers={"kid": KID, "typ": "JWT"})


def body_of(answer):
    try:
        body = answer.json()
    except ValueError:
        body = {}
    return body if isinstance(body, dict) else {}


# [retry] After a lost answer, 429 or 503, send the same request again. Wait as long as Retry-After says.
def send_until_answered(send, until):
    while True:
        wait = 1
        try:
            answer = send()
            if answer.status_code not in (429, 503):
                return answer
            if (retry := answer.headers.get("Retry-After", "")).isdigit():
                wait = int(retry)
        except requests.RequestException as lost:  # refused, cut off or too late: it may have arrived or not
            print(f"no answer: {type(lost).__name__}", file=sys.stderr)
            answer = None
        if time.time() + wait > until:
            raise TimeoutError("the service could not be reached in time") if answer is None else Refused(answer.status_code, body_of(answer))
        time.sleep(wait)
# [/retry]


# [token] Exchange a signed JWT for an access token. Keep the token until shortly before it expires.
class Tokens:
    def __init__(self):
        self.token, self.until = None, 0

    def get(self):
        if time.time() < self.until:
            return self.token
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        }
        if ID_TOKEN:
            form["grant_type"] = "urn:ietf:params:oauth:grant-type:token-exchange"
            form["subject_token_type"] = "urn:ietf:params:oauth:token-type:id_token"
            form["subject_token"] = pathlib.Path(ID_TOKEN).read_text().strip()

        def send():  # each assertion works once
            now = int(time.time())
            assertion = sign_jwt({"iss": CLIENT_ID, "sub": CLIENT_ID, "aud": TOKEN_URL, "jti": str(uuid.uuid4()), "exp": now + 240})
            return requests.post(TOKEN_URL, data={**form, "client_assertion": assertion}, timeout=30, allow_redirects=False)

        answer = send_until_answered(send, time.time() + 120)
        if answer.status_code != 200:
            raise Refused(answer.status_code, body_of(answer))
        got = answer.json()
        self.token, self.until = got["access_token"], time.time() + int(got["expires_in"]) * 0.8
        return self.token

    def drop(self):
        self.until = 0
# [/token]


TOKENS = Tokens()


# [call] Send the token with every call. After 401 get a new one, once. 403 means that another kind of token is needed.
def call(method, path, until, **content):
    for attempt in (1, 2):
        answer = send_until_answered(
            lambda: requests.request(method, SIGNING_URL + path, timeout=30, allow_redirects=False,
                                     headers={"Authorization": "Bearer " + TOKENS.get(), "Content-Type": "text/plain"}, **content), until)
        if answer.status_code == 200:
            return answer.json()
        refused = Refused(answer.status_code, body_of(answer))
        if not (answer.status_code == 401 and refused.code == "access_token" and attempt == 1):
            raise refused
        TOKENS.drop()
# [/call]


# [request] One JWT asks for 1 to 250 signatures. The same JWT sent again is the same request.
def ask(payloads, state):
    now = int(time.time())
    request = sign_jwt({
        "iss": CLIENT_ID, "sub": SUB, "aud": SIGNING_URL, "iat": now, "exp": now + 600, "jti": str(uuid.uuid4()), "algorithm": ALGORITHM,
        "payloads": [{"id": id, "payload": base64.b64encode(payload).decode()} for id, payload in payloads.items()],
    })
    return call("POST", "/signaturerequest?state=" + urllib.parse.quote(state, safe=""), now + 600, data=request)
# [/request]


# [fetch] 200: signed. 400 not_opened and 404 not_signed: not yet. 410: it will never be signed.
def fetch(token):
    try:
        return call("GET", "/signatureresponse/" + token, time.time() + 120)
    except Refused as refused:
        if refused.code in ("not_opened", "not_signed"):
            return None
        raise
# [/fetch]


# [verify] RSASSA-PKCS1-v1_5, with SHA-256 for RS256 and SHA-1 for RS1, over the unchanged bytes of the payload.
HASHES = {"RS256": hashes.SHA256(), "RS1": hashes.SHA1()}


def verify(payloads, response):
    certificate = x509.load_der_x509_certificate(base64.b64decode(response["certificate"], validate=True))
    if [signature["id"] for signature in response["signatures"]] != list(payloads):
        raise InvalidSignature("the signatures are not those that were asked for")
    for signature in response["signatures"]:
        certificate.public_key().verify(
            base64.b64decode(signature["signature"], validate=True), payloads[signature["id"]], padding.PKCS1v15(), HASHES[ALGORITHM])
# [/verify]


# [assemble] The finished XML signature: the payload as it was signed, the signature, the certificate.
def assemble(payload, signature, certificate):
    return (b'<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">' + payload
            + b"<SignatureValue>" + signature.encode() + b"</SignatureValue><KeyInfo><X509Data><X509Certificate>"
            + certificate.encode() + b"</X509Certificate></X509Data></KeyInfo></Signature>")
# [/assemble]


# [webhook] Accept a webhook if one of the service's keys signed it, it is recent, and its id is new.
class Webhooks:
    def __init__(self):
        self.keys, self.seen = [], set()

    def load(self):
        found = requests.get(SIGNING_URL + "/jwks.json", timeout=10).json()["keys"]
        self.keys = [ed25519.Ed25519PublicKey.from_public_bytes(base64.urlsafe_b64decode(key["x"] + "=="))
                     for key in found if key.get("crv") == "Ed25519"]

    def signed(self, signatures, content):
        for key in self.keys:
            for signature in signatures:
                try:
                    key.verify(base64.b64decode(signature), content)
                    return True
                except (InvalidSignature, ValueError):
                    continue
        return False

    def take(self, headers, body):
        id, stamp = headers.get("Webhook-Id", ""), headers.get("Webhook-Timestamp", "")
        if not stamp.isdigit() or abs(time.time() - int(stamp)) > 300:
            return None
        signatures = [s[len("v1a,"):] for s in headers.get("Webhook-Signature", "").split(" ") if s.startswith("v1a,")]
        content = id.encode() + b"." + stamp.encode() + b"." + body
        if not self.signed(signatures, content):
            self.load()  # the keys change: fetch them again before refusing
            if not self.signed(signatures, content):
                return None
        event = json.loads(body)
        event["again"] = id in self.seen  # keep the ids for three days
        self.seen.add(id)
        return event
# [/webhook]


# [callback] The browser's return and the webhook are hints. Trust only what you fetch.
class Listener(BaseHTTPRequestHandler):
    state, token, news, webhooks = "", "", threading.Event(), Webhooks()

    def do_GET(self):
        address = urllib.parse.urlsplit(self.path)
        query = urllib.parse.parse_qs(address.query)
        state, token = query.get("state", [""])[0], query.get("token", [""])[0]
        if address.path != "/signed" or token != self.token or not hmac.compare_digest(state.encode(), self.state.encode()):
            return self.answer(400, "This is not a return that was waited for.")
        print("callback", query.get("error", ["ok"])[0], flush=True)
        self.answer(200, "Thank you. You may close this window.")
        self.news.set()

    def do_POST(self):
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), 1 << 16))
        try:
            event = self.webhooks.take(self.headers, body)
        except (requests.RequestException, ValueError):
            return self.answer(503, "")  # no keys now: the webhook will come again
        if self.path != "/webhook" or event is None:
            return self.answer(400, "")
        self.answer(204, "")
        if event["data"]["token"] == self.token and not event["again"]:
            print("webhook", event["type"], flush=True)
            self.news.set()

    def answer(self, status, text):
        self.send_response(status)
        self.send_header("Content-Type", "text/plain; charset=utf-8")
        self.end_headers()
        self.wfile.write(text.encode())

    def log_message(self, *_):
        """Prints nothing: the address holds a token."""
# [/callback]


# [poll] Wait for news, and poll every few seconds as well: the browser may be closed, or a webhook late.
def wait(token):
    until = time.time() + PATIENCE
    while time.time() < until:
        if response := fetch(token):
            return response
        Listener.news.wait(POLL)
        Listener.news.clear()
    raise TimeoutError("nobody has signed in time")
# [/poll]


def main(files):
    payloads = {pathlib.Path(file).stem: pathlib.Path(file).read_bytes() for file in files}
    Listener.state = secrets.token_urlsafe(16)
    server = ThreadingHTTPServer(("127.0.0.1", LISTEN), Listener)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    ticket = ask(payloads, Listener.state)
    Listener.token = ticket["token"]
    print("open", ticket["redirectUri"], flush=True)  # send the person's browser there
    response = wait(ticket["token"])
    verify(payloads, response)
    for signature in response["signatures"]:
        signed = assemble(payloads[signature["id"]], signature["signature"], response["certificate"])
        pathlib.Path(signature["id"] + ".signed.xml").write_bytes(signed)
    print("signed", len(payloads), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except Refused as refused:
        print("not signed:" if refused.status == 410 else "error:", refused, file=sys.stderr)
        sys.exit(3 if refused.status == 410 else 1)
