<?php
// Lists all products with PHP's streams, creates one, and asks for the shop's name by GraphQL.
declare(strict_types=1);

$url = (getenv('SHOPIFY_URL') ?: 'https://' . getenv('SHOPIFY_SHOP')) . '/admin/api/2026-10';

/** Returns the answer's JSON and the address of the next page. With a body it is a POST. */
function call(string $url, ?array $body = null): array
{
    $context = stream_context_create(['http' => [
        'method' => $body === null ? 'GET' : 'POST',
        'header' => ['X-Shopify-Access-Token: ' . getenv('SHOPIFY_ACCESS_TOKEN'), 'Content-Type: application/json'],
        'content' => $body === null ? '' : json_encode($body),
        'timeout' => 30,
    ]]);
    $text = file_get_contents($url, false, $context);
    if ($text === false) {
        exit(1); // PHP has said why
    }
    $link = implode("\n", preg_grep('/^link:/i', $http_response_header));
    $next = preg_match('/<([^>]*)>; rel="next"/', $link, $found) ? $found[1] : null;
    return [json_decode($text, true, flags: JSON_THROW_ON_ERROR), $next];
}

$page = "$url/products.json?limit=3";
while ($page !== null) {
    [$answer, $page] = call($page);
    foreach ($answer['products'] as $product) {
        echo $product['title'], "\n";
    }
}

echo call("$url/products.json", ['product' => ['title' => 'Lamp']])[0]['product']['title'], "\n";
echo call("$url/graphql.json", ['query' => '{ shop { name } }'])[0]['data']['shop']['name'], "\n";
