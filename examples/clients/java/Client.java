import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.URI;
import java.net.URLDecoder;
import java.net.URLEncoder;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.MessageDigest;
import java.security.PrivateKey;
import java.security.PublicKey;
import java.security.SecureRandom;
import java.security.Signature;
import java.security.cert.CertificateFactory;
import java.security.spec.PKCS8EncodedKeySpec;
import java.security.spec.X509EncodedKeySpec;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Base64;
import java.util.HashMap;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.stream.Collectors;

/**
 * A client of the Signing Service in Java 17, without a library.
 *
 * <pre>javac -d out *.java &amp;&amp; java -cp out Client payload.xml…</pre>
 *
 * Each file holds one payload, a canonical SignedInfo. The rest is in the environment; see ../README.md.
 * Exit code: 0 signed, 3 not signed (cancelled, expired or failed), 1 anything else.
 */
public final class Client {
    static final String SIGNING_URL = setting("SIGNING_URL", null);
    static final String TOKEN_URL = setting("TOKEN_URL", null);
    static final String CLIENT_ID = setting("CLIENT_ID", null);
    static final String ALGORITHM = setting("ALGORITHM", "RS256");
    static final Duration PATIENCE = Duration.ofMinutes(35); // the page is open for 30 minutes by default

    final HttpClient http = HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).connectTimeout(Duration.ofSeconds(10)).build();
    final PrivateKey key = privateKey(Files.readString(Path.of(setting("KEY", null))));

    Client() throws IOException, GeneralSecurityException {}

    static String setting(String name, String otherwise) {
        String value = System.getenv().getOrDefault(name, otherwise);
        if (value == null) {
            throw new IllegalStateException("set " + name + " in the environment");
        }
        return value;
    }

    /** A private key in PEM as PKCS#8: BEGIN PRIVATE KEY. */
    static PrivateKey privateKey(String pem) throws GeneralSecurityException {
        byte[] der = Base64.getMimeDecoder().decode(pem.replaceAll("-----[A-Z ]+-----", ""));
        return KeyFactory.getInstance("RSA").generatePrivate(new PKCS8EncodedKeySpec(der));
    }

    /** An answer that does not change when you send the request again. */
    static final class Refused extends Exception {
        final int status;
        final String code;

        Refused(HttpResponse<String> answer) {
            this(answer.statusCode(), bodyOf(answer));
        }

        private Refused(int status, Map<String, Object> body) {
            super("%d %s: %s (request %s)".formatted(status, first(body, "code", "error"), first(body, "message", "error_description"),
                    first(body, "requestId", "message_id")));
            this.status = status;
            this.code = first(body, "code", "error");
        }

        private static String first(Map<String, Object> body, String... names) {
            return Arrays.stream(names).map(body::get).filter(String.class::isInstance).map(String.class::cast).findFirst().orElse("");
        }
    }

    @SuppressWarnings("unchecked")
    static Map<String, Object> bodyOf(HttpResponse<String> answer) {
        try {
            return (Map<String, Object>) Json.read(answer.body());
        } catch (IllegalArgumentException | ClassCastException notJson) {
            return Map.of();
        }
    }

    /** A JWT in RS512: RSASSA-PKCS1-v1_5 with SHA-512. */
    String signJWT(Map<String, Object> claims) throws GeneralSecurityException {
        Map<String, Object> header = Map.of("alg", "RS512", "typ", "JWT", "kid", setting("KID", null));
        Base64.Encoder base64url = Base64.getUrlEncoder().withoutPadding();
        String input = base64url.encodeToString(Json.write(header).getBytes(StandardCharsets.UTF_8)) + "."
                + base64url.encodeToString(Json.write(claims).getBytes(StandardCharsets.UTF_8));
        Signature signer = Signature.getInstance("SHA512withRSA");
        signer.initSign(key);
        signer.update(input.getBytes(StandardCharsets.US_ASCII));
        return input + "." + base64url.encodeToString(signer.sign());
    }

    interface Send {
        HttpRequest.Builder request() throws Exception;
    }

    // [retry] After a lost answer, 429 or 503, send the same request again. Wait as long as Retry-After says.
    HttpResponse<String> sendUntilAnswered(Send send, Instant until) throws Exception {
        while (true) {
            HttpResponse<String> answer = null;
            IOException lost = null;
            try {
                answer = http.send(send.request().timeout(Duration.ofSeconds(30)).build(), HttpResponse.BodyHandlers.ofString());
                if (answer.statusCode() != 429 && answer.statusCode() != 503) {
                    return answer;
                }
            } catch (IOException e) { // refused, cut off or too late: it may have arrived or not
                lost = e;
                System.err.println("no answer: " + e.getClass().getSimpleName());
            }
            String retry = answer == null ? "" : answer.headers().firstValue("Retry-After").orElse("");
            long wait = retry.matches("\\d{1,6}") ? Long.parseLong(retry) : 1;
            if (Instant.now().plusSeconds(wait).isAfter(until)) {
                throw answer == null ? lost : new Refused(answer);
            }
            TimeUnit.SECONDS.sleep(wait);
        }
    }
    // [/retry]

    // [token] Exchange a signed JWT for an access token. Keep the token until shortly before it expires.
    private String accessToken;
    private Instant accessTokenUntil = Instant.MIN;

    String accessToken() throws Exception {
        if (Instant.now().isBefore(accessTokenUntil)) {
            return accessToken;
        }
        Map<String, String> form = new LinkedHashMap<>();
        form.put("grant_type", "client_credentials");
        form.put("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer");
        if (System.getenv("ID_TOKEN") != null) {
            form.put("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange");
            form.put("subject_token_type", "urn:ietf:params:oauth:token-type:id_token");
            form.put("subject_token", Files.readString(Path.of(System.getenv("ID_TOKEN"))).strip());
        }
        HttpResponse<String> answer = sendUntilAnswered(() -> { // each assertion works once
            form.put("client_assertion", signJWT(Map.of("iss", CLIENT_ID, "sub", CLIENT_ID, "aud", TOKEN_URL,
                    "jti", UUID.randomUUID().toString(), "exp", Instant.now().getEpochSecond() + 240)));
            String body = form.entrySet().stream().map(e -> e.getKey() + "=" + encode(e.getValue())).collect(Collectors.joining("&"));
            return HttpRequest.newBuilder(URI.create(TOKEN_URL)).header("Content-Type", "application/x-www-form-urlencoded")
                    .POST(HttpRequest.BodyPublishers.ofString(body));
        }, Instant.now().plusSeconds(120));
        if (answer.statusCode() != 200) {
            throw new Refused(answer);
        }
        Map<String, Object> got = bodyOf(answer);
        accessToken = (String) got.get("access_token");
        accessTokenUntil = Instant.now().plusSeconds(Long.parseLong((String) got.get("expires_in")) * 8 / 10);
        return accessToken;
    }
    // [/token]

    static String encode(String value) {
        return URLEncoder.encode(value, StandardCharsets.UTF_8).replace("+", "%20");
    }

    // [call] Send the token with every call. After 401 get a new one, once. 403 means that another kind of token is needed.
    Map<String, Object> call(String method, String path, Instant until, String body) throws Exception {
        for (int attempt = 1; ; attempt++) {
            HttpResponse<String> answer = sendUntilAnswered(() -> HttpRequest.newBuilder(URI.create(SIGNING_URL + path))
                    .header("Authorization", "Bearer " + accessToken()).header("Content-Type", "text/plain")
                    .method(method, HttpRequest.BodyPublishers.ofString(body)), until);
            if (answer.statusCode() == 200) {
                return bodyOf(answer);
            }
            Refused refused = new Refused(answer);
            if (refused.status != 401 || !refused.code.equals("access_token") || attempt > 1) {
                throw refused;
            }
            accessTokenUntil = Instant.MIN;
        }
    }
    // [/call]

    record Payload(String id, byte[] bytes) {}

    // [request] One JWT asks for 1 to 250 signatures. The same JWT sent again is the same request.
    Map<String, Object> ask(List<Payload> payloads, String state) throws Exception {
        Instant now = Instant.now();
        Map<String, Object> claims = new HashMap<>(Map.of("iss", CLIENT_ID, "sub", setting("SUB", null), "aud", SIGNING_URL,
                "iat", now.getEpochSecond(), "exp", now.getEpochSecond() + 600, "jti", UUID.randomUUID().toString(), "algorithm", ALGORITHM));
        claims.put("payloads", payloads.stream().map(p -> Map.of("id", p.id(), "payload", Base64.getEncoder().encodeToString(p.bytes()))).toList());
        return call("POST", "/signaturerequest?state=" + encode(state), now.plusSeconds(600), signJWT(claims));
    }
    // [/request]

    // [fetch] 200: signed. 400 not_opened and 404 not_signed: not yet. 410: it will never be signed.
    Map<String, Object> fetch(String token) throws Exception {
        try {
            return call("GET", "/signatureresponse/" + token, Instant.now().plusSeconds(120), "");
        } catch (Refused refused) {
            if (refused.code.equals("not_opened") || refused.code.equals("not_signed")) {
                return null;
            }
            throw refused;
        }
    }
    // [/fetch]

    // [verify] RSASSA-PKCS1-v1_5, with SHA-256 for RS256 and SHA-1 for RS1, over the unchanged bytes of the payload.
    static final Map<String, String> ALGORITHMS = Map.of("RS256", "SHA256withRSA", "RS1", "SHA1withRSA");

    static void verify(List<Payload> payloads, List<Map<String, String>> signatures, String certificate) throws GeneralSecurityException {
        byte[] der = Base64.getDecoder().decode(certificate);
        PublicKey key = CertificateFactory.getInstance("X.509").generateCertificate(new ByteArrayInputStream(der)).getPublicKey();
        if (signatures.size() != payloads.size()) {
            throw new GeneralSecurityException("the signatures are not those that were asked for");
        }
        for (int i = 0; i < payloads.size(); i++) {
            Signature verifier = Signature.getInstance(ALGORITHMS.get(ALGORITHM));
            verifier.initVerify(key);
            verifier.update(payloads.get(i).bytes());
            if (!signatures.get(i).get("id").equals(payloads.get(i).id())
                    || !verifier.verify(Base64.getDecoder().decode(signatures.get(i).get("signature")))) {
                throw new GeneralSecurityException("the signature of " + payloads.get(i).id() + " does not verify");
            }
        }
    }
    // [/verify]

    // [assemble] The finished XML signature: the payload as it was signed, the signature, the certificate.
    static String assemble(byte[] payload, String signature, String certificate) {
        return "<Signature xmlns=\"http://www.w3.org/2000/09/xmldsig#\">" + new String(payload, StandardCharsets.UTF_8)
                + "<SignatureValue>" + signature + "</SignatureValue><KeyInfo><X509Data><X509Certificate>" + certificate
                + "</X509Certificate></X509Data></KeyInfo></Signature>";
    }
    // [/assemble]

    // [webhook] Accept a webhook if one of the service's keys signed it, it is recent, and its id is new.
    private volatile List<PublicKey> webhookKeys = List.of();
    private final Set<String> seen = ConcurrentHashMap.newKeySet(); // keep the ids for three days

    @SuppressWarnings("unchecked")
    void loadWebhookKeys() throws Exception {
        HttpRequest request = HttpRequest.newBuilder(URI.create(SIGNING_URL + "/jwks.json")).timeout(Duration.ofSeconds(10)).build();
        Map<String, Object> set = bodyOf(http.send(request, HttpResponse.BodyHandlers.ofString()));
        List<PublicKey> found = new ArrayList<>();
        for (Map<String, Object> jwk : (List<Map<String, Object>>) set.getOrDefault("keys", List.of())) {
            if ("Ed25519".equals(jwk.get("crv"))) { // x is the bare key; the twelve bytes before it say that it is Ed25519 (RFC 8410)
                String der = "302a300506032b6570032100" + HexFormat.of().formatHex(Base64.getUrlDecoder().decode((String) jwk.get("x")));
                found.add(KeyFactory.getInstance("Ed25519").generatePublic(new X509EncodedKeySpec(HexFormat.of().parseHex(der))));
            }
        }
        webhookKeys = found;
    }

    boolean isSigned(String signatures, byte[] content) throws GeneralSecurityException {
        for (String text : signatures.split(" ")) {
            for (PublicKey key : webhookKeys) {
                Signature verifier = Signature.getInstance("Ed25519");
                verifier.initVerify(key);
                verifier.update(content);
                try {
                    if (text.startsWith("v1a,") && verifier.verify(Base64.getDecoder().decode(text.substring("v1a,".length())))) {
                        return true;
                    }
                } catch (GeneralSecurityException | IllegalArgumentException notASignature) {
                    continue;
                }
            }
        }
        return false;
    }

    /** Returns the event, or null for a body that counts for nothing. */
    @SuppressWarnings("unchecked")
    Map<String, Object> takeWebhook(String id, String stamp, String signatures, byte[] body) throws Exception {
        if (id == null || signatures == null || stamp == null || !stamp.matches("\\d{1,12}")
                || Math.abs(Instant.now().getEpochSecond() - Long.parseLong(stamp)) > 300) {
            return null;
        }
        byte[] content = (id + "." + stamp + "." + new String(body, StandardCharsets.UTF_8)).getBytes(StandardCharsets.UTF_8);
        if (!isSigned(signatures, content)) {
            loadWebhookKeys(); // the keys change: fetch them again before refusing
            if (!isSigned(signatures, content)) {
                return null;
            }
        }
        Map<String, Object> event = (Map<String, Object>) Json.read(new String(body, StandardCharsets.UTF_8));
        event.put("again", !seen.add(id));
        return event;
    }
    // [/webhook]

    // [callback] The browser's return and the webhook are hints. Trust only what you fetch.
    private final String state = random();
    private volatile String token = "";
    private final Semaphore news = new Semaphore(0);

    void comesBack(HttpExchange exchange) throws IOException {
        Map<String, String> query = new HashMap<>();
        String raw = exchange.getRequestURI().getRawQuery();
        for (String pair : raw == null ? new String[0] : raw.split("&")) {
            String[] parts = pair.split("=", 2);
            query.put(parts[0], parts.length < 2 ? "" : URLDecoder.decode(parts[1].replace("+", "%2B"), StandardCharsets.UTF_8));
        }
        if (!query.getOrDefault("token", "").equals(token)
                || !MessageDigest.isEqual(query.getOrDefault("state", "").getBytes(StandardCharsets.UTF_8), state.getBytes(StandardCharsets.UTF_8))) {
            answer(exchange, 400, "This is not a return that was waited for.");
            return;
        }
        System.out.println("callback " + query.getOrDefault("error", "ok"));
        answer(exchange, 200, "Thank you. You may close this window.");
        news.release();
    }

    @SuppressWarnings("unchecked")
    void isTold(HttpExchange exchange) throws IOException {
        byte[] body = exchange.getRequestBody().readNBytes(1 << 16);
        Map<String, Object> event;
        try {
            event = takeWebhook(exchange.getRequestHeaders().getFirst("Webhook-Id"), exchange.getRequestHeaders().getFirst("Webhook-Timestamp"),
                    exchange.getRequestHeaders().getFirst("Webhook-Signature"), body);
        } catch (Exception unknown) {
            answer(exchange, 503, ""); // no keys now: the webhook will come again
            return;
        }
        answer(exchange, event == null ? 400 : 204, "");
        if (event != null && token.equals(((Map<String, Object>) event.get("data")).get("token")) && !(boolean) event.get("again")) {
            System.out.println("webhook " + event.get("type"));
            news.release();
        }
    }

    static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] body = text.getBytes(StandardCharsets.UTF_8);
        exchange.sendResponseHeaders(status, body.length == 0 ? -1 : body.length);
        exchange.getResponseBody().write(body);
        exchange.close();
    }
    // [/callback]

    static String random() {
        byte[] bytes = new byte[16];
        new SecureRandom().nextBytes(bytes);
        return Base64.getUrlEncoder().withoutPadding().encodeToString(bytes);
    }

    // [poll] Wait for news, and poll every few seconds as well: the browser may be closed, or a webhook late.
    Map<String, Object> waitForSignatures() throws Exception {
        long poll = (long) (Double.parseDouble(setting("POLL", "5")) * 1000);
        for (Instant until = Instant.now().plus(PATIENCE); Instant.now().isBefore(until); ) {
            Map<String, Object> response = fetch(token);
            if (response != null) {
                return response;
            }
            news.tryAcquire(poll, TimeUnit.MILLISECONDS);
            news.drainPermits();
        }
        throw new IOException("nobody has signed in time");
    }
    // [/poll]

    @SuppressWarnings("unchecked")
    void run(String[] files) throws Exception {
        List<Payload> payloads = new ArrayList<>();
        for (String file : files) {
            Path path = Path.of(file);
            payloads.add(new Payload(path.getFileName().toString().replaceFirst("\\.[^.]*$", ""), Files.readAllBytes(path)));
        }
        HttpServer server = HttpServer.create(new InetSocketAddress("127.0.0.1", Integer.parseInt(setting("LISTEN", "9090"))), 0);
        server.createContext("/signed", this::comesBack);
        server.createContext("/webhook", this::isTold);
        server.start();
        try {
            Map<String, Object> ticket = ask(payloads, state);
            token = (String) ticket.get("token");
            System.out.println("open " + ticket.get("redirectUri")); // send the person's browser there
            Map<String, Object> response = waitForSignatures();
            List<Map<String, String>> signatures = (List<Map<String, String>>) response.get("signatures");
            String certificate = (String) response.get("certificate");
            verify(payloads, signatures, certificate);
            for (int i = 0; i < payloads.size(); i++) {
                String signed = assemble(payloads.get(i).bytes(), signatures.get(i).get("signature"), certificate);
                Files.writeString(Path.of(payloads.get(i).id() + ".signed.xml"), signed);
            }
            System.out.println("signed " + payloads.size());
        } finally {
            server.stop(0);
        }
    }

    public static void main(String[] files) {
        try {
            new Client().run(files);
            System.exit(0);
        } catch (Exception failure) {
            boolean never = failure instanceof Refused refused && refused.status == 410;
            System.err.println((never ? "not signed: " : "error: ") + failure.getMessage());
            System.exit(never ? 3 : 1);
        }
    }
}
