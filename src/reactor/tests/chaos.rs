//! Anything, in any order: what must hold whatever peers, network, time and JavaScript do.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use proptest::prelude::*;
use proptest::sample::Index;

use super::frames::{BINARY, CONTINUATION, PING, PONG, TEXT, close, fragment, frame};
use super::*;
use crate::limits;
use crate::protocol::{MessageKind, Payload};

#[derive(Clone, Debug)]
enum Step {
    Open { strict: bool },
    Says(Index, Vec<u8>),
    Garbage(Index, Vec<u8>),
    Ends(Index),
    Resets(Index),
    WriteError(Index),
    Room(Index, usize),
    Interrupts(Index, usize),
    Send(Index, usize),
    SendLarge(Index, usize),
    End(Index),
    Terminate(Index),
    Watch(Index),
    Run,
    Drain,
    FillIntake,
    Ticks(u32),
}

fn said_by_a_client() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        4 => (0..400usize).prop_map(|length| frame(TEXT, &vec![b'x'; length])),
        2 => (0..9000usize).prop_map(|length| frame(BINARY, &vec![1; length])),
        1 => Just(frame(BINARY, &vec![1; 70_000])),
        2 => (0..126usize).prop_map(|length| frame(PING, &vec![2; length])),
        1 => Just(frame(PING, &[2; 125]).repeat(600)),
        1 => Just(frame(PONG, b"")),
        2 => (any::<bool>(), 0..50usize).prop_map(|(first, length)| {
            fragment(if first { TEXT } else { CONTINUATION }, !first, &vec![b'f'; length])
        }),
        1 => Just(close(1000, "bye")),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let who = any::<Index>;
    prop_oneof![
        3 => any::<bool>().prop_map(|strict| Step::Open { strict }),
        10 => (who(), said_by_a_client(), any::<Index>(), any::<bool>()).prop_map(|(who, mut bytes, cut, whole)| {
            if !whole {
                bytes.truncate(cut.index(bytes.len()) + 1);
            }
            Step::Says(who, bytes)
        }),
        1 => (who(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(who, bytes)| Step::Garbage(who, bytes)),
        1 => who().prop_map(Step::Ends),
        1 => who().prop_map(Step::Resets),
        1 => who().prop_map(Step::WriteError),
        4 => (who(), prop_oneof![Just(0), 1..3000usize, Just(usize::MAX)]).prop_map(|(who, room)| Step::Room(who, room)),
        1 => (who(), 1..4usize).prop_map(|(who, calls)| Step::Interrupts(who, calls)),
        8 => (who(), prop_oneof![0..200usize, 0..5000usize]).prop_map(|(who, length)| Step::Send(who, length)),
        1 => (who(), 60_000..200_000usize).prop_map(|(who, length)| Step::SendLarge(who, length)),
        1 => who().prop_map(Step::End),
        1 => who().prop_map(Step::Terminate),
        1 => who().prop_map(Step::Watch),
        12 => Just(Step::Run),
        6 => Just(Step::Drain),
        1 => Just(Step::FillIntake),
        4 => (1..4u32).prop_map(Step::Ticks),
    ]
}

/// JavaScript's and the peers' side of the story.
struct World<const SHORT_READ_DRAINS: bool> {
    rig: Rig<SHORT_READ_DRAINS>,
    peers: Vec<Peer>,
    /// Opened, and neither told of a close nor closed by JavaScript itself.
    alive: BTreeMap<ConnectionId, ()>,
    opens: usize,
    strict: Arc<Route>,
    lenient: Arc<Route>,
}

impl<const SHORT_READ_DRAINS: bool> World<SHORT_READ_DRAINS> {
    fn new() -> Self {
        let strict = routed(|route| {
            route.idle_timeout_seconds = 8;
            route.max_backpressure_bytes = 3000;
            route.close_on_backpressure_limit = true;
            (route.wants_ping, route.wants_pong, route.wants_dropped) = (true, true, true);
        });
        let lenient = routed(|route| {
            route.id = crate::bridge::RouteId(1);
            route.idle_timeout_seconds = 120;
            route.max_payload_bytes = 1 << 20;
            route.max_backpressure_bytes = 0;
            route.max_lifetime_minutes = 1;
        });
        Self { rig: Rig::of_host(), peers: Vec::new(), alive: BTreeMap::new(), opens: 0, strict, lenient }
    }

    fn peer(&self, who: &Index) -> Option<&Peer> {
        (!self.peers.is_empty()).then(|| who.get(&self.peers))
    }

    fn connection(&self, who: &Index) -> Option<ConnectionId> {
        (!self.alive.is_empty()).then(|| *self.alive.keys().nth(who.index(self.alive.len())).unwrap())
    }

    fn take(&mut self, step: &Step) {
        let js = |kind, world: &mut Self, who: &Index, payload: &[u8]| {
            let connection = world.connection(who)?;
            world.rig.js.command(kind, connection, payload);
            Some(connection)
        };
        match step {
            Step::Open { strict } => {
                let route = if *strict { self.strict.clone() } else { self.lenient.clone() };
                let peer = self.rig.adopt(&route, &frame(TEXT, b"early"));
                self.peers.push(peer);
            }
            Step::Says(who, bytes) | Step::Garbage(who, bytes) => {
                self.peer(who).into_iter().for_each(|peer| peer.says(bytes));
            }
            Step::Ends(who) => self.peer(who).into_iter().for_each(Peer::ends),
            Step::Resets(who) => self.peer(who).into_iter().for_each(Peer::resets),
            Step::WriteError(who) => {
                self.peer(who).into_iter().for_each(|peer| peer.write_error(ErrorKind::BrokenPipe));
            }
            Step::Room(who, room) => self.peer(who).into_iter().for_each(|peer| peer.room(*room)),
            Step::Interrupts(who, calls) => self.peer(who).into_iter().for_each(|peer| peer.interrupts(*calls)),
            Step::Send(who, length) => {
                if let Some(connection) = self.connection(who) {
                    self.rig.js.send(connection, BINARY, &vec![3; *length]);
                }
            }
            Step::SendLarge(who, length) => {
                if let Some(connection) = self.connection(who) {
                    self.rig.js.send_large(connection, BINARY, vec![4; *length]);
                }
            }
            Step::End(who) => {
                let ended = js(CommandKind::End, self, who, &[0xe8, 0x03, b'!']);
                self.release(ended);
            }
            Step::Terminate(who) => {
                let ended = js(CommandKind::Terminate, self, who, b"");
                self.release(ended);
            }
            Step::Watch(who) => drop(js(CommandKind::WatchDrain, self, who, b"")),
            Step::Run => self.rig.obey(),
            Step::Drain => self.drain(),
            Step::FillIntake => {
                let nobody = ConnectionId { index: 0, generation: 0 };
                // It is counted by its capacity, and none of it is touched.
                let mut ballast = Vec::with_capacity(limits::INTAKE_BYTES);
                ballast.resize(limits::LARGE_MESSAGE_BYTES + 1, 0);
                self.rig.reactor.intake.message(nobody, MessageKind::Binary, Payload::Owned(ballast));
                self.rig.reactor.intake.post();
            }
            Step::Ticks(count) => self.rig.ticks(*count),
        }
    }

    fn release(&mut self, connection: Option<ConnectionId>) {
        if let Some(connection) = connection {
            self.alive.remove(&connection);
            self.rig.js.command(CommandKind::Release, connection, b"");
        }
    }

    fn drain(&mut self) {
        for event in self.rig.js.drain() {
            match event.kind {
                EventKind::Open => {
                    self.opens += 1;
                    assert_eq!(self.alive.insert(event.connection, ()), None, "one Open each");
                }
                EventKind::Close if self.alive.contains_key(&event.connection) => self.release(Some(event.connection)),
                _ => {}
            }
        }
        self.rig.obey();
    }

    /// What holds whenever the reactor rests.
    fn check(&mut self) {
        let reactor = &mut self.rig.reactor;
        assert_eq!(reactor.gather.bytes(), 0);
        let (mut parked, mut outbox, mut open) = (0, 0, 0);
        for index in 0..reactor.slab.places() {
            let listed = |list: &[ConnectionId]| list.iter().filter(|one| one.index == index).count();
            let (in_unread, in_parked) = (listed(&reactor.unread), listed(&reactor.parked));
            let slot = reactor.slab.slot(index);
            assert_eq!(slot.socket.is_some(), !matches!(slot.phase, Phase::Vacant | Phase::Gone));
            assert!(!slot.unread || in_unread > 0, "an unread connection is remembered");
            assert!(slot.phase == Phase::Open || slot.assembly.is_none());
            open += u64::from(slot.phase == Phase::Open);
            outbox += slot.waiting_bytes();
            let Some(rare) = &slot.rare else { continue };
            parked += rare.leftover.len();
            assert!(rare.leftover.is_empty() || in_parked > 0, "a parked connection is remembered");
            let used =
                !rare.outbox.is_empty() || !rare.leftover.is_empty() || rare.pong.is_some() || rare.farewell.is_some();
            assert!(used, "rare parts of a connection that is {:?} are in use", slot.phase);
            assert!(rare.pong.is_none() || !rare.outbox.is_empty(), "a pong waits behind something");
        }
        assert_eq!(reactor.parked_bytes, parked);
        let tally = self.rig.shared.tally();
        assert_eq!((tally.connections(), tally.opened), (open, self.peers.len() as u64));
        assert_eq!((tally.outbox_bytes, tally.parked_bytes), (outbox as u64, parked as u64));
    }

    /// JavaScript and the peers close what is left, and nothing remains.
    fn finish(mut self) {
        self.drain();
        self.drain();
        assert_eq!(self.opens, self.peers.len());
        while let Some((&connection, ())) = self.alive.first_key_value() {
            self.rig.js.command(CommandKind::Terminate, connection, b"");
            self.release(Some(connection));
        }
        self.rig.obey();
        self.peers.iter().for_each(Peer::ends);
        self.rig.ticks(crate::reactor::sweep::CLOSING_TICKS + 1);
        self.drain();
        assert!(self.peers.iter().all(Peer::is_closed));
        self.rig.assert_vacant();
    }
}

fn live<const SHORT_READ_DRAINS: bool>(steps: &[Step]) {
    let mut world = World::<SHORT_READ_DRAINS>::new();
    for step in steps {
        world.take(step);
        if matches!(step, Step::Run | Step::Drain | Step::Ticks(_)) {
            world.check();
        }
    }
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn nothing_is_left_behind(steps in prop::collection::vec(step(), 1..120)) {
        live::<true>(&steps);
        live::<false>(&steps);
    }
}
