"""Version 1 plugins as strangers write them: with the contract's page, sockets and JSON only.

Each text is a whole executable once ``@ID@``, ``@SHAPE@`` (``flat`` or ``nested``) and ``@WAY@``
(of Python only: ``threads``, ``alone`` with one connection at a time, or ``once``, which is
``alone`` and closes each connection after its first message) are replaced. They differ where the
contract leaves them free: some close a connection after the answer and some wait for the core to,
some say ``request_id`` twice and some once, some say that a key to get has the value null, and
the inner payloads have more fields or fewer.

The first part of a request's path says what is wanted:

    /message…                       the message that carried the request, as it came
    /body                           the request's body
    /status/<number>                that status, a header X-Outsider, and a null body
    /kv/<action>/<key>[/<value>]    the core's answer to that kv message
    /count                          one more than last time, read and written on one connection
    /bare                           an answer without any request_id
    /extra                          an answer with unknown fields everywhere
    /chatter                        some messages of unknown type, then the answer
    /sleep/<seconds>                an answer after so long
    /frame/<bytes>                  (Python) an answer whose frame is exactly so long

One of Python whose id begins with ``memory`` also writes down in its key ``past`` what it is told
of its lifecycle, over the connection that told it.

Runs on: nothing; these are texts, and the test's thread.
"""

from __future__ import annotations

import json
from typing import Any

from tests.support.plugin_files import Plugins

PYTHON = r"""#!/usr/bin/env python3
import json, os, socket, struct, sys, threading, time

ID, SHAPE, WAY = "@ID@", "@SHAPE@", "@WAY@"
MEMORY = ID.startswith("memory")


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def read_exactly(connection, size):
    data = bytearray()
    while len(data) < size:
        chunk = connection.recv(min(size - len(data), 1 << 20))
        if not chunk:
            return None
        data += chunk
    return bytes(data)


def read(connection):
    header = read_exactly(connection, 4)
    if header is None:
        return None
    data = read_exactly(connection, struct.unpack(">I", header)[0])
    return None if data is None else json.loads(data.decode("utf-8"))


def pack(message):
    data = json.dumps(message, ensure_ascii=False).encode("utf-8")
    return struct.pack(">I", len(data)) + data


def ask_kv(connection, action, key, value=None):
    wish = {"action": action, "key": key}
    if value is not None or WAY == "once":
        wish["value"] = value
    payload = {"type": "kv", "request_id": "kv-1", **wish, "payload": wish}
    message = {"type": "kv", "timestamp": now(), "request_id": "kv-1", "payload": payload}
    connection.sendall(pack(message))
    return read(connection)


def shaped(request_id, content):
    message = {"type": "http", "timestamp": now(), "request_id": request_id}
    if SHAPE == "flat":
        return {**message, "payload": content}
    inner = {"method": "", "path": "", "headers": {}, "body": json.dumps(content)}
    return {**message, "payload": {"type": "http", "request_id": request_id, "payload": inner}}


def answer(connection, message):
    request = message["payload"]["payload"]
    parts = request["path"].partition("?")[0].split("/")[1:]
    what, rest = parts[0], parts[1:]
    content = {"status": 200, "headers": {"Content-Type": "text/plain"}, "body": what}
    if what.startswith("message"):
        content["body"] = json.dumps(message)
    elif what == "body":
        content["body"] = request["body"]
    elif what == "status":
        content = {"status": int(rest[0]), "headers": {"X-Outsider": "yes"}, "body": None}
    elif what == "kv":
        content["body"] = json.dumps(ask_kv(connection, *rest))
    elif what == "count":
        last = ask_kv(connection, "get", "count")["payload"]["value"]
        content["body"] = str(int(last or 0) + 1)
        ask_kv(connection, "set", "count", content["body"])
    elif what == "sleep":
        time.sleep(float(rest[0]))
    elif what == "extra":
        content.update(elapsed_ms=1.5, cookies=[], cache=None)
    elif what == "chatter":
        connection.sendall(pack({"type": "progress", "timestamp": now(), "payload": {"n": 1}}))
        connection.sendall(pack({"type": "x", "request_id": message["request_id"]}))
        connection.sendall(pack({"type": "metrics", "timestamp": now(), "payload": [1, "two"]}))
    reply = shaped(message["request_id"], content)
    if what == "extra":
        reply.update(version=1, trace={"id": [None]})
        reply["payload"]["more"] = {"status": "fine"}
    elif what == "bare":
        reply.pop("request_id")
        reply["payload"].pop("request_id", None)
    elif what == "frame":
        content["body"] = ""
        content["body"] = "x" * (int(rest[0]) + 4 - len(pack(shaped("i" * 36, content))))
        reply = shaped(message["request_id"], content)
    connection.sendall(pack(reply))


def remember(connection, action):
    past = ask_kv(connection, "get", "past")["payload"]["value"] or ""
    ask_kv(connection, "set", "past", past + action + ";")


def serve(connection):
    with connection:
        while True:
            message = read(connection)
            if message is None:
                return
            if message["type"] == "http":
                answer(connection, message)
            elif message["type"] == "lifecycle":
                print("lifecycle " + json.dumps(message), flush=True)
                if MEMORY:
                    remember(connection, message["payload"]["action"])
                if message["payload"]["action"] == "shutdown":
                    os._exit(0)
            if WAY == "once":
                return


def serve_anyhow(connection):
    try:
        serve(connection)
    except OSError as error:
        print("a connection broke:", error, flush=True)


if sys.argv[1:] == ["--metadata"]:
    about = {"id": ID, "name": "Outsider " + ID, "version": "0.1", "author": "A. Stranger"}
    print(json.dumps({**about, "icon": "\U0001f50c", "route": "/" + ID}))
    sys.exit(0)
listener = socket.socket(socket.AF_UNIX)
listener.bind(os.environ["TORU_PLUGIN_SOCKET"])
listener.listen({"threads": 128, "alone": 1, "once": 5}[WAY])
while True:
    accepted, _ = listener.accept()
    if WAY == "threads":
        threading.Thread(target=serve_anyhow, args=[accepted], daemon=True).start()
    else:
        serve_anyhow(accepted)
"""

NODE = r"""#!/usr/bin/env node
const net = require("net");
const ID = "@ID@", SHAPE = "@SHAPE@";

if (process.argv[2] === "--metadata") {
  const about = { id: ID, name: "Outsider " + ID, version: "0.1", author: "A. Stranger" };
  console.log(JSON.stringify({ ...about, icon: "\u{1f50c}", route: "/" + ID }, null, 2));
  process.exit(0);
}

function write(socket, message) {
  const data = Buffer.from(JSON.stringify({ timestamp: new Date().toISOString(), ...message }));
  const header = Buffer.alloc(4);
  header.writeUInt32BE(data.length);
  socket.write(header);
  socket.write(data);
}

function askKv(peer, action, key, value) {
  const wish = { type: "kv", request_id: "k", action, key };
  if (value !== undefined) wish.value = value;
  write(peer.socket, { type: "kv", payload: { ...wish, payload: wish } });
  return new Promise((resolve) => { peer.waiting = resolve; });
}

function shaped(id, content) {
  if (SHAPE === "flat") return { type: "http", request_id: id, payload: content };
  const inner = { request_id: id, body: JSON.stringify(content) };
  return { type: "http", request_id: id, payload: { type: "http", payload: inner } };
}

async function answer(peer, message) {
  const request = message.payload.payload;
  const [what, ...rest] = request.path.split("?")[0].split("/").slice(1);
  let content = { status: 200, headers: { "content-type": "text/plain" }, body: what };
  if (what.startsWith("message")) content.body = JSON.stringify(message);
  if (what === "body") content.body = request.body;
  if (what === "status") {
    content = { status: Number(rest[0]), headers: { "X-Outsider": "yes" }, body: null };
  }
  if (what === "kv") content.body = JSON.stringify(await askKv(peer, ...rest));
  if (what === "count") {
    const last = (await askKv(peer, "get", "count")).payload.value;
    content.body = String(Number(last || 0) + 1);
    await askKv(peer, "set", "count", content.body);
  }
  if (what === "sleep") await new Promise((resolve) => setTimeout(resolve, rest[0] * 1000));
  if (what === "extra") Object.assign(content, { elapsed_ms: 1.5, cookies: [], cache: null });
  if (what === "chatter") {
    write(peer.socket, { type: "progress", payload: { n: 1 } });
    write(peer.socket, { type: "x", request_id: message.request_id });
    write(peer.socket, { type: "metrics", payload: [1, "two"] });
  }
  const reply = shaped(message.request_id, content);
  if (what === "extra") {
    Object.assign(reply, { version: 1, trace: { id: [null] } });
    reply.payload.more = { status: "fine" };
  }
  if (what === "bare") {
    delete reply.request_id;
    if (SHAPE === "nested") delete reply.payload.payload.request_id;
  }
  write(peer.socket, reply);
  peer.socket.end();
}

function receive(peer, message) {
  if (message.type === "http") answer(peer, message);
  if (message.type === "kv") peer.waiting(message);
  if (message.type === "lifecycle") {
    console.log("lifecycle " + JSON.stringify(message));
    if (message.payload.action === "shutdown") process.exit(0);
  }
}

net.createServer((socket) => {
  const peer = { socket, waiting: null };
  let buffer = Buffer.alloc(0);
  socket.on("error", () => socket.destroy());
  socket.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    while (buffer.length >= 4 && buffer.length >= 4 + buffer.readUInt32BE(0)) {
      const end = 4 + buffer.readUInt32BE(0);
      const message = JSON.parse(buffer.subarray(4, end).toString("utf8"));
      buffer = buffer.subarray(end);
      receive(peer, message);
    }
  });
}).listen(process.env.TORU_PLUGIN_SOCKET);
"""

PERL = r"""#!/usr/bin/env perl
use strict;
use warnings;
use IO::Socket::UNIX;
use JSON::PP;
use POSIX qw(strftime);

my ($ID, $SHAPE) = ('@ID@', '@SHAPE@');
my $bytes = JSON::PP->new->utf8;
my $text  = JSON::PP->new;
$| = 1;
$SIG{PIPE} = 'IGNORE';

if (@ARGV && $ARGV[0] eq '--metadata') {
    print $bytes->encode({ id => $ID, name => "Outsider $ID", version => '0.1',
        author => 'A. Stranger', icon => "\x{1f50c}", route => "/$ID" });
    exit 0;
}

sub read_exactly {
    my ($peer, $size) = @_;
    my $data = '';
    while (length $data < $size) {
        return undef unless sysread $peer, $data, $size - length $data, length $data;
    }
    return $data;
}

sub receive {
    my ($peer) = @_;
    my $header = read_exactly($peer, 4) // return undef;
    return $bytes->decode(read_exactly($peer, unpack 'N', $header) // return undef);
}

sub send_message {
    my ($peer, $message) = @_;
    $message->{timestamp} = strftime '%Y-%m-%dT%H:%M:%SZ', gmtime;
    my $data = $bytes->encode($message);
    syswrite $peer, pack('N', length $data);
    syswrite $peer, $data;
}

sub ask_kv {
    my ($peer, $action, $key, $value) = @_;
    my %wish = (action => $action, key => $key, value => $value);
    my %payload = (type => 'kv', request_id => 'kv', %wish, payload => { %wish });
    send_message($peer, { type => 'kv', request_id => 'kv', payload => \%payload });
    return receive($peer);
}

sub shaped {
    my ($id, $content) = @_;
    my %message = (type => 'http', request_id => $id, payload => $content);
    if ($SHAPE eq 'nested') {
        my %inner = (body => $text->encode($content));
        $message{payload} = { type => 'http', request_id => $id, payload => \%inner };
    }
    return \%message;
}

sub answer {
    my ($peer, $message) = @_;
    my $request = $message->{payload}{payload};
    my ($path) = split /\?/, $request->{path};
    my (undef, $what, @rest) = split m{/}, $path;
    my $content = { status => 200, headers => { 'Content-Type' => 'text/plain' }, body => $what };
    if ($what =~ /^message/) { $content->{body} = $text->encode($message) }
    if ($what eq 'body') { $content->{body} = $request->{body} }
    if ($what eq 'status') {
        $content = { status => $rest[0] + 0, headers => { 'X-Outsider' => 'yes' }, body => undef };
    }
    if ($what eq 'kv') { $content->{body} = $text->encode(ask_kv($peer, @rest)) }
    if ($what eq 'count') {
        my $last = ask_kv($peer, 'get', 'count')->{payload}{value};
        $content->{body} = '' . (($last // 0) + 1);
        ask_kv($peer, 'set', 'count', $content->{body});
    }
    if ($what eq 'sleep') { select undef, undef, undef, $rest[0] }
    if ($what eq 'extra') { $content->{elapsed_ms} = 1.5; $content->{cookies} = [] }
    if ($what eq 'chatter') {
        send_message($peer, { type => 'progress', payload => { n => 1 } });
        send_message($peer, { type => 'x', request_id => $message->{request_id} });
        send_message($peer, { type => 'metrics', payload => [ 1, 'two' ] });
    }
    my $reply = shaped($message->{request_id}, $content);
    if ($what eq 'extra') {
        $reply->{trace} = { id => [undef] };
        $reply->{payload}{more} = { status => 'fine' };
    }
    if ($what eq 'bare') {
        delete $reply->{request_id};
        delete $reply->{payload}{request_id};
    }
    send_message($peer, $reply);
}

my $listener = IO::Socket::UNIX->new(Local => $ENV{TORU_PLUGIN_SOCKET}, Listen => 5)
    or die "cannot listen: $!";
while (my $peer = $listener->accept) {
    my $message = receive($peer);
    if (!defined $message) { next }
    if ($message->{type} eq 'http') { answer($peer, $message) }
    if ($message->{type} eq 'lifecycle') {
        print 'lifecycle ', $bytes->encode($message), "\n";
        exit 0 if $message->{payload}{action} eq 'shutdown';
    }
    close $peer;
}
"""

_TEXTS = {"python": PYTHON, "node": NODE, "perl": PERL}


def outsider(
    plugin_id: str, language: str = "python", shape: str = "flat", way: str = "threads"
) -> str:
    """Return the text of an executable.

    Args:
        plugin_id: its id; its route is the same with a slash before.
        language: ``python``, ``node`` or ``perl``.
        shape: of its answers, ``flat`` or ``nested``.
        way: of Python, ``threads``, ``alone`` or ``once``.
    """
    text = _TEXTS[language].replace("@ID@", plugin_id)
    return text.replace("@SHAPE@", shape).replace("@WAY@", way)


def lifecycle(plugins: Plugins, plugin_id: str, action: str) -> list[dict[str, Any]]:
    """Return the messages of the lifecycle that a plugin has logged, the newest first."""
    lines = [line["message"] for line in plugins.logs(plugin_id)]
    heard = [json.loads(line[10:]) for line in lines if line.startswith("lifecycle ")]
    return [message for message in heard if message["payload"]["action"] == action]
