//! Handshakes that do not come to an end, or to a bad one: each is told why, as far as it can be, and counted.

use super::client::{TLS13, VERSIONS, connection, said, secure_site};
use super::*;
use rustls::StreamOwned;

/// Whether an answer is as it should be.
type Check<'a> = &'a dyn Fn(&[u8]) -> bool;

/// A ClientHello as clients of SSL 3 to TLS 1.1 say it: without extensions.
fn old_hello(minor: u8) -> Vec<u8> {
    let body = [&[3, minor][..], &[7; 32], &[0, 0, 4, 0, 0x2f, 0, 0x35, 1, 0]].concat();
    [&[22, 3, minor.min(1), 0, body.len() as u8 + 4, 1, 0, 0, body.len() as u8][..], &body].concat()
}

#[test]
fn what_is_no_handshake_of_ours_is_answered_and_counted() {
    let site = secure_site();
    let version_alert = [21, 3, 3, 0, 2, 2, 70];
    let cases: &[(Vec<u8>, &str, Check)] = &[
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".to_vec(), "plainHttp", &|answer| {
            answer.starts_with(b"HTTP/1.1 400 ") && answer.ends_with(b"use https:// or wss:// with it\n")
        }),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "plainHttp", &|answer| answer.starts_with(b"HTTP/1.1 400 ")),
        (old_hello(0), "version", &|answer| answer[5..] == version_alert[5..]),
        (old_hello(1), "version", &|answer| answer[5..] == version_alert[5..]),
        (old_hello(2), "version", &|answer| answer[5..] == version_alert[5..]),
        (b"\0\x01\x02\x03 nonsense of some length".to_vec(), "notTls", &|_| true),
        (vec![0xff; 100_000], "notTls", &|_| true),
        ([&[22, 3, 1, 0x3f, 0xff, 1, 0, 0xff, 0xff, 3, 3][..], &[0; 30_000]].concat(), "protocol", &|answer| {
            answer[0] == 21
        }),
    ];
    for (turn, (sent, reason, is_right)) in cases.iter().enumerate() {
        let before = site.gate.counts().tls.failed.get(reason).copied().unwrap_or(0);
        let mut client = site.connect();
        // It may be cut off in the middle.
        let _ = client.write_all(sent);
        let mut answer = Vec::new();
        let outcome = client.read_to_end(&mut answer);
        assert!(outcome.is_ok() || sent.len() > limits::LINGER_BYTES, "{turn}: {outcome:?}");
        assert!(is_right(&answer), "{turn}: {}", answer.escape_ascii());
        site.when(|counts| counts.tls.failed.get(reason) == Some(&(before + 1)));
    }
    let counts = site.when(|counts| counts.handshakes == 0);
    assert_eq!((counts.tls.handshakes, counts.accepted, counts.refused), (0, cases.len() as u64, [].into()));
}

#[test]
fn a_client_that_leaves_in_the_middle_is_counted_as_closed() {
    let site = secure_site();
    for version in VERSIONS {
        let hello = said(&mut connection(&site.issued.trusted(version, None), "localhost"));
        for length in [0, 1, 5, 50, hello.len()] {
            let mut client = site.connect();
            client.write_all(&hello[..length]).unwrap();
            if length == hello.len() {
                client.read_exact(&mut [0; 100]).unwrap();
            }
            client.shutdown(Shutdown::Write).unwrap();
            let mut rest = Vec::new();
            let _ = client.read_to_end(&mut rest);
        }
    }
    let counts = site.when(|counts| counts.handshakes == 0 && counts.accepted == 10);
    assert_eq!((counts.tls.handshakes, counts.tls.failed), (0, [("closed", 10)].into()));
}

#[test]
fn a_handshake_in_single_bytes_is_good() {
    let site = secure_site();
    for (turn, version) in VERSIONS.into_iter().enumerate() {
        let mut stream = site.connect();
        stream.set_nodelay(true).unwrap();
        let mut client = connection(&site.issued.trusted(version, None), "localhost");
        while client.is_handshaking() {
            for byte in said(&mut client).chunks(1) {
                stream.write_all(byte).unwrap();
            }
            if client.is_handshaking() {
                client.read_tls(&mut stream).unwrap();
                client.process_new_packets().unwrap();
            }
        }
        let mut client = StreamOwned::new(client, stream);
        client.write_all(opening("/none", "").as_bytes()).unwrap();
        assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
        assert_eq!(site.gate.counts().tls.handshakes, turn as u64 + 1);
    }
}

#[test]
fn many_at_once_get_through() {
    const MANY: usize = 60;
    let site = secure_site();
    // All have said hello before the first goes on; the last has its turn within the time of a handshake, on a busy machine, too.
    let clients: Vec<_> = (0..MANY)
        .map(|turn| {
            let mut client = site.client_by(VERSIONS[turn % 2]);
            client.conn.write_tls(&mut client.sock).unwrap();
            client
        })
        .collect();
    for mut client in clients {
        client.write_all(opening("/none", "").as_bytes()).unwrap();
        assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
    }
    let counts = site.when(|counts| counts.handshakes == 0);
    let many = MANY as u64;
    assert_eq!((counts.accepted, counts.tls.handshakes, counts.tls.failed), (many, many, [].into()));
    assert_eq!((counts.timed_out, counts.refused), (0, [(404, many)].into()));
}

#[test]
fn handshakes_under_way_end_with_the_gate_and_with_its_app() {
    for way in 0..3 {
        let site = secure_site();
        let hello = said(&mut connection(&site.issued.trusted(&TLS13, None), "localhost"));
        let mut clients: Vec<TcpStream> = [0, 20, hello.len()]
            .map(|length| {
                let mut client = site.connect();
                client.write_all(&hello[..length]).unwrap();
                client
            })
            .into();
        clients[2].read_exact(&mut [0; 100]).unwrap();
        site.when(|counts| counts.accepted == 3);
        site.gate.close_listener(site.listener);
        match way {
            0 => site.gate.close_connections(),
            1 => site.gate.wind_down(),
            _ => {
                let super::client::SecureSite { site, .. } = site;
                site.gate.stop();
                assert!(site.census.is_vacant());
                continue;
            }
        }
        for mut client in clients {
            let mut rest = Vec::new();
            let _ = client.read_to_end(&mut rest);
        }
        site.vacated.recv_timeout(PATIENCE).unwrap();
        let counts = site.gate.counts();
        assert_eq!((counts.handshakes, counts.tls), (0, Default::default()));
    }
}
