//! `seeds`: writes the inputs of `corpus/` anew. Each is the start of one way through its target.

use std::fs;
use std::path::Path;

use tidewire_fuzz::wire::frame;

const KEY: Option<[u8; 4]> = Some([0x37, 0xfa, 0x21, 0x3d]);

fn main() {
    frames();
    messages();
    close();
    extensions();
    inflate();
    handshake();
    content();
    proxy();
    declared();
    router();
    commands();
    tls();
}

fn write(target: &str, name: &str, bytes: &[u8]) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    fs::create_dir_all(&folder).expect("a folder for the corpus");
    fs::write(folder.join(name), bytes).expect("a file of the corpus");
}

fn frames() {
    // Limits of 1 MiB and of no fragments; two cuts, of 3 and 11 bytes.
    let head = [0x0f, 2, 3, 11];
    let streams = [
        ("hello", frame(0x81, KEY, b"Hello")),
        ("fragments", [frame(0x01, KEY, b"Hel"), frame(0x89, KEY, b"ping"), frame(0x80, KEY, b"lo")].concat()),
        ("close", [frame(0x82, KEY, b"\x00\xff"), frame(0x88, KEY, b"\x03\xe9bye")].concat()),
        ("length-16", frame(0x82, KEY, &[7; 126])),
        ("length-64", [&[0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], &[0; 200][..]].concat()),
        ("utf8-cut", [frame(0x01, KEY, b"\xe2\x82"), frame(0x80, KEY, b"\xac")].concat()),
        ("not-utf8", frame(0x81, KEY, b"ab\xe2\x28")),
        ("reserved", frame(0xC1, KEY, b"x")),
        ("bare", frame(0x81, None, b"x")),
        ("not-minimal", b"\x82\xfe\x00\x0512345".to_vec()),
        ("top-bit", b"\x82\xff\x80\0\0\0\0\0\0\x05\0\0\0\0".to_vec()),
    ];
    for (name, stream) in streams {
        write("frames", name, &[&head, stream.as_slice()].concat());
    }
    write("frames", "small-limits", &[&[0x01, 1, 2], frame(0x82, KEY, &[7; 51]).as_slice()].concat());
}

fn messages() {
    write("messages", "whole", b"\x02\x00\x05Hello\x01\x03\x00\xff\x01");
    write("messages", "euro-over-fragments", b"\x01\x14\x01\xe2\x01\x82\x01\xac\x02\x03");
    write("messages", "not-utf8", b"\x01\x12\x03ab\xe2\x02\x28c");
    write("messages", "cut-character", b"\x01\x00\x02\xe2\x82");
    write("messages", "cut-character-in-fragments", b"\x01\x02\x01\xe2\x01\x82");
    write("messages", "surrogate", b"\x01\x00\x03\xed\xa0\x80");
    write("messages", "empty-fragments", b"\x01\x1e\0\0\0\0\0\0\0\0");
}

fn close() {
    write("close", "empty", b"");
    write("close", "half", b"\x03");
    write("close", "normal", b"\x03\xe8bye");
    write("close", "reserved", b"\x03\xed");
    write("close", "bad-gateway", b"\x03\xf6");
    write("close", "not-utf8", b"\x03\xe8\xff");
    write("close", "long", &[&b"\x0f\xa0"[..], "€".repeat(45).as_bytes()].concat());
}

fn extensions() {
    let lines = [
        ("bare", "permessage-deflate"),
        ("chrome", "permessage-deflate; client_max_window_bits"),
        (
            "all",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=10; client_max_window_bits=\"12\"",
        ),
        ("two-offers", "permessage-deflate; server_max_window_bits=8, permessage-deflate; client_max_window_bits=9"),
        ("lines", "x-other; a=1\npermessage-deflate ; client_max_window_bits = 8"),
        ("bad-value", "permessage-deflate; server_max_window_bits=010, permessage-deflate"),
        ("twice", "permessage-deflate; client_max_window_bits; client_max_window_bits"),
        ("quoted", "permessage-deflate; client_max_window_bits=\"1\\0\""),
        ("broken", "permessage-deflate; =1"),
    ];
    for (name, text) in lines {
        // Shared both ways, and dedicated both ways.
        write("extensions", name, &[&[1, 1], text.as_bytes()].concat());
        write("extensions", &format!("{name}-dedicated"), &[&[9, 8], text.as_bytes()].concat());
    }
}

fn inflate() {
    let row = |shape: u8, messages: &[&[u8]]| {
        let mut bytes = vec![shape];
        for message in messages {
            bytes.extend((message.len() as u16).to_le_bytes());
            bytes.extend_from_slice(message);
        }
        bytes
    };
    // RFC 7692 §7.2.3: Hello, again with its context, not compressed, in a last block, in two blocks.
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    write("inflate", "hello", &row(0x3e, &[hello, b"\xf2\x00\x11\x00\x00"]));
    write("inflate", "stored", &row(0x36, &[b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"]));
    write("inflate", "last-block", &row(0x36, &[b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", hello]));
    write("inflate", "two-blocks", &row(0x36, &[b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"]));
    write("inflate", "repeated", &row(0x0e, &[&b"the same, the same, ".repeat(10), &b"the same, ".repeat(20)]));
    write("inflate", "small-window", &row(0x08, &[&b"a window of nine bits ".repeat(40), &b"nine bits ".repeat(60)]));
    write("inflate", "far-back", &row(0x3e, &[b"\x4b\x04\x82\x00\xff\xff\x07\x00"]));
}

fn handshake() {
    let good = "GET /chat?room=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    let end = "\r\n";
    let more = "Sec-WebSocket-Protocol: chat, v2.chat\r\nSec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\nOrigin: http://a\r\n";
    let heads = [
        ("plain", format!("{good}{end}")),
        ("all-fields", format!("{good}{more}{end}")),
        ("lists", format!("{}{end}", good.replace("Connection: Upgrade", "Connection: keep-alive,\tUPGRADE"))),
        ("lines", format!("{good}Connection: keep-alive\r\nUpgrade: h2c\r\n{end}")),
        ("no-host", format!("{}{end}", good.replace("Host: localhost\r\n", ""))),
        ("no-upgrade", format!("{}{end}", good.replace("Upgrade: websocket", "Upgrade: h2c"))),
        ("connection-keep-alive", format!("{}{end}", good.replace("Connection: Upgrade", "Connection: keep-alive"))),
        ("short-key", format!("{}{end}", good.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25j"))),
        ("short-key-with-pads", format!("{}{end}", good.replace("dGhlIHNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25=="))),
        ("two-versions", format!("{good}Sec-WebSocket-Version: 8\r\n{end}")),
        ("two-hosts", format!("{good}Host: other\r\n{end}")),
        ("two-keys", format!("{good}Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{end}")),
        ("version-8", format!("{}{end}", good.replace("13\r\n", "8\r\n"))),
        ("http-10", format!("{}{end}", good.replace("HTTP/1.1", "HTTP/1.0"))),
        ("post", format!("{}{end}", good.replace("GET", "POST"))),
        ("absolute", format!("{}{end}", good.replace("/chat?room=1", "http://localhost/chat"))),
        ("bare-lf", format!("{good}{end}").replace("\r\n", "\n")),
        ("one-bare-lf", format!("{}{end}", good.replace("localhost\r\n", "localhost\n"))),
        ("cut", good.to_owned()),
        ("content", format!("{good}Content-Length: 5\r\n{end}Hello")),
        ("chunked", format!("{good}Transfer-Encoding: chunked\r\n{end}0\r\n\r\n")),
        ("frames-behind", format!("\r\n{good}{end}\u{1}")),
    ];
    for (name, head) in heads {
        write("handshake", name, head.as_bytes());
    }
}

fn content() {
    let streams = [
        ("sized", &b"Hello"[..]),
        ("empty", b"0\r\n\r\n"),
        ("chunks", b"5\r\nHello\r\nA\r\n0123456789\r\n0\r\n\r\nGET / HTTP/1.1\r\n"),
        ("extensions", b"5;a=\"b;c\"\r\nHello\r\n00000;last\r\n\r\n"),
        ("trailer", b"1\r\na\r\n0\r\nX-Sum: 1\r\nY:\r\n\r\n"),
        ("no-token", b"1\r\na\r\n0\r\n(x): 1\r\n\r\n"),
        ("no-colon", b"0\r\nab\r\n\r\n"),
        ("cut-data", b"7\r\nHello"),
        ("cut-trailer", b"1\r\na\r\n0\r\nX-S"),
        ("too-large", b"10000000000000000\r\n"),
        ("largest", b"ffffffffffffffff\r\nHello"),
        ("bare-lf", b"1\na\n0\n\n"),
        ("longer-than-its-size", b"1\r\nab\r\n0\r\n\r\n"),
    ];
    for (name, stream) in streams {
        write("content", name, &[b"\x03\x00\x02", stream].concat());
    }
    write("content", "many-fields", &[b"\x03\x00\x40", &b"0\r\n"[..], &b"a:\r\n".repeat(101), b"\r\n"].concat());
    write("content", "long-extension", &[b"\x03\x00\xff1;", &[b'x'; 4097][..], b"\r\na\r\n"].concat());
}

fn proxy() {
    let head = |rest: &[u8]| [&b"\r\n\r\n\0\r\nQUIT\n"[..], rest].concat();
    write("proxy", "tcp4", &head(b"\x21\x11\x00\x0c\xcb\x00\x71\x07\x0a\0\0\x01\x12\x67\0\x50GET / HTTP/1.1\r\n"));
    write("proxy", "tcp4-additions", &head(b"\x21\x11\x00\x10\xcb\x00\x71\x07\x0a\0\0\x01\x12\x67\0\x50\x04\0\x01\0"));
    write("proxy", "tcp6", &head(&[b"\x21\x21\x00\x24", &[0x20; 36][..]].concat()));
    write("proxy", "unix", &head(&[b"\x21\x31\x00\xd8", &[0; 216][..]].concat()));
    write("proxy", "local", &head(b"\x20\0\0\0GET"));
    write("proxy", "cut-off", &head(b"\x21\x11\x00\x0b\xcb\x00\x71\x07\x0a\0\0\x01\x12\x67\0"));
    write("proxy", "version-1", b"PROXY TCP4 203.0.113.7 10.0.0.1 4711 80\r\n");
    write("proxy", "too-long", &head(b"\x21\x11\x10\x01"));
    write("proxy", "request", b"\r\nGET / HTTP/1.1\r\n");
}

fn declared() {
    let record = |opcode: u8, bytes: &[u8]| [&[opcode], &(bytes.len() as u16).to_le_bytes()[..], bytes].concat();
    let request = &b"/a/:id/*\n/a/b%20/c?x=1&q=1%2b+2&q=3\nme\nsome content\n"[..];
    let parts = [record(2, b"<"), record(3, b"q"), record(4, b"x"), record(5, b"id"), record(6, b""), record(2, b">")];
    write("declared", "all-parts", &[request, &parts.concat()].concat());
    let head = [
        record(7, b"404 Not Found"),
        record(1, b"x-a\x001"),
        record(1, b"X-A\x002"),
        record(1, b"content-length\x009"),
    ];
    write("declared", "head", &[request, &head.concat()].concat());
    write("declared", "absent", &[request, &record(3, b"none"), &record(5, b"none"), &record(4, b"y")].concat());
    write("declared", "broken-percent", &[&b"/\n/?q=%4&q=1\n\n\n"[..], &record(3, b"q"), &record(3, b"")].concat());
    write("declared", "bad-field", &[request, &record(1, b"a b\x001")].concat());
    write("declared", "informational", &[request, &record(7, b"100 Continue")].concat());
    write("declared", "cut-off", &[request, b"\x02\x05\x00abc"].concat());
    write("declared", "unknown", &[request, &record(9, b"")].concat());
}

fn router() {
    write("router", "all-kinds", b"/\n/a\n/:x\n/a/:y\n/:x/b\n/a/*\n*\n/a/b");
    write("router", "back-tracks", b"/a/:x/c\n/:y/b/*\n/a/b/d\n/a/b/c");
    write("router", "taken-out", b"/a/b\n/a\n/:p\n-/a\n-/:q\n-/none\n/a");
    write("router", "empty-segments", b"//\n/a/\n/a\n/:x/\n/a/");
    write("router", "empty-parameter", b"/a/:x\n/:x/:y\n/:x/*\n/a/");
    write("router", "no-patterns", b"a\n/*x\n/*/a\n/:\n\n/");
    write("router", "same-name", b"/:a/:a\n/:b/:a\n/x/y");
}

fn commands() {
    write(
        "commands",
        "send",
        b"\x01\x11\x01\x02\x70\x11\x01\x00\x05\x00\x00\x00Hello\0\0\0\x05\0\0\0\x01\0\0\0\0\0\0\0",
    );
    write("commands", "end", b"\x03\x00\xff\xff\x01\0\0\0\x03\0\0\0\xe8\x03b\0");
    write("commands", "too-long", b"\x01\0\0\0\0\0\0\0\xff\xff\xff\xff\0\0\0\0");
    write("commands", "no-padding", b"\x01\0\0\0\0\0\0\0\x01\0\0\0a");
    write("commands", "answer", b"\x10\x11\x01\x00\x01\0\0\0\x0a\0\0\0chat\na: b\n\0\0\x11\0\x01\0\x01\0\0\0\0\0\0\0");
    write(
        "commands",
        "topic",
        b"\x08\0\x01\0\x01\0\0\0\x08\0\0\0\x02\0\0\0\x03\0\0\0\x0a\x11\0\0\0\0\0\0\x05\0\0\0\x02\0\0\0a\0\0\0",
    );
    write("commands", "unknown", b"\x0c\0\0\0\0\0\0\0\0\0\0\0");
    write("commands", "short", b"\x05\0\0");
}

fn tls() {
    // Cuts of 5 bytes.
    let raw = |bytes: &[u8]| [&[0, 5, 0], bytes].concat();
    // A ClientHello of SSL 3.0 to TLS 1.2, without extensions.
    for (name, minor) in [("ssl-3", 0), ("tls-1-0", 1), ("tls-1-2-bare", 3)] {
        let body = [&[3, minor][..], &[7; 32], &[0, 0, 2, 0xc0, 0x2b, 1, 0]].concat();
        let head = [22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8];
        write("tls", name, &raw(&[&head, body.as_slice()].concat()));
    }
    write("tls", "ssl-2", &raw(b"\x80\x1c\x01\x00\x02\x00\x03\x00\x00\x00\x10\x01\x00\x80"));
    write("tls", "http", &raw(b"GET / HTTP/1.1\r\n\r\n"));
    write("tls", "hello", &raw(&client_hello()));
    let records: [(&str, &[u8]); 7] = [
        ("data", b"\x17\x05\x00Hello\x17\x03\x00all"),
        ("longest", b"\x17\x00\x40a\x17\x01\x40b"),
        ("end", b"\x17\x02\x00by\x15\x02\x00\x01\x00\x17\x01\x00x"),
        ("alert", b"\x15\x02\x00\x02\x28"),
        ("key-update", b"\x16\x02\x00\x18\x00\x16\x03\x00\x00\x01\x01\x17\x01\x00x"),
        ("renegotiation", b"\x16\x06\x00\x01\x00\x00\x02\x03\x03\x16\x06\x00\x01\x00\x00\x02\x03\x03"),
        ("interleaved", b"\x16\x03\x00\x18\x00\x00\x17\x01\x00x"),
    ];
    for (name, records) in records {
        write("tls", &format!("{name}-of-1-2"), &[b"\x02\x07\x00", records].concat());
        write("tls", &format!("{name}-of-1-3"), &[b"\x03\x07\x00", records].concat());
    }
}

/// One of a client that has TLS 1.3 and 1.2, always the same.
fn client_hello() -> Vec<u8> {
    let extension = |kind: u8, content: &[u8]| [&[0, kind, 0, content.len() as u8], content].concat();
    let extensions = [
        extension(0, b"\0\x0e\0\0\x0bexample.org"),
        extension(10, &[0, 2, 0, 29]),
        extension(13, &[0, 4, 4, 3, 8, 4]),
        extension(43, &[4, 3, 4, 3, 3]),
        extension(45, &[1, 1]),
        extension(51, &[&[0, 36, 0, 29, 0, 32][..], &[9; 32]].concat()),
    ]
    .concat();
    let suites = [0, 4, 0x13, 0x03, 0xcc, 0xa9];
    let random = [7; 32];
    let mut body = [&[3, 3][..], &random, &[0], &suites, &[1, 0, 0, extensions.len() as u8]].concat();
    body.extend(extensions);
    [&[22, 3, 1, 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8], body.as_slice()].concat()
}
