#!/usr/bin/perl
# A web server of one page and one health check; needs only what every Debian has.
use strict;
use warnings;
use IO::Socket::INET;

my %conf = (name => 'nameless', greeting => '', port => 8080, planks => '.');
my @sisters;
open my $file, '<', $ARGV[0] or die "ship: cannot read $ARGV[0]: $!\n";
while (<$file>) {
    next if /^\s*(#|$)/;
    my ($key, $value) = /^\s*(\w+)\s*=\s*(.*?)\s*$/ or die "ship: $ARGV[0]:$.: expected key = value\n";
    if ($key eq 'sister') { push @sisters, $value } else { $conf{$key} = $value }
}
close $file;

my $server = IO::Socket::INET->new(LocalPort => $conf{port}, Listen => 32, ReuseAddr => 1)
    or die "ship: cannot listen on port $conf{port}: $!\n";
$SIG{PIPE} = 'IGNORE';
$SIG{TERM} = sub { exit 0 };

sub planks {
    opendir my $dir, $conf{planks} or return ();
    return sort grep { !/^\./ } readdir $dir;
}

while (1) {
    my $client = $server->accept or next;
    $client->timeout(5);
    my $request = <$client> // '';
    while (defined(my $line = <$client>)) { last if $line =~ /^\r?\n$/ }
    my ($path) = $request =~ m{^GET (\S+)};
    $path //= '';
    my ($status, $type, $body) = ('200 OK', 'text/html', '');
    my @planks = planks();
    if ($path eq '/health') {
        $type = 'application/json';
        $body = sprintf '{"ship": "%s", "planks": %d}', $conf{name}, scalar @planks;
    } elsif ($path eq '/') {
        $body = "<h1>$conf{name}</h1><p>$conf{greeting}</p><p>Planks: @planks. Sisters: @sisters.</p>\n";
    } else {
        ($status, $body) = ('404 Not Found', "no such place\n");
    }
    print $client "HTTP/1.0 $status\r\nContent-Type: $type\r\nContent-Length: " . length($body) . "\r\n\r\n$body";
    close $client;
}
