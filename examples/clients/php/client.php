<?php
// A client of the Signing Service in PHP 8.1 and newer: the extensions openssl and sodium, nothing else.
//
//	php client.php payload.xml…
//
// Each file holds one payload, a canonical SignedInfo. The rest is in the environment; see ../README.md.
// Exit code: 0 signed, 3 not signed (cancelled, expired or failed), 1 anything else.

declare(strict_types=1);

const PATIENCE = 35 * 60; // seconds; the page is open for 30 minutes by default

/** An answer that does not change when you send the request again. */
final class Refused extends RuntimeException
{
    public readonly ?string $why;

    public function __construct(public readonly int $status, array $body)
    {
        $this->why = $body['code'] ?? $body['error'] ?? null;
        parent::__construct(sprintf('%d %s: %s (request %s)', $status, $this->why, $body['message'] ?? $body['error_description'] ?? '',
            $body['requestId'] ?? $body['message_id'] ?? ''));
    }
}

function setting(string $name, ?string $default = null): string
{
    $value = getenv($name);
    return $value !== false ? $value : $default ?? throw new RuntimeException("set $name in the environment");
}

function base64url(string $bytes): string
{
    return rtrim(strtr(base64_encode($bytes), '+/', '-_'), '=');
}

function uuid(): string
{
    $bytes = random_bytes(16);
    $bytes[6] = chr(ord($bytes[6]) & 0x0f | 0x40);
    $bytes[8] = chr(ord($bytes[8]) & 0x3f | 0x80);
    return vsprintf('%s%s-%s-%s-%s-%s%s%s', str_split(bin2hex($bytes), 4));
}

/** A JWT in RS512: RSASSA-PKCS1-v1_5 with SHA-512. */
function signJWT(array $claims): string
{
    $header = ['alg' => 'RS512', 'typ' => 'JWT', 'kid' => setting('KID')];
    $input = base64url(json_encode($header, JSON_THROW_ON_ERROR)) . '.' . base64url(json_encode($claims, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES));
    if (!openssl_sign($input, $signature, file_get_contents(setting('KEY')), OPENSSL_ALGO_SHA512)) {
        throw new RuntimeException('the key cannot sign: ' . openssl_error_string());
    }
    return $input . '.' . base64url($signature);
}

/** One exchange: the status, the headers with lower-case names, the body; or null when no answer came. */
function exchange(string $method, string $url, array $headers, string $body): ?array
{
    $context = stream_context_create(['http' => ['method' => $method, 'header' => $headers, 'content' => $body, 'timeout' => 30,
        'ignore_errors' => true, 'follow_location' => 0, 'protocol_version' => 1.1]]);
    $read = @file_get_contents($url, false, $context);
    if ($read === false || !isset($http_response_header[0])) {
        return null;
    }
    $found = [];
    foreach (array_slice($http_response_header, 1) as $line) {
        [$name, $value] = explode(':', $line, 2) + [1 => ''];
        $found[strtolower($name)] = trim($value);
    }
    if (isset($found['content-length']) && strlen($read) < (int) $found['content-length']) {
        return null; // the connection was cut
    }
    return ['status' => (int) explode(' ', $http_response_header[0])[1], 'headers' => $found, 'body' => json_decode($read, true) ?? []];
}

// [retry] After a lost answer, 429 or 503, send the same request again. Wait as long as Retry-After says.
function sendUntilAnswered(callable $send, int $until): array
{
    while (true) {
        $answer = $send();
        if ($answer !== null && !in_array($answer['status'], [429, 503], true)) {
            return $answer;
        }
        if ($answer === null) { // refused, cut off or too late: it may have arrived or not
            fwrite(STDERR, "no answer\n");
        }
        $retry = $answer['headers']['retry-after'] ?? '';
        $wait = ctype_digit($retry) ? (int) $retry : 1;
        if (time() + $wait > $until) {
            throw $answer === null ? new RuntimeException('the service could not be reached in time') : new Refused($answer['status'], $answer['body']);
        }
        sleep($wait);
    }
}
// [/retry]

// [token] Exchange a signed JWT for an access token. Keep the token until shortly before it expires.
final class Tokens
{
    private static string $token = '';
    private static int $until = 0;

    public static function get(): string
    {
        if (time() < self::$until) {
            return self::$token;
        }
        $form = ['grant_type' => 'client_credentials', 'client_assertion_type' => 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'];
        if (getenv('ID_TOKEN')) {
            $form['grant_type'] = 'urn:ietf:params:oauth:grant-type:token-exchange';
            $form['subject_token_type'] = 'urn:ietf:params:oauth:token-type:id_token';
            $form['subject_token'] = trim(file_get_contents(getenv('ID_TOKEN')));
        }
        $answer = sendUntilAnswered(function () use ($form) { // each assertion works once
            $url = setting('TOKEN_URL');
            $id = setting('CLIENT_ID');
            $form['client_assertion'] = signJWT(['iss' => $id, 'sub' => $id, 'aud' => $url, 'jti' => uuid(), 'exp' => time() + 240]);
            return exchange('POST', $url, ['Content-Type: application/x-www-form-urlencoded'], http_build_query($form));
        }, time() + 120);
        if ($answer['status'] !== 200) {
            throw new Refused($answer['status'], $answer['body']);
        }
        self::$token = $answer['body']['access_token'];
        self::$until = time() + (int) ($answer['body']['expires_in'] * 0.8);
        return self::$token;
    }

    public static function drop(): void
    {
        self::$until = 0;
    }
}
// [/token]

// [call] Send the token with every call. After 401 get a new one, once. 403 means that another kind of token is needed.
function call(string $method, string $path, int $until, string $body = ''): array
{
    for ($attempt = 1; ; $attempt++) {
        $answer = sendUntilAnswered(fn () => exchange($method, setting('SIGNING_URL') . $path,
            ['Authorization: Bearer ' . Tokens::get(), 'Content-Type: text/plain'], $body), $until);
        if ($answer['status'] === 200) {
            return $answer['body'];
        }
        $refused = new Refused($answer['status'], $answer['body']);
        if ($answer['status'] !== 401 || $refused->why !== 'access_token' || $attempt > 1) {
            throw $refused;
        }
        Tokens::drop();
    }
}
// [/call]

// [request] One JWT asks for 1 to 250 signatures. The same JWT sent again is the same request.
function ask(array $payloads, string $state): array
{
    $now = time();
    $request = signJWT([
        'iss' => setting('CLIENT_ID'), 'sub' => setting('SUB'), 'aud' => setting('SIGNING_URL'), 'iat' => $now, 'exp' => $now + 600,
        'jti' => uuid(), 'algorithm' => setting('ALGORITHM', 'RS256'),
        'payloads' => array_map(fn ($item) => ['id' => $item['id'], 'payload' => base64_encode($item['payload'])], $payloads),
    ]);
    return call('POST', '/signaturerequest?state=' . rawurlencode($state), $now + 600, $request);
}
// [/request]

// [fetch] 200: signed. 400 not_opened and 404 not_signed: not yet. 410: it will never be signed.
function fetch(string $token): ?array
{
    try {
        return call('GET', '/signatureresponse/' . $token, time() + 120);
    } catch (Refused $refused) {
        if (in_array($refused->why, ['not_opened', 'not_signed'], true)) {
            return null;
        }
        throw $refused;
    }
}
// [/fetch]

// [verify] RSASSA-PKCS1-v1_5, with SHA-256 for RS256 and SHA-1 for RS1, over the unchanged bytes of the payload.
const HASHES = ['RS256' => OPENSSL_ALGO_SHA256, 'RS1' => OPENSSL_ALGO_SHA1]; // openssl_verify knows no other padding

function verify(array $payloads, array $response): void
{
    $key = openssl_pkey_get_public("-----BEGIN CERTIFICATE-----\n" . chunk_split($response['certificate'], 64, "\n") . "-----END CERTIFICATE-----\n");
    if ($key === false || count($response['signatures']) !== count($payloads)) {
        throw new RuntimeException('the signatures are not those that were asked for');
    }
    foreach ($payloads as $i => ['id' => $id, 'payload' => $payload]) {
        $signature = $response['signatures'][$i];
        $bytes = base64_decode($signature['signature'], true);
        if ($signature['id'] !== $id || $bytes === false || openssl_verify($payload, $bytes, $key, HASHES[setting('ALGORITHM', 'RS256')]) !== 1) {
            throw new RuntimeException("the signature of $id does not verify");
        }
    }
}
// [/verify]

// [assemble] The finished XML signature: the payload as it was signed, the signature, the certificate.
function assemble(string $payload, string $signature, string $certificate): string
{
    return '<Signature xmlns="http://www.w3.org/2000/09/xmldsig#">' . $payload . "<SignatureValue>$signature</SignatureValue>"
        . "<KeyInfo><X509Data><X509Certificate>$certificate</X509Certificate></X509Data></KeyInfo></Signature>";
}
// [/assemble]

// [poll] Wait for news, and poll every few seconds as well: the browser may be closed, or a webhook late.
function wait(string $token, string $inbox): array
{
    for ($until = time() + PATIENCE; time() < $until;) {
        if ($response = fetch($token)) {
            return $response;
        }
        for ($next = microtime(true) + (float) setting('POLL', '5'); microtime(true) < $next; usleep(50_000)) {
            $news = glob("$inbox/*.news");
            foreach ($news as $file) {
                echo file_get_contents($file), "\n";
                unlink($file);
            }
            if ($news) {
                break;
            }
        }
    }
    throw new RuntimeException('nobody has signed in time');
}
// [/poll]

function main(array $files): void
{
    $payloads = array_map(fn ($file) => ['id' => pathinfo($file, PATHINFO_FILENAME), 'payload' => file_get_contents($file)], $files);
    $inbox = sys_get_temp_dir() . '/signing-' . bin2hex(random_bytes(8)); // where listener.php leaves the news; yours is a database
    mkdir($inbox, 0700);
    $server = proc_open([PHP_BINARY, '-S', '127.0.0.1:' . setting('LISTEN', '9090'), __DIR__ . '/listener.php'],
        [1 => STDERR, 2 => ['file', '/dev/null', 'w']], $pipes, null, getenv() + ['INBOX' => $inbox]);
    try {
        for ($until = time() + 30; !$door = @fsockopen('127.0.0.1', (int) setting('LISTEN', '9090')); usleep(20_000)) {
            if (time() > $until || !proc_get_status($server)['running']) {
                throw new RuntimeException('the listener does not start');
            }
        }
        fclose($door);
        $state = base64url(random_bytes(16));
        $ticket = ask($payloads, $state);
        file_put_contents("$inbox/waited-for.json", json_encode(['token' => $ticket['token'], 'state' => $state]), LOCK_EX);
        echo 'open ', $ticket['redirectUri'], "\n"; // send the person's browser there
        $response = wait($ticket['token'], $inbox);
        verify($payloads, $response);
        foreach ($payloads as $i => $item) {
            file_put_contents("{$item['id']}.signed.xml", assemble($item['payload'], $response['signatures'][$i]['signature'], $response['certificate']));
        }
        echo 'signed ', count($payloads), "\n";
    } finally {
        proc_terminate($server);
        proc_close($server); // waits for its end, and so for its port
        array_map('unlink', glob("$inbox/*"));
        rmdir($inbox);
    }
}

try {
    main(array_slice($argv, 1));
} catch (Throwable $error) {
    $never = $error instanceof Refused && $error->status === 410;
    fwrite(STDERR, ($never ? 'not signed: ' : 'error: ') . $error->getMessage() . "\n");
    exit($never ? 3 : 1);
}
