//! Requests of handlers, over the gate's own lane: what JavaScript hears, and what it can answer.

use super::javascript::Javascript;
use super::*;
use crate::bridge::command::{ANSWER_CLOSE, ANSWER_YIELD, FLAG_CLOSE, FLAG_FIN};
use crate::bridge::{Batch, CommandKind, EventKind};
use crate::gate::Handler;
use crate::http::Declared;

/// The site, with handlers at `/hello` (20), at `/sink/*` for any method (21), and beside the WebSocket's
/// at `/chat` (22).
fn handling_site() -> Site {
    let site = site();
    site.routes.set_handler("GET", "/hello", Some(Handler::Asked(RouteId(20)))).unwrap();
    site.routes.set_handler("ANY", "/sink/*", Some(Handler::Asked(RouteId(21)))).unwrap();
    site.routes.set_handler("GET", "/chat", Some(Handler::Asked(RouteId(22)))).unwrap();
    site.routes.set_handler("ANY", "/chat", Some(Handler::Asked(RouteId(23)))).unwrap();
    site
}

fn request(method: &str, path: &str, more: &str) -> String {
    format!("{method} {path} HTTP/1.1\r\nHost: localhost\r\n{more}\r\n")
}

/// Reads up to this end.
fn until(client: &mut TcpStream, end: &str) -> String {
    let mut read = Vec::new();
    let mut byte = [0];
    while !read.ends_with(end.as_bytes()) {
        assert_eq!(client.read(&mut byte).unwrap(), 1, "{}", read.escape_ascii());
        read.push(byte[0]);
    }
    String::from_utf8(read).unwrap()
}

fn rest(client: &mut TcpStream) -> String {
    let mut rest = Vec::new();
    client.read_to_end(&mut rest).unwrap();
    String::from_utf8(rest).unwrap()
}

#[test]
fn requests_of_one_connection_are_answered_one_after_the_other() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    client.write_all(request("GET", "/hello?a=b", "X: y\r\n").repeat(3).as_bytes()).unwrap();
    for turn in 0..3 {
        let (place, route, head) = javascript.request();
        assert_eq!((route, &*head), (20, "GET\n/hello?a=b\nhost:localhost\nx:y\n"));
        javascript.drain();
        assert!(javascript.events.is_empty());
        javascript.respond(place, &format!("200 OK\nx-turn: {turn}\n\nhello"));
        let answer = until(&mut client, "hello");
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.contains(&format!("x-turn: {turn}\r\ncontent-length: 5\r\n")), "{answer}");
    }
    let counts = site.gate.counts();
    assert_eq!((counts.requests, counts.http_connections, counts.handshakes), (3, 1, 0));
}

#[test]
fn a_websocket_and_a_handler_share_a_path() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut plain = site.connect();
    plain.write_all(request("GET", "/chat", "").as_bytes()).unwrap();
    let (place, route, _) = javascript.request();
    assert_eq!(route, 22);
    javascript.tell(&[(CommandKind::Answer, ANSWER_YIELD, place, b""), (CommandKind::Release, 0, place, b"")]);
    let (place, route, _) = javascript.request();
    assert_eq!(route, 23);
    javascript.tell(&[(CommandKind::Answer, ANSWER_YIELD, place, b""), (CommandKind::Release, 0, place, b"")]);
    assert!(until(&mut plain, "Upgrade: websocket is missing").starts_with("HTTP/1.1 426 "));
    let mut client = site.connect();
    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    assert_eq!(site.adopted(0).route.id, RouteId(1));
}

#[test]
fn content_comes_as_far_as_it_is_granted_and_the_next_request_behind_it() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let content: String = (0..2_000).map(|number| format!("{number},")).collect();
    let sized = format!("Content-Length: {}\r\n", content.len());
    let (one, other) = content.split_at(1_000);
    let chunks = format!("{:x};x=y\r\n{one}\r\n{:x}\r\n{other}\r\n0\r\nX-Sum: 1\r\n\r\n", one.len(), other.len());
    for (fields, body) in [(&*sized, &*content), ("Transfer-Encoding: chunked\r\n", &*chunks)] {
        let mut client = site.connect();
        client.write_all(request("POST", "/sink/a", fields).as_bytes()).unwrap();
        client.write_all(body.as_bytes()).unwrap();
        client.write_all(request("GET", "/hello", "").as_bytes()).unwrap();
        let (place, route, _) = javascript.request();
        assert_eq!(route, 21);
        javascript.grant(place, 10);
        assert_eq!(javascript.expect(EventKind::Content).payload, b"0,1,2,3,4,");
        javascript.grant(place, 1);
        assert_eq!(javascript.expect(EventKind::Content).payload, b"5");
        javascript.grant(place, u32::MAX);
        assert_eq!([b"0,1,2,3,4,5", &*javascript.content(place)].concat(), content.as_bytes());
        javascript.respond(place, "200 OK\n\ntaken");
        until(&mut client, "taken");
        let (place, route, _) = javascript.request();
        assert_eq!(route, 20);
        javascript.respond(place, "200 OK\nconnection: close\n\nhello");
        assert!(rest(&mut client).ends_with("hello"));
    }
}

#[test]
fn a_request_without_content_ends_at_once() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    client.write_all(request("GET", "/hello", "").as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    javascript.grant(place, 1);
    assert_eq!(javascript.content(place), b"");
}

#[test]
fn a_client_that_waits_is_told_to_go_on_when_its_content_is_wanted() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    let fields = "Content-Length: 4\r\nExpect: 100-continue\r\n";
    client.write_all(request("PUT", "/sink/", fields).as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    javascript.grant(place, 4);
    assert_eq!(until(&mut client, "\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    client.write_all(b"good").unwrap();
    assert_eq!(javascript.content(place), b"good");
    javascript.respond(place, "201 Created\n\n");
    assert!(answer(&mut client).starts_with("HTTP/1.1 201 Created\r\n"));
}

#[test]
fn content_that_nobody_wants_is_thrown_away_up_to_a_bound() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    for (bytes, lives) in [(limits::CONTENT_DISCARD_BYTES / 2, true), (4 * limits::CONTENT_DISCARD_BYTES, false)] {
        let mut client = site.connect();
        client.write_all(request("POST", "/sink/", &format!("Content-Length: {bytes}\r\n")).as_bytes()).unwrap();
        let (place, ..) = javascript.request();
        javascript.respond(place, "200 OK\n\nenough");
        until(&mut client, "enough");
        // The peer may be cut off in the middle of it.
        let sent = client.write_all(&vec![b'x'; bytes]);
        let _ = client.write_all(request("GET", "/hello", "").as_bytes());
        if lives {
            sent.unwrap();
            let (place, route, _) = javascript.request();
            assert_eq!(route, 20);
            javascript.respond(place, "204 No Content\n\n");
            assert!(answer(&mut client).starts_with("HTTP/1.1 204 "));
        } else {
            assert_eq!(client.read(&mut [0]).unwrap_or(0), 0);
            javascript.drain();
            assert!(javascript.events.is_empty());
        }
    }
}

#[test]
fn content_that_breaks_the_rules_is_refused_and_told() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    client.write_all(request("POST", "/sink/", "Transfer-Encoding: chunked\r\n").as_bytes()).unwrap();
    client.write_all(b"3\r\nabcd\r\n").unwrap();
    let (place, ..) = javascript.request();
    javascript.grant(place, 100);
    let mut event = javascript.next();
    if event.kind == EventKind::Content as u8 {
        assert_eq!(event.payload, b"abc");
        event = javascript.next();
    }
    assert_eq!((event.kind, event.place), (EventKind::Aborted as u8, place));
    let refusal = rest(&mut client);
    assert!(refusal.starts_with("HTTP/1.1 400 ") && refusal.ends_with("a chunk is longer than its size"), "{refusal}");
    javascript.tell(&[(CommandKind::Release, 0, place, b"")]);
}

#[test]
fn a_peer_that_goes_is_told_once_wherever_it_goes() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    for (fields, answered) in [("", false), ("Content-Length: 5\r\n", false), ("", true)] {
        let mut client = site.connect();
        client.write_all(request("POST", "/sink/", fields).as_bytes()).unwrap();
        let (place, ..) = javascript.request();
        if answered {
            javascript
                .tell(&[(CommandKind::Begin, 0, place, b"200 OK\n\n"), (CommandKind::Content, 0, place, b"more")]);
            until(&mut client, "more\r\n");
        } else {
            javascript.grant(place, 10);
            if fields.is_empty() {
                javascript.content(place);
            }
        }
        drop(client);
        assert_eq!(javascript.expect(EventKind::Aborted).place, place);
        javascript.tell(&[(CommandKind::Release, 0, place, b"")]);
    }
    // Behind the whole answer nobody cares.
    let mut client = site.connect();
    client.write_all(request("GET", "/hello", "").as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    javascript.respond(place, "200 OK\n\nbye");
    until(&mut client, "bye");
    drop(client);
    site.gate.close_connections();
    javascript.drain();
    assert!(javascript.events.is_empty(), "{:?}", javascript.events);
}

#[test]
fn closing_the_connections_tells_of_the_requests() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    client.write_all(request("GET", "/hello", "").as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    site.gate.close_connections();
    assert_eq!(javascript.expect(EventKind::Aborted).place, place);
    assert_eq!(rest(&mut client), "");
}

#[test]
fn a_response_is_streamed_in_chunks_or_at_its_length() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    for (head, sent) in [
        ("200 OK\nx: y\n\n", "transfer-encoding: chunked\r\n"),
        ("200 OK\n:length:6\nx: y\n\n", "content-length: 6\r\n"),
    ] {
        client.write_all(request("GET", "/hello", "").as_bytes()).unwrap();
        let (place, ..) = javascript.request();
        javascript.tell(&[(CommandKind::Begin, 0, place, head.as_bytes())]);
        let received = until(&mut client, "\r\n\r\n");
        assert!(received.contains("x: y\r\n") && received.contains(sent), "{received}");
        javascript.tell(&[(CommandKind::Content, 0, place, b"one")]);
        let chunked = head.len() < 15;
        assert_eq!(until(&mut client, "one"), if chunked { "3\r\none" } else { "one" });
        javascript.tell(&[
            (CommandKind::Content, FLAG_FIN, place, b"two, and what is too much"),
            (CommandKind::Release, 0, place, b""),
        ]);
        match chunked {
            true => assert_eq!(until(&mut client, "0\r\n\r\n"), "\r\n19\r\ntwo, and what is too much\r\n0\r\n\r\n"),
            false => assert_eq!(until(&mut client, "two"), "two"),
        }
    }
}

#[test]
fn a_response_that_falls_short_or_is_cut_ends_the_connection() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    for (kind, flags) in [(CommandKind::Content, FLAG_FIN), (CommandKind::Terminate, 0), (CommandKind::Release, 0)] {
        let mut client = site.connect();
        client.write_all(request("GET", "/hello", "").as_bytes()).unwrap();
        let (place, ..) = javascript.request();
        javascript.tell(&[
            (CommandKind::Begin, 0, place, b"200 OK\n:length:6\n\n"),
            (CommandKind::Content, 0, place, b"one"),
        ]);
        until(&mut client, "one");
        javascript.tell(&[(kind, flags, place, b""), (CommandKind::Release, 0, place, b"")]);
        assert_eq!(rest(&mut client), "");
    }
    let mut client = site.connect();
    client.write_all(request("GET", "/hello", "").as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    javascript.tell(&[(CommandKind::Answer, ANSWER_CLOSE, place, b""), (CommandKind::Release, 0, place, b"")]);
    assert_eq!(rest(&mut client), "");
    javascript.drain();
    assert!(javascript.events.is_empty(), "{:?}", javascript.events);
}

#[test]
fn a_head_request_gets_no_content_and_the_writer_is_not_stuck() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    client.write_all(request("HEAD", "/sink/", "").as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    javascript.tell(&[(CommandKind::Begin, 0, place, b"200 OK\n:length:1000000\n\n")]);
    assert!(until(&mut client, "\r\n\r\n").contains("content-length: 1000000\r\n"));
    let part = vec![0; 2 * limits::RESPONSE_LOW_WATER_BYTES];
    javascript.tell(&[(CommandKind::Content, 0, place, &part), (CommandKind::WatchDrain, 0, place, b"")]);
    assert_eq!(javascript.expect(EventKind::Taken).amount as usize, part.len());
    client.write_all(request("HEAD", "/sink/", "").as_bytes()).unwrap();
    // Nothing else would tell the writer that nobody waits for it.
    assert_eq!(javascript.expect(EventKind::Aborted).place, place);
    let (other, ..) = javascript.request();
    javascript.respond(other, "200 OK\n:length:7\n\n");
    assert!(until(&mut client, "\r\n\r\n").contains("content-length: 7\r\n"));
    javascript.tell(&[(CommandKind::Content, FLAG_FIN, place, b""), (CommandKind::Release, 0, place, b"")]);
    client.write_all(request("GET", "/hello", "").as_bytes()).unwrap();
    let (last, ..) = javascript.request();
    javascript.respond(last, "200 OK\n\nhello");
    assert!(until(&mut client, "hello").starts_with("HTTP/1.1 200 "));
}

#[test]
fn a_slow_reader_is_told_of_when_little_waits() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    client.write_all(request("GET", "/hello", "").as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    let total = 16 * 1024 * 1024;
    javascript.tell(&[(CommandKind::Begin, 0, place, format!("200 OK\n:length:{total}\n\n").as_bytes())]);
    until(&mut client, "\r\n\r\n");
    let part = vec![7; 1024 * 1024];
    for _ in 0..16 {
        javascript.tell(&[(CommandKind::Content, 0, place, &part)]);
    }
    javascript.tell(&[(CommandKind::WatchDrain, 0, place, b"")]);
    std::thread::sleep(Duration::from_millis(100));
    javascript.drain();
    assert!(javascript.events.is_empty(), "the kernel took 16 MiB: {:?}", javascript.events);
    let mut content = vec![0; total];
    client.read_exact(&mut content).unwrap();
    assert!(content.iter().all(|&byte| byte == 7));
    let taken = javascript.expect(EventKind::Taken).amount as usize;
    assert!((total - limits::RESPONSE_LOW_WATER_BYTES..=total).contains(&taken), "{taken}");
}

#[test]
fn a_proxy_is_listened_to_and_its_word_handed_on() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\xcb\0\x71\x07\x7f\0\0\x01\x12\x67\0\x50";
    // In pieces, for the signature must not be taken for empty lines.
    for piece in head.chunks(5) {
        client.write_all(piece).unwrap();
        std::thread::sleep(Duration::from_millis(5));
    }
    client.write_all(request("GET", "/hello", "").as_bytes()).unwrap();
    let (place, _, text) = javascript.request();
    assert_eq!(text, "GET\n/hello\n:proxied:203.0.113.7 4711\nhost:localhost\n");
    javascript.respond(place, "200 OK\n\nhello");
    until(&mut client, "hello");
    assert_eq!(site.answer_and_end(b"\r\n\r\n\0\r\nQUIT\n\x22\x11\0\x0c"), "");
}

#[test]
fn a_filter_hears_of_connections() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    site.gate.filter(true);
    let client = site.connect();
    let port = client.local_addr().unwrap().port().to_le_bytes();
    let connected = javascript.expect(EventKind::Connected);
    assert_eq!((connected.place.index, &connected.payload[2..4]), (u32::MAX, &port[..]));
    drop(client);
    assert_eq!(&javascript.expect(EventKind::Disconnected).payload[2..4], &port);
}

#[test]
fn a_declared_response_needs_no_javascript() {
    let site = handling_site();
    let echo = Declared::parse("/echo/:name", b"\x07\x03\x00202\x01\x03\x00x\0y\x05\x04\x00name\x06\x00\x00").unwrap();
    site.routes.set_handler("POST", "/echo/:name", Some(Handler::Declared(Arc::new(echo)))).unwrap();
    let mut client = site.connect();
    for _ in 0..2 {
        client.write_all(request("POST", "/echo/joe", "Content-Length: 4\r\n").as_bytes()).unwrap();
        client.write_all(b" say").unwrap();
        let reply = answer(&mut client);
        assert!(reply.starts_with("HTTP/1.1 202 Accepted\r\nx: y\r\n") && reply.ends_with("\r\njoe say"), "{reply}");
    }
    let length = limits::DECLARED_CONTENT_BYTES + 1;
    client.write_all(request("POST", "/echo/joe", &format!("Content-Length: {length}\r\n")).as_bytes()).unwrap();
    // The answer may come before all of it is taken.
    let _ = client.write_all(&vec![b'x'; length]);
    assert!(answer(&mut client).starts_with("HTTP/1.1 413 "));
    let mut broken = site.connect();
    broken.write_all(request("POST", "/echo/joe", "Transfer-Encoding: chunked\r\n").as_bytes()).unwrap();
    broken.write_all(b"no\r\n").unwrap();
    assert!(rest(&mut broken).starts_with("HTTP/1.1 400 "));
}

#[test]
fn connect_is_a_method_like_others_for_a_path() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    client.write_all(request("CONNECT", "/sink/a", "").as_bytes()).unwrap();
    let (place, route, head) = javascript.request();
    assert_eq!((route, &*head), (21, "CONNECT\n/sink/a\nhost:localhost\n"));
    javascript.respond(place, "200 OK\n\nhello");
    assert!(until(&mut client, "\r\n\r\n").starts_with("HTTP/1.1 200 "));
    assert!(site.answer_and_end(request("CONNECT", "example.org:80", "").as_bytes()).starts_with("HTTP/1.1 400 "));
}

#[test]
fn a_streamed_response_may_be_the_last_of_its_connection() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    client.write_all(request("GET", "/hello", "").repeat(2).as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    javascript.tell(&[(CommandKind::Begin, 0, place, b"200 OK\n\n"), (CommandKind::Content, 0, place, b"one")]);
    until(&mut client, "one\r\n");
    javascript
        .tell(&[(CommandKind::Content, FLAG_FIN | FLAG_CLOSE, place, b"two"), (CommandKind::Release, 0, place, b"")]);
    assert_eq!(rest(&mut client), "3\r\ntwo\r\n0\r\n\r\n");
}

#[test]
fn content_waits_while_javascript_has_no_room() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    client.write_all(request("POST", "/sink/", "Content-Length: 4\r\n").as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    let mut batch = Batch::default();
    batch.push_large(place, EventKind::Content, 0, vec![0; limits::INTAKE_BYTES]);
    site.gate.crossing().mailbox.post(&mut batch);
    javascript.grant(place, 4);
    client.write_all(b"good").unwrap();
    // Longer than the gate takes to look at the peer again meanwhile.
    std::thread::sleep(Duration::from_millis(1_200));
    assert_eq!(site.gate.crossing().mailbox.waiting().events, 1);
    assert_eq!(javascript.expect(EventKind::Content).payload.len(), limits::INTAKE_BYTES);
    assert_eq!(javascript.content(place), b"good");
    javascript.respond(place, "200 OK\n\ntaken");
    until(&mut client, "taken");
}
