#!/usr/bin/perl
# Lists all products with LWP, creates one, and asks for the shop's name by GraphQL.
use strict;
use warnings;

use JSON::PP;
use LWP::UserAgent;

my $url = ($ENV{SHOPIFY_URL} // "https://$ENV{SHOPIFY_SHOP}") . '/admin/api/2026-10';
my $agent = LWP::UserAgent->new(timeout => 30);
$agent->default_header('X-Shopify-Access-Token' => $ENV{SHOPIFY_ACCESS_TOKEN});

# Returns the answer's JSON and the address of the next page. With a body it is a POST.
sub call {
	my ($address, $body) = @_;
	my $answer = $body
		? $agent->post($address, 'Content-Type' => 'application/json', Content => encode_json($body))
		: $agent->get($address);
	die $answer->status_line, "\n" unless $answer->is_success;
	my ($next) = ($answer->header('Link') // '') =~ /<([^>]*)>; rel="next"/;
	return (decode_json($answer->content), $next);
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
