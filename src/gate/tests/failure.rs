//! Panics at the gate: what they cost, and who is told.

use super::javascript::Javascript;
use super::*;
use crate::bridge::event::failed;
use crate::bridge::{CommandKind, EventKind};
use crate::error::FaultPoint;
use crate::gate::Handler;

const HELLO: &[u8] = b"GET /hello HTTP/1.1\r\nHost: localhost\r\n\r\n";

fn handling_site() -> Site {
    let site = site();
    site.routes.set_handler("GET", "/hello", Some(Handler::Asked(RouteId(20)))).unwrap();
    site
}

/// A request is answered as ever.
fn assert_serves(site: &Site, javascript: &mut Javascript<'_>) {
    let mut client = site.connect();
    client.write_all(HELLO).unwrap();
    let (place, ..) = javascript.request();
    javascript.respond(place, "200 OK\n\nhello");
    assert!(answer(&mut client).starts_with("HTTP/1.1 200 OK\r\n"));
    let mut client = site.connect();
    client.write_all(opening("/chat", "").as_bytes()).unwrap();
    assert!(answer(&mut client).starts_with("HTTP/1.1 101 "));
}

fn ends(mut client: TcpStream) {
    let mut rest = Vec::new();
    // It may be reset.
    let _ = client.read_to_end(&mut rest);
    assert_eq!(rest.escape_ascii().to_string(), "", "no response");
}

#[test]
fn a_panic_of_the_keeper_costs_what_is_at_the_gate_and_no_more() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut established = site.connect();
    established.write_all(opening("/chat", "").as_bytes()).unwrap();
    assert!(answer(&mut established).starts_with("HTTP/1.1 101 "));
    let mut adoption = site.adopted(0);
    let mut asking = site.connect();
    asking.write_all(HELLO).unwrap();
    let (place, ..) = javascript.request();
    let mut slow = site.connect();
    slow.write_all(b"GET ").unwrap();
    site.when(|counts| counts.handshakes == 1);

    site.gate.crossing().faults.arm(FaultPoint::Keeping);
    site.gate.crossing().ring();
    let failure = site.failures.recv_timeout(PATIENCE).unwrap();
    assert_eq!(failure.kind, failed::GATE);
    assert_eq!(failure.panic.message, "a fault was injected: Keeping");
    assert!(failure.panic.place.starts_with("src/error/faults.rs:"), "{}", failure.panic.place);
    let event = javascript.next();
    assert_eq!((event.kind, event.flags), (EventKind::Failed as u8, failed::GATE));
    ends(asking);
    ends(slow);
    // What JavaScript still says of the old request is for nobody.
    javascript.tell(&[(CommandKind::Answer, 0, place, b"200 OK\n\nlate"), (CommandKind::Release, 0, place, b"")]);
    assert_serves(&site, &mut javascript);
    adoption.stream.write_all(b"frames").unwrap();
    established.read_exact(&mut [0; 6]).unwrap();
    let counts = site.when(|counts| counts.http_connections == 0 && counts.handshakes == 0);
    assert_eq!(counts.accepted, 5);
}

#[test]
fn a_panic_in_one_connection_costs_that_one() {
    let site = handling_site();
    let mut javascript = Javascript::of(&site);
    let mut asking = site.connect();
    asking.write_all(HELLO).unwrap();
    let (place, ..) = javascript.request();
    site.gate.crossing().faults.arm(FaultPoint::Request);
    let mut broken = site.connect();
    broken.write_all(HELLO).unwrap();
    let failure = site.failures.recv_timeout(PATIENCE).unwrap();
    assert_eq!((failure.kind, &*failure.panic.message), (failed::CONNECTION, "a fault was injected: Request"));
    ends(broken);
    javascript.respond(place, "200 OK\n\nhello");
    assert!(answer(&mut asking).ends_with("hello"));
    assert_serves(&site, &mut javascript);
    drop(asking);
    let Site { gate, census, .. } = site;
    gate.stop();
    // What the test itself has of adopted connections counts still.
    drop(census);
}
