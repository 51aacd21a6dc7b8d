import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Just enough JSON for the example, so that it needs no library. Use your JSON library in its place. */
final class Json {
    private final String text;
    private int at;

    private Json(String text) {
        this.text = text;
    }

    /** Reads a document into maps, lists, strings, Double, Boolean and null. */
    static Object read(String text) {
        Json json = new Json(text);
        Object value = json.value();
        json.space();
        if (json.at != text.length()) {
            throw json.wrong();
        }
        return value;
    }

    /** Writes maps, lists, strings, numbers, booleans and null. */
    static String write(Object value) {
        if (value instanceof Map<?, ?> map) {
            return "{" + String.join(",", map.entrySet().stream().map(e -> write(e.getKey()) + ":" + write(e.getValue())).toList()) + "}";
        }
        if (value instanceof List<?> list) {
            return "[" + String.join(",", list.stream().map(Json::write).toList()) + "]";
        }
        if (!(value instanceof String string)) {
            return String.valueOf(value);
        }
        StringBuilder out = new StringBuilder("\"");
        for (char c : string.toCharArray()) {
            out.append(c < ' ' || c == '"' || c == '\\' ? String.format("\\u%04x", (int) c) : String.valueOf(c));
        }
        return out.append('"').toString();
    }

    private Object value() {
        space();
        if (at == text.length()) {
            throw wrong();
        }
        switch (text.charAt(at)) {
            case '{':
                Map<String, Object> map = new LinkedHashMap<>();
                for (boolean more = opened('}'); more; more = continued('}')) {
                    space();
                    String name = string();
                    space();
                    expect(':');
                    map.put(name, value());
                }
                return map;
            case '[':
                List<Object> list = new ArrayList<>();
                for (boolean more = opened(']'); more; more = continued(']')) {
                    list.add(value());
                }
                return list;
            case '"':
                return string();
            default:
                int from = at;
                while (at < text.length() && ",]} \t\r\n".indexOf(text.charAt(at)) < 0) {
                    at++;
                }
                String word = text.substring(from, at);
                return word.equals("null") ? null : word.equals("true") ? (Object) true : word.equals("false") ? (Object) false : Double.valueOf(word);
        }
    }

    private boolean opened(char end) {
        at++;
        space();
        if (at < text.length() && text.charAt(at) == end) {
            at++;
            return false;
        }
        return true;
    }

    private boolean continued(char end) {
        space();
        if (at < text.length() && text.charAt(at) == end) {
            at++;
            return false;
        }
        expect(',');
        return true;
    }

    private String string() {
        expect('"');
        StringBuilder out = new StringBuilder();
        while (at < text.length()) {
            char c = text.charAt(at++);
            if (c == '"') {
                return out.toString();
            }
            if (c == '\\' && at < text.length()) {
                c = text.charAt(at++);
                int plain = "bfnrt".indexOf(c);
                if (c == 'u' && at + 4 <= text.length()) {
                    c = (char) Integer.parseInt(text.substring(at, at += 4), 16);
                } else if (plain >= 0) {
                    c = "\b\f\n\r\t".charAt(plain);
                }
            }
            out.append(c);
        }
        throw wrong();
    }

    private void expect(char c) {
        if (at == text.length() || text.charAt(at++) != c) {
            throw wrong();
        }
    }

    private void space() {
        while (at < text.length() && text.charAt(at) <= ' ') {
            at++;
        }
    }

    private IllegalArgumentException wrong() {
        return new IllegalArgumentException("not JSON at character " + at);
    }
}
