// Package tokens_test proves the token service, the bearer check and the sender from outside: the built binary,
// driven by clients that share nothing with it. The clients are openssl with curl, Node's openid-client, Debian's
// python3-authlib and PHP; each is a file beside this one that reads what it needs from its environment:
//
//	TOKEN_URL  API_URL  CLIENT_ID  KID  KEY (a PEM file)
//
// gets a token, calls the protected API with it, and prints what that answered.
package tokens_test
