using System;
using System.Net.Http;
using System.Text;
using System.Text.RegularExpressions;

/// Lists all products with HttpClient, creates one, and asks for the shop's name by GraphQL. It is written for any .NET, of which the
/// older ones have no parser of JSON: a program that does more than this has one.
static class Products
{
    static readonly string Url = (Environment.GetEnvironmentVariable("SHOPIFY_URL") ?? "https://" + Environment.GetEnvironmentVariable("SHOPIFY_SHOP")) + "/admin/api/2026-10";
    static readonly HttpClient Client = new HttpClient { Timeout = TimeSpan.FromSeconds(30) };

    static HttpResponseMessage Call(string address, string body = null)
    {
        var request = new HttpRequestMessage(body == null ? HttpMethod.Get : HttpMethod.Post, address);
        request.Headers.Add("X-Shopify-Access-Token", Environment.GetEnvironmentVariable("SHOPIFY_ACCESS_TOKEN"));
        if (body != null)
        {
            request.Content = new StringContent(body, Encoding.UTF8, "application/json");
        }
        return Client.SendAsync(request).GetAwaiter().GetResult().EnsureSuccessStatusCode();
    }

    static MatchCollection Find(string name, HttpResponseMessage answer)
    {
        var json = answer.Content.ReadAsStringAsync().GetAwaiter().GetResult();
        return Regex.Matches(json, "\"" + name + "\":\"([^\"]*)\"");
    }

    static void Main()
    {
        for (var page = Url + "/products.json?limit=3&fields=title"; page != null;)
        {
            var answer = Call(page);
            foreach (Match title in Find("title", answer))
            {
                Console.WriteLine(title.Groups[1].Value);
            }
            var links = answer.Headers.Contains("Link") ? string.Join(",", answer.Headers.GetValues("Link")) : "";
            var next = Regex.Match(links, "<([^>]*)>; *rel=\"next\"");
            page = next.Success ? next.Groups[1].Value : null;
        }
        Console.WriteLine(Find("title", Call(Url + "/products.json", "{\"product\":{\"title\":\"Lamp\"}}"))[0].Groups[1].Value); // its variants have titles, too
        Console.WriteLine(Find("name", Call(Url + "/graphql.json", "{\"query\":\"{ shop { name } }\"}"))[0].Groups[1].Value);
    }
}
