// A client of Node's openid-client. What it does by itself and API Management does not take is changed in
// modifyAssertion: it sends no typ, and the issuer as the audience.
import { createPrivateKey } from "node:crypto";
import { readFileSync } from "node:fs";
import * as client from "openid-client";

const { TOKEN_URL, API_URL, CLIENT_ID, KID, KEY } = process.env;
const pkcs8 = createPrivateKey(readFileSync(KEY)).export({ type: "pkcs8", format: "der" });
const key = await crypto.subtle.importKey("pkcs8", pkcs8, { name: "RSASSA-PKCS1-v1_5", hash: "SHA-512" }, false, ["sign"]);
const config = new client.Configuration(
	{ issuer: new URL(TOKEN_URL).origin, token_endpoint: TOKEN_URL },
	CLIENT_ID,
	{},
	client.PrivateKeyJwt({ key, kid: KID }, {
		[client.modifyAssertion](header, claims) {
			header.typ = "JWT";
			claims.aud = TOKEN_URL;
		},
	}),
);
client.allowInsecureRequests(config);
const { access_token, expires_in } = await client.clientCredentialsGrant(config);
if (expires_in !== 599) throw new Error(`expires_in is ${expires_in}`);
const answer = await client.fetchProtectedResource(config, access_token, new URL(API_URL), "GET");
process.stdout.write(await answer.text());
