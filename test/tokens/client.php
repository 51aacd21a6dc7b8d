<?php
// A client of plain PHP and its openssl extension.
function b64url(string $data): string {
	return rtrim(strtr(base64_encode($data), '+/', '-_'), '=');
}
function call(string $url, array $options): string {
	$body = file_get_contents($url, false, stream_context_create(['http' => $options + ['ignore_errors' => true]]));
	if (!preg_match('/ 200 /', $http_response_header[0])) {
		fwrite(STDERR, $http_response_header[0] . " " . $body);
		exit(1);
	}
	return $body;
}
[$tokenUrl, $apiUrl, $client] = [getenv('TOKEN_URL'), getenv('API_URL'), getenv('CLIENT_ID')];
$input = b64url(json_encode(['typ' => 'JWT', 'alg' => 'RS512', 'kid' => getenv('KID')])) . '.' . b64url(json_encode([
	'iss' => $client, 'sub' => $client, 'aud' => $tokenUrl, 'jti' => bin2hex(random_bytes(16)), 'exp' => time() + 240,
]));
openssl_sign($input, $signature, file_get_contents(getenv('KEY')), OPENSSL_ALGO_SHA512) || exit(1);
$answer = json_decode(call($tokenUrl, [
	'method' => 'POST',
	'header' => 'Content-Type: application/x-www-form-urlencoded',
	'content' => http_build_query([
		'grant_type' => 'client_credentials',
		'client_assertion_type' => 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
		'client_assertion' => $input . '.' . b64url($signature),
	]),
]), true);
echo call($apiUrl, ['header' => 'Authorization: Bearer ' . $answer['access_token']]);
