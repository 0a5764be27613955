import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.ArrayList;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/** Calls Shopify with java.net.http, as the programs for Node beside it do. */
class Products {
    // snippet
    static final HttpClient client = HttpClient.newHttpClient();

    static HttpResponse<String> call(URI address, String body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(address)
            .header("Content-Type", "application/json")
            .header("X-Shopify-Access-Token", System.getenv("SHOPIFY_ACCESS_TOKEN"));
        if (body != null) {
            request.POST(HttpRequest.BodyPublishers.ofString(body));
        }
        HttpResponse<String> answer = client.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() >= 300) {
            throw new Exception(answer.statusCode() + ": " + answer.body());
        }
        return answer;
    }
    // end

    // There is no parser of JSON in Java's own library, and the answers that are read here are simple.
    static final Pattern ID = Pattern.compile("\"id\":(\\d+)");
    static final Pattern DOMAIN = Pattern.compile("\"myshopifyDomain\":\"([^\"]+)\"");
    static final Pattern NEXT = Pattern.compile("<([^>]+)>; rel=\"next\"");

    static List<String> all(Pattern pattern, String text) {
        List<String> found = new ArrayList<>();
        for (Matcher m = pattern.matcher(text); m.find();) {
            found.add(m.group(1));
        }
        return found;
    }

    public static void main(String[] args) throws Exception {
        URI api = URI.create(args[0] + "/admin/api/2026-10/");
        BufferedReader titles = new BufferedReader(new InputStreamReader(System.in));
        for (String title; (title = titles.readLine()) != null;) {
            List<String> ids = new ArrayList<>();
            for (URI page = api.resolve("products.json?limit=50&fields=id"); page != null;) {
                HttpResponse<String> answer = call(page, null);
                ids.addAll(all(ID, answer.body()));
                List<String> next = all(NEXT, answer.headers().firstValue("Link").orElse(""));
                page = next.isEmpty() ? null : URI.create(next.get(0));
            }
            String created = all(ID, call(api.resolve("products.json?fields=id"), "{\"product\":{\"title\":\"" + title + "\"}}").body()).get(0);
            String domain = all(DOMAIN, call(api.resolve("graphql.json"), "{\"query\":\"{ shop { myshopifyDomain } }\"}").body()).get(0);
            System.out.println("{\"ids\":" + ids + ",\"created\":" + created + ",\"domain\":\"" + domain + "\"}");
        }
    }
}
