//! Connections that one gate accepts and others serve.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;

use super::super::{Bounds, Descriptor};
use super::{PATIENCE, Site, answer, bounded_site, opening, route, site};

/// A gate that is a child of this one.
fn child_of(acceptor: &Site, bounds: Bounds) -> (Site, Descriptor) {
    let child = bounded_site(bounds);
    let descriptor = Descriptor::issue();
    child.gate.offer(descriptor);
    assert!(acceptor.children.add(descriptor));
    (child, descriptor)
}

/// A client that has sent its request and is not answered yet, perhaps.
fn asks(site: &Site, path: &str) -> TcpStream {
    let mut client = site.connect();
    client.write_all(opening(path, "").as_bytes()).unwrap();
    client
}

#[test]
fn children_take_turns_and_serve_by_their_own_routes() {
    let acceptor = site();
    let children = [child_of(&acceptor, Bounds::default()), child_of(&acceptor, Bounds::default())];
    for (child, descriptor) in &children {
        child.routes.set_websocket("/child", Some(route(9))).unwrap();
        assert!(acceptor.children.add(*descriptor), "twice is once");
    }
    for round in 0..4 {
        let mut client = asks(&acceptor, "/child");
        assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
        let adoption = children[round % 2].0.adopted(round / 2);
        assert_eq!(adoption.peer, Some(client.local_addr().unwrap()));
        assert!(adoption.stream.nodelay().unwrap());
    }
    assert_eq!(acceptor.gate.counts().accepted, 0, "it has served none");

    // What the children accept themselves is theirs.
    assert!(answer(&mut asks(&children[0].0, "/child")).starts_with("HTTP/1.1 101 "));

    acceptor.children.remove(children[0].1);
    for _ in 0..2 {
        assert!(answer(&mut asks(&acceptor, "/child")).starts_with("HTTP/1.1 101 "));
    }
    let [first, second] = children.map(|(child, _)| child.when(|counts| counts.handshakes == 0).accepted);
    assert_eq!((first, second), (3, 4));
    acceptor.children.remove_all();
    assert!(answer(&mut asks(&acceptor, "/child")).starts_with("HTTP/1.1 404 "));
}

#[test]
fn a_child_without_room_is_passed_by_and_with_none_clients_wait_in_the_kernel() {
    let acceptor = site();
    let [(full, _), (free, _)] = [child_of(&acceptor, Bounds::default()), child_of(&acceptor, Bounds::default())];
    // ORDERING: a test's switches, here and below.
    full.is_full.store(true, Ordering::Relaxed);
    for _ in 0..4 {
        assert!(answer(&mut asks(&acceptor, "/chat")).starts_with("HTTP/1.1 101 "));
    }
    assert_eq!((full.gate.counts().accepted, free.gate.counts().accepted), (0, 4));

    free.is_full.store(true, Ordering::Relaxed);
    let mut waiting = asks(&acceptor, "/chat");
    let paused = acceptor.when(|counts| counts.pausing_listeners == 1);
    assert_eq!((paused.accept_pauses, paused.accept_pause_code), (1, Some("TIDEWIRE_INTAKE_FULL")));
    full.is_full.store(false, Ordering::Relaxed);
    assert!(answer(&mut waiting).starts_with("HTTP/1.1 101 "));
    acceptor.when(|counts| counts.pausing_listeners == 0);
    assert_eq!((full.gate.counts().accepted, acceptor.gate.counts().accepted), (1, 0));
}

#[test]
fn what_a_child_has_not_begun_when_it_ends_is_served_elsewhere() {
    for ends in [|child: Site| child.gate.stop(), |child: Site| child.gate.withdraw()] {
        let acceptor = site();
        let (child, descriptor) = child_of(&acceptor, Bounds { handshakes: 1, ..Bounds::default() });
        let (other, _) = child_of(&acceptor, Bounds::default());
        let mut occupant = acceptor.connect();
        occupant.write_all(b"GET /chat HTTP/1.1\r\n").unwrap();
        child.when(|counts| counts.handshakes == 1);
        let mut clients: Vec<TcpStream> = (0..4).map(|_| asks(&acceptor, "/chat")).collect();
        // The first and the third have had their turn at the other one, so the second waits for the child.
        for turn in [0, 2] {
            assert!(answer(&mut clients[turn]).starts_with("HTTP/1.1 101 "));
        }
        ends(child);
        for turn in [1, 3] {
            assert!(answer(&mut clients[turn]).starts_with("HTTP/1.1 101 "));
        }
        assert_eq!((other.gate.counts().accepted, acceptor.gate.counts().accepted), (4, 0));
        assert!(!acceptor.children.add(descriptor), "it has no door any more");

        // And without any child they are the acceptor's own.
        other.gate.stop();
        assert!(answer(&mut asks(&acceptor, "/chat")).starts_with("HTTP/1.1 101 "));
        assert_eq!(acceptor.gate.counts().accepted, 1);
    }
}

#[test]
fn nothing_of_a_child_that_has_ended_is_kept() {
    let acceptor = site();
    let (child, _) = child_of(&acceptor, Bounds::default());
    assert!(answer(&mut asks(&acceptor, "/chat")).starts_with("HTTP/1.1 101 "));
    child.gate.stop();
    // Not its reactors, either, with what was left for them, though the acceptor has accepted nothing since.
    assert!(child.adopted[0].recv_timeout(PATIENCE).is_ok());
    for adopted in &child.adopted {
        assert_eq!(adopted.recv_timeout(PATIENCE).err(), Some(RecvTimeoutError::Disconnected));
    }
    assert!(child.census.is_vacant());
}

#[test]
fn a_gate_can_be_offered_again_and_is_present_while_it_is() {
    let acceptor = site();
    let child = site();
    child.gate.close_listener(child.listener);
    assert!(child.census.is_vacant());
    let descriptor = Descriptor::issue();
    assert!(!acceptor.children.add(descriptor));
    for _ in 0..2 {
        child.gate.offer(descriptor);
        child.gate.offer(descriptor);
        assert!(!child.census.is_vacant());
        assert!(acceptor.children.add(descriptor));
        assert!(answer(&mut asks(&acceptor, "/chat")).starts_with("HTTP/1.1 101 "));
        child.gate.withdraw();
        child.gate.withdraw();
    }
    for adopted in &child.adopted {
        drop(adopted.recv_timeout(PATIENCE).unwrap());
    }
    child.when(|counts| counts.handshakes == 0);
    assert!(child.census.is_vacant());
    child.gate.offer(descriptor);
    assert!(acceptor.children.add(descriptor));
    acceptor.children.remove_all();
    assert!(child.census.is_vacant(), "nobody will bring anything");
}

#[test]
fn a_gate_may_be_its_own_child() {
    let acceptor = site();
    let (other, _) = child_of(&acceptor, Bounds::default());
    let own = Descriptor::issue();
    acceptor.gate.offer(own);
    assert!(acceptor.children.add(own));
    for _ in 0..4 {
        assert!(answer(&mut asks(&acceptor, "/chat")).starts_with("HTTP/1.1 101 "));
    }
    assert_eq!((acceptor.gate.counts().accepted, other.gate.counts().accepted), (2, 2));
    // Nothing is left behind, and nothing waits for itself.
    let mut idle = asks(&acceptor, "/none");
    assert!(answer(&mut idle).starts_with("HTTP/1.1 404 "));
    acceptor.gate.stop();
    other.gate.stop();
    assert_eq!(idle.read(&mut [0]).unwrap_or(0), 0);
}
