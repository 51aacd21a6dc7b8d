<?php
// The web side of client.php: the browser's return at /signed and the webhook at /webhook. It runs under PHP's own server,
// and leaves what it has to tell in the folder INBOX.

declare(strict_types=1);

// [callback] The browser's return and the webhook are hints. Trust only what you fetch.
function comesBack(array $waited): void
{
    $state = $_GET['state'] ?? '';
    if (!is_string($state) || ($_GET['token'] ?? '') !== $waited['token'] || !hash_equals($waited['state'], $state)) {
        http_response_code(400);
        exit('This is not a return that was waited for.');
    }
    tell('callback ' . ($_GET['error'] ?? 'ok'));
    header('Content-Type: text/plain');
    echo 'Thank you. You may close this window.';
}

function isTold(array $waited): void
{
    $body = file_get_contents('php://input', length: 1 << 16);
    $event = takeWebhook($_SERVER['HTTP_WEBHOOK_ID'] ?? '', $_SERVER['HTTP_WEBHOOK_TIMESTAMP'] ?? '', $_SERVER['HTTP_WEBHOOK_SIGNATURE'] ?? '', $body);
    if ($event === null) {
        http_response_code(400);
        return;
    }
    http_response_code(204);
    if ($event['data']['token'] === $waited['token'] && !$event['again']) {
        tell('webhook ' . $event['type']);
    }
}
// [/callback]

// [webhook] Accept a webhook if one of the service's keys signed it, it is recent, and its id is new.
function takeWebhook(string $id, string $stamp, string $signatures, string $body): ?array
{
    if (!ctype_digit($stamp) || abs(time() - (int) $stamp) > 300) {
        return null;
    }
    if (!isSigned($signatures, "$id.$stamp.$body", webhookKeys(false)) && !isSigned($signatures, "$id.$stamp.$body", webhookKeys(true))) {
        return null; // the keys change: they were fetched again before refusing
    }
    $seen = getenv('INBOX') . '/' . hash('sha256', $id) . '.seen'; // keep the ids for three days
    $event = json_decode($body, true, flags: JSON_THROW_ON_ERROR) + ['again' => file_exists($seen)];
    touch($seen);
    return $event;
}

function isSigned(string $signatures, string $content, array $keys): bool
{
    foreach (explode(' ', $signatures) as $text) {
        $signature = base64_decode(substr($text, strlen('v1a,')), true);
        if (!str_starts_with($text, 'v1a,') || $signature === false || strlen($signature) !== SODIUM_CRYPTO_SIGN_BYTES) {
            continue;
        }
        foreach ($keys as $key) {
            if (sodium_crypto_sign_verify_detached($signature, $content, $key)) {
                return true;
            }
        }
    }
    return false;
}

function webhookKeys(bool $again): array
{
    $cache = getenv('INBOX') . '/keys.json';
    if ($again || !file_exists($cache)) {
        $set = @file_get_contents(getenv('SIGNING_URL') . '/jwks.json');
        if ($set === false) {
            http_response_code(503); // no keys now: the webhook will come again
            exit;
        }
        file_put_contents($cache, $set, LOCK_EX);
    }
    $keys = array_filter(json_decode(file_get_contents($cache), true)['keys'], fn ($key) => ($key['crv'] ?? '') === 'Ed25519');
    return array_map(fn ($key) => base64_decode(strtr($key['x'], '-_', '+/')), $keys);
}
// [/webhook]

function tell(string $news): void
{
    $file = getenv('INBOX') . '/' . bin2hex(random_bytes(8));
    file_put_contents($file, $news);
    rename($file, "$file.news");
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
$waited = json_decode((string) @file_get_contents(getenv('INBOX') . '/waited-for.json'), true);
match (true) {
    $waited === null => http_response_code(503), // no token to wait for yet
    $path === '/signed' => comesBack($waited),
    $path === '/webhook' && $_SERVER['REQUEST_METHOD'] === 'POST' => isTold($waited),
    default => http_response_code(404),
};
