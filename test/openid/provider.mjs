// An OpenID provider: oidc-provider, with made-up people whose name is also their password, and two things that a
// test may ask of it at /test: to change its keys, and to sign what it is given.
//
//	node provider.mjs <port> <settings as JSON>
import { createPrivateKey, createSign, generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import { Provider } from "oidc-provider";

const [port, text] = process.argv.slice(2);
const { clients, people } = JSON.parse(text);
const issuer = `http://localhost:${port}`;

const keys = [];
function newKey() {
	const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
	keys.unshift({ ...key, kid: `op-${keys.length + 1}`, use: "sig", alg: "RS256" });
}

function start() {
	const provider = new Provider(issuer, {
		clients: clients.map((client) => ({ response_types: ["code"], grant_types: ["authorization_code"], ...client })),
		acrValues: ["AAL3_ANY"],
		claims: { openid: ["sub", "authentication_assurance_level"], profile: ["name", "nhsid_useruid"] },
		conformIdTokenClaims: true,
		cookies: { keys: ["for tests"] },
		enabledJWA: { clientAuthSigningAlgValues: ["RS512"] },
		features: { backchannelLogout: { enabled: true }, devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
		// Without its dispatcher, which would refuse this machine's own addresses, and without its limit of 2.5 s: a logout
		// that takes a busy gateway longer would be one that nobody was told of.
		fetch: (url, { dispatcher, signal, ...options }) => fetch(url, options),
		findAccount: (_, id) => people[id] && { accountId: id, claims: () => ({ sub: id, ...people[id] }) },
		interactions: { url: (_, interaction) => `/interaction/${interaction.uid}` },
		jwks: { keys: keys.slice(0, 1) },
		async loadExistingGrant(ctx) {
			const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
			grant.addOIDCScope("openid profile");
			await grant.save();
			return grant;
		},
		pkce: { required: () => true },
		ttl: { IdToken: 3600, AccessToken: 600, Session: 3600, Grant: 3600, Interaction: 600 },
	});
	provider.on("server_error", (_, error) => console.error(error));
	for (const event of ["authorization.error", "grant.error", "backchannel.error", "backchannel.success"]) {
		provider.on(event, (...args) => console.log(event, args.find((arg) => arg instanceof Error)?.message ?? ""));
	}
	return provider;
}

// sign_in shows a form, and takes what was put into it.
async function interact(provider, request, response) {
	const { uid } = await provider.interactionDetails(request, response);
	if (request.method === "GET") {
		response.setHeader("Content-Type", "text/html");
		response.end(`<!doctype html><title>Sign in</title><form method="post" action="/interaction/${uid}">
<label>Name <input name="login" autofocus></label> <button name="do" value="sign-in">Sign in</button> <button name="do" value="refuse">Refuse</button></form>`);
		return;
	}
	let body = "";
	for await (const chunk of request) body += chunk;
	const form = new URLSearchParams(body);
	const result = form.get("do") === "refuse" || !people[form.get("login")]
		? { error: "access_denied", error_description: "the person refused" }
		: { login: { accountId: form.get("login"), acr: "AAL3_ANY" } };
	await provider.interactionFinished(request, response, result, { mergeWithLastSubmission: false });
}

// sign signs the claims and header that it is sent, as this provider.
async function sign(request) {
	let body = "";
	for await (const chunk of request) body += chunk;
	const { header, claims } = JSON.parse(body);
	const encode = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
	const input = `${encode({ alg: "RS256", kid: keys[0].kid, ...header })}.${encode(claims)}`;
	return `${input}.${createSign("RSA-SHA256").update(input).sign(createPrivateKey({ key: keys[0], format: "jwk" }), "base64url")}`;
}

newKey();
let provider = start();
createServer((request, response) => {
	const path = new URL(request.url, issuer).pathname;
	if (path === "/test/rotate") {
		newKey();
		provider = start();
		response.end(keys[0].kid);
	} else if (path === "/test/sign") {
		sign(request).then((token) => response.end(token));
	} else if (path.startsWith("/interaction/")) {
		interact(provider, request, response).catch((error) => {
			console.error(error);
			response.writeHead(500).end(String(error));
		});
	} else {
		provider.callback()(request, response);
	}
}).listen(Number(port), "127.0.0.1");
