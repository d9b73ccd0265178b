//! HTTP and upgrades over TLS.

use std::io::ErrorKind;

use super::client::{Adopted, Client, Issued, SecureSite, TLS12, TLS13, VERSIONS, connection, said, secure_site};
use super::javascript::Javascript;
use super::*;
use crate::bridge::command::FLAG_FIN;
use crate::bridge::{CommandKind, EventKind};
use crate::gate::Handler;
use rustls::StreamOwned;

fn handling_site() -> SecureSite {
    let site = secure_site();
    site.routes.set_handler("ANY", "/handled", Some(Handler::Asked(RouteId(20)))).unwrap();
    site
}

fn get(path: &str) -> String {
    format!("GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n")
}

/// The number of bytes, of which no two pieces are the same.
fn content(bytes: usize) -> Vec<u8> {
    (0..bytes.div_ceil(8)).flat_map(|number| format!("{number:07},").into_bytes()).take(bytes).collect()
}

#[test]
fn a_connection_carries_several_requests_one_after_the_other_and_together() {
    let site = secure_site();
    for version in VERSIONS {
        let mut client = site.client_by(version);
        for requests in [1, 1, 5] {
            client.write_all(get("/none").repeat(requests).as_bytes()).unwrap();
            for _ in 0..requests {
                assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
            }
        }
        assert_eq!(client.conn.alpn_protocol(), None);
    }
    site.when(|counts| counts.handshakes == 0);
    let tls = site.gate.counts().tls;
    assert_eq!((tls.handshakes, tls.resumed, tls.failed), (2, 0, [].into()));
}

#[test]
fn an_upgrade_is_handed_over_with_its_session_and_all_that_came() {
    let site = secure_site();
    let frames = content(50_000);
    for version in VERSIONS {
        for (turn, length) in [0, 1, 100, frames.len()].into_iter().enumerate() {
            let mut client = site.client_by(version);
            let sent = [opening("/chat", "").as_bytes(), &frames[..length]].concat();
            client.write_all(&sent).unwrap();
            assert!(answer(&mut client).starts_with("HTTP/1.1 101 "), "{length}");
            client.write_all(b"later").unwrap();
            let adoption = site.adopted(turn % 2);
            assert_eq!(adoption.peer, Some(client.sock.local_addr().unwrap()));
            let mut adopted = Adopted::new(adoption);
            let read = adopted.read(length + 5);
            assert!(read == [&frames[..length], b"later"].concat(), "{length}");
            adopted.write(b"back");
            let mut back = [0; 4];
            client.read_exact(&mut back).unwrap();
            assert_eq!(&back, b"back");
        }
    }
}

#[test]
fn a_request_and_frames_may_come_with_the_end_of_the_handshake() {
    let site = secure_site();
    for (reactor, version) in VERSIONS.into_iter().enumerate() {
        let mut stream = site.connect();
        let mut client = connection(&site.issued.trusted(version, None), "localhost");
        client.writer().write_all(&[opening("/chat", "").as_bytes(), b"frames"].concat()).unwrap();
        stream.write_all(&said(&mut client)).unwrap();
        while client.is_handshaking() {
            client.read_tls(&mut stream).unwrap();
            client.process_new_packets().unwrap();
            // Of TLS 1.3 this is Finished and the request; TLS 1.2 has another round.
            stream.write_all(&said(&mut client)).unwrap();
        }
        let mut client = StreamOwned::new(client, stream);
        assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
        assert_eq!(Adopted::new(site.adopted(reactor)).read(6), b"frames");
    }
}

#[test]
fn large_content_comes_and_goes_through_slow_peers() {
    let site = handling_site();
    let sent = content(3_000_000);
    for version in VERSIONS {
        let mut client = site.client_by(version);
        socket2::SockRef::from(&client.sock).set_recv_buffer_size(64 * 1024).unwrap();
        let mut javascript = Javascript::of(&site);
        let head = format!("POST /handled HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\n\r\n", sent.len());
        let writer = std::thread::scope(|scope| {
            let writing = scope.spawn(|| {
                client.write_all(head.as_bytes()).unwrap();
                client.write_all(&sent).unwrap();
                client
            });
            let (place, ..) = javascript.request();
            javascript.grant(place, 1_000_000);
            std::thread::sleep(Duration::from_millis(50));
            javascript.grant(place, u32::MAX);
            assert!(javascript.content(place) == sent);
            let begin = b"200 OK\n\n";
            javascript.tell(&[(CommandKind::Begin, 0, place, begin)]);
            for piece in sent.chunks(100_000) {
                javascript.tell(&[(CommandKind::Content, 0, place, piece)]);
            }
            let release = (CommandKind::Release, 0, place, &b""[..]);
            javascript.tell(&[(CommandKind::Content, FLAG_FIN, place, b""), release]);
            writing.join().unwrap()
        });
        let mut client = writer;
        assert!(answer(&mut client).contains("transfer-encoding: chunked"));
        let mut received = Vec::new();
        while received.len() < sent.len() {
            let mut line = Vec::new();
            while !line.ends_with(b"\r\n") {
                let mut byte = [0];
                client.read_exact(&mut byte).unwrap();
                line.push(byte[0]);
            }
            let length = usize::from_str_radix(str::from_utf8(&line).unwrap().trim_end(), 16).unwrap();
            let mut chunk = vec![0; length + 2];
            // In small pieces, so that the gate has to wait.
            for piece in chunk.chunks_mut(3_000) {
                client.read_exact(piece).unwrap();
            }
            received.extend_from_slice(&chunk[..length]);
        }
        assert!(received == sent);
    }
}

#[test]
fn a_client_that_has_finished_sending_still_gets_its_answer() {
    let site = secure_site();
    for version in VERSIONS {
        let mut client = site.client_by(version);
        client.write_all(get("/none").as_bytes()).unwrap();
        client.conn.send_close_notify();
        client.flush().unwrap();
        assert!(answer(&mut client).starts_with("HTTP/1.1 404 "));
        // rustls tells a FIN without close_notify by an error.
        assert_eq!(client.read(&mut [0]).unwrap(), 0);
        drop(client);
    }
    site.when(|counts| counts.handshakes == 0);
}

#[test]
fn the_end_of_a_connection_says_close_notify_behind_the_last_answer() {
    let site = secure_site();
    for version in VERSIONS {
        let mut client = site.client_by(version);
        client.write_all(b"GET /none HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
        let mut all = Vec::new();
        client.read_to_end(&mut all).unwrap();
        assert!(all.starts_with(b"HTTP/1.1 404 "));
    }
}

#[test]
fn javascript_hears_of_a_client_that_goes_meanwhile_however_it_goes() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    // By close_notify alone, by FIN alone, and by a record that is none.
    let ways: [fn(&mut Client); 3] = [
        |client| {
            client.conn.send_close_notify();
            client.flush().unwrap();
        },
        |client| client.sock.shutdown(Shutdown::Write).unwrap(),
        |client| {
            client
                .sock
                .write_all(&[23, 3, 3, 0, 20, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 0])
                .unwrap()
        },
    ];
    for version in VERSIONS {
        for way in ways {
            let mut client = site.client_by(version);
            client.write_all(get("/handled").as_bytes()).unwrap();
            let (place, ..) = javascript.request();
            way(&mut client);
            assert_eq!(javascript.expect(EventKind::Aborted).place, place);
            javascript.tell(&[(CommandKind::Release, 0, place, b"")]);
        }
    }
    site.when(|counts| counts.http_connections == 0);
}

#[test]
fn a_request_behind_one_that_is_being_answered_waits_and_is_not_lost() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut client = site.client();
    client.write_all(get("/handled").as_bytes()).unwrap();
    let (place, ..) = javascript.request();
    // The gate reads these while it looks whether the client is still there.
    client.write_all(get("/handled").repeat(2).as_bytes()).unwrap();
    std::thread::sleep(Duration::from_millis(20));
    javascript.respond(place, "200 OK\n\n1");
    for turn in 2..4 {
        assert!(answer(&mut client).starts_with("HTTP/1.1 200 "));
        let (place, ..) = javascript.request();
        javascript.respond(place, &format!("200 OK\n\n{turn}"));
    }
    assert!(answer(&mut client).ends_with('3'));
}

#[test]
fn a_record_that_does_not_decrypt_ends_the_connection_with_an_alert() {
    let site = secure_site();
    for version in [&TLS12, &TLS13] {
        let mut client = site.client_by(version);
        client.write_all(get("/none").as_bytes()).unwrap();
        answer(&mut client);
        client.sock.write_all(&[23, 3, 3, 0, 30]).unwrap();
        client.sock.write_all(&[7; 30]).unwrap();
        let error = client.read(&mut [0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData, "{error}");
        assert!(error.to_string().contains("BadRecordMac"), "{error}");
    }
    site.when(|counts| counts.handshakes == 0);
}

#[test]
fn the_certificate_of_a_client_is_in_the_head_that_javascript_gets() {
    let (own, authority) = Issued::of_client();
    let site = handling_site();
    site.security.set(None, site.issued.identity_asking(Some(&authority)));
    let mut javascript = Javascript::of(&site);
    for version in VERSIONS {
        let mut client =
            StreamOwned::new(connection(&site.issued.trusted(version, Some(&own)), "localhost"), site.connect());
        client.write_all(get("/handled").as_bytes()).unwrap();
        let (place, _, head) = javascript.request();
        let hexadecimal: String = own.der().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(head, format!("GET\n/handled\nhost:localhost\n:certificate:{hexadecimal}\n"));
        javascript.respond(place, "200 OK\n\n");
        answer(&mut client);
    }
    let mut stranger = site.client();
    stranger.write_all(get("/handled").as_bytes()).unwrap();
    let (_, _, head) = javascript.request();
    assert!(!head.contains("certificate"), "{head}");
}

#[test]
fn a_proxy_speaks_before_the_handshake_and_nobody_inside_it() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let head = b"\r\n\r\n\0\r\nQUIT\n\x21\x11\x00\x0c\xcb\x00\x71\x07\x0a\x00\x00\x01\x12\x67\x00\x50";
    for split in [0, 1, 13, head.len()] {
        let mut stream = site.connect();
        stream.set_nodelay(true).unwrap();
        stream.write_all(&head[..split]).unwrap();
        stream.write_all(&head[split..]).unwrap();
        let mut client = StreamOwned::new(connection(&site.issued.trusted(&TLS13, None), "localhost"), stream);
        client.write_all(get("/handled").as_bytes()).unwrap();
        let (place, _, text) = javascript.request();
        assert!(text.contains("\n:proxied:203.0.113.7 4711\n"), "{text}");
        javascript.respond(place, "200 OK\n\n");
    }
    let mut client = site.client();
    client.write_all(&[&head[..], get("/handled").as_bytes()].concat()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 400 "));
    // A head that breaks off, and one that is none.
    for (bytes, reason) in [(&head[..20], "closed"), (&b"\r\n\r\n\0\r\nQUIT\n\x41\x11\x00\x0c"[..], "notTls")] {
        let mut stream = site.connect();
        stream.write_all(bytes).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0]).unwrap_or(0), 0);
        site.when(|counts| counts.tls.failed.get(reason) == Some(&1));
    }
}

#[cfg(unix)]
#[test]
fn a_unix_socket_and_a_connection_of_another_app_speak_tls() {
    use std::os::unix::net::UnixStream;

    let site = secure_site();
    let directory = std::env::temp_dir().join(format!("tidewire-gate-tls-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let listener = site.gate.listen(crate::gate::bind_unix(&path).unwrap()).unwrap();
    let stream = UnixStream::connect(&path).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = StreamOwned::new(connection(&site.issued.trusted(&TLS13, None), "localhost"), stream);
    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    let adoption = site.adopted(0);
    assert!(adoption.session.is_some() && adoption.peer.is_none());
    site.gate.close_listener(listener);
    std::fs::remove_dir_all(&directory).unwrap();

    // Accepted by an App that speaks none itself.
    let acceptor = super::site();
    let descriptor = crate::gate::Descriptor::issue();
    site.gate.offer(descriptor);
    assert!(acceptor.children.add(descriptor));
    let mut client = StreamOwned::new(connection(&site.issued.trusted(&TLS13, None), "localhost"), acceptor.connect());
    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    assert!(site.adopted(1).session.is_some());
}
