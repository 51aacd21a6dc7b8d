// A client of Node's openid-client that has people sign in: it prints where the browser goes, reads where it came back,
// and prints what it got. All it leaves out is what the contract leaves out: metadata, and ID tokens of the gateway's.
import { createInterface } from "node:readline/promises";
import * as client from "openid-client";

const { BASE, CLIENT_ID, SECRET, REDIRECT } = process.env;
const config = new client.Configuration(
	{ issuer: BASE, authorization_endpoint: `${BASE}/authorize`, token_endpoint: `${BASE}/token`, userinfo_endpoint: `${BASE}/userinfo` },
	CLIENT_ID,
	{},
	client.ClientSecretPost(SECRET),
);
client.allowInsecureRequests(config);
const pkceCodeVerifier = client.randomPKCECodeVerifier();
const expectedState = client.randomState();
const address = client.buildAuthorizationUrl(config, {
	redirect_uri: REDIRECT,
	state: expectedState,
	code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
	code_challenge_method: "S256",
});
console.log(address.href);
const lines = createInterface({ input: process.stdin });
const [back] = (await lines[Symbol.asyncIterator]().next()).value.split("\n");
const got = await client.authorizationCodeGrant(config, new URL(back), { pkceCodeVerifier, expectedState });
const info = await client.fetchUserInfo(config, got.access_token, client.skipSubjectCheck);
const next = await client.refreshTokenGrant(config, got.refresh_token);
console.log(JSON.stringify({ token: next.access_token, count: next.refresh_count, expires: next.expires_in, sub: info.sub }));
process.exit();
