import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.time.Duration;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Lists all products with HttpClient, creates one, and asks for the shop's name by GraphQL. Java's own library has no
 * parser of JSON: a program that does more than this has one of its own.
 */
class Products {
    static final String URL = (System.getenv("SHOPIFY_URL") != null ? System.getenv("SHOPIFY_URL") : "https://" + System.getenv("SHOPIFY_SHOP")) + "/admin/api/2026-10";
    static final HttpClient CLIENT = HttpClient.newHttpClient();

    static HttpResponse<String> call(String address, String body) throws Exception {
        HttpRequest.Builder request = HttpRequest.newBuilder(URI.create(address))
            .timeout(Duration.ofSeconds(30))
            .header("Content-Type", "application/json")
            .header("X-Shopify-Access-Token", System.getenv("SHOPIFY_ACCESS_TOKEN"));
        if (body != null) {
            request.POST(HttpRequest.BodyPublishers.ofString(body));
        }
        HttpResponse<String> answer = CLIENT.send(request.build(), HttpResponse.BodyHandlers.ofString());
        if (answer.statusCode() >= 300) {
            throw new Exception(answer.statusCode() + ": " + answer.body());
        }
        return answer;
    }

    static void printAll(String name, String json) {
        for (Matcher m = Pattern.compile("\"" + name + "\":\"([^\"]*)\"").matcher(json); m.find();) {
            System.out.println(m.group(1));
        }
    }

    public static void main(String[] args) throws Exception {
        for (String page = URL + "/products.json?limit=3&fields=id,title"; page != null;) {
            HttpResponse<String> answer = call(page, null);
            printAll("title", answer.body());
            Matcher next = Pattern.compile("<([^>]*)>; rel=\"next\"").matcher(answer.headers().firstValue("Link").orElse(""));
            page = next.find() ? next.group(1) : null;
        }
        Matcher id = Pattern.compile("\"id\":(\\d+)").matcher(call(URL + "/products.json", "{\"product\":{\"title\":\"Lamp\"}}").body());
        if (id.find()) {
            printAll("title", call(URL + "/products/" + id.group(1) + ".json?fields=id,title", null).body());
        }
        printAll("name", call(URL + "/graphql.json", "{\"query\":\"{ shop { name } }\"}").body());
    }
}
