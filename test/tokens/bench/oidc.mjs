// The rival of the benchmark: Node's oidc-provider, one process, its store in memory. It takes the same assertions
// and writes a line for each token, as the gateway's log does.
import { readFileSync } from "node:fs";
import { generateKeyPairSync } from "node:crypto";
import { Provider } from "../node_modules/oidc-provider/lib/index.js";

const [port, client, jwks] = process.argv.slice(2);
const own = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ format: "jwk" });
const provider = new Provider(`http://localhost:${port}`, {
	clients: [{
		client_id: client,
		grant_types: ["client_credentials"],
		redirect_uris: [],
		response_types: [],
		token_endpoint_auth_method: "private_key_jwt",
		token_endpoint_auth_signing_alg: "RS512",
		jwks: JSON.parse(readFileSync(jwks)),
	}],
	enabledJWA: { clientAuthSigningAlgValues: ["RS512"] },
	features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false } },
	jwks: { keys: [{ ...own, kid: "own", use: "sig" }] },
	ttl: { ClientCredentials: 599 },
});
provider.on("grant.success", (ctx) => console.log(JSON.stringify({ msg: "token issued", client: ctx.oidc.client.clientId })));
provider.on("server_error", (_, error) => console.error(error));
provider.listen(Number(port), "127.0.0.1");
