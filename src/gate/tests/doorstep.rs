//! Opening handshakes on their short ways and on the long one: nobody may see a difference.

use super::plain::LONG_WAY;
use super::*;
use crate::gate::Origin;

/// How the first bytes of a connection come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Coming {
    /// They are there when it is accepted.
    AtOnce,
    /// Nothing is there then.
    Later,
}

/// A site that lets pages of one origin into `/origin`, and asks JavaScript at `/asked`.
fn strict_site() -> Site {
    let site = site();
    let listed = Origins::Listed(vec![Origin::parse("https://example.org").unwrap()]);
    site.routes.set_websocket("/origin", Some(Arc::new(Endpoint { origins: listed, ..(*route(4)).clone() }))).unwrap();
    site.routes
        .set_websocket("/same", Some(Arc::new(Endpoint { origins: Origins::Same, ..(*route(5)).clone() })))
        .unwrap();
    site
}

/// What the client gets, but for the date; and what a reactor gets.
fn outcome(site: &Site, way: &str, coming: Coming, request: &str) -> (String, Option<(RouteId, bool, Vec<u8>)>) {
    let mut client = site.connect();
    if coming == Coming::Later {
        site.when(|counts| counts.handshakes == 1);
    }
    let early = b"frames";
    client.write_all(&[way.as_bytes(), request.as_bytes(), early].concat()).unwrap();
    let head = answer(&mut client);
    let adopted = head.starts_with("HTTP/1.1 101 ").then(|| {
        // They take turns, and one of them has it.
        let adoption = (0..PATIENCE.as_millis())
            .find_map(|_| {
                let adopted = site.adopted.iter().find_map(|adopted| adopted.try_recv().ok());
                adopted.or_else(|| {
                    std::thread::sleep(Duration::from_millis(1));
                    None
                })
            })
            .unwrap();
        let Adoption { route, agreement, early: came, peer, mut stream, pass, session, .. } = adoption;
        assert_eq!(peer, Some(client.local_addr().unwrap()));
        assert!(pass.is_none() && session.is_none());
        (route.id, agreement.is_some(), early_or_waiting(came, &mut stream, early.len()))
    });
    drop(client);
    site.when(|counts| counts.handshakes == 0);
    (head.lines().filter(|line| !line.starts_with("date: ")).collect::<Vec<_>>().join("\n"), adopted)
}

#[test]
fn an_opening_handshake_is_the_same_on_all_ways() {
    let site = strict_site();
    let deflate = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n";
    for (request, status) in [
        (opening("/chat", ""), 101),
        (opening("/chat?a=/room/b", "Cookie: a=b\r\nUser-Agent: x\r\nOrigin: null\r\n"), 101),
        (opening("/room/a", "Sec-WebSocket-Protocol: soap, wamp\r\n"), 101),
        (opening("/compressed", deflate), 101),
        (opening("/chat", deflate), 101),
        (opening("/chat", "Sec-WebSocket-Extensions: permessage-deflate; =10\r\n"), 400),
        (opening("/chat", "Sec-WebSocket-Protocol: soap, soap\r\n"), 400),
        (opening("/chat", "").replace("Version: 13", "Version: 8"), 426),
        (opening("/chat", "").replace("Key: dG", "Key: d"), 400),
        (opening("/chat", "").replace("Upgrade: websocket", "Upgrade: h2c"), 426),
        (opening("/chat", "").replace("Connection: Upgrade", "Connection: close"), 400),
        (opening("/chat", "").replace("Host: localhost", "Host: a b"), 400),
        (opening("/none", ""), 404),
        (opening("/origin", "Origin: https://example.org\r\n"), 101),
        (opening("/origin", ""), 101),
        (opening("/origin", "Origin: https://example.com\r\n"), 403),
        (opening("/origin", "Origin: https://example.org\r\nOrigin: https://example.org\r\n"), 403),
        (opening("/same", "Origin: http://localhost\r\n"), 101),
        (opening("/same", "Origin: http://localhost:81\r\n"), 403),
        (opening("/chat", "Content-Length: 6\r\n"), 400),
    ] {
        let long = outcome(&site, LONG_WAY, Coming::AtOnce, &request);
        assert!(long.0.starts_with(&format!("HTTP/1.1 {status} ")), "{request}{}", long.0);
        assert_eq!(outcome(&site, "", Coming::AtOnce, &request), long, "{request}");
    }
    // Where the system does not keep back who is silent, a task waits for the first bytes.
    for request in [opening("/compressed", deflate), opening("/origin", "Origin: https://example.com\r\n")] {
        let long = outcome(&site, LONG_WAY, Coming::Later, &request);
        assert_eq!(outcome(&site, "", Coming::Later, &request), long, "{request}");
    }
    let counts = site.gate.counts();
    assert_eq!((counts.accepted, counts.upgraded, counts.timed_out), (44, 18, 0));
    assert_eq!(counts.refused[&403], 8);
    site.gate.stop();
}

#[test]
fn what_is_handed_over_together_is_as_much_as_was_accepted() {
    const CLIENTS: usize = 300;
    let site = site();
    let mut clients: Vec<TcpStream> = (0..CLIENTS).map(|_| site.connect()).collect();
    for client in &mut clients {
        client.write_all(opening("/chat", "").as_bytes()).unwrap();
    }
    let mut peers: Vec<_> = (0..CLIENTS).map(|turn| site.adopted(turn % 2).peer.unwrap()).collect();
    let mut addresses: Vec<_> = clients.iter().map(|client| client.local_addr().unwrap()).collect();
    peers.sort();
    addresses.sort();
    assert_eq!(peers, addresses);
    for client in &mut clients {
        assert!(answer(client).starts_with("HTTP/1.1 101 "));
    }
    drop(clients);
    let counts = site.when(|counts| counts.handshakes == 0);
    assert_eq!((counts.accepted, counts.upgraded), (CLIENTS as u64, CLIENTS as u64));
    site.gate.stop();
}
