# SPDX-License-Identifier: Apache-2.0
# generated_client.pl DOCUMENT URL CODE: the work of an administrator and of an operator, by a generated client.
use strict;
use warnings;
use JSON::PP;
use OpenAPI::Client;

my ($document, $url, $code) = @ARGV;
my $password = "correct horse battery staple";
my $client = OpenAPI::Client->new($document, base_url => $url);
my $csrf;
$client->ua->on(start => sub { $_[1]->req->headers->header("X-CSRF-Token" => $csrf) if $csrf });

# One that is answered with the status that is given; its document.
sub call {
    my ($status, $operation, $parameters) = @_;
    my $tx = $client->call($operation, $parameters // {});
    my $answered = $tx->res->code // "nothing";
    die "$operation: $answered " . $tx->res->body . "\n" unless $answered eq $status;
    return $tx->res->json;
}

sub sign_in {
    my ($name) = @_;
    $csrf = undef;
    $client->ua->cookie_jar->empty;
    $csrf = call(200, "signIn", {body => {name => $name, password => $password}})->{csrf_token};
}

open(my $file, "<", $document) or die "$document: $!";
my $described = decode_json(do { local $/; <$file> });
my $methods = 0;
for my $path (values %{$described->{paths}}) {
    for my $operation (values %$path) {
        die "there is no $operation->{operationId} in the client\n" unless $client->can($operation->{operationId});
        $methods++;
    }
}
print "    $methods operations\n";

call(201, "setUp", {body => {code => $code, name => "alice", password => $password}});
sign_in("alice");
call(201, "createUser", {body => {name => "bob", password => $password, roles => ["operator", "restorer"], sees_data => JSON::PP::true}});
call(403, "createVolume", {body => {name => "shop", size_bytes => 8 << 20}});

sign_in("bob");
my $volume = call(201, "createVolume", {body => {name => "shop", size_bytes => 8 << 20}});
die "protected? $volume->{state}\n" unless $volume->{state} eq "protected";
my $mark = call(201, "createMark", {body => {label => "before", volume => "shop"}});
my $point = call(200, "getPoints", {volume => "shop", at => "mark:before"});
die "$point->{point}{lsn} is not $mark->{lsn}\n" unless $point->{point}{lsn} == $mark->{lsn};
my $page = call(200, "listMarks", {limit => 1});
die "marks\n" unless @{$page->{marks}} == 1 && $page->{marks}[0]{label} eq "before";
call(200, "getTimeline", {volume => "shop"});
call(200, "rollBack", {body => {volumes => ["shop"], at => "mark:before"}});
my $job = call(202, "verify", {body => {deep => JSON::PP::true}});
for (my $tries = 0; $job->{state} eq "running"; $tries++) {
    die "job $job->{id} does not end\n" if $tries > 300;
    select(undef, undef, undef, 0.1);
    $job = call(200, "getJob", {job => $job->{id}});
}
die "verification: " . encode_json($job) . "\n" unless $job->{verification}{ok};
my $problem = call(404, "getVolume", {volume => "none"});
die "no problem\n" unless $problem->{status} == 404 && $problem->{detail} =~ /none/;
call(200, "removeVolume", {volume => "shop"});
call(200, "signOut");
