//! Requests that JavaScript answers, with a reactor that only collects them.

use std::sync::mpsc::TryRecvError;

use super::*;
use crate::bridge::ConnectionId;
use crate::reactor::Answer;

const PLACE: ConnectionId = ConnectionId { index: 7, generation: 3 };

/// A route that asks.
fn asking(id: u16) -> Arc<Endpoint> {
    asking_from(id, Origins::Any)
}

fn asking_from(id: u16, origins: Origins) -> Arc<Endpoint> {
    let route = Route { asks: true, ..(*route(id).route).clone() };
    Arc::new(Endpoint { route: Arc::new(route), origins })
}

/// The site, where `/ask` (10), `/ask/*` (11) and `/ask/plain/*` (13) ask, too.
pub(super) fn asking_site() -> Site {
    bounded_asking_site(Bounds::default())
}

fn bounded_asking_site(bounds: Bounds) -> Site {
    let site = bounded_site(bounds);
    site.routes.set_websocket("/ask", Some(asking(10))).unwrap();
    site.routes.set_websocket("/ask/*", Some(asking(11))).unwrap();
    site.routes.set_websocket("/ask/plain/*", Some(asking(13))).unwrap();
    site
}

impl Site {
    fn visit(&self, reactor: usize) -> Visit {
        let visit = self.visits[reactor].recv_timeout(PATIENCE).unwrap();
        visit.pass.fill(PLACE);
        visit
    }

    pub(super) fn ask(&self, path: &str, more: &str) -> (TcpStream, Visit) {
        let mut client = self.connect();
        client.write_all(opening(path, more).as_bytes()).unwrap();
        let visit = self.visit(0);
        (client, visit)
    }

    fn departed(&self, reactor: usize) -> Pass {
        self.departures[reactor].recv_timeout(PATIENCE).unwrap()
    }
}

#[test]
fn an_upgrade_has_the_lines_of_javascript_and_goes_to_the_reactor_that_was_asked() {
    let site = asking_site();
    let (mut client, visit) = site.ask("/ask?a=b", "Sec-WebSocket-Protocol: soap, wamp\r\nX-Own: 1\r\n");
    assert_eq!(visit.route.id, RouteId(10));
    assert_eq!(visit.peer, Some(client.local_addr().unwrap()));
    let head = String::from_utf8(visit.head).unwrap();
    assert!(head.starts_with("GET\n/ask?a=b\nhost:localhost\n"), "{head}");
    assert!(head.contains("\nsec-websocket-protocol:soap, wamp\n") && head.ends_with("\nx-own:1\n"), "{head}");

    (visit.answer)(Answer::Upgrade {
        lines: b"wamp\nSet-Cookie: a\nset-cookie: b\nUpgrade: h2c\n".to_vec(),
        agreement: None,
    });
    let head = answer(&mut client);
    assert!(head.starts_with("HTTP/1.1 101 Switching Protocols\r\n"), "{head}");
    assert!(head.contains("sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"), "{head}");
    assert!(head.contains("sec-websocket-protocol: wamp\r\n") && !head.contains("h2c"), "{head}");
    assert!(head.contains("set-cookie: a\r\nset-cookie: b\r\n"), "{head}");
    let adoption = site.adopted(0);
    assert_eq!((adoption.route.id, adoption.pass.unwrap().connection()), (RouteId(10), Some(PLACE)));
    assert_eq!(site.departures[0].try_recv().err(), Some(TryRecvError::Empty));

    // The next question is the other reactor's.
    let mut client = site.connect();
    client.write_all(opening("/ask", "").as_bytes()).unwrap();
    (site.visit(1).answer)(Answer::Upgrade { lines: b"\n".to_vec(), agreement: None });
    assert!(!answer(&mut client).contains("sec-websocket-protocol"));
    assert!(site.adopted(1).pass.is_some());
}

#[test]
fn a_response_leaves_the_connection_for_the_next_request() {
    let site = asking_site();
    let (mut client, visit) = site.ask("/ask", "");
    (visit.answer)(Answer::Response(b"401 Who Are You\nWWW-Authenticate: Basic\n\nsay so".to_vec()));
    let reply = answer(&mut client);
    assert!(reply.starts_with("HTTP/1.1 401 Who Are You\r\nwww-authenticate: Basic\r\n"), "{reply}");
    assert!(reply.ends_with("\r\n\r\nsay so"), "{reply}");
    client.write_all(opening("/ask", "").as_bytes()).unwrap();
    (site.visit(1).answer)(Answer::Response(b"204 No Content\nconnection: close\n\n".to_vec()));
    let mut rest = String::new();
    client.read_to_string(&mut rest).unwrap();
    assert!(rest.starts_with("HTTP/1.1 204 No Content\r\n"), "{rest}");
    assert_eq!(site.gate.counts().refused.get(&401), Some(&1));
    assert_eq!(site.departures[0].try_recv().err(), Some(TryRecvError::Empty));
}

#[test]
fn a_request_that_is_yielded_goes_to_the_next_route() {
    let site = asking_site();
    let (mut client, visit) = site.ask("/ask/plain/x", "");
    assert_eq!(visit.route.id, RouteId(13));
    (visit.answer)(Answer::Yield);
    let visit = site.visit(1);
    assert_eq!(visit.route.id, RouteId(11));
    (visit.answer)(Answer::Yield);
    assert!(answer(&mut client).starts_with("HTTP/1.1 404"));

    site.routes.set_websocket("/*", Some(route(12))).unwrap();
    let (mut client, visit) = site.ask("/ask/y", "Sec-WebSocket-Protocol: soap\r\n");
    (visit.answer)(Answer::Yield);
    let head = answer(&mut client);
    assert!(head.contains("101") && head.contains("sec-websocket-protocol: soap"), "{head}");
    let adoption = site.adopted(1);
    assert!(adoption.route.id == RouteId(12) && adoption.pass.is_none());
}

#[test]
fn a_connection_can_be_closed_without_a_response() {
    let site = asking_site();
    let (mut client, visit) = site.ask("/ask", "");
    (visit.answer)(Answer::Close);
    assert_eq!(client.read(&mut [0; 8]).unwrap_or(0), 0);
    // The same where nobody answers any more.
    let mut client = site.connect();
    client.write_all(opening("/ask", "").as_bytes()).unwrap();
    drop(site.visit(1).answer);
    assert_eq!(client.read(&mut [0; 8]).unwrap_or(0), 0);
}

#[test]
fn a_peer_that_leaves_is_noticed_while_its_request_is_pending() {
    let site = asking_site();
    // A FIN, a reset, and a FIN behind bytes that nobody reads.
    let (client, visit) = site.ask("/ask", "");
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(site.departed(0).connection(), Some(PLACE));
    drop(visit);

    let mut client = site.connect();
    client.write_all(opening("/ask", "").as_bytes()).unwrap();
    let visit = site.visit(1);
    socket2::SockRef::from(&client).set_linger(Some(Duration::ZERO)).unwrap();
    drop(client);
    assert_eq!(site.departed(1).connection(), Some(PLACE));
    // An answer comes too late for anybody.
    (visit.answer)(Answer::Upgrade { lines: b"\n".to_vec(), agreement: None });

    let (mut client, _visit) = site.ask("/ask", "");
    client.write_all(b"early").unwrap();
    client.shutdown(Shutdown::Write).unwrap();
    assert_eq!(site.departed(0).connection(), Some(PLACE));
    assert_eq!(site.gate.counts().upgraded, 0);
}

#[test]
fn closing_the_connections_tells_the_reactor() {
    let site = asking_site();
    let (mut client, visit) = site.ask("/ask", "");
    site.gate.close_connections();
    assert_eq!(site.departed(0).connection(), Some(PLACE));
    assert_eq!(client.read(&mut [0; 8]).unwrap_or(0), 0);
    drop(visit);
    let (_client, _visit) = {
        let mut client = site.connect();
        client.write_all(opening("/ask", "").as_bytes()).unwrap();
        (client, site.visit(1))
    };
    let Site { gate, departures, .. } = site;
    gate.stop();
    assert_eq!(departures[1].recv_timeout(PATIENCE).unwrap().connection(), Some(PLACE));
}

#[test]
fn a_bad_handshake_is_not_asked_about() {
    let site = asking_site();
    let reply = site.answer_and_end(b"GET /ask HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    assert!(reply.starts_with("HTTP/1.1 426"), "{reply}");
    assert_eq!(site.visits[0].try_recv().err(), Some(TryRecvError::Empty));
}

#[test]
fn a_head_that_fits_no_event_is_refused() {
    let site = bounded_asking_site(Bounds { request_head_bytes: 1024 * 1024, ..Bounds::default() });
    let long = |bytes: usize| format!("X-Long: {}\r\n", "x".repeat(bytes));
    let (_client, visit) = site.ask("/ask", &long(limits::ASKED_HEAD_BYTES - 1024));
    assert!(visit.head.len() > limits::ASKED_HEAD_BYTES - 1024);
    let reply = site.answer_and_end(opening("/ask", &long(limits::ASKED_HEAD_BYTES)).as_bytes());
    assert!(reply.starts_with("HTTP/1.1 431"), "{reply}");
}
