#!/bin/sh
# The whole journey by hand: curl, jq and OpenSSL, one payload. It reads the same environment as the other clients; see ../README.md.
#
#	./walk.sh payload.xml
set -eu
payload=$1
id=$(basename "$payload" .xml)
b64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
sign_jwt() { # stdin: the claims
	input=$(printf '{"alg":"RS512","typ":"JWT","kid":"%s"}' "$KID" | b64url).$(b64url)
	printf '%s.%s' "$input" "$(printf %s "$input" | openssl dgst -sha512 -sign "$KEY" -binary | b64url)"
}
now=$(date +%s)

# [token] Exchange a signed JWT for an access token.
assertion=$(printf '{"iss":"%s","sub":"%s","aud":"%s","jti":"%s","exp":%d}' \
	"$CLIENT_ID" "$CLIENT_ID" "$TOKEN_URL" "$(openssl rand -hex 16)" $((now + 240)) | sign_jwt)
token=$(curl -sS --fail-with-body "$TOKEN_URL" --data-urlencode "client_assertion=$assertion" \
	--data-urlencode grant_type=client_credentials \
	--data-urlencode client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer | jq -r .access_token)
# [/token]

# [request] One JWT asks for the signature. --retry sends the same again after 429, 503 and a lost connection.
request=$(printf '{"iss":"%s","sub":"%s","aud":"%s","iat":%d,"exp":%d,"algorithm":"RS256","payloads":[{"id":"%s","payload":"%s"}]}' \
	"$CLIENT_ID" "$SUB" "$SIGNING_URL" "$now" $((now + 600)) "$id" "$(openssl base64 -A -in "$payload")" | sign_jwt)
printf %s "$request" | curl -sS --fail-with-body --retry 5 --retry-all-errors -o ticket.json -H "Authorization: Bearer $token" \
	-H 'Content-Type: text/plain' --data-binary @- "$SIGNING_URL/signaturerequest?state=$(openssl rand -hex 16)" ||
	{ cat ticket.json >&2; exit 1; }
echo "open $(jq -r .redirectUri ticket.json)"
# [/request]

# [fetch] Ask every few seconds: 400 and 404 mean not yet, 410 never.
until=$((now + 2100))
while :; do
	status=$(curl -sS -o response.json -w '%{http_code}' -H "Authorization: Bearer $token" \
		"$SIGNING_URL/signatureresponse/$(jq -r .token ticket.json)")
	case $status in
	200) break ;;
	400 | 404) [ "$(date +%s)" -lt "$until" ] || { echo "error: nobody has signed in time" >&2; exit 1; } ;;
	410) echo "not signed: 410 $(jq -r '"\(.code): \(.message)"' response.json)" >&2; exit 3 ;;
	*) echo "error: $status $(cat response.json)" >&2; exit 1 ;;
	esac
	sleep "${POLL:-5}"
done
# [/fetch]

# [verify] RSASSA-PKCS1-v1_5 with SHA-256 over the unchanged bytes of the payload.
jq -r .certificate response.json | openssl base64 -d -A | openssl x509 -inform DER -noout -pubkey >certificate-key.pem
jq -r '.signatures[0].signature' response.json | openssl base64 -d -A >signature
openssl dgst -sha256 -sigopt rsa_padding_mode:pkcs1 -verify certificate-key.pem -signature signature "$payload"
# [/verify]

# [assemble] The finished XML signature.
{
	printf '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">'
	cat "$payload"
	jq -j '"<SignatureValue>", .signatures[0].signature, "</SignatureValue><KeyInfo><X509Data><X509Certificate>", .certificate,
		"</X509Certificate></X509Data></KeyInfo></Signature>"' response.json
} >"$id.signed.xml"
# [/assemble]
echo "signed 1"
