#!/bin/sh
# A client of openssl and curl.
set -eu
b64url() { openssl base64 -A | tr '+/' '-_' | tr -d '='; }
header=$(printf '{"alg":"RS512","typ":"JWT","kid":"%s"}' "$KID" | b64url)
claims=$(printf '{"iss":"%s","sub":"%s","aud":"%s","jti":"%s","exp":%d}' \
	"$CLIENT_ID" "$CLIENT_ID" "$TOKEN_URL" "$(openssl rand -hex 16)" "$(($(date +%s) + 240))" | b64url)
signature=$(printf '%s.%s' "$header" "$claims" | openssl dgst -sha512 -sign "$KEY" | b64url)
token=$(curl -sS --fail-with-body "$TOKEN_URL" \
	-d grant_type=client_credentials \
	-d client_assertion_type=urn:ietf:params:oauth:client-assertion-type:jwt-bearer \
	--data-urlencode "client_assertion=$header.$claims.$signature" | jq -er .access_token)
curl -sS --fail-with-body "$API_URL" -H "Authorization: Bearer $token"
