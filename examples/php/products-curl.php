<?php
// Lists all products with PHP's curl, creates one, and asks for the shop's name by GraphQL.
declare(strict_types=1);

$url = (getenv('SHOPIFY_URL') ?: 'https://' . getenv('SHOPIFY_SHOP')) . '/admin/api/2026-10';

/** Returns the answer's JSON and the address of the next page. With a body it is a POST. */
function call(string $url, ?array $body = null): array
{
    $next = null;
    $curl = curl_init($url);
    curl_setopt_array($curl, [
        CURLOPT_RETURNTRANSFER => true,
        CURLOPT_FAILONERROR => true,
        CURLOPT_TIMEOUT => 30,
        CURLOPT_HTTPHEADER => ['X-Shopify-Access-Token: ' . getenv('SHOPIFY_ACCESS_TOKEN'), 'Content-Type: application/json'],
        CURLOPT_HEADERFUNCTION => function ($curl, string $line) use (&$next): int {
            if (preg_match('/^link:.*<([^>]*)>; rel="next"/i', $line, $found)) {
                $next = $found[1];
            }
            return strlen($line);
        },
    ]);
    if ($body !== null) {
        curl_setopt($curl, CURLOPT_POSTFIELDS, json_encode($body));
    }
    if ($socket = getenv('SHOPIFY_SOCKET')) {
        curl_setopt($curl, CURLOPT_UNIX_SOCKET_PATH, $socket);
    }
    $text = curl_exec($curl);
    if ($text === false) {
        throw new RuntimeException(curl_error($curl));
    }
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
