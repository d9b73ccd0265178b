//! Heads on their short way and on their long one: nobody may see a difference.

use super::javascript::Javascript;
use super::*;
use crate::bridge::command::ANSWER_YIELD;
use crate::bridge::{CommandKind, EventKind, RouteId};
use crate::gate::Handler;
use crate::http::Declared;

/// An empty line before a head is forgiven, and makes the head unusual: it goes the long way.
pub(super) const LONG_WAY: &str = "\r\n";

/// What JavaScript hears of a request with some content, and what the client gets back.
fn exchange(site: &Site, way: &str, head: &str, content: &str) -> (String, String, Vec<u8>, String) {
    let mut javascript = Javascript::of(site);
    let mut client = site.connect();
    client.write_all([way, head].concat().as_bytes()).unwrap();
    let (place, _, first) = javascript.request();
    // The next handler hears the same.
    javascript.tell(&[(CommandKind::Answer, ANSWER_YIELD, place, b""), (CommandKind::Release, 0, place, b"")]);
    let (place, _, second) = javascript.request();
    let mut received = Vec::new();
    if head.contains("Expect") {
        javascript.grant(place, u32::MAX);
        assert!(answer(&mut client).starts_with("HTTP/1.1 100 "));
    }
    client.write_all(content.as_bytes()).unwrap();
    if !content.is_empty() {
        javascript.grant(place, u32::MAX);
        received = javascript.content(place);
    }
    javascript.respond(place, "200 OK\nx-a: 1\n\nhello");
    let response = answer(&mut client);
    // Either the connection ends, or it carries another request.
    if !response.contains("connection: close") {
        client.write_all(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    }
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    let undated = |text: &str| text.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n");
    (first, second, received, undated(&(response + &rest)))
}

#[test]
fn a_request_is_the_same_on_both_ways() {
    let site = site();
    site.routes.set_handler("ANY", "/a/*", Some(Handler::Asked(RouteId(20)))).unwrap();
    site.routes.set_handler("ANY", "/a/:b", Some(Handler::Asked(RouteId(21)))).unwrap();
    for (line, fields, content) in [
        ("GET /a/b?c=%20d", "Host: localhost\r\n", ""),
        ("get /a/b", "HOST:a\r\nX-One: \t two  words \t\r\nx-Empty:\r\nCookie: \u{e4}=\u{20ac}\r\n", ""),
        ("GET /a/b", "Host: a\r\nX: 1\r\nY: 2\r\nx: 3\r\nX: \r\n", ""),
        ("GET /a/b", "Host: a\r\nAccept: a\r\nConnection: keep-alive\r\n", ""),
        ("GET /a/b", "Host: a\r\nConnection: close\r\n", ""),
        ("GET /a/b", "Host: a\r\nConnection: Keep-Alive, Close\r\n", ""),
        ("GET /a/b", "Host: a\r\nConnection: keep-alive\r\nConnection: close\r\n", ""),
        ("GET /a/b", "Host: a\r\nUpgrade: h2c\r\nConnection: Upgrade, HTTP2-Settings\r\n", ""),
        ("GET http://a/a/b?c", "Host: a\r\n", ""),
        ("GET /a/b?c#d", "Host: a\r\n", ""),
        ("POST /a/b", "Host: a\r\nContent-Length: 5\r\nX: y\r\n", "12345"),
        ("POST /a/b", "Host: a\r\nContent-Length: 0\r\n", ""),
        ("PUT /a/b", "TRANSFER-ENCODING: Chunked\r\nhost: a\r\n", "3\r\nabc\r\n2;x\r\nde\r\n0\r\nX: y\r\n\r\n"),
        ("POST /a/b", "Host: a\r\nContent-Length: 3\r\nExpect: 100-continue\r\n", "abc"),
        ("PATCH /a/b", "Host: a\r\nExpect: 100-Continue\r\nTransfer-Encoding: chunked\r\n", "1\r\na\r\n0\r\n\r\n"),
    ] {
        let head = format!("{line} HTTP/1.1\r\n{fields}\r\n");
        let [short, long] = ["", LONG_WAY].map(|way| exchange(&site, way, &head, content));
        assert_eq!(short, long, "{head}");
        assert_eq!(short.0, short.1, "{head}");
        assert!(short.3.starts_with("HTTP/1.1 200 OK\nx-a: 1\n"), "{}", short.3);
    }
    site.gate.stop();
}

#[test]
fn the_gate_s_own_answers_are_the_same_on_both_ways() {
    let site = site();
    let records = [&b"\x04\x01\0x\x03\x01\0q\x05\x02\0id"[..], b"\x02\x01\0|"].concat();
    let declared = Declared::parse("/declared/:id", &records).unwrap();
    site.routes.set_handler("ANY", "/declared/:id", Some(Handler::Declared(Arc::new(declared)))).unwrap();
    for (head, status, end) in [
        ("GET /declared/7?q=1%2b HTTP/1.1\r\nHost: a\r\nX: 5, 6\r\n", 200, "5, 61+7|"),
        ("GET /declared/7 HTTP/1.1\r\nHost: a\r\nx: 5\r\nX: 6\r\n", 200, "57|"),
        ("GET /chat HTTP/1.1\r\nHost: a\r\n", 426, "Upgrade: websocket is missing"),
        ("GET /chat HTTP/1.1\r\nHost: a\r\nSec-WebSocket-Key: a\r\n", 426, "Upgrade: websocket is missing"),
        ("GET /none HTTP/1.1\r\nHost: a\r\n", 404, "no route matches this method and path"),
        ("GET /none HTTP/1.1\r\nHost: a b\r\n", 400, "Host is not a host"),
        ("GET /none HTTP/1.1\r\nX: a\r\n", 400, "Host is missing"),
        ("GET /none HTTP/1.1\r\nHost: a\r\nHost: a\r\n", 400, "Host stands more than once"),
        ("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n", 400, "this server is not a proxy"),
    ] {
        for way in ["", LONG_WAY] {
            let answer = site.answer_and_end(format!("{way}{head}Connection: close\r\n\r\n").as_bytes());
            assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{head}{answer}");
            assert!(answer.ends_with(end), "{head}{answer}");
        }
    }
    site.gate.stop();
}

#[test]
fn requests_that_come_together_are_told_one_after_the_other_whichever_way_they_go() {
    let site = site();
    site.routes.set_handler("GET", "/*", Some(Handler::Asked(RouteId(20)))).unwrap();
    let mut javascript = Javascript::of(&site);
    let mut client = site.connect();
    let head = |number: usize| format!("GET /{number} HTTP/1.1\r\nHost: a\r\nX: {number}\r\n\r\n");
    let ways = ["", LONG_WAY, "", "", LONG_WAY];
    let together: String = ways.iter().enumerate().map(|(number, way)| [way, &*head(number)].concat()).collect();
    // The last one is cut; its rest comes when the others are answered.
    let (most, rest) = together.split_at(together.len() - 10);
    client.write_all(most.as_bytes()).unwrap();
    for number in 0..ways.len() {
        if number == ways.len() - 1 {
            client.write_all(rest.as_bytes()).unwrap();
        }
        let (place, _, text) = javascript.request();
        assert_eq!(text, format!("GET\n/{number}\nhost:a\nx:{number}\n"));
        javascript.drain();
        assert!(!javascript.events.iter().any(|event| event.kind == EventKind::Request as u8));
        javascript.respond(place, &format!("200 OK\n\n{number}"));
        assert!(answer(&mut client).ends_with(&number.to_string()));
    }
    site.gate.stop();
}
