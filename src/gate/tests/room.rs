//! When nothing is accepted, and new connections wait.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::super::Bounds;
use super::{PATIENCE, answer, bounded_site, opening, site};

#[test]
fn beyond_the_bound_connections_wait_in_the_kernel_until_there_is_room() {
    let site = bounded_site(Bounds { handshakes: 3, ..Bounds::default() });
    let mut waiting: Vec<TcpStream> = (0..5).map(|_| site.connect()).collect();
    for client in &mut waiting {
        client.write_all(b"GET /chat HTTP/1.1\r\n").unwrap();
    }
    let full = site.when(|counts| counts.pausing_listeners > 0);
    assert_eq!((full.accepted, full.handshakes, full.accept_pause_code), (3, 3, Some("TIDEWIRE_HANDSHAKES_FULL")));
    let rest = opening("/chat", "").split_once("\r\n").unwrap().1.to_owned();
    // Each one that goes on makes room for another, whether it goes to a reactor or ends.
    for (turn, mut client) in waiting.drain(..).enumerate() {
        if turn == 1 {
            drop(client);
            continue;
        }
        client.write_all(rest.as_bytes()).unwrap();
        assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    }
    let counts = site.when(|counts| counts.handshakes == 0 && counts.pausing_listeners == 0);
    assert_eq!((counts.accepted, counts.upgraded), (5, 4));
    site.gate.stop();
}

#[test]
fn nothing_is_accepted_while_a_reactor_is_full() {
    let site = site();
    // ORDERING: a test's switch.
    site.is_full.store(true, Ordering::Relaxed);
    let mut client = site.connect();
    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    let full = site.when(|counts| counts.pausing_listeners == 1);
    assert_eq!((full.accepted, full.accept_pauses, full.accept_pause_code), (0, 1, Some("TIDEWIRE_INTAKE_FULL")));
    client.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
    assert!(client.read(&mut [0]).is_err(), "it waits");
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    // ORDERING: as above.
    site.is_full.store(false, Ordering::Relaxed);
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
    let open = site.when(|counts| counts.pausing_listeners == 0);
    assert_eq!((open.accepted, open.accept_pauses), (1, 1), "one pause, however often it has looked");
    site.gate.stop();
}
