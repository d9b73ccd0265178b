//! One loud connection does not silence the others.

use super::frames::{TEXT, frame};
use super::*;
use crate::limits;

#[test]
fn each_turn_serves_everyone_beside_a_flood() {
    let mut rig = Rig::new();
    let route = routed(|route| route.max_payload_bytes = 1 << 20);
    let (loud, _) = rig.open(&route);
    let quiet: Vec<_> = (0..50).map(|_| rig.open(&route)).collect();
    let flood = frame(TEXT, &[b'x'; 1000]).repeat(2 * limits::READ_BUFFER_BYTES / 1000);
    let mut ready = Vec::new();
    loud.says(&flood);
    for round in 0..20u8 {
        // The flood never ends: there is always more than a turn reads.
        loud.says(&flood);
        quiet.iter().for_each(|(peer, _)| peer.says(&frame(TEXT, &[b'a' + round])));
        ready.clear();
        crate::reactor::network::Network::poll(&mut rig.reactor.network, &mut ready, None).unwrap();
        rig.reactor.turn(&ready, rig.now);
        let events = rig.js.drain();
        for (peer, connection) in &quiet {
            let own: Vec<_> = events.iter().filter(|event| event.connection == *connection).collect();
            assert_eq!((own.len(), &*own[0].payload), (1, &[b'a' + round][..]));
            assert_eq!(peer.unread_bytes(), 0);
        }
        assert!(loud.unread_bytes() > 0);
        assert!(loud.reads() <= 2 * (usize::from(round) + 1), "two reads a turn at most");
        assert_eq!(rig.reactor.rest(rig.now), Some(Duration::ZERO));
    }
}

#[test]
fn what_one_turn_leaves_the_next_reads() {
    let mut rig = Rig::new();
    let route = routed(|route| route.max_payload_bytes = 1 << 20);
    let peers: Vec<_> = (0..3).map(|_| rig.open(&route)).collect();
    for (peer, _) in &peers {
        peer.says(&frame(TEXT, &vec![b'x'; limits::READ_BUFFER_BYTES + 100_000]));
        peer.says(&frame(TEXT, b"behind"));
    }
    rig.run();
    assert_eq!(rig.js.drain().len(), 6);
    for (peer, connection) in &peers {
        assert_eq!(peer.unread_bytes(), 0);
        rig.assert_idle(*connection);
    }
}
