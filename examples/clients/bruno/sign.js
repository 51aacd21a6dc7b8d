const jwt = require("jsonwebtoken");

// pem takes a private key (PKCS#8) also where a field has lost its line breaks.
const pem = (key) => "-----BEGIN PRIVATE KEY-----\n" + key.replace(/-----[A-Z ]+-----|\s/g, "").match(/.{1,64}/g).join("\n") + "\n-----END PRIVATE KEY-----\n";

// sign makes a JWT in RS512.
const sign = (claims, kid, key) => jwt.sign(claims, pem(key), { algorithm: "RS512", header: { alg: "RS512", typ: "JWT", kid } });

module.exports = { sign };
