//! The end of a gate whose App shuts down, and connections without an address.

use super::*;
use crate::reactor::Answer;

/// Waits for the end of a connection.
fn ended(client: &mut TcpStream) -> bool {
    client.read(&mut [0]).unwrap_or(0) == 0
}

#[test]
fn who_waits_for_a_request_ends_and_who_answers_one_ends_behind_the_answer() {
    let site = asking::asking_site();
    let (mut asked, visit) = site.ask("/ask", "");
    let mut silent = site.connect();
    let mut half = site.connect();
    half.write_all(b"GET /chat HTTP/1.1\r\n").unwrap();
    let mut kept = site.connect();
    kept.write_all(opening("/none", "").as_bytes()).unwrap();
    assert!(answer(&mut kept).starts_with("HTTP/1.1 404 "));
    site.when(|counts| counts.accepted == 4);
    site.gate.close_listener(site.listener);
    site.gate.wind_down();
    for client in [&mut silent, &mut half, &mut kept] {
        assert!(ended(client));
    }
    (visit.answer)(Answer::Response(b"200 OK\n\nhere".to_vec()));
    let head = answer(&mut asked);
    assert!(head.starts_with("HTTP/1.1 200 OK"), "{head}");
    drop([silent, half, kept]);
    let mut rest = Vec::new();
    asked.read_to_end(&mut rest).unwrap();
    assert!(rest.ends_with(b"here") || head.ends_with("here"));
    drop(asked);
    site.vacated.recv_timeout(PATIENCE).unwrap();
    site.gate.stop();
}

#[test]
fn a_request_that_waits_for_javascript_may_be_upgraded_still() {
    let site = asking::asking_site();
    let (mut client, visit) = site.ask("/ask", "");
    site.gate.wind_down();
    (visit.answer)(Answer::Upgrade { lines: b"\n".to_vec(), agreement: None });
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    drop(site.adopted(0));
    site.gate.stop();
}

#[cfg(unix)]
#[test]
fn a_connection_of_a_unix_socket_has_no_address_and_is_handed_over_as_any() {
    use std::os::unix::net::UnixStream;

    let directory = std::env::temp_dir().join(format!("tidewire-gate-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let path = directory.join("socket");
    let site = site();
    let listener = site.gate.listen(crate::gate::bind_unix(&path).unwrap()).unwrap();
    let mut client = UnixStream::connect(&path).unwrap();
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    client.write_all(&[opening("/chat", "").as_bytes(), b"early"].concat()).unwrap();
    let mut head = [0; 12];
    client.read_exact(&mut head).unwrap();
    assert_eq!(&head, b"HTTP/1.1 101");
    let adoption = site.adopted(0);
    assert_eq!(adoption.peer, None);
    site.gate.close_listener(listener);
    assert!(!path.exists(), "the file goes with the listener");
    site.gate.stop();
    std::fs::remove_dir_all(&directory).unwrap();
}
