#!/usr/bin/perl
# Lists all products with HTTP::Tiny, creates one, and asks for the shop's name by GraphQL.
use strict;
use warnings;

use HTTP::Tiny;
use JSON::PP;

my $url = ($ENV{SHOPIFY_URL} // "https://$ENV{SHOPIFY_SHOP}") . '/admin/api/2026-10';
my $http = HTTP::Tiny->new(timeout => 30, verify_SSL => 1, default_headers => {
	'X-Shopify-Access-Token' => $ENV{SHOPIFY_ACCESS_TOKEN}, 'Content-Type' => 'application/json',
});

# Returns the answer's JSON and the address of the next page. With a body it is a POST.
sub call {
	my ($address, $body) = @_;
	my $answer = $body ? $http->post($address, { content => encode_json($body) }) : $http->get($address);
	die "$answer->{status} $answer->{content}\n" unless $answer->{success};
	my ($next) = ($answer->{headers}{link} // '') =~ /<([^>]*)>; rel="next"/;
	return (decode_json($answer->{content}), $next);
}

my $page = "$url/products.json?limit=3";
while ($page) {
	(my $answer, $page) = call($page);
	print "$_->{title}\n" for @{ $answer->{products} };
}

my ($created) = call("$url/products.json", { product => { title => 'Lamp' } });
print "$created->{product}{title}\n";
my ($asked) = call("$url/graphql.json", { query => '{ shop { name } }' });
print "$asked->{data}{shop}{name}\n";
