//! Heads that are refused, and what comes behind heads.

use std::io::Write;
use std::sync::Arc;

use super::super::{Bounds, Endpoint, Origins};
use super::{answer, bounded_site, early_or_waiting, opening, route, site};
use crate::limits;
use crate::reactor::Adoption;

/// Each of these is answered with its status, and then the connection ends. Whoever refuses, hyper
/// or we: a hyper that lets one of them pass fails here.
#[test]
fn what_breaks_the_rules_is_refused_and_the_connection_ends() {
    const HOST: &str = "Host: localhost\r\n";
    let long = "x".repeat(limits::REQUEST_HEAD_BYTES);
    let many = "X: 1\r\n".repeat(limits::REQUEST_HEADER_LINES);
    let upgrade = opening("/chat", "");
    let site = site();
    for (request, status) in [
        ("GET /chat HTTP/1.1\r\n\r\n".into(), 400),
        (format!("GET /chat HTTP/1.1\r\n{HOST}{HOST}\r\n"), 400),
        (opening("/chat", "Host: other\r\n"), 400),
        (format!("GET /chat HTTP/1.1\r\n{HOST}X : a\r\n\r\n"), 400),
        (format!("GET /chat HTTP/1.1\r\n X: a\r\n{HOST}\r\n"), 400),
        (format!("GET /chat HTTP/1.1\r\n{HOST}X: a\r\n b\r\n\r\n"), 400),
        (format!("GET /chat HTTP/1.1\r\n{HOST}X: a\rb\r\n\r\n"), 400),
        (format!("GET /chat HTTP/1.1\r\n{HOST}X: a\0b\r\n\r\n"), 400),
        (format!("GET /chat HTTP/1.1\r\n{HOST}X\r\n\r\n"), 400),
        (format!("GET /chat HTTP/1.1\r\n{HOST}: a\r\n\r\n"), 400),
        (format!("GET  /chat HTTP/1.1\r\n{HOST}\r\n"), 400),
        (format!("GET /chat http/1.1\r\n{HOST}\r\n"), 400),
        (format!("GET /chat HTTP/2.0\r\n{HOST}\r\n"), 505),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), 505),
        ("GET / HTTP/1.1\nHost: localhost\n\n".into(), 400),
        (upgrade.replace("\r\n", "\n"), 400),
        (upgrade.replacen("\r\n", "\n", 3), 400),
        (opening("/chat", "Connection : Upgrade\r\n"), 400),
        (opening("/chat", "X: a\x7f\r\n"), 400),
        ("GET /chat\r\n\r\n".into(), 400),
        (format!("GET chat HTTP/1.1\r\n{HOST}\r\n"), 400),
        (format!("CONNECT localhost:80 HTTP/1.1\r\n{HOST}\r\n"), 400),
        ("\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03".into(), 400),
        (format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 2\r\n\r\na"), 400),
        (format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 1, 1\r\n\r\na"), 400),
        (format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip\r\n\r\n"), 501),
        (format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"), 501),
        (format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400),
        (format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 1\r\nContent-Length: 1\r\n\r\na"), 400),
        (format!("POST / HTTP/1.1\r\n{HOST}Content-Length: +1\r\n\r\na"), 400),
        // Content is no part of this version: whatever it is, it is the end of the connection.
        (format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\n{HOST}\r\n"), 404),
        (
            format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nGET / HTTP/1.1\r\n{HOST}\r\n"),
            404,
        ),
        (format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n-1\r\n"), 404),
        (format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n"), 404),
        (format!("POST / HTTP/1.1\r\n{HOST}Transfer-Encoding: chunked\r\n\r\n1;x=\ny\na\n"), 404),
        (format!("POST / HTTP/1.1\r\n{HOST}Content-Length: 100000\r\n\r\nabc"), 404),
        (format!("GET /chat HTTP/1.0\r\n{HOST}Connection: keep-alive\r\n\r\n"), 505),
        (upgrade.replace("HTTP/1.1", "HTTP/1.0"), 505),
        (format!("GET /{long} HTTP/1.1\r\n{HOST}\r\n"), 431),
        (format!("GET / HTTP/1.1\r\n{HOST}X: {long}{long}\r\n\r\n"), 431),
        (format!("GET / HTTP/1.1\r\n{HOST}{many}\r\n"), 431),
        (upgrade.replace("Connection: Upgrade\r\n", ""), 400),
        (upgrade.replace("dGhl", ""), 400),
        (opening("/chat", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"), 400),
        (opening("/chat", "Sec-WebSocket-Protocol: a b\r\n"), 400),
        (opening("/chat", "Content-Length: 5\r\n") + "hello", 400),
        (opening("/chat", "Transfer-Encoding: chunked\r\n") + "0\r\n\r\n", 400),
        (opening("/none", "Connection: close\r\n"), 404),
        (upgrade.replace("GET", "POST").replace("Connection: ", "Connection: close, "), 404),
    ] {
        let answer = site.answer_and_end(request.as_bytes());
        assert_eq!(answer.split(' ').nth(1), Some(status.to_string().as_str()), "{request:.200}\n{answer}");
        assert_eq!(answer.matches("HTTP/1.1").count(), 1 + usize::from(status == 505), "{request:.200}\n{answer}");
        assert!(answer.contains("\r\nconnection: close") && answer.contains("\r\ndate: "), "{answer}");
        let (_, sentence) = answer.split_once("\r\n\r\n").unwrap();
        assert!(sentence.len() > 10, "no sentence: {answer}");
    }
    site.gate.stop();
}

#[test]
fn whatever_byte_stands_in_a_target_the_refusal_has_a_sentence() {
    let site = site();
    for byte in 0..=255u8 {
        let request = [b"GET /a", &[byte][..], b"b HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"].concat();
        let mut client = site.connect();
        client.write_all(&request).unwrap();
        let answer = answer(&mut client);
        let sentence = answer.split_once("\r\n\r\n").unwrap().1;
        assert!(sentence.len() > 10, "{byte:#x}: {answer}");
        let status = if byte.is_ascii_graphic() { "HTTP/1.1 4" } else { "HTTP/1.1 400 " };
        assert!(answer.starts_with(status), "{byte:#x}: {answer}");
    }
    site.gate.stop();
}

#[test]
fn a_bad_head_behind_good_ones_is_refused_behind_their_answers() {
    let site = site();
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\n\r\n");
    let requests = get("/none") + &get("/chat") + "GET / HTTP/1.1\nHost: a\r\n\r\n" + &get("/none");
    let answers = site.answer_and_end(requests.as_bytes());
    let statuses: Vec<&str> = answers.match_indices("HTTP/1.1 ").map(|(at, _)| &answers[at + 9..at + 12]).collect();
    assert_eq!(statuses, ["404", "426", "400"], "{answers}");
    assert_eq!(site.gate.counts().refused, [(400, 1), (404, 1), (426, 1)].into());
    site.gate.stop();
}

#[test]
fn early_frames_are_handed_over_whatever_their_size() {
    let site = site();
    for (turn, size) in [1, 2, 125, 3_000, 4_096, 8_192, 16_384, 65_536].into_iter().enumerate() {
        let mut client = site.connect();
        // As hostile to a parser of heads as can be.
        let frames: Vec<u8> = b"\n\r\n\0\xff \t:".iter().copied().cycle().take(size).collect();
        client.write_all(&[opening("/chat", "").as_bytes(), &frames].concat()).unwrap();
        assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
        let Adoption { early, mut stream, .. } = site.adopted(turn % 2);
        assert_eq!(early_or_waiting(early, &mut stream, size), frames, "{size}");
    }
    site.gate.stop();
}

#[test]
fn a_head_may_have_as_many_bytes_as_the_bound_says() {
    for bytes in [512, 4_096, 40_000] {
        let site = bounded_site(Bounds { request_head_bytes: bytes, ..Bounds::default() });
        let filled = |length: usize| {
            let bare = opening("/chat", "X: \r\n").len();
            opening("/chat", &format!("X: {}\r\n", "x".repeat(length - bare)))
        };
        let mut client = site.connect();
        client.write_all(filled(bytes).as_bytes()).unwrap();
        assert!(answer(&mut client).starts_with("HTTP/1.1 101 "), "{bytes}");
        assert!(site.answer_and_end(filled(bytes + 1).as_bytes()).starts_with("HTTP/1.1 431 "), "{bytes}");
        site.gate.stop();
    }
}

#[test]
fn a_page_of_another_site_is_refused_where_the_route_has_origins() {
    let site = site();
    let endpoint = Endpoint { origins: Origins::Same, ..(*route(3)).clone() };
    site.routes.set_websocket("/mine", Some(Arc::new(endpoint))).unwrap();
    let refusal = site.answer_and_end(opening("/mine", "Origin: http://evil.example\r\n").as_bytes());
    assert!(refusal.starts_with("HTTP/1.1 403 Forbidden\r\n"), "{refusal}");
    assert!(refusal.ends_with("pages of this origin may not open a WebSocket here"), "{refusal}");
    for good in ["Origin: https://localhost\r\n", ""] {
        let mut client = site.connect();
        client.write_all(opening("/mine", good).as_bytes()).unwrap();
        assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    }
    site.gate.stop();
}
